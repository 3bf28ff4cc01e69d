//! `version`: one line about this build.

/// Prints the version.
pub(super) fn run() {
    println!("{}", line());
}

/// Names the version, the commit it was built from if that is known, and the compiler.
pub(super) fn line() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = match env!("BUILD_COMMIT") {
        "" => String::new(),
        commit => format!(" git:teleport-msteams-v{version}-{commit}"),
    };
    format!("teleport-msteams v{version}{commit} {}", env!("BUILD_RUSTC"))
}
