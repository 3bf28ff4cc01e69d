//! The kinds of cards that the gallery shows.

// The tests load this file by its path, too, and find the module by its own.
#[path = "access_lists.rs"]
pub(crate) mod access_lists;
#[path = "buttons.rs"]
pub(crate) mod buttons;
#[path = "notifications.rs"]
pub(crate) mod notifications;
#[path = "shared.rs"]
pub(crate) mod shared;

use std::sync::Arc;

use jiff::Timestamp;
use teleport_msteams::domain::card::{CardCluster, Content, Message, Place, Reader, Remembered, View};
use teleport_msteams::domain::recipients::{Person, Reason};
use teleport_msteams::domain::request::{
    AccessList, AccessRequest, Constraints, RequestId, RequestKind, Resource, ResourceName, ResourceNames, Review,
    Stage, Threshold, Verdict,
};
use teleport_msteams::domain::review::ReasonRule;

/// A kind of card.
pub(crate) struct Kind {
    /// Its name, of lower-case letters, digits and `-`, because files are named after it. The picture of one that ends with
    /// `-opened` shows the part that a button of the card opens.
    pub(crate) name: &'static str,
    /// One sentence that says what the picture shows.
    pub(crate) title: &'static str,
    pub(crate) message: Message,
}

/// Seconds since 1970 of `2026-11-26T06:01:00Z`, when the requests are created.
const CREATED: i64 = 1_795_672_860;

const HOUR: i64 = 3_600;

/// A text with everything that begins markup somewhere.
const HOSTILE: &str = "[click](https://evil.example) <at>All</at> **now** `code` # heading ~~gone~~ {{DATE(2017-02-14T06:00:00Z)}} \
                       www.evil.example \u{202E}drowssap";

/// Returns every kind of card, in the gallery's order.
pub(crate) fn kinds() -> Vec<Kind> {
    let mut kinds = pending();
    kinds.extend(buttons::kinds());
    kinds.extend(long());
    kinds.extend(resolved());
    kinds.extend(notifications::kinds());
    kinds.extend(access_lists::kinds());
    kinds.extend(shared::kinds());
    kinds
}

fn pending() -> Vec<Kind> {
    let kind = |name, title, message| Kind { name, title, message };
    let resources = AccessRequest {
        resources: vec![
            limited(resource("node", NODE), Constraints::Logins(vec!["root".to_owned()])),
            resource("db", "orders"),
        ],
        reviews: vec![Review {
            submitted_by: "access-plugin-slack".to_owned(),
            ..review(
                "carol@example.com",
                Verdict::Approve,
                "Go ahead, and inform the on-call",
            )
        }],
        ..request(Stage::Pending)
    };
    let constraints = AccessRequest {
        resources: vec![
            limited(
                resource("app", "aws-console"),
                Constraints::AwsRoles(vec!["arn:aws:iam::123456789012:role/ReadOnly".to_owned()]),
            ),
            limited(
                resource("windows_desktop", "desk-7"),
                Constraints::Logins(vec!["Administrator".to_owned()]),
            ),
            limited(resource("kube_cluster", "staging"), Constraints::Other),
            Resource::new("leaf.example.com", "node", NODE),
        ],
        ..request(Stage::Pending)
    };
    let list = AccessRequest {
        kind: RequestKind::LongTerm,
        recommended_list: "0d7f".to_owned(),
        resources: vec![resource("node", NODE)],
        ..request(Stage::Pending)
    };
    let other = AccessRequest {
        kind: RequestKind::Other,
        reviews: vec![review("carol@example.com", Verdict::Other, "")],
        ..request(Stage::Pending)
    };
    vec![
        kind(
            "pending",
            "A request for a role, as a recipient of the role sees it.",
            drawn(&request(Stage::Pending)),
        ),
        kind(
            "resources",
            "A request for resources, with one of two approvals that another plugin submitted.",
            drawn(&resources),
        ),
        kind(
            "channel",
            "A request in a channel, which mentions the suggested reviewer.",
            draw(&Content::Request(Arc::new(request(Stage::Pending))), true, &channel()),
        ),
        kind(
            "constraints",
            "A request that is limited to AWS roles, a Windows login and something unknown, and a node of a leaf cluster.",
            drawn(&constraints),
        ),
        kind(
            "long-term",
            "A long-term request, with the Access List that Teleport recommends.",
            drawn(&list),
        ),
        kind(
            "without-link",
            "A request on a cluster whose Web UI cannot show it: commands take the place of the button.",
            draw(&Content::Request(Arc::new(request(Stage::Pending))), false, &reader()),
        ),
        kind(
            "other",
            "A request and a review of kinds that this version does not know.",
            drawn(&other),
        ),
    ]
}

