//! The message that notifies the requester of the decision.

use crate::domain::card::drawing::{Drawing, quotation};
use crate::domain::card::elements::{Facts, copied, heading, is_clean, shown_id, small, title};
use crate::domain::card::long::LongList;
use crate::domain::card::message::wording_of;
use crate::domain::card::schema::{Element, TextBlock};
use crate::domain::card::text::plain;
use crate::domain::card::{Card, Instructions, Message, View, time};
use crate::domain::request::{AccessRequest, RequestKind, Review, Stage, Verdict};

/// The number of lines of the instructions that are shown.
const INSTRUCTION_LINES: usize = 20;

/// Draws the message with the decision about a request. It is drawn for the requester.
pub fn decision(view: View<'_>, request: &AccessRequest, instructions: &Instructions) -> Message {
    let subject = wording_of(view).subject(request);
    let summary = format!("Your request for {subject} {}", Outcome::of(request.stage).verb);
    Message::fitting(&summary, |detail| {
        let drawing = Drawing::of(view, request, detail);
        drawing.decision(request, instructions)
    })
}

/// How a decision is written.
struct Outcome {
    icon: &'static str,
    verb: &'static str,
    color: Option<&'static str>,
    /// The title of the reviewer, and the verdict of reviews that can lead to the decision.
    review: Option<(&'static str, Verdict)>,
}

impl Outcome {
    fn of(stage: Stage) -> Self {
        let (icon, verb, color, review) = match stage {
            Stage::Approved => (
                "✅",
                "was approved",
                Some("Good"),
                Some(("Approved by", Verdict::Approve)),
            ),
            Stage::Denied => (
                "❌",
                "was denied",
                Some("Attention"),
                Some(("Denied by", Verdict::Deny)),
            ),
            Stage::Promoted => (
                "⤴️",
                "was promoted",
                Some("Good"),
                Some(("Promoted by", Verdict::Promote)),
            ),
            Stage::Expired => ("⚪", "has expired", None, None),
            Stage::Pending | Stage::Unknown => ("⏳", "is pending", None, None),
        };
        Self {
            icon,
            verb,
            color,
            review,
        }
    }
}

impl Drawing<'_> {
    fn decision(&self, request: &AccessRequest, instructions: &Instructions) -> Card {
        let subject = self.wording.subject(request);
        let Outcome {
            icon,
            verb,
            color,
            review,
        } = Outcome::of(request.stage);
        let heading = TextBlock {
            color,
            ..heading(format!("{icon} Your request for {subject} {verb}"))
        };
        let deciding = review.and_then(|(title, verdict)| Some((title, last(request, verdict)?)));
        let resolution = self.resolution(request);
        let mut body = vec![heading.into()];
        body.extend(deciding.and_then(|(_, review)| self.reason(&review.reason)));
        let mut facts = Facts::default();
        if let Some((title, review)) = deciding {
            facts.add(title, self.wording.reviewer(review));
        }
        facts.add("Reason", resolution);
        facts.add("Access List", self.promoted_to(request));
        if request.stage == Stage::Approved {
            let roles = self.roles(request);
            facts.add("Roles", roles.as_ref().map(LongList::short).unwrap_or_default());
            let now = self.view.now;
            let starts = request.access_from.filter(|start| *start > now);
            for (title, time) in [("Starts", starts), ("Access until", request.access_until)] {
                facts.add(
                    title,
                    time.map(|time| time::with_distance(time, now)).unwrap_or_default(),
                );
            }
        }
        body.extend(facts.into_element());
        body.extend(self.usage(request, instructions));
        body.extend(self.foot(Vec::new()));
        let id = shown_id(self.id);
        let fallback = format!("Your request for {subject} {verb}. View the Access Request {id} in Teleport.");
        Card::new(body, self.link().into_iter().collect(), fallback)
    }

    /// Returns how to use the access. The texts are shown as they are, so that they can be copied.
    fn usage(&self, request: &AccessRequest, instructions: &Instructions) -> Vec<Element> {
        let is_granted = request.stage == Stage::Approved && request.kind == RequestKind::ShortTerm;
        // The texts contain the ID. A reader must not paste an ID that is none into a shell.
        if !is_granted || !is_clean(self.id.as_str()) {
            return Vec::new();
        }
        let texts = instructions.of(request);
        let mut lines = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| !line.trim().is_empty());
        let most = self.detail.roles.min(INSTRUCTION_LINES);
        let mut items: Vec<_> = lines.by_ref().take(most).map(copied).collect();
        match lines.count() {
            0 => {}
            1 => items.push(small("1 more line".to_owned(), false)),
            more => items.push(small(format!("{more} more lines"), false)),
        }
        if items.is_empty() {
            return Vec::new();
        }
        vec![title("How to use it"), quotation(items)]
    }
}

