//! Durations as text.

use std::time::Duration;

/// Writes the two largest units of a duration, such as `1h 30m`.
pub(super) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3_600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let parts = parts.into_iter().skip_while(|(count, _)| *count == 0).take(2);
    let parts: Vec<_> = parts
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_written() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (5_400, "1h 30m"),
            (3_605, "1h"),
            (2 * 86_400 + 3_600, "2d 1h"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), expected);
        }
    }
}