fn long() -> Vec<Kind> {
    let kind = |name, title, request: &AccessRequest| Kind {
        name,
        title,
        message: drawn(request),
    };
    let many = AccessRequest {
        roles: (1..=12).map(|number| format!("team-{number}-production")).collect(),
        resources: (1..=22)
            .map(|number| resource("app", &format!("web-{number:02}")))
            .collect(),
        ..request(Stage::Pending)
    };
    let reason = AccessRequest {
        reason: "The nightly job has failed twice and the index on orders has to be rebuilt before the shops open. "
            .repeat(8),
        ..request(Stage::Pending)
    };
    let mut texts = HOSTILE.split(' ').cycle();
    let mut hostile = written_by(|| texts.next().unwrap_or_default().to_owned());
    HOSTILE.clone_into(&mut hostile.reason);
    vec![
        kind(
            "many",
            "A request for 22 resources with 12 roles; a button shows all of them.",
            &many,
        ),
        kind(
            "long-reason",
            "A request with a long reason; a button shows all of it.",
            &reason,
        ),
        kind(
            "hostile",
            "A request whose texts try to be links, mentions, markup and templates; all of it stays text.",
            &hostile,
        ),
    ]
}

fn resolved() -> Vec<Kind> {
    let kind = |name, title, request: &AccessRequest| Kind {
        name,
        title,
        message: drawn(request),
    };
    let reviewed = |stage, last, reason: &str| AccessRequest {
        reviews: vec![
            review(
                "carol@example.com",
                Verdict::Approve,
                "Go ahead, and inform the on-call",
            ),
            review("dan@example.com", last, reason),
        ],
        resolve_reason: reason.to_owned(),
        ..request(stage)
    };
    let by_state = AccessRequest {
        resolve_reason: "Closed during the incident".to_owned(),
        ..request(Stage::Denied)
    };
    let promoted = AccessRequest {
        promoted_to: Some(AccessList {
            name: "0d7f".to_owned(),
            title: "Database people".to_owned(),
        }),
        reviews: vec![review("carol@example.com", Verdict::Promote, "")],
        ..request(Stage::Promoted)
    };
    let remembered = Remembered {
        id: id(),
        user: "bob@example.com".to_owned(),
        roles: "dba,dev".to_owned(),
        reason: request(Stage::Expired).reason,
        reviews: 3,
        stage: Stage::Expired,
        resolve_reason: String::new(),
    };
    vec![
        kind(
            "approved",
            "An approved request.",
            &reviewed(Stage::Approved, Verdict::Approve, ""),
        ),
        kind(
            "denied",
            "A denied request.",
            &reviewed(Stage::Denied, Verdict::Deny, "Not during the release"),
        ),
        kind(
            "denied-by-state",
            "A request that was denied without a review.",
            &by_state,
        ),
        kind(
            "promoted",
            "A request that was promoted to membership in an Access List.",
            &promoted,
        ),
        kind("expired", "An expired request.", &request(Stage::Expired)),
        Kind {
            name: "remembered",
            title: "An expired request that Teleport has deleted, drawn from its record.",
            message: draw(&Content::Record(remembered), true, &reader()),
        },
    ]
}

/// Draws a request for a recipient in a personal chat.
pub(crate) fn drawn(request: &AccessRequest) -> Message {
    draw(&Content::Request(Arc::new(request.clone())), true, &reader())
}

/// The Teleport user of the program.
pub(crate) const PLUGIN: &str = "access-plugin";

fn draw(content: &Content, web: bool, reader: &Reader) -> Message {
    draw_with(content, web, reader, None)
}

