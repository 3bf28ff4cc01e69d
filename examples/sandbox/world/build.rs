//! Compiles the services of `proto/` that the pretend cluster offers, without `protoc`.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment"
)]

use std::{env, error};

const PROTO: &str = "../../../proto";

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile(
        [
            "accesslist.proto",
            "auth.proto",
            "rules.proto",
            "userloginstate.proto",
            "users.proto",
        ],
        [PROTO],
    )?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .codec_path("crate::cluster::Codec")
        .out_dir(env::var("OUT_DIR")?)
        .compile_fds(descriptors)?;
    Ok(())
}
