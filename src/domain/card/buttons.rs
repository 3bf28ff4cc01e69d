//! The buttons that review a request.
//!
//! Approve and Deny work without an input, because some phones ignore a press if a card has inputs beside it
//! (`microsoft/AdaptiveCards` #9315). A reason is typed in a part that another button opens.

use std::collections::BTreeMap;

use crate::domain::card::schema::{Action, ActionSet, Element, Execute, Input, Part};
use crate::domain::request::RequestId;
use crate::domain::review::{LONGEST_REASON, REASON_INPUT, REQUEST_DATA, ReasonRule, Verb, is_request_id};

/// The buttons of a card.
#[derive(Clone, Debug)]
pub(super) struct Buttons {
    /// Those that review without a reason. They are a row of the body, because a phone shows three buttons in a row at most.
    pub(super) direct: Option<Element>,
    /// Opens the part with the input.
    pub(super) part: Action,
}

impl Buttons {
    /// Returns the buttons for a request; `None` if its ID is not one that a press can return.
    ///
    /// A card has one input at most: two would need two IDs. Under [`ReasonRule::Deny`], the part with the input has no
    /// button to approve, because a client checks a required input for every button beside it, and because the part is
    /// opened to deny.
    pub(super) fn new(id: &RequestId, rule: ReasonRule) -> Option<Self> {
        if !is_request_id(id.as_str()) {
            return None;
        }
        let button = |verb, title| button(id, verb, title, None);
        let direct = |verb| self::button(id, verb, title(verb), Some("none"));
        let row = |actions| {
            Element::ActionSet(ActionSet {
                actions,
                ..ActionSet::default()
            })
        };
        let mut body = vec![Element::Input(input(rule))];
        Some(match rule {
            ReasonRule::Optional => {
                // The titles differ from those of the direct buttons, which ignore what was typed. They are too long for
                // one row of a phone.
                body.push(row(vec![button(Verb::Approve, "Approve with this reason")]));
                body.push(row(vec![button(Verb::Deny, "Deny with this reason")]));
                Self {
                    direct: Some(row(Verb::ALL.map(direct).to_vec())),
                    part: part("Add reason", body, Vec::new()),
                }
            }
            ReasonRule::Deny => Self {
                direct: Some(row(vec![direct(Verb::Approve)])),
                part: part("Deny…", body, vec![button(Verb::Deny, title(Verb::Deny))]),
            },
            ReasonRule::Always => Self {
                direct: None,
                part: part(
                    "Review here",
                    body,
                    Verb::ALL.map(|verb| button(verb, title(verb))).to_vec(),
                ),
            },
        })
    }
}

fn title(verb: Verb) -> &'static str {
    match verb {
        Verb::Approve => "Approve",
        Verb::Deny => "Deny",
    }
}

fn button(id: &RequestId, verb: Verb, title: &'static str, associated_inputs: Option<&'static str>) -> Action {
    Action::Execute(Execute {
        title,
        style: match verb {
            Verb::Approve => "positive",
            Verb::Deny => "destructive",
        },
        verb: verb.as_str(),
        data: BTreeMap::from([(REQUEST_DATA, id.to_string())]),
        associated_inputs,
    })
}

fn part(title: &'static str, body: Vec<Element>, actions: Vec<Action>) -> Action {
    let card = Part { body, actions };
    Action::ShowCard { title, card }
}

