//! The generated messages of `proto/`, in the form that `build.rs` compiles for decoding.

#![expect(clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]

pub(super) mod proto {
    include!(concat!(env!("OUT_DIR"), "/proto.rs"));
}

pub(super) mod types {
    include!(concat!(env!("OUT_DIR"), "/types.rs"));
}
