//! A card with its summary, small enough for Teams whatever is in it.

use std::io;
use std::sync::Arc;

use serde::Serialize as _;

use crate::domain::card::layout::{draw_record, draw_request};
use crate::domain::card::text::squeezed;
use crate::domain::card::view::Detail;
use crate::domain::card::wording::Wording;
use crate::domain::card::{Card, Remembered, Role, View};
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

/// What a card is drawn from.
#[derive(Clone, Debug)]
pub enum Content {
    Request(Arc<AccessRequest>),
    /// The request was deleted, and only its record is known.
    Record(Remembered),
}

impl Content {
    /// Draws the card for one reader.
    pub fn draw(&self, view: View<'_>) -> Message {
        match self {
            Self::Request(request) => {
                let subject = wording_of(view).subject(request);
                let summary = summary(view, request.stage, &request.user, &subject);
                Message::fitting(summary, |detail| draw_request(view, request, detail))
            }
            Self::Record(remembered) => {
                let subject = wording_of(view).role_subject(&remembered.role_names());
                let summary = summary(view, remembered.stage, &remembered.user, &subject);
                Message::fitting(summary, |detail| draw_record(view, remembered, detail))
            }
        }
    }
}

impl Message {
    /// Draws a message that Teams accepts, whatever is in it.
    pub(super) fn fitting(summary: String, draw: impl Fn(Detail) -> Card) -> Self {
        let summary = squeezed(&summary, SUMMARY);
        let card = fitting(draw);
        Self { card, summary }
    }
}

