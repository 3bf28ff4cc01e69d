//! The steps of a request that were sent, as plugin data keep them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// Maximum number of recorded steps. A configuration has a few.
const MOST_STEPS: usize = 100;

/// One reminder of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReminderStep {
    /// Recipients who have not reviewed, this long after the announcement.
    After(Duration),
    /// Recipients who have not reviewed, before the request expires.
    BeforeExpiry,
    /// The requester, before granted access ends.
    AccessEnds,
}

/// The steps of one request that were sent, or were overdue when a later one was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sent(BTreeSet<ReminderStep>);

impl Sent {
    /// The key of the plugin data. Records of cards do not touch it, so both are written independently.
    pub const KEY: &str = "x_reminded";

    /// Reads the steps from the plugin data of the request; what another version wrote differently is skipped.
    pub fn decode(map: &BTreeMap<String, String>) -> Self {
        Self::parse(map.get(Self::KEY).map(String::as_str).unwrap_or_default())
    }

    /// Reads the steps from the value of [`KEY`](Self::KEY).
    pub fn parse(text: &str) -> Self {
        Self(
            text.split(',')
                .filter_map(ReminderStep::parse)
                .take(MOST_STEPS)
                .collect(),
        )
    }

    /// Returns the compare-and-swap that adds steps to the plugin data: the expected and the new values.
    pub fn add(
        &self,
        steps: &[ReminderStep],
        map: &BTreeMap<String, String>,
    ) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let all: BTreeSet<_> = self.0.iter().chain(steps).copied().collect();
        // The newest steps are the longest.
        let kept = all.iter().skip(all.len().saturating_sub(MOST_STEPS));
        let texts: Vec<_> = kept.map(|step| step.to_text()).collect();
        let before = map.get(Self::KEY).cloned().unwrap_or_default();
        let pair = |value| BTreeMap::from([(Self::KEY.to_owned(), value)]);
        (pair(before), pair(texts.join(",")))
    }

    /// Adds steps that are known otherwise.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds steps that were sent now.
    pub fn extend(&mut self, steps: &[ReminderStep]) {
        self.0.extend(steps);
    }

    /// Returns every step, in order.
    pub fn steps(&self) -> impl Iterator<Item = ReminderStep> {
        self.0.iter().copied()
    }

    pub fn contains(&self, step: ReminderStep) -> bool {
        self.0.contains(&step)
    }
}

impl FromIterator<ReminderStep> for Sent {
    fn from_iter<T: IntoIterator<Item = ReminderStep>>(steps: T) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl ReminderStep {
    /// Writes a duration in milliseconds.
    fn to_text(self) -> String {
        match self {
            Self::After(after) => format!("after:{}", after.as_millis()),
            Self::BeforeExpiry => "expiry".to_owned(),
            Self::AccessEnds => "ends".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "expiry" => Some(Self::BeforeExpiry),
            "ends" => Some(Self::AccessEnds),
            _ => {
                let milliseconds = text.strip_prefix("after:")?.parse().ok()?;
                Some(Self::After(Duration::from_millis(milliseconds)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_added_to_those_that_were_read() {
        let hour = ReminderStep::After(Duration::from_hours(1));
        let mut map = BTreeMap::from([("x_claim".to_owned(), "done a 1".to_owned())]);
        let (expect, set) = Sent::decode(&map).add(&[hour], &map);
        assert_eq!(
            (expect[Sent::KEY].as_str(), set[Sent::KEY].as_str()),
            ("", "after:3600000")
        );
        map.extend(set);
        let known = Sent::decode(&map);
        assert!(known.contains(hour) && !known.contains(ReminderStep::BeforeExpiry));
        let (expect, set) = known.add(&[ReminderStep::BeforeExpiry, ReminderStep::AccessEnds], &map);
        assert_eq!(expect[Sent::KEY], "after:3600000");
        assert_eq!(set[Sent::KEY], "after:3600000,expiry,ends");
        assert_eq!(set.len(), 1, "the record of the cards is not touched");
    }

    #[test]
    fn what_another_version_wrote_is_skipped_and_the_number_of_steps_is_bounded() {
        let map = BTreeMap::from([(Sent::KEY.to_owned(), "after:x,later,,expiry".to_owned())]);
        let known = Sent::decode(&map);
        assert_eq!(known, [ReminderStep::BeforeExpiry].into_iter().collect());
        let many: Vec<_> = (0..1_000)
            .map(|n| ReminderStep::After(Duration::from_secs(n)))
            .collect();
        let (_, set) = Sent::default().add(&many, &map);
        assert_eq!(set[Sent::KEY].split(',').count(), MOST_STEPS);
        assert!(set[Sent::KEY].ends_with("after:999000"));
    }
}
