//! A card with its summary, small enough for Teams whatever is in it.

use serde::Serialize as _;

use crate::domain::card::layout::{Detail, draw_record, draw_request};
use crate::domain::card::text::squeezed;
use crate::domain::card::{Card, CardCluster, Remembered};
use crate::domain::request::{AccessRequest, Stage};

/// Largest message in bytes of UTF-16, which is how Teams counts. Its documented limit is about 100 KB, and 80 KB is what
/// it recommends; the rest of the message is taken off here.
const LARGEST_CARD: usize = 80_000 - 2_000;

/// Characters of a toast; clients cut it anyway.
const SUMMARY: usize = 200;

/// A message: the card, and the summary that a notification shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub card: Card,
    pub summary: String,
}

/// Draws the card of a request.
pub fn of_request(cluster: &CardCluster, request: &AccessRequest) -> Message {
    let roles = request.roles.join(", ");
    Message {
        card: fitting(|detail| draw_request(cluster, request, detail)),
        summary: summary(request.stage, &request.user, &roles),
    }
}

/// Draws the card of a deleted request from its record.
pub fn of_record(cluster: &CardCluster, remembered: &Remembered<'_>) -> Message {
    let roles = remembered.roles.replace(',', ", ");
    Message {
        card: fitting(|detail| draw_record(cluster, remembered, detail)),
        summary: summary(remembered.stage, remembered.user, &roles),
    }
}

fn summary(stage: Stage, user: &str, roles: &str) -> String {
    let what = match stage {
        Stage::Pending | Stage::Unknown => "Access request from",
        Stage::Approved => "Approved: access request from",
        Stage::Denied => "Denied: access request from",
        Stage::Promoted => "Promoted: access request from",
        Stage::Expired => "Expired: access request from",
    };
    let roles = if roles.is_empty() {
        String::new()
    } else {
        format!(": {roles}")
    };
    squeezed(&format!("{what} {user}{roles}"), SUMMARY)
}

/// Draws with decreasing detail until the card fits. The last step shows one entry of everything, and always fits.
fn fitting(draw: impl Fn(Detail) -> Card) -> Card {
    let mut detail = Detail::FULL;
    let mut card = draw(detail);
    for _ in 0..16 {
        if utf16_bytes(&card) <= LARGEST_CARD {
            break;
        }
        detail = detail.less();
        card = draw(detail);
    }
    card
}

