//! The two test messages of `validate`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::card::schema::{Element, TextBlock};
use crate::domain::card::{Card, CardCluster, Message, of_request};
use crate::domain::request::{AccessRequest, RequestId, Review, Stage, Verdict};

/// Returns the greeting.
pub fn greeting() -> Message {
    let line = |text: &str, size| {
        Element::from(TextBlock {
            text: text.to_owned(),
            size,
            wrap: true,
            ..TextBlock::default()
        })
    };
    let body = vec![
        line("Hello, world!", Some("Large")),
        line("*Sincerely yours,*", None),
        line("Teleport Bot!", None),
    ];
    Message {
        card: Card::new(body, None, "Hello, world!".to_owned()),
        summary: "Hello, world!".to_owned(),
    }
}

/// Draws the card of a fictitious pending request.
pub fn example(id: &str, now: Timestamp) -> Message {
    let review = |author: &str, verdict, reason: &str| Review {
        author: author.to_owned(),
        verdict,
        reason: reason.to_owned(),
        created: Some(now),
    };
    let request = AccessRequest {
        id: RequestId::new(id),
        user: "foo".to_owned(),
        roles: vec!["editor".to_owned()],
        stage: Stage::Pending,
        reason: "Example request posted by 'validate' command.".to_owned(),
        resolve_reason: String::new(),
        reviews: vec![
            review("bar", Verdict::Approve, "Looks fine"),
            review("baz", Verdict::Deny, "Not good"),
        ],
        suggested_reviewers: Vec::new(),
        resources: Vec::new(),
        system_annotations: BTreeMap::new(),
        created: Some(now),
        access_until: None,
        access_from: None,
        expires: None,
        promoted_to: None,
    };
    let cluster = CardCluster {
        name: "local-cluster".to_owned(),
        web: None,
    };
    of_request(&cluster, &request)
}
