//! Compiles `proto/` without `protoc`, and records the build facts that `version` prints.
//!
//! Messages that the program receives are compiled loosely: texts and embedded messages become bytes, which are decoded
//! one by one, so that a text that is not UTF-8, or a broken part, affects nothing around it. Messages that it sends
//! are compiled as written.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, error};

use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use protox::prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(
        [
            "accesslist.proto",
            "auth.proto",
            "rules.proto",
            "userloginstate.proto",
            "users.proto",
        ],
        ["proto"],
    )?;
    // No client is generated: it would decode every answer as a whole.
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .build_transport(false)
        .bytes(".")
        .out_dir(env::var("OUT_DIR")?)
        .compile_fds(read_loosely(descriptors))?;
    build_facts();
    Ok(())
}

/// Turns texts and embedded messages into bytes in every message that is not sent. The encoding stays the same.
fn read_loosely(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    let sent = sent(&descriptors);
    for file in &mut descriptors.file {
        let package = file.package().to_owned();
        if package == "google.protobuf" {
            continue;
        }
        // The text of the file has no positions for map entries.
        file.source_code_info = None;
        for message in &mut file.message_type {
            if !sent.contains(&format!(".{package}.{}", message.name())) {
                loosen(message);
            }
        }
    }
    descriptors
}

fn loosen(message: &mut DescriptorProto) {
    for field in &mut message.field {
        if field.r#type() == Type::Message {
            // Presence remains visible, as it is for message fields.
            let alone = field.label() != Label::Repeated && field.oneof_index.is_none();
            field.proto3_optional = Some(alone);
        }
        if matches!(field.r#type(), Type::String | Type::Message) {
            field.set_type(Type::Bytes);
            field.type_name = None;
        }
    }
    // On the wire a map is a list of entries, each of which is a message.
    for entry in &mut message.nested_type {
        entry.options = None;
        loosen(entry);
    }
}

/// Returns the names of the messages that calls send, including embedded messages.
fn sent(descriptors: &FileDescriptorSet) -> BTreeSet<String> {
    let services = descriptors.file.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method);
    let mut pending: Vec<String> = methods.map(|method| method.input_type().to_owned()).collect();
    let mut sent = BTreeSet::new();
    while let Some(name) = pending.pop() {
        let is_it = |file: &str, message: &&DescriptorProto| name == format!(".{file}.{}", message.name());
        let mut messages = descriptors.file.iter().flat_map(|file| {
            let package = file.package();
            file.message_type.iter().filter(move |message| is_it(package, message))
        });
        let parts: Vec<&FieldDescriptorProto> = messages
            .next()
            // A map is a nested message with the type of its values.
            .map(|found| {
                found
                    .field
                    .iter()
                    .chain(found.nested_type.iter().flat_map(|entry| &entry.field))
                    .collect()
            })
            .unwrap_or_default();
        pending.extend(parts.iter().filter_map(|field| field.type_name.clone()));
        sent.insert(name);
    }
    sent
}

/// Passes the commit, its date and the compiler's version to `cli`.
fn build_facts() {
    if Path::new(".git/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/HEAD");
        println!("cargo::rerun-if-changed=.git/refs/heads");
    }
    let commit = output_of("git", &["rev-parse", "--short=9", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    let date = output_of("git", &["log", "-1", "--format=%cs"]).unwrap_or_default();
    println!("cargo::rustc-env=BUILD_DATE={date}");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    // "rustc 1.95.0 (59807616e 2026-04-14)" becomes "rustc1.95.0".
    let version = output_of(&rustc, &["--version"]).unwrap_or_default();
    let number = version.split(' ').nth(1).unwrap_or("unknown");
    println!("cargo::rustc-env=BUILD_RUSTC=rustc{number}");
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