/// Returns the wording of a notification, which is plain text.
pub(super) fn wording_of(view: View<'_>) -> Wording<'_> {
    Wording {
        cluster: view.cluster,
        names: view.names,
        name: SUMMARY,
        write: squeezed,
    }
}

fn summary(view: View<'_>, stage: Stage, user: &str, subject: &str) -> String {
    let status = match stage {
        Stage::Pending | Stage::Unknown => None,
        Stage::Approved => Some("Approved"),
        Stage::Denied => Some("Denied"),
        Stage::Promoted => Some("Promoted"),
        Stage::Expired => Some("Expired"),
    };
    match (view.reader.role, status) {
        (Role::Reviewer, None) => format!("{user} requests {subject}"),
        (Role::Reviewer, Some(status)) => format!("{status}: {user} requested {subject}"),
        (Role::Requester, None) => format!("Your request for {subject} is pending"),
        (Role::Requester, Some(status)) => format!("{status}: your request for {subject}"),
    }
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
    let mut units = Utf16Units(0);
    card.serialize(&mut serde_json::Serializer::new(&mut units))
        .expect("strings and lists always become JSON");
    units.0 * 2
}

/// Counts the UTF-16 units of the UTF-8 text that is written to it, in any pieces.
struct Utf16Units(usize);

impl io::Write for Utf16Units {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0 += match byte {
                // A later byte of a character.
                0x80..=0xBF => 0,
                // The first of four bytes: a character outside the basic plane.
                0xF0.. => 2,
                _ => 1,
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::domain::card::{CardCluster, Reader};
    use crate::domain::recipients::{Person, Reason};
    use crate::domain::request::{Constraints, RequestId, RequestKind, Resource, ResourceName, ResourceNames, Review};
    use crate::domain::request::{Threshold, Verdict};
    use crate::domain::review::ReasonRule;

    fn request(stage: Stage) -> AccessRequest {
        let id = RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11");
        AccessRequest {
            roles: vec!["dba".to_owned()],
            stage,
            ..AccessRequest::new(id, "bob@example.com")
        }
    }

    fn drawn(request: &AccessRequest, web: bool, reader: &Reader, names: &ResourceNames) -> Message {
        let cluster = CardCluster {
            name: "teleport.example.com".to_owned(),
            web: web.then(|| "https://teleport.example.com".to_owned()),
            plugin: "teleport-msteams".to_owned(),
        };
        let view = View {
            cluster: &cluster,
            names,
            reader,
            now: Timestamp::UNIX_EPOCH,
            reviews: Some(ReasonRule::Optional),
        };
        Content::Request(Arc::new(request.clone())).draw(view)
    }

    fn json(request: &AccessRequest, web: bool) -> String {
        let message = drawn(request, web, &Reader::default(), &ResourceNames::default());
        serde_json::to_string(&message.card).unwrap()
    }

    #[test]
    fn a_request_of_an_odd_name_is_linked_and_shown_safely() {
        let mut odd = request(Stage::Pending);
        odd.id = RequestId::new("--help; rm [x](y)");
        assert!(!json(&odd, false).contains("tsh request"));
        let card = json(&odd, true);
        assert!(card.contains("/web/requests/--help%3B%20rm%20%5Bx%5D%28y%29"), "{card}");
    }

    #[test]
    fn a_resolution_reason_that_a_review_contains_is_shown_once() {
        let mut denied = request(Stage::Denied);
        denied.resolve_reason = "not now ".to_owned();
        assert!(json(&denied, true).contains("Resolution"));
        denied.reviews = vec![Review {
            reason: "not now".to_owned(),
            ..Review::new("alice", Verdict::Deny)
        }];
        assert_eq!(json(&denied, true).matches("not now").count(), 1);
    }

    #[test]
    fn the_size_is_that_of_utf16() {
        let mut request = request(Stage::Pending);
        request.reason = "Größe 日本 🧨".to_owned();
        let message = drawn(&request, true, &Reader::default(), &ResourceNames::default());
        let json = serde_json::to_string(&message.card).unwrap();
        assert_eq!(utf16_bytes(&message.card), json.encode_utf16().count() * 2);
    }

    #[test]
    fn a_summary_is_plain_text() {
        let mut request = request(Stage::Pending);
        request.roles = vec!["db_admin".to_owned(), "dev".to_owned()];
        let summary =
            |request: &AccessRequest| drawn(request, true, &Reader::default(), &ResourceNames::default()).summary;
        assert_eq!(summary(&request), "bob@example.com requests db_admin and dev");
        request.stage = Stage::Approved;
        assert_eq!(
            summary(&request),
            "Approved: bob@example.com requested db_admin and dev"
        );
    }

    /// Calls `each` with every text that a client reads Markdown in.
    fn each_text(value: &Value, each: &mut impl FnMut(&str)) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value {
                        Value::String(text) if ["text", "title", "value"].contains(&key.as_str()) => each(text),
                        value => each_text(value, each),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|value| each_text(value, each)),
            _ => {}
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("\"".to_owned()),
            Just("\u{1}x".to_owned()),
            Just("🧨".to_owned()),
            Just("[x](https://e.example)".to_owned()),
            Just("<at>All</at>".to_owned()),
            Just("*_`~#".to_owned()),
            "\\PC{1,8}"
        ]
    }

    /// A request in which every name is `name`, every other text is `long`, and every list has `many` entries.
    fn filled(stage: Stage, name: &str, long: &str, many: usize) -> AccessRequest {
        let text = || name.to_owned();
        let review = Review {
            author: text(),
            reason: long.to_owned(),
            submitted_by: text(),
            thresholds: vec![0],
            ..Review::new("", Verdict::Deny)
        };
        let constraints = [
            Constraints::Logins(vec![text(); many]),
            Constraints::AwsRoles(vec![text(); many]),
            Constraints::Other,
        ];
        let resource = |number: usize| Resource {
            sub_resource: text(),
            constraints: constraints.get(number % 4).cloned(),
            ..Resource::new(text(), text(), text())
        };
        let threshold = Threshold {
            name: text(),
            approve: 2,
            deny: 2,
        };
        AccessRequest {
            user: text(),
            roles: vec![text(); many],
            stage,
            reason: long.to_owned(),
            resolve_reason: long.to_owned(),
            reviews: vec![review; many / 2],
            resources: (0..many).map(resource).collect(),
            kind: if many.is_multiple_of(2) {
                RequestKind::LongTerm
            } else {
                RequestKind::ShortTerm
            },
            recommended_list: text(),
            thresholds: vec![threshold; many],
            threshold_sets: vec![(0..many).collect(); many.min(20)],
            ..request(stage)
        }
    }

    fn reader(long: &str, many: usize) -> Reader {
        Reader {
            is_channel: many.is_multiple_of(2),
            reason: Some(Reason::Rule(Some(long.to_owned()))),
            others: vec![long.to_owned(); many],
            more_others: many,
            ..Reader::default()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_card_fits_whatever_is_in_it(piece in piece(), many in 0_usize..200) {
            let long = piece.repeat(8_192 / piece.len());
            let name = &piece.repeat(2_048 / piece.len());
            for stage in [Stage::Pending, Stage::Denied] {
                let request = filled(stage, name, &long, many);
                let names = ResourceNames {
                    cluster: name.clone(),
                    names: [((name.clone(), name.clone()), ResourceName::Description(long.clone()))].into(),
                    lists: [(name.clone(), name.clone())].into(),
                };
                let message = drawn(&request, true, &reader(name, many), &names);
                prop_assert!(utf16_bytes(&message.card) <= LARGEST_CARD);
                prop_assert!(message.summary.chars().count() <= SUMMARY + 1);
            }
        }

        #[test]
        fn no_text_from_outside_is_markup(text in piece(), many in 0_usize..4) {
            let names = ResourceNames {
                cluster: text.clone(),
                names: [((text.clone(), text.clone()), ResourceName::Name(text.clone()))].into(),
                lists: [(text.clone(), text.clone())].into(),
            };
            let message = drawn(&filled(Stage::Pending, &text, &text, many), true, &reader(&text, many), &names);
            let card = serde_json::to_value(&message.card).unwrap();
            let mut bare = Vec::new();
            each_text(&card, &mut |text| {
                let characters: Vec<char> = text.chars().collect();
                for (at, c) in characters.iter().enumerate() {
                    let before = at.checked_sub(1).map(|at| characters[at]);
                    let after = characters.get(at + 1).copied();
                    let is_safe = match c {
                        '[' | ']' | '*' | '_' => before == Some('\\'),
                        '<' | '~' => after == Some('\u{200B}'),
                        '`' | '\n' => false,
                        _ => true,
                    };
                    if !is_safe {
                        bare.push(text.to_owned());
                    }
                }
            });
            prop_assert!(bare.is_empty(), "{:?}", bare);
        }
    }

    #[test]
    fn people_are_mentioned_while_they_can_review() {
        let reader = Reader {
            is_channel: true,
            mentions: vec![Person {
                id: "42".to_owned(),
                name: "Alice Liddell".to_owned(),
            }],
            ..Reader::default()
        };
        let card = |stage| {
            let message = drawn(&request(stage), true, &reader, &ResourceNames::default());
            serde_json::to_value(&message.card).unwrap()
        };
        let pending = card(Stage::Pending);
        let mention = "<at>Alice Liddell</at>";
        assert_eq!(pending["msteams"]["entities"][0]["text"], mention);
        assert_eq!(pending["msteams"]["entities"][0]["mentioned"]["id"], "42");
        assert!(pending["body"].to_string().contains(mention));
        let approved = card(Stage::Approved);
        assert!(!approved.to_string().contains("at>") && approved["msteams"].is_null());
    }
}
