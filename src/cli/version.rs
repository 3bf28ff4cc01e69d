//! `version`: one line about this build.

/// Prints the version, the commit it was built from if that is known, and the compiler.
pub(super) fn run() {
    let version = env!("CARGO_PKG_VERSION");
    let commit = match env!("BUILD_COMMIT") {
        "" => String::new(),
        commit => format!(" git:teleport-msteams-v{version}-{commit}"),
    };
    println!("teleport-msteams v{version}{commit} {}", env!("BUILD_RUSTC"));
}
