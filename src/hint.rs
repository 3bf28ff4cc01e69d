//! The mark of a hint: the instruction under an error, in the imperative, which an operator can follow without knowing
//! the code.
//!
//! `docs/troubleshooting.md` lists every hint. A test finds them in the sources by these macros, so a hint is written in
//! one of them, and nowhere else.

/// Marks a hint without variable parts, and is its text.
macro_rules! hint {
    ($text:literal) => {
        $text
    };
}

/// Marks a hint with variable parts, and formats it.
macro_rules! hint_with {
    ($text:literal) => {
        format!($text)
    };
    ($text:literal, $($argument:tt)+) => {
        format!($text, $($argument)+)
    };
}
