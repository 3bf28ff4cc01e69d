//! The one place that reads the wall clock.
//!
//! Architecture Invariant: knows nothing of the program. Pure code takes the time as a value; waiting uses tokio's
//! own clock.

use std::time::SystemTime;

use jiff::Timestamp;

/// Returns the time of day, to the nanosecond.
///
/// A clock set before the year -9999 or after 9999 reads as 1970; nothing here depends on such a time.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH)
}
