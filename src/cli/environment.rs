//! The environment variables that this program reads.

/// Returns a variable that is set and is text.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns whether a terminal may show colours (<https://no-color.org>).
pub(super) fn wants_colours() -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Reads a flag as Go's `strconv.ParseBool` does.
pub(super) fn flag(name: &str) -> anyhow::Result<bool> {
    match variable(name).as_deref() {
        None | Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some(other) => anyhow::bail!("the environment variable {name} is {other:?}: expected true or false"),
    }
}
