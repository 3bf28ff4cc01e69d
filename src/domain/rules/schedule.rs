//! The schedules of a rule.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;

/// Finds a time zone by its exact IANA name.
pub type Zones<'a> = &'a dyn Fn(&str) -> Option<TimeZone>;

/// Shifts of one time zone, as they are written in a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// An IANA name; empty means UTC.
    pub timezone: String,
    pub shifts: Vec<Shift>,
}

/// A part of one day of the week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// Only a full English name, such as `Monday`, ever matches.
    pub weekday: String,
    /// `HH:MM`
    pub start: String,
    /// `HH:MM`; the shift ends when this minute begins.
    pub end: String,
}

/// A schedule whose zone is known.
#[derive(Clone, Debug)]
pub(super) struct Duty {
    schedule: Schedule,
    zone: Option<TimeZone>,
}

impl Duty {
    pub(super) fn new(schedule: &Schedule, zones: Zones<'_>) -> Self {
        let zone = match schedule.timezone.as_str() {
            "" | "UTC" => Some(TimeZone::UTC),
            // The machine's own zone would make two replicas disagree.
            "Local" => None,
            name if name.starts_with('/') || name.contains("..") => None,
            name => zones(name),
        };
        Self {
            schedule: schedule.clone(),
            zone,
        }
    }

    /// Returns whether a time is in one of the shifts, both ends included.
    ///
    /// # Errors
    /// The zone is unknown, or a shift of that day has invalid times.
    pub(super) fn covers(&self, moment: Timestamp) -> Result<bool, String> {
        let Schedule { timezone, shifts } = &self.schedule;
        if shifts.is_empty() {
            return Ok(false);
        }
        let zone = self
            .zone
            .as_ref()
            .ok_or_else(|| format!("there is no time zone {timezone:?}"))?;
        let day = zone.to_datetime(moment).date();
        for shift in shifts
            .iter()
            .filter(|shift| weekday(&shift.weekday) == Some(day.weekday()))
        {
            let at = |text: &str| {
                let time = clock_time(text).ok_or_else(|| format!("{text:?} is not a time such as 09:30"))?;
                Ok::<_, String>(resolve(zone, day.to_datetime(time)))
            };
            let (start, end) = (at(&shift.start)?, at(&shift.end)?);
            if start <= moment && moment <= end {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Parses the exact name of a day, as Teleport does.
pub fn weekday(name: &str) -> Option<Weekday> {
    let (_, day) = DAYS.into_iter().find(|(known, _)| *known == name)?;
    Some(day)
}

/// The days as rules name them.
pub const DAYS: [(&str, Weekday); 7] = [
    ("Monday", Weekday::Monday),
    ("Tuesday", Weekday::Tuesday),
    ("Wednesday", Weekday::Wednesday),
    ("Thursday", Weekday::Thursday),
    ("Friday", Weekday::Friday),
    ("Saturday", Weekday::Saturday),
    ("Sunday", Weekday::Sunday),
];

/// Reads `HH:MM`; the hour may have one digit.
pub fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 || !is_number(hour) || !is_number(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// Finds the moment of a wall time that may be skipped or repeated, as Go's `time.Date` does.
///
/// It uses the offset at the time when UTC has this wall time; if another offset applies at the resulting time, it uses
/// that one.
fn resolve(zone: &TimeZone, wall: DateTime) -> Timestamp {
    let with = |offset: jiff::tz::Offset| offset.to_timestamp(wall).unwrap_or(Timestamp::MAX);
    let guess = with(zone.to_offset(with(jiff::tz::Offset::UTC)));
    with(zone.to_offset(guess))
}