/// Draws a card, on a cluster with a Web UI or without one, and with buttons if `reviews` says when they need a reason.
pub(crate) fn draw_with(content: &Content, web: bool, reader: &Reader, reviews: Option<ReasonRule>) -> Message {
    let now = time(120).unwrap_or_default();
    with_view(web, reader, now, |view| content.draw(View { reviews, ..view }))
}

/// Draws a message on a cluster with a Web UI or without one.
fn with_view(web: bool, reader: &Reader, now: Timestamp, draw: impl FnOnce(View<'_>) -> Message) -> Message {
    let cluster = CardCluster {
        name: CLUSTER.to_owned(),
        web: web.then(|| format!("https://{CLUSTER}")),
        plugin: PLUGIN.to_owned(),
    };
    let name = |kind: &str, id: &str, name| ((kind.to_owned(), id.to_owned()), name);
    let names = ResourceNames {
        cluster: CLUSTER.to_owned(),
        names: [
            name("node", NODE, ResourceName::Name("db-01".to_owned())),
            name(
                "db",
                "orders",
                ResourceName::Description("PostgreSQL 17, production".to_owned()),
            ),
        ]
        .into(),
        lists: [("0d7f".to_owned(), "On-call engineers".to_owned())].into(),
    };
    draw(View {
        cluster: &cluster,
        names: &names,
        reader,
        now,
        reviews: None,
    })
}

const CLUSTER: &str = "teleport.example.com";

const NODE: &str = "8f6e2a54-5f0c-4b44-9b7c-6f1f8d7e2a11";

pub(crate) fn reader() -> Reader {
    Reader {
        reason: Some(Reason::Role {
            role: "dba".to_owned(),
            position: 0,
        }),
        others: vec!["carol@example.com".to_owned(), "#Databases".to_owned()],
        more_others: 0,
        ..Reader::default()
    }
}

pub(crate) fn channel() -> Reader {
    Reader {
        place: Place::Channel,
        reason: Some(Reason::Rule(Some("databases-at-night".to_owned()))),
        others: (1..=7).map(|number| format!("reviewer-{number}@example.com")).collect(),
        more_others: 0,
        mentions: vec![Person {
            id: "a36aec2e-f11c-4219-b79a-19ffff57de70".to_owned(),
            name: "Carol Clark".to_owned(),
        }],
        ..Reader::default()
    }
}

fn id() -> RequestId {
    RequestId::new("01a20c25-22d8-712e-bc2e-b9c563fbcc15")
}

fn time(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(CREATED + seconds).ok()
}

pub(crate) fn request(stage: Stage) -> AccessRequest {
    AccessRequest {
        roles: vec!["dba".to_owned()],
        stage,
        reason: "Need to fix the index on orders; the nightly job has failed twice (ticket OPS-4711)".to_owned(),
        created: time(0),
        access_until: time(8 * HOUR),
        expires: time(7 * 24 * HOUR),
        thresholds: vec![Threshold {
            name: "security team".to_owned(),
            approve: 2,
            deny: 1,
        }],
        ..AccessRequest::new(id(), "bob@example.com")
    }
}

/// Returns a request in which every text comes from `text`.
pub(crate) fn written_by(mut text: impl FnMut() -> String) -> AccessRequest {
    AccessRequest {
        user: text(),
        roles: vec![text(), text()],
        reason: text(),
        reviews: vec![Review {
            author: text(),
            submitted_by: text(),
            ..review("", Verdict::Approve, &text())
        }],
        resources: vec![
            limited(resource(&text(), &text()), Constraints::Logins(vec![text()])),
            Resource::new(text(), text(), text()),
        ],
        thresholds: vec![Threshold {
            name: text(),
            approve: 2,
            deny: 2,
        }],
        ..request(Stage::Pending)
    }
}

pub(crate) fn review(author: &str, verdict: Verdict, reason: &str) -> Review {
    Review {
        reason: reason.to_owned(),
        created: time(11 * 60),
        thresholds: vec![0],
        ..Review::new(author, verdict)
    }
}

fn resource(kind: &str, name: &str) -> Resource {
    Resource::new(CLUSTER, kind, name)
}

fn limited(resource: Resource, constraints: Constraints) -> Resource {
    Resource {
        constraints: Some(constraints),
        ..resource
    }
}
