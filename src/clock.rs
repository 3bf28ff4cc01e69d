//! The one place that reads the wall clock and the machine's time zones.
//!
//! Architecture Invariant: knows nothing of the program. Pure code takes the time as a value; waiting uses tokio's
//! own clock.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Returns the time of day, to the nanosecond.
///
/// A clock set before the year -9999 or after 9999 reads as 1970; nothing here depends on such a time.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Formats a duration for a log line, such as `350ms`, `1m 4s` or `6h 20m`: the longer it is, the coarser.
pub fn readable(duration: Duration) -> String {
    let rounded = match duration.as_secs() {
        0 => Duration::from_millis(duration.as_millis().try_into().unwrap_or_default()),
        seconds @ 1..7_200 => Duration::from_secs(seconds),
        seconds => Duration::from_secs(seconds - seconds % 60),
    };
    format!("{:#}", SignedDuration::try_from(rounded).unwrap_or(SignedDuration::MAX))
}

/// Finds a time zone by its IANA name, in the machine's database or in the one that came with the program.
///
/// The case matters, as it does to Teleport.
pub fn zone(name: &str) -> Option<TimeZone> {
    let zone = jiff::tz::db().get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}
