//! Compiles `proto/` without `protoc`, and records the facts that `version` prints.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptors = protox::compile(
        ["auth.proto", "rules.proto", "userloginstate.proto", "users.proto"],
        ["proto"],
    )?;
    for (folder, client, server) in [("client", true, false), ("server", false, true)] {
        let out = out.join(folder);
        fs::create_dir_all(&out)?;
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(server)
            .build_transport(false)
            .out_dir(out)
            .compile_fds(descriptors.clone())?;
    }
    build_facts();
    Ok(())
}

/// Hands the commit, its date and the compiler's version to `cli`.
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