/// Returns the last review that decided so, with a name: a review without an author explains nothing.
fn last(request: &AccessRequest, verdict: Verdict) -> Option<&Review> {
    let mut newest_first = request.reviews.iter().rev();
    newest_first.find(|review| review.verdict == verdict && !plain(&review.author, 1).is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::card::{CardCluster, Reader, Role};
    use crate::domain::request::{AccessList, RequestId, ResourceNames};

    fn resolved(stage: Stage) -> AccessRequest {
        AccessRequest {
            roles: vec!["dba".to_owned()],
            stage,
            ..AccessRequest::new(RequestId::new("42"), "bob")
        }
    }

    fn review(author: &str, verdict: Verdict, reason: &str) -> Review {
        Review {
            reason: reason.to_owned(),
            ..Review::new(author, verdict)
        }
    }

    fn drawn(request: &AccessRequest, instructions: &Instructions) -> String {
        let cluster = CardCluster {
            name: "teleport.example.com".to_owned(),
            web: None,
            plugin: String::new(),
        };
        let reader = Reader {
            role: Role::Requester,
            ..Reader::default()
        };
        let view = View {
            cluster: &cluster,
            names: &ResourceNames::default(),
            reader: &reader,
            now: Timestamp::UNIX_EPOCH,
            reviews: None,
        };
        serde_json::to_string(&decision(view, request, instructions).card).unwrap()
    }

    fn shows(request: &AccessRequest, expected: &[&str], missing: &[&str]) {
        let card = drawn(request, &Instructions::default());
        for text in expected {
            assert!(card.contains(text), "{text} is missing: {card}");
        }
        for text in missing {
            assert!(!card.contains(text), "{text} is there: {card}");
        }
    }

    #[test]
    fn the_last_review_of_the_same_verdict_explains_the_decision() {
        let mut denied = resolved(Stage::Denied);
        denied.reviews = vec![
            review("carol", Verdict::Deny, "too early"),
            review("dan", Verdict::Deny, "not now"),
            review("erin", Verdict::Approve, "why not"),
        ];
        denied.resolve_reason = "not now".to_owned();
        shows(
            &denied,
            &["❌ Your request for dba was denied", "Denied by", "dan", "not now"],
            &["carol", "erin", "Reason", "tsh login"],
        );
        // An administrator changed the state afterwards.
        denied.resolve_reason = "closed by on-call".to_owned();
        shows(&denied, &["dan", "Reason", "closed by on-call"], &[]);
        denied.reviews.clear();
        shows(&denied, &["Reason", "closed by on-call"], &["Denied by"]);
    }

    #[test]
    fn an_approval_says_from_when_until_when_and_how_to_use_the_access() {
        let after = |hours| Some(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours));
        let mut approved = resolved(Stage::Approved);
        approved.access_until = after(2);
        approved.access_from = after(-1);
        let end = "1 Jan 1970 02:00 UTC (in 2 hours)";
        shows(
            &approved,
            &["was approved", end, "tsh login --request-id=42"],
            &["Starts"],
        );
        approved.access_from = after(1);
        shows(&approved, &["Starts", "1 Jan 1970 01:00 UTC (in 60 minutes)"], &[]);
        approved.kind = RequestKind::LongTerm;
        shows(&approved, &["was approved"], &["tsh login"]);
    }

    #[test]
    fn a_promotion_names_the_access_list() {
        let mut promoted = resolved(Stage::Promoted);
        promoted.promoted_to = Some(AccessList {
            name: "0d7f".to_owned(),
            title: "On-call".to_owned(),
        });
        promoted.reviews = vec![review("carol", Verdict::Promote, "")];
        shows(
            &promoted,
            &["was promoted", "Promoted by", "carol", "On-call"],
            &["tsh login"],
        );
    }

    #[test]
    fn instructions_are_bounded_and_contain_no_odd_id() {
        let text = "one *two*\n\nthree\n".repeat(30);
        let instructions = Instructions::new(BTreeMap::new(), Some(text));
        let mut approved = resolved(Stage::Approved);
        let card = drawn(&approved, &instructions);
        assert_eq!(card.matches("Monospace").count(), INSTRUCTION_LINES);
        assert!(
            card.contains("\"one *two*\"") && card.contains("40 more lines"),
            "{card}"
        );
        assert!(!drawn(&approved, &Instructions::new(BTreeMap::new(), Some(String::new()))).contains("How to"));
        approved.id = RequestId::new("42; rm -r ~");
        assert!(!drawn(&approved, &Instructions::default()).contains("tsh"));
    }
}
