//! The kinds of cards that several requests share.

use std::sync::Arc;

use jiff::Timestamp;
use teleport_msteams::domain::card::{CardCluster, Content, DigestLine, Message, Reader, Remembered, View, digest};
use teleport_msteams::domain::request::{AccessRequest, RequestId, ResourceNames, Review, Stage, Verdict};

use super::{CLUSTER, Kind, PLUGIN, request, review};

/// Returns the kinds of shared cards.
pub(crate) fn kinds() -> Vec<Kind> {
    let once = vec![review("carol@example.com", Verdict::Approve, "")];
    let twice = [once.clone(), vec![review("dan@example.com", Verdict::Deny, "")]].concat();
    let mixed = [
        of(1, "bob@example.com", &["dba"], Stage::Approved, &once),
        of(2, "robin@example.com", &["dba", "dev"], Stage::Pending, &once),
        of(3, "kim@example.com", &["dev"], Stage::Denied, &twice),
        of(4, "lee@example.com", &["auditor"], Stage::Pending, &[]),
        Content::Record(Remembered {
            id: id(5),
            user: "sam@example.com".to_owned(),
            roles: "dba,dev,ops,auditor".to_owned(),
            reason: String::new(),
            reviews: 0,
            stage: Stage::Expired,
            resolve_reason: String::new(),
        }),
    ];
    let resolved = [
        of(1, "bob@example.com", &["dba"], Stage::Approved, &once),
        of(2, "robin@example.com", &["dba", "dev"], Stage::Promoted, &once),
    ];
    vec![
        Kind {
            name: "digest",
            title: "Five requests that share one card; a press on a request opens it in Teleport.",
            message: drawn(&mixed, true),
        },
        Kind {
            name: "digest-resolved",
            title: "The same kind of card after all of its requests are resolved.",
            message: drawn(&resolved, true),
        },
        Kind {
            name: "digest-without-link",
            title: "A shared card on a cluster whose Web UI cannot show requests.",
            message: drawn(&mixed[..2], false),
        },
    ]
}

/// Draws a card that these requests share.
pub(crate) fn drawn(contents: &[Content], has_link: bool) -> Message {
    let cluster = CardCluster {
        name: CLUSTER.to_owned(),
        web: has_link.then(|| format!("https://{CLUSTER}")),
        plugin: PLUGIN.to_owned(),
    };
    let view = View {
        cluster: &cluster,
        names: &ResourceNames::default(),
        reader: &Reader::default(),
        now: Timestamp::UNIX_EPOCH,
        reviews: None,
    };
    let lines: Vec<_> = contents.iter().map(|content| DigestLine::of(view, content)).collect();
    digest(view, &lines)
}

fn of(number: usize, user: &str, roles: &[&str], stage: Stage, reviews: &[Review]) -> Content {
    Content::Request(Arc::new(AccessRequest {
        id: id(number),
        user: user.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        reviews: reviews.to_vec(),
        ..request(stage)
    }))
}

fn id(number: usize) -> RequestId {
    RequestId::new(format!("01a20c25-22d8-712e-bc2e-b9c563fbcc{number:02}"))
}
