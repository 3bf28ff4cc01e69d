//! The one place that reads the wall clock and the machine's time zones.
//!
//! Architecture Invariant: knows nothing of the program. Pure code takes the time as a value; waiting uses tokio's
//! own clock.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Returns the time of day, to the nanosecond.
///
/// A clock set before the year -9999 or after 9999 reads as 1970; nothing here depends on such a time.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Finds a time zone by its IANA name, in the machine's database or in the one that came with the program.
///
/// The case matters, as it does to Teleport.
pub fn zone(name: &str) -> Option<TimeZone> {
    let zone = jiff::tz::db().get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}
