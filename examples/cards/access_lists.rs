//! The kinds of reminders to review Access Lists.

use jiff::{SignedDuration, Timestamp};
use teleport_msteams::domain::card::{CardCluster, DueList, Message, access_lists};

use super::{CLUSTER, CREATED, Kind, PLUGIN};

/// Returns the kinds of reminders.
pub(crate) fn kinds() -> Vec<Kind> {
    let one = [list("0d7f", "On-call engineers", 6)];
    let several = [
        list("0d7f", "On-call engineers", 6),
        list("52c8", "Database people", -2),
        DueList {
            members: Some(1),
            ..list("9b11", "Auditors", 1)
        },
    ];
    vec![
        Kind {
            name: "access-list",
            title: "The reminder of an Access List that is due for review.",
            message: drawn(&one),
        },
        Kind {
            name: "access-lists",
            title: "The reminder of several Access Lists, one of which is overdue.",
            message: drawn(&several),
        },
    ]
}

/// Draws the reminder of these lists.
pub(crate) fn drawn(lists: &[DueList<'_>]) -> Message {
    let cluster = CardCluster {
        name: CLUSTER.to_owned(),
        web: Some(format!("https://{CLUSTER}")),
        plugin: PLUGIN.to_owned(),
    };
    access_lists(&cluster, lists, now())
}

/// Returns a list that is due in so many days.
pub(crate) fn list<'a>(name: &'a str, title: &'a str, days: i64) -> DueList<'a> {
    DueList {
        name,
        title,
        due: now() + SignedDuration::from_hours(24 * days),
        members: Some(12),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(CREATED).unwrap_or_default()
}