fn utf16_bytes(card: &Card) -> usize {
    let mut json = Vec::new();
    card.serialize(&mut serde_json::Serializer::new(&mut json))
        .expect("strings and lists always become JSON");
    String::from_utf8_lossy(&json).encode_utf16().count() * 2
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::request::{AccessList, RequestId, Resource, Review, Verdict};

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cluster(web: bool) -> CardCluster {
        CardCluster {
            name: "teleport.example.com".to_owned(),
            web: web.then(|| "https://teleport.example.com".to_owned()),
        }
    }

    fn request(stage: Stage, reviews: &[(Verdict, &str)]) -> AccessRequest {
        let reviews = reviews.iter().map(|(verdict, author)| Review {
            author: (*author).to_owned(),
            verdict: *verdict,
            reason: "ok".to_owned(),
            created: Some(time("2024-05-07T09:06:00Z")),
        });
        AccessRequest {
            roles: vec!["dba".to_owned(), "dev".to_owned()],
            stage,
            reason: "Need to fix the index".to_owned(),
            resolve_reason: if stage.is_resolved() {
                "ok".to_owned()
            } else {
                String::new()
            },
            reviews: reviews.collect(),
            created: Some(time("2024-05-07T09:05:00Z")),
            access_until: Some(time("2024-05-07T17:05:00Z")),
            expires: Some(time("2024-05-14T09:05:00Z")),
            ..AccessRequest::new(
                RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11"),
                "bob@example.com",
            )
        }
    }

    fn snapshot(name: &str, message: &Message) {
        let card = serde_json::to_value(&message.card).unwrap();
        let text =
            serde_json::to_string_pretty(&serde_json::json!({"summary": message.summary, "card": card})).unwrap();
        insta::assert_snapshot!(name, text);
    }

    #[test]
    fn every_kind_of_card_looks_as_it_should() {
        let alice = [(Verdict::Approve, "alice@example.com")];
        snapshot(
            "pending_with_link",
            &of_request(&cluster(true), &request(Stage::Pending, &[])),
        );
        snapshot(
            "pending_without_link",
            &of_request(&cluster(false), &request(Stage::Pending, &alice)),
        );
        snapshot(
            "approved",
            &of_request(&cluster(true), &request(Stage::Approved, &alice)),
        );
        let denied = request(Stage::Denied, &[(Verdict::Deny, "alice@example.com")]);
        snapshot("denied", &of_request(&cluster(false), &denied));
        let mut promoted = request(Stage::Promoted, &[(Verdict::Promote, "alice@example.com")]);
        promoted.promoted_to = Some(AccessList {
            name: "0d7f".to_owned(),
            title: "Database people".to_owned(),
        });
        snapshot("promoted", &of_request(&cluster(true), &promoted));
        snapshot("expired", &of_request(&cluster(true), &request(Stage::Expired, &alice)));
        let id = RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11");
        let remembered = Remembered {
            id: &id,
            user: "bob@example.com",
            roles: "dba,dev",
            reason: "Need to fix the index",
            reviews: 2,
            stage: Stage::Expired,
            resolve_reason: "",
        };
        snapshot("remembered", &of_record(&cluster(true), &remembered));
    }

    #[test]
    fn many_resources_are_counted_and_hostile_text_is_text() {
        let mut hostile = request(Stage::Pending, &[]);
        hostile.user = "<at>Admin</at> [approve](https://evil.example)".to_owned();
        hostile.reason =
            "# Urgent\n\n**Click** [here](javascript:alert(1)) \u{202E}gnp.exe ![x](http://evil.example/x.png)"
                .to_owned();
        hostile.roles = Vec::new();
        hostile.resources = (0..22)
            .map(|number| Resource {
                cluster: if number == 0 { "leaf" } else { "teleport.example.com" }.to_owned(),
                kind: "node".to_owned(),
                name: format!("web-{number:02}"),
                sub_resource: String::new(),
            })
            .collect();
        snapshot("hostile", &of_request(&cluster(true), &hostile));
    }

    #[test]
    fn a_request_of_an_odd_name_is_linked_and_shown_safely() {
        let mut odd = request(Stage::Pending, &[]);
        odd.id = RequestId::new("--help; rm [x](y)");
        let card = serde_json::to_string(&of_request(&cluster(false), &odd).card).unwrap();
        assert!(!card.contains("tsh request"));
        let card = serde_json::to_string(&of_request(&cluster(true), &odd).card).unwrap();
        assert!(card.contains("/web/requests/--help%3B%20rm%20%5Bx%5D%28y%29"), "{card}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_card_fits_whatever_is_in_it(
            piece in prop_oneof![Just("\"".to_owned()), Just("\u{1}x".to_owned()), Just("🧨".to_owned()), "\\PC{1,8}"],
            many in 0_usize..200,
        ) {
            let long = piece.repeat(65_536 / piece.len());
            let mut request = request(Stage::Denied, &[]);
            request.user.clone_from(&long);
            request.reason.clone_from(&long);
            request.resolve_reason.clone_from(&long);
            request.roles = vec![long[..long.floor_char_boundary(4_000)].to_owned(); many];
            let review = Review { author: long.clone(), verdict: Verdict::Deny, reason: long.clone(), created: None };
            request.reviews = vec![review; many / 2];
            let resource = Resource { cluster: long.clone(), kind: piece.clone(), name: piece.clone(), sub_resource: String::new() };
            request.resources = vec![resource; many];
            let message = of_request(&cluster(true), &request);
            prop_assert!(utf16_bytes(&message.card) <= LARGEST_CARD);
            prop_assert!(message.summary.chars().count() <= SUMMARY + 1);
        }
    }
}
