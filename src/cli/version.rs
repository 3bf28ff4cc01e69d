//! `version`: prints one line about this build.

use std::sync::LazyLock;

use crate::cli::output::say;

/// The version line without the program's name.
static FACTS: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    let commit = match env!("BUILD_COMMIT") {
        "" => String::new(),
        commit => format!(" git:teleport-msteams-v{version}-{commit}"),
    };
    format!("v{version}{commit} {}", env!("BUILD_RUSTC"))
});

/// Prints the version.
pub(super) fn run() {
    say!("{}", line());
}

/// Returns the version, the commit if it is known, and the compiler.
pub(super) fn line() -> String {
    format!("teleport-msteams {}", facts())
}

/// Returns the line without the program's name.
pub(super) fn facts() -> &'static str {
    &FACTS
}
