//! Features, tested through the program's edges.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod architecture;
