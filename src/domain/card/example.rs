//! The two test messages of `validate`.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::card::schema::{Element, TextBlock};
use crate::domain::card::{Card, CardCluster, Content, Message, Reader, View};
use crate::domain::request::{AccessRequest, RequestId, ResourceNames, Review, Verdict};

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
        card: Card::new(body, Vec::new(), "Hello, world!".to_owned()),
        summary: "Hello, world!".to_owned(),
    }
}

/// Draws the card of a fictitious pending request.
pub fn example(id: &str, now: Timestamp) -> Message {
    let review = |author, verdict, reason: &str| Review {
        reason: reason.to_owned(),
        created: Some(now),
        ..Review::new(author, verdict)
    };
    let request = AccessRequest {
        roles: vec!["editor".to_owned()],
        reason: "Example request posted by 'validate' command.".to_owned(),
        reviews: vec![
            review("bar", Verdict::Approve, "Looks fine"),
            review("baz", Verdict::Deny, "Not good"),
        ],
        created: Some(now),
        ..AccessRequest::new(RequestId::new(id), "foo")
    };
    let cluster = CardCluster {
        name: "local-cluster".to_owned(),
        web: None,
        plugin: String::new(),
    };
    let view = View {
        cluster: &cluster,
        names: &ResourceNames::default(),
        reader: &Reader::default(),
        now,
        reviews: None,
    };
    Content::Request(Arc::new(request)).draw(view)
}
