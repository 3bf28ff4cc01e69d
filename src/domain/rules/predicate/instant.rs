//! Moments of time as conditions write them.

use jiff::Timestamp;
use jiff::civil::DateTime;

/// Nanoseconds since 1970 began in UTC. Every moment that `time.RFC3339` reads fits, those around the year 9999 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant(i128);

impl Instant {
    /// Reads RFC 3339 as Go does: a comma may begin the fraction, and the hour may have one digit.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let year = rest.digits(4)?;
        rest.mark(b'-')?;
        let month = rest.digits(2)?;
        rest.mark(b'-')?;
        let day = rest.digits(2)?;
        rest.mark(b'T')?;
        let hour = rest.digits(2).or_else(|| rest.digits(1))?;
        rest.mark(b':')?;
        let minute = rest.digits(2)?;
        rest.mark(b':')?;
        let second = rest.digits(2).filter(|second| *second < 60)?;
        let mut nanoseconds = 0_i32;
        if rest.mark(b'.').or_else(|| rest.mark(b',')).is_some() {
            let mut unit = 100_000_000;
            nanoseconds = i32::from(rest.digits(1)?) * unit;
            while let Some(digit) = rest.digits(1) {
                unit /= 10;
                nanoseconds += i32::from(digit) * unit;
            }
        }
        let offset = if rest.mark(b'Z').is_some() {
            0
        } else {
            let sign = rest.mark(b'+').map(|()| 1).or_else(|| rest.mark(b'-').map(|()| -1))?;
            let hours = rest.digits(2).filter(|hours| *hours <= 24)?;
            rest.mark(b':')?;
            let minutes = rest.digits(2).filter(|minutes| *minutes < 60)?;
            sign * (i128::from(hours) * 60 + i128::from(minutes)) * 60
        };
        if !rest.0.is_empty() {
            return None;
        }
        let small = |number: i16| i8::try_from(number).ok();
        let time = DateTime::new(
            year,
            small(month)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(second)?,
            nanoseconds,
        );
        let since = time.ok()?.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        Some(Self(since.as_nanos() - offset * 1_000_000_000))
    }
}

impl From<Timestamp> for Instant {
    fn from(time: Timestamp) -> Self {
        Self(time.as_nanosecond())
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Reads a number of exactly so many digits, four at most.
    fn digits(&mut self, count: usize) -> Option<i16> {
        let (head, rest) = self.0.split_at_checked(count)?;
        if !head.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(
            head.iter()
                .fold(0, |number, digit| number * 10 + i16::from(digit - b'0')),
        )
    }

    fn mark(&mut self, mark: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[mark])?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_refused_and_nothing_overflows() {
        for text in [
            "",
            "T",
            "~~~~-~~-~~T~~:~~:~~Z",
            "99999-01-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-01-01T00:00:60Z",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
        let least = Instant::parse("0000-01-01T00:00:00+24:00").unwrap();
        let most = Instant::parse("9999-12-31T23:59:59,999999999999-24:00").unwrap();
        let year_1 = Instant::parse("0001-01-01T00:00:00Z").unwrap();
        assert!(least < year_1 && year_1 < most);
    }
}
