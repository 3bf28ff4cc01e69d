//! When the owners of an Access List are reminded to review it: once a week before the due date, once a day after it.
//!
//! The windows are those of Teleport's own plugins. What was sent is stored in the plugin data of the list.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// The key of the plugin data: when each owner was last reminded, as JSON with Unix times by user name.
pub const REMINDED: &str = "x_reminded";

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Seconds within which a reminder of an owner belongs to the same bundle. Another replica may still be recording it in
/// the other lists of the owner.
const SAME_BUNDLE: i64 = 10 * 60;

/// Seconds by which the clock of another replica may be ahead. A recorded time that is further ahead was written by a wrong
/// clock.
const CLOCK_SKEW: i64 = HOUR;

/// The number of owners of one list that are reminded.
const MOST_OWNERS: usize = 200;

/// Bytes of a user name that the record keeps. A longer name is no name of a person.
const LONGEST_NAME: usize = 512;

/// The longest time before the due date, in seconds.
const LONGEST_NOTICE: i64 = 10 * 366 * DAY;

/// An Access List that is reviewed regularly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewedList {
    /// The ID of the list.
    pub name: String,
    pub title: String,
    /// The users that the list itself names as owners.
    pub owners: Vec<String>,
    /// When the next review is due.
    pub due: Timestamp,
    /// How long before that the owners are reminded.
    pub notice: SignedDuration,
    /// The number of members, if the server reports it.
    pub members: Option<u32>,
}

/// An Access List in one of its windows, its owners, and when they were last reminded.
#[derive(Clone, Debug)]
pub struct OpenReview {
    pub list: ReviewedList,
    owners: Vec<String>,
    /// The beginning of the window, as a Unix time.
    window: i64,
    /// The stored value as it was read; empty if there is none.
    stored: String,
    /// Unix times by owner.
    reminded: BTreeMap<String, i64>,
    is_wrong: bool,
}

/// Whether an owner is reminded of a list now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Due,
    /// Reminded a moment ago, most likely by another replica, which reminds the owner of all other lists too.
    JustReminded,
    /// Reminded in this window.
    Reminded,
}

/// A compare-and-swap of the plugin data of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub expect: BTreeMap<String, String>,
    pub set: BTreeMap<String, String>,
}

impl ReviewedList {
    /// Returns the beginning of the current window, in which each owner is reminded once; `None` before the first one.
    pub fn window(&self, now: Timestamp) -> Option<Timestamp> {
        Timestamp::from_second(self.window_at(now.as_second())?).ok()
    }

    fn window_at(&self, now: i64) -> Option<i64> {
        let due = self.due.as_second();
        let begin = due - self.notice.as_secs().clamp(0, LONGEST_NOTICE);
        if now < begin {
            return None;
        }
        let every = if now <= due { WEEK } else { DAY };
        Some(now - (now - begin) % every)
    }
}

impl OpenReview {
    /// Returns a list with its owners and its plugin data, if one of its windows is open.
    pub fn new(
        list: ReviewedList,
        mut owners: Vec<String>,
        data: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Option<Self> {
        let window = list.window_at(now.as_second())?;
        let mut known = BTreeSet::new();
        owners.retain(|owner| (1..=LONGEST_NAME).contains(&owner.len()) && known.insert(owner.clone()));
        owners.truncate(MOST_OWNERS);
        let mut review = Self {
            list,
            owners,
            window,
            stored: String::new(),
            reminded: BTreeMap::new(),
            is_wrong: false,
        };
        review.read(data, now);
        Some(review)
    }

    /// Replaces the plugin data, after another replica has written them.
    pub fn read(&mut self, data: &BTreeMap<String, String>, now: Timestamp) {
        let now = now.as_second();
        self.stored = data.get(REMINDED).cloned().unwrap_or_default();
        let times: Result<BTreeMap<String, i64>, _> = match self.stored.as_str() {
            "" => Ok(BTreeMap::new()),
            stored => serde_json::from_str(stored),
        };
        self.is_wrong = false;
        // Of what cannot be read, each owner may have been reminded a moment ago.
        let times = times.unwrap_or_else(|_| {
            self.is_wrong = true;
            self.owners.iter().map(|owner| (owner.clone(), now)).collect()
        });
        self.reminded = times;
        // The record keeps no former owners, so it does not grow.
        self.reminded.retain(|owner, _| self.owners.contains(owner));
        for time in self.reminded.values_mut().filter(|time| **time > now + CLOCK_SKEW) {
            // As it is, the time would silence the reminders until the clock reaches it; without it, they would repeat.
            *time = now;
            self.is_wrong = true;
        }
    }

    /// Returns whether an owner is reminded now.
    pub fn turn(&self, owner: &str, now: Timestamp) -> Turn {
        match self.reminded.get(owner) {
            Some(last) if now.as_second() - last < SAME_BUNDLE => Turn::JustReminded,
            Some(last) if self.window <= *last => Turn::Reminded,
            _ => Turn::Due,
        }
    }

    /// Returns the write that replaces times that a wrong clock or another program wrote, if there are any. They count as now.
    pub fn repair(&self) -> Option<Write> {
        self.is_wrong.then(|| self.write_of(&self.reminded))
    }

    /// Returns the write that records a reminder of an owner.
    pub fn remind(&self, owner: &str, now: Timestamp) -> Write {
        let mut times = self.reminded.clone();
        times.insert(owner.to_owned(), now.as_second());
        self.write_of(&times)
    }

    /// Applies a write that Teleport has accepted.
    pub fn written(&mut self, write: &Write, now: Timestamp) {
        self.read(&write.set, now);
    }

    fn write_of(&self, times: &BTreeMap<String, i64>) -> Write {
        let value = serde_json::to_string(times).expect("texts and numbers always become JSON");
        Write {
            expect: [(REMINDED.to_owned(), self.stored.clone())].into(),
            set: [(REMINDED.to_owned(), value)].into(),
        }
    }
}

/// Returns the owners that are reminded now, each with the places of all their due lists. An owner that was reminded of any
/// list a moment ago is omitted, so that two replicas do not divide the lists of one owner.
pub fn bundles(reviews: &[OpenReview], now: Timestamp) -> BTreeMap<String, Vec<usize>> {
    let mut bundles: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut just_reminded = BTreeSet::new();
    for (place, review) in reviews.iter().enumerate() {
        for owner in &review.owners {
            match review.turn(owner, now) {
                Turn::Due => bundles.entry(owner.clone()).or_default().push(place),
                Turn::JustReminded => {
                    just_reminded.insert(owner.as_str());
                }
                Turn::Reminded => {}
            }
        }
    }
    bundles.retain(|owner, _| !just_reminded.contains(owner.as_str()));
    bundles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DUE: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(DUE + seconds).unwrap()
    }

