//! One request with its reminders, for the tests of what is due and of how it is explained.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::reminders::ReminderRules;
use crate::domain::request::{AccessRequest, RequestId, Stage};

pub(crate) const HOUR: Duration = Duration::from_hours(1);
const AFTER: [Duration; 2] = [HOUR, Duration::from_hours(4)];
pub(crate) const RULES: ReminderRules<'_> = ReminderRules {
    after: &AFTER,
    before_expiry: Some(HOUR),
    access_ends: Some(HOUR),
    escalate_after: Some(Duration::from_hours(2)),
};

pub(crate) fn hour(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3_600).unwrap()
}

/// A request that was created at hour zero, and expires after ten hours.
pub(crate) fn request(stage: Stage) -> AccessRequest {
    AccessRequest {
        stage,
        created: Some(hour(0)),
        expires: Some(hour(10)),
        access_until: Some(hour(10)),
        ..AccessRequest::new(RequestId::new("1"), "bob")
    }
}
