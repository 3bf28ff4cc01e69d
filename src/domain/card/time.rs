//! Times and durations on cards: one format, with the zone named. Teams does not localize times in cards reliably.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Writes a time, such as `26 Nov 2026 07:38 UTC`.
pub(super) fn written(time: Timestamp) -> String {
    time.strftime("%-d %b %Y %H:%M UTC").to_string()
}

/// Writes a future time and how far away it is when the card is drawn: `3 Dec 2026 07:38 UTC (in 6 days)`.
pub(super) fn with_distance(time: Timestamp, now: Timestamp) -> String {
    let left = time.duration_since(now);
    if left.is_positive() {
        format!("{} (in {})", written(time), largest_unit(left))
    } else {
        written(time)
    }
}

/// Writes a past time and how long ago it was when the card is drawn: `1 Dec 2026 07:38 UTC (2 days)`.
pub(super) fn with_age(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", written(time), largest_unit(now.duration_since(time)))
}

/// Writes the two largest units that matter: `2 days 4 hours`, `8 hours`, `1 hour 30 minutes`.
pub(super) fn length(length: SignedDuration) -> String {
    // Teleport computes the two times a moment apart, so seconds are meaningless.
    let minutes = length.as_secs().saturating_add(30) / 60;
    let parts = [
        unit(minutes / 1_440, "day"),
        unit(minutes / 60 % 24, "hour"),
        unit(minutes % 60, "minute"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().take(2).collect();
    if parts.is_empty() {
        "less than a minute".to_owned()
    } else {
        parts.join(" ")
    }
}

/// Writes a duration that was configured or measured, like [`length`].
pub(super) fn length_of(duration: Duration) -> String {
    length(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX))
}

/// Writes the largest unit of which there are at least two, rounded: `6 days`, `36 hours`, `90 minutes`.
fn largest_unit(length: SignedDuration) -> String {
    let minutes = (length.as_secs() + 30) / 60;
    let written = if minutes >= 2 * 1_440 {
        unit((minutes + 720) / 1_440, "day")
    } else if minutes >= 2 * 60 {
        unit((minutes + 30) / 60, "hour")
    } else {
        unit(minutes, "minute")
    };
    written.unwrap_or_else(|| "less than a minute".to_owned())
}

fn unit(count: i64, name: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {name}")),
        count => Some(format!("{count} {name}s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_name_their_zone_and_distance() {
        let now: Timestamp = "2026-11-26T07:38:00Z".parse().unwrap();
        let after = |seconds| now + SignedDuration::from_secs(seconds);
        assert_eq!(written(now), "26 Nov 2026 07:38 UTC");
        for (seconds, expected) in [
            (6 * 86_400 + 3_600, "2 Dec 2026 08:38 UTC (in 6 days)"),
            (47 * 3_600, "28 Nov 2026 06:38 UTC (in 47 hours)"),
            (90 * 60, "26 Nov 2026 09:08 UTC (in 90 minutes)"),
            (20, "26 Nov 2026 07:38 UTC (in less than a minute)"),
            (-60, "26 Nov 2026 07:37 UTC"),
        ] {
            assert_eq!(with_distance(after(seconds), now), expected);
        }
        assert_eq!(with_age(after(-2 * 86_400), now), "24 Nov 2026 07:38 UTC (2 days)");
        assert_eq!(with_age(now, now), "26 Nov 2026 07:38 UTC (less than a minute)");
    }

    #[test]
    fn lengths_have_two_units() {
        for (seconds, expected) in [
            (8 * 3_600, "8 hours"),
            (5_400, "1 hour 30 minutes"),
            (2 * 86_400 + 4 * 3_600 + 60, "2 days 4 hours"),
            (10, "less than a minute"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