    fn list(notice_in_days: i64) -> ReviewedList {
        ReviewedList {
            name: "a".to_owned(),
            title: "A".to_owned(),
            owners: Vec::new(),
            due: at(0),
            notice: SignedDuration::from_secs(notice_in_days * DAY),
            members: None,
        }
    }

    fn review(owners: &[&str], data: &BTreeMap<String, String>, now: Timestamp) -> OpenReview {
        let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
        OpenReview::new(list(14), owners, data, now).unwrap()
    }

    fn stored(value: &str) -> BTreeMap<String, String> {
        [(REMINDED.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn windows_are_weekly_before_the_due_date_and_daily_after_it() {
        for (now, expected) in [
            (-14 * DAY - 1, None),
            (-14 * DAY, Some(-14 * DAY)),
            (-7 * DAY - 1, Some(-14 * DAY)),
            (-7 * DAY, Some(-7 * DAY)),
            (-1, Some(-7 * DAY)),
            (0, Some(0)),
            (1, Some(0)),
            (DAY - 1, Some(0)),
            (DAY, Some(DAY)),
            (400 * DAY + 5, Some(400 * DAY)),
        ] {
            assert_eq!(list(14).window(at(now)), expected.map(at), "{now}");
        }
        assert_eq!(list(0).window(at(-1)), None);
        assert_eq!(list(-3).window(at(5)), Some(at(0)));
        // A period that is not a multiple of a week.
        assert_eq!(list(10).window(at(-2 * DAY)), Some(at(-3 * DAY)));
        assert_eq!(list(10).window(at(DAY / 2)), Some(at(0)));
        let forever = ReviewedList {
            notice: SignedDuration::MAX,
            due: Timestamp::MAX,
            ..list(0)
        };
        assert_eq!(forever.window(at(0)), None);
        let past = ReviewedList {
            due: Timestamp::MIN,
            ..list(14)
        };
        assert!(past.window(at(0)).is_some());
    }

    #[test]
    fn an_owner_is_reminded_once_in_each_window() {
        let now = at(-7 * DAY + HOUR);
        let turn =
            |last: i64| review(&["alice"], &stored(&format!("{{\"alice\":{}}}", DUE + last)), now).turn("alice", now);
        assert_eq!(review(&["alice"], &BTreeMap::new(), now).turn("alice", now), Turn::Due);
        assert_eq!(turn(-7 * DAY - 1), Turn::Due);
        assert_eq!(turn(-7 * DAY), Turn::Reminded);
        assert_eq!(turn(-7 * DAY + HOUR - SAME_BUNDLE + 1), Turn::JustReminded);
        assert_eq!(turn(-7 * DAY + HOUR + CLOCK_SKEW), Turn::JustReminded);
    }

    #[test]
    fn a_record_names_owners_only_and_is_bounded() {
        let now = at(-7 * DAY + HOUR);
        let data = stored(r#"{"alice":1,"former":2}"#);
        let mut one = review(&["alice", "bob", "alice", ""], &data, now);
        let write = one.remind("bob", now);
        assert_eq!(write.expect, data);
        assert_eq!(
            write.set,
            stored(&format!(r#"{{"alice":1,"bob":{}}}"#, now.as_second()))
        );
        one.written(&write, now);
        assert_eq!(one.turn("bob", now), Turn::JustReminded);
        assert_eq!(one.turn("alice", now), Turn::Due);
        assert_eq!(one.remind("alice", now).expect, write.set);
        assert_eq!(one.repair(), None);
        // A key without a value must be absent.
        assert_eq!(
            review(&["bob"], &BTreeMap::new(), now).remind("bob", now).expect,
            stored("")
        );
        let many: Vec<_> = (0..500).map(|number| format!("user-{number}")).collect();
        let many = OpenReview::new(list(14), many, &BTreeMap::new(), now).unwrap();
        assert_eq!(bundles(&[many], now).len(), MOST_OWNERS);
        let long = "x".repeat(LONGEST_NAME + 1);
        assert!(bundles(&[review(&[&long], &BTreeMap::new(), now)], now).is_empty());
        assert!(OpenReview::new(list(14), Vec::new(), &BTreeMap::new(), at(-15 * DAY)).is_none());
    }

    #[test]
    fn all_due_lists_of_an_owner_are_one_bundle_unless_another_replica_has_begun_it() {
        let now = at(-7 * DAY + HOUR);
        let just = stored(&format!(r#"{{"bob":{}}}"#, now.as_second() - 5));
        let reviews = [
            review(&["alice", "bob"], &BTreeMap::new(), now),
            review(&["carol", "bob"], &just, now),
            review(&["alice", "carol"], &BTreeMap::new(), now),
        ];
        let expected = [("alice", vec![0, 2]), ("carol", vec![1, 2])];
        let expected = expected.map(|(owner, places)| (owner.to_owned(), places));
        assert_eq!(bundles(&reviews, now), expected.into());
    }

    #[test]
    fn what_a_wrong_clock_or_another_program_wrote_counts_as_now_and_is_replaced() {
        let now = at(-7 * DAY + HOUR);
        for value in [
            format!(r#"{{"alice":{}}}"#, DUE + 400 * DAY),
            "not JSON".to_owned(),
            r#"{"alice":"soon"}"#.to_owned(),
        ] {
            let mut wrong = review(&["alice"], &stored(&value), now);
            assert_eq!(wrong.turn("alice", now), Turn::JustReminded, "{value}");
            let write = wrong.repair().unwrap();
            assert_eq!(write.expect, stored(&value));
            wrong.written(&write, now);
            assert_eq!(wrong.repair(), None);
            let next = at(HOUR);
            assert_eq!(review(&["alice"], &write.set, next).turn("alice", next), Turn::Due);
        }
        let ahead = stored(&format!(r#"{{"alice":{}}}"#, now.as_second() + 60));
        assert_eq!(review(&["alice"], &ahead, now).repair(), None, "clocks differ");
    }

    /// Checks the list at these times, and returns when the owner was reminded.
    fn reminders(notice: i64, times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let (mut data, mut reminders) = (BTreeMap::new(), Vec::new());
        for seconds in times {
            let now = at(seconds);
            let Some(review) = OpenReview::new(list(notice), vec!["alice".to_owned()], &data, now) else {
                continue;
            };
            if let Some(Write { expect, set }) = review.repair() {
                assert_eq!(expect.get(REMINDED), data.get(REMINDED));
                data = set;
            } else if bundles(std::slice::from_ref(&review), now).contains_key("alice") {
                data = review.remind("alice", now).set;
                reminders.push(seconds);
            }
        }
        reminders
    }

    proptest! {
        #[test]
        fn an_owner_is_never_reminded_twice_in_one_window(
            notice in 0_i64..40,
            begin in -50 * DAY..0,
            steps in proptest::collection::vec(0..2 * DAY, 0..120),
        ) {
            let mut now = begin;
            let times = steps.iter().map(|step| { now += step; now });
            let reminders = reminders(notice, times);
            let windows: Vec<_> = reminders.iter().map(|now| list(notice).window(at(*now)).unwrap()).collect();
            prop_assert!(windows.is_sorted_by(|one, next| one < next), "{:?}", reminders);
        }

        #[test]
        fn a_clock_that_was_wrong_causes_neither_a_flood_nor_silence(ahead in 2 * HOUR..400 * DAY, checks in 20_i64..60) {
            // Every three hours in the week before the due date, once with the wrong clock.
            let begin = -10 * DAY;
            let times = [begin, begin + ahead].into_iter().chain((1..=checks).map(|round| begin + 3 * HOUR * round));
            let after: Vec<_> = reminders(14, times).split_off(1);
            let expected: BTreeSet<_> = (1..=checks)
                .filter_map(|round| list(14).window(at(begin + 3 * HOUR * round)))
                .collect();
            prop_assert!(after.len() <= expected.len() + 1, "{:?}", after);
            prop_assert!(checks < 40 || after.iter().any(|at| *at >= -7 * DAY), "{:?}", after);
        }
    }
}
