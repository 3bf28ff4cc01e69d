//! The kinds of cards that the gallery shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use teleport_msteams::domain::card::{CardCluster, Message, Remembered, of_record, of_request};
use teleport_msteams::domain::request::{AccessList, AccessRequest, RequestId, Resource, Review, Stage, Verdict};

use crate::fuzz::HOSTILE;

/// A kind of card.
pub(crate) struct Kind {
    /// Its name, of lower-case letters, digits and `-`, because files are named after it.
    pub(crate) name: &'static str,
    /// One sentence that says what the picture shows.
    pub(crate) title: &'static str,
    pub(crate) message: Message,
}

/// Returns every kind of card, in the gallery's order.
pub(crate) fn kinds() -> Vec<Kind> {
    let linked = |request: &AccessRequest| of_request(&cluster(true), request);
    let reviewed = |stage| AccessRequest {
        reviews: vec![review(Verdict::Approve, "fine"), review(Verdict::Deny, "not so fine")],
        ..request(stage)
    };
    let promoted = AccessRequest {
        promoted_to: Some(AccessList {
            name: "0d7f".to_owned(),
            title: "Database people".to_owned(),
        }),
        reviews: vec![review(Verdict::Promote, "")],
        ..request(Stage::Promoted)
    };
    let large = AccessRequest {
        resources: vec![resource("web-01"); 200],
        ..request(Stage::Pending)
    };
    let id = RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11");
    let remembered = Remembered {
        id: &id,
        user: "bob@example.com",
        roles: "dba,dev",
        reason: "Need to fix the index",
        reviews: 3,
        stage: Stage::Expired,
        resolve_reason: "",
    };
    let mut texts = HOSTILE.iter().cycle();
    let hostile = written_by(|| texts.next().copied().unwrap_or_default().to_owned());
    let kind = |name, title, message| Kind { name, title, message };
    vec![
        kind(
            "pending",
            "A pending request, with a button that opens it in Teleport.",
            linked(&request(Stage::Pending)),
        ),
        kind(
            "pending-without-a-link",
            "A pending request on a cluster without a Proxy: the commands take the place of the button.",
            of_request(&cluster(false), &request(Stage::Pending)),
        ),
        kind(
            "pending-with-reviews",
            "A request that has two reviews and needs more.",
            linked(&reviewed(Stage::Pending)),
        ),
        kind("approved", "An approved request.", linked(&reviewed(Stage::Approved))),
        kind(
            "denied",
            "A denied request, on a cluster without a Proxy.",
            of_request(&cluster(false), &reviewed(Stage::Denied)),
        ),
        kind(
            "promoted",
            "A request that was promoted to membership in an Access List.",
            linked(&promoted),
        ),
        kind("expired", "An expired request.", linked(&reviewed(Stage::Expired))),
        kind("many-resources", "A request for 200 resources.", linked(&large)),
        kind(
            "remembered",
            "A request that Teleport has deleted, drawn from its record.",
            of_record(&cluster(true), &remembered),
        ),
        kind(
            "hostile",
            "A request whose texts try to be links, markup and templates; all of it stays text.",
            linked(&hostile),
        ),
        kind(
            "long",
            "A request with a reason of 64 KB.",
            linked(&written_by(|| HOSTILE.concat().repeat(100))),
        ),
    ]
}

pub(crate) fn cluster(web: bool) -> CardCluster {
    CardCluster {
        name: "teleport.example.com".to_owned(),
        web: web.then(|| "https://teleport.example.com".to_owned()),
    }
}

fn request(stage: Stage) -> AccessRequest {
    let time = |seconds: i64| Timestamp::from_second(1_715_072_700 + seconds).ok();
    AccessRequest {
        id: RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11"),
        user: "bob@example.com".to_owned(),
        roles: vec!["dba".to_owned(), "dev".to_owned()],
        stage,
        reason: "Need to fix the index".to_owned(),
        resolve_reason: "ok".to_owned(),
        reviews: Vec::new(),
        suggested_reviewers: Vec::new(),
        resources: vec![resource("web-01")],
        system_annotations: BTreeMap::new(),
        created: time(0),
        access_until: time(28_800),
        access_from: time(3_600),
        expires: time(604_800),
        promoted_to: None,
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
            ..review(Verdict::Approve, &text())
        }],
        resources: vec![resource(&text())],
        ..request(Stage::Pending)
    }
}

fn review(verdict: Verdict, reason: &str) -> Review {
    Review {
        author: "alice@example.com".to_owned(),
        verdict,
        reason: reason.to_owned(),
        created: Timestamp::from_second(1_715_072_760).ok(),
    }
}

fn resource(name: &str) -> Resource {
    Resource {
        cluster: "teleport.example.com".to_owned(),
        kind: "node".to_owned(),
        name: name.to_owned(),
        sub_resource: String::new(),
    }
}