/// Returns the input for the reason. Teams marks a required one.
fn input(rule: ReasonRule) -> Input {
    let is_required = rule != ReasonRule::Optional;
    Input {
        id: REASON_INPUT,
        label: "Reason",
        placeholder: "The requester can read it",
        is_multiline: true,
        max_length: LONGEST_REASON,
        is_required,
        error_message: is_required.then_some("Enter a reason"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::card::{CardCluster, Content, Reader, View};
    use crate::domain::request::{AccessRequest, RequestKind, ResourceNames, Review, Stage, Verdict};

    fn drawn(request: AccessRequest, reviews: Option<ReasonRule>) -> Value {
        let view = View {
            cluster: &CardCluster {
                name: "teleport.example.com".to_owned(),
                web: Some("https://teleport.example.com".to_owned()),
                plugin: String::new(),
            },
            names: &ResourceNames::default(),
            reader: &Reader::default(),
            now: Timestamp::UNIX_EPOCH,
            reviews,
        };
        serde_json::to_value(Content::Request(Arc::new(request)).draw(view).card).unwrap()
    }

    fn request(id: &str) -> AccessRequest {
        AccessRequest::new(RequestId::new(id), "bob@example.com")
    }

    /// Returns the title of every button with its verb, or with its type if it has none.
    fn buttons(value: &Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let parts: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            // The body of a card is above its actions.
            Value::Object(object) => ["body", "actions", "card"]
                .iter()
                .filter_map(|key| object.get(*key))
                .collect(),
            _ => Vec::new(),
        };
        if let Some(title) = value["title"].as_str() {
            let verb = value["verb"].as_str().or(value["type"].as_str()).unwrap_or_default();
            found.push((title.to_owned(), verb.to_owned()));
        }
        found.extend(parts.into_iter().flat_map(buttons));
        found
    }

    #[test]
    fn each_rule_has_its_buttons() {
        const LINK: (&str, &str) = ("Review in Teleport", "Action.OpenUrl");
        for (rule, expected) in [
            (None, vec![LINK]),
            (
                Some(ReasonRule::Optional),
                vec![
                    ("Approve", "approve"),
                    ("Deny", "deny"),
                    ("Add reason", "Action.ShowCard"),
                    ("Approve with this reason", "approve"),
                    ("Deny with this reason", "deny"),
                    LINK,
                ],
            ),
            (
                Some(ReasonRule::Deny),
                vec![
                    ("Approve", "approve"),
                    ("Deny…", "Action.ShowCard"),
                    ("Deny", "deny"),
                    LINK,
                ],
            ),
            (
                Some(ReasonRule::Always),
                vec![
                    ("Review here", "Action.ShowCard"),
                    ("Approve", "approve"),
                    ("Deny", "deny"),
                    LINK,
                ],
            ),
        ] {
            let card = drawn(request("42"), rule);
            let shown = buttons(&card);
            let shown: Vec<_> = shown.iter().map(|(title, verb)| (&**title, &**verb)).collect();
            assert_eq!(shown, expected, "{rule:?}");
            assert_eq!(card["version"], if rule.is_some() { "1.4" } else { "1.2" });
            // Only the fallback text reaches a client that does not know the version.
            let text = card["fallbackText"].as_str().unwrap_or_default();
            assert_eq!(
                text.contains("https://teleport.example.com/web/requests/42"),
                rule.is_some()
            );
        }
    }

    #[test]
    fn a_review_that_needs_a_reason_is_never_sent_without_the_input() {
        for rule in [ReasonRule::Optional, ReasonRule::Deny, ReasonRule::Always] {
            let card = drawn(request("42"), Some(rule));
            let part = &card["actions"][0]["card"];
            let input = &part["body"][0];
            assert_eq!(input["id"], REASON_INPUT);
            for verb in Verb::ALL {
                let is_direct = |value: &Value| buttons(value).iter().any(|(_, found)| found == verb.as_str());
                assert_eq!(is_direct(&card["body"]), !rule.requires(verb), "{rule:?} {verb:?}");
                let is_required = input["isRequired"] == json!(true);
                assert!(
                    !is_direct(part) || is_required == rule.requires(verb),
                    "{rule:?} {verb:?}"
                );
            }
        }
    }

    #[test]
    fn a_press_names_the_request() {
        let card = drawn(request("42"), Some(ReasonRule::Optional));
        let direct = card["body"].as_array().and_then(|body| body.last()).unwrap();
        let expected = json!({
            "type": "Action.Execute",
            "title": "Approve",
            "style": "positive",
            "verb": "approve",
            "data": { REQUEST_DATA: "42" },
            "associatedInputs": "none",
        });
        assert_eq!(direct["actions"][0], expected);
    }

    #[test]
    fn only_a_pending_short_term_request_with_an_id_that_can_be_returned_has_buttons() {
        let has_buttons = |request| {
            drawn(request, Some(ReasonRule::Optional))
                .to_string()
                .contains("Action.Execute")
        };
        assert!(has_buttons(request(&"x".repeat(128))));
        for odd in ["", "a b", "é", "a\n", &"x".repeat(129)] {
            assert!(!has_buttons(request(odd)), "{odd:?}");
        }
        for kind in [RequestKind::LongTerm, RequestKind::Other] {
            assert!(!has_buttons(AccessRequest { kind, ..request("42") }), "{kind:?}");
        }
        for stage in [
            Stage::Unknown,
            Stage::Approved,
            Stage::Denied,
            Stage::Promoted,
            Stage::Expired,
        ] {
            assert!(!has_buttons(AccessRequest { stage, ..request("42") }), "{stage:?}");
        }
    }

    #[test]
    fn the_answer_to_a_press_shows_the_review_while_another_is_missing() {
        let reviews = vec![Review::new("carol@example.com", Verdict::Approve)];
        let card = drawn(
            AccessRequest {
                reviews,
                ..request("42")
            },
            None,
        );
        assert!(!card.to_string().contains("Action.Execute"));
        assert!(card["body"].to_string().contains("Approved by carol@example.com"));
        assert!(card["body"].to_string().contains("Pending"));
    }
}
