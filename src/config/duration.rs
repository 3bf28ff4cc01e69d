//! Durations as Go writes them: `90s`, `1h30m`, `1.5h`.
//!
//! Source: the documentation of Go's `time.ParseDuration`, which reads the same keys in the Go plugin. This
//! parser accepts and rejects the same texts, so that both programs accept the same files. `jiff`'s friendly format does not: it
//! reads `1 hour` and `1:30:00`, but not `30m1h`, `1.5h30m`, `.5s` or `0`.

use std::time::Duration;

/// The longest duration in Go, in nanoseconds.
const LONGEST: u128 = i64::MAX as u128;

/// Digits of a fraction that count: the rest is less than a nanosecond in every unit.
const DIGITS: usize = 18;

/// Parses a duration. Go also accepts negative durations, but they have no meaning for any key.
///
/// # Errors
/// The text is not a duration, or it is negative.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let nanoseconds = nanoseconds(unsigned).ok_or("is not a duration")?;
    if nanoseconds > 0 && text.starts_with('-') {
        return Err("is negative");
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn nanoseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = Some(text).filter(|text| !text.is_empty())?;
    let mut total = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        let (unit, after) = after.split_at(after.find(is_of_number).unwrap_or(after.len()));
        total += value(whole, fraction, unit)?;
        rest = Some(after).filter(|_| total <= LONGEST)?;
    }
    u64::try_from(total).ok()
}

fn value(whole: &str, fraction: &str, unit: &str) -> Option<u128> {
    let unit: u128 = match unit {
        "ns" => 1,
        // The micro sign, and the Greek letter mu.
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    };
    let fraction = &fraction[..fraction.len().min(DIGITS)];
    let tenths = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let number = format!("{whole}{fraction}").parse::<u128>().ok()?;
    Some(number.checked_mul(unit)? / tenths)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn is_of_number(c: char) -> bool {
    c == '.' || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.26 makes of each text, in nanoseconds.
    #[test]
    fn what_go_accepts_is_accepted() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("+0", 0),
            ("-0", 0),
            ("0s", 0),
            ("-0s", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("90s", 90_000_000_000),
            ("007s", 7_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("30m1h", 5_400_000_000_000),
            ("1s1s", 2_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1.5h30m", 7_200_000_000_000),
            ("1h1.5m2s", 3_692_000_000_000),
            ("0.5m", 30_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("100ns", 100),
            ("11us", 11_000),
            ("11µs", 11_000),
            ("11μs", 11_000),
            ("13ms", 13_000_000),
            ("3h2m1s4ms5us6ns", 10_921_004_005_006),
            ("0.100000000000000000000h", 360_000_000_000),
            ("1.00000000000000000000000000000001s", 1_000_000_000),
            ("1.9999999999s", 1_999_999_999),
            ("0.0000000001s", 0),
            ("9223372036854775807ns", i64::MAX.unsigned_abs()),
            ("2562047h47m16.854775807s", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text:?}");
        }
    }

    #[test]
    fn what_go_rejects_is_rejected() {
        for text in [
            "",
            " ",
            "3",
            "1.5",
            "-",
            "+",
            "s",
            "ms",
            ".",
            "-.",
            ".s",
            "+.s",
            "1d",
            "1w",
            "1y",
            "1day",
            "1 h",
            "1h 30m",
            " 1h",
            "1h ",
            "1h\n",
            "1H",
            "1M",
            "1hr",
            "1min",
            "1sec",
            "1,5h",
            "1e3s",
            "1_000s",
            "0x1s",
            "1h-30m",
            "--1s",
            "+-1s",
            "1:30:00",
            "PT1H",
            "1hm",
            "1.5.5s",
            "1µ",
            "½h",
            "١s",
            "inf",
            "NaN",
            "1m ago",
            "9s9",
            "9223372036854775808ns",
            "2562048h",
            "9999999999999999999h",
            "99999999999999999999999999999999999999999999h",
        ] {
            assert_eq!(duration(text), Err("is not a duration"), "{text:?}");
        }
    }

    #[test]
    fn negative_durations_are_named_as_such() {
        for text in ["-1m", "-1.5h", "-.5s", "-9223372036854775807ns"] {
            assert_eq!(duration(text), Err("is negative"), "{text:?}");
        }
    }
}
