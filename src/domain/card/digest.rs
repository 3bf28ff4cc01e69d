//! The card that several requests of a conversation share.

use crate::domain::card::elements::{heading, line, shown_id, small};
use crate::domain::card::message::wording_of;
use crate::domain::card::schema::{Action, Container, Element, TextBlock};
use crate::domain::card::text::plain;
use crate::domain::card::view::Detail;
use crate::domain::card::{Card, Content, Message, View};
use crate::domain::request::{RequestId, Stage};

/// One request on a shared card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestLine {
    pub id: RequestId,
    pub stage: Stage,
    /// The number of reviews.
    pub reviews: usize,
    /// It was made of a record, which has roles only, and not of the request.
    pub is_partial: bool,
    user: String,
    /// What is requested.
    subject: String,
}

impl DigestLine {
    /// Returns the line of a request, or of what is recorded of it. Its texts are bounded.
    pub fn of(view: View<'_>, content: &Content) -> Self {
        let wording = wording_of(view);
        match content {
            Content::Request(request) => Self {
                id: request.id.clone(),
                stage: request.stage,
                reviews: request.reviews.len(),
                is_partial: false,
                user: wording.name(&request.user),
                subject: wording.subject(request),
            },
            Content::Record(remembered) => Self {
                id: remembered.id.clone(),
                stage: remembered.stage,
                reviews: remembered.reviews,
                is_partial: true,
                user: wording.name(&remembered.user),
                subject: wording.role_subject(&remembered.role_names()),
            },
        }
    }

    /// Takes from another line of the same request who requests what, if this line was made of a record and the other one of the
    /// request. Returns whether it did.
    pub fn complete_with(&mut self, other: &Self) -> bool {
        let completes = self.is_partial && !other.is_partial;
        if completes {
            let before = (self.stage, self.reviews);
            self.clone_from(other);
            (self.stage, self.reviews) = before;
        }
        completes
    }
}

/// Draws a card for several requests: the pending ones first, each group in the order of the lines.
///
/// It has no buttons for reviews; each line opens its request in Teleport.
pub fn digest(view: View<'_>, lines: &[DigestLine]) -> Message {
    Message::fitting(&title(lines), |detail| draw(view, lines, detail))
}

fn title(lines: &[DigestLine]) -> String {
    let open = lines.iter().filter(|line| line.stage.is_open()).count();
    match (open, lines.len()) {
        (0, 1) => "The Access Request is resolved".to_owned(),
        (0, all) => format!("All {all} Access Requests are resolved"),
        (1, _) => "1 Access Request needs review".to_owned(),
        (open, _) => format!("{open} Access Requests need review"),
    }
}

fn draw(view: View<'_>, lines: &[DigestLine], detail: Detail) -> Card {
    let title = title(lines);
    let mut body = vec![heading(title.clone()).into()];
    if view.cluster.web.is_some() {
        body.push(line("Select a request to open it in Teleport.".to_owned()));
    }
    let (open, resolved): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.stage.is_open());
    let sorted = open.into_iter().chain(resolved);
    body.extend(sorted.take(detail.resources).map(|line| row(view, line, detail)));
    let hidden = lines.len().saturating_sub(detail.resources);
    if hidden > 0 {
        body.push(small(format!("{hidden} more in Teleport"), true));
    }
    body.push(small(plain(&view.cluster.name, detail.name), true));
    Card::new(body, Vec::new(), fallback(&title, lines))
}

/// Returns the text for clients that cannot show the card.
fn fallback(title: &str, lines: &[DigestLine]) -> String {
    match lines.iter().filter(|line| line.stage.is_open()).count() {
        0 => format!("{title}."),
        1 => format!("{title}. Review it in Teleport."),
        _ => format!("{title}. Review them in Teleport."),
    }
}

/// Returns one request: its state, who requests what, and the reviews so far.
fn row(view: View<'_>, line: &DigestLine, detail: Detail) -> Element {
    let (sign, word) = match line.stage {
        Stage::Pending => ("⏳", "Pending"),
        Stage::Approved => ("✅", "Approved"),
        Stage::Denied => ("❌", "Denied"),
        Stage::Promoted => ("⤴️", "Promoted"),
        Stage::Expired => ("⚪", "Expired"),
        Stage::Unknown => ("❔", "Other state"),
    };
    let verb = if line.stage.is_open() { "requests" } else { "requested" };
    let user = plain(&line.user, detail.name);
    // A subject has up to three names.
    let subject = plain(&line.subject, detail.name * 3);
    let reviews = match line.reviews {
        0 => "no reviews".to_owned(),
        1 => "1 review".to_owned(),
        more => format!("{more} reviews"),
    };
    // Teleport deletes an expired request, so there is nothing to view.
    let url = view.cluster.link(&line.id).filter(|_| line.stage != Stage::Expired);
    let state = match url {
        Some(_) => format!("{word} · {reviews}"),
        None => format!("{word} · {reviews} · {}", shown_id(&line.id)),
    };
    let head = TextBlock {
        text: format!("{sign} {user} {verb} {subject}"),
        wrap: true,
        is_subtle: !line.stage.is_open(),
        ..TextBlock::default()
    };
    Element::Container(Container {
        items: vec![head.into(), small(state, false)],
        separator: true,
        select_action: url.map(|url| {
            let title = if line.stage.is_open() {
                "Review in Teleport"
            } else {
                "View in Teleport"
            };
            Action::OpenUrl { title, url }
        }),
        ..Container::default()
    })
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use serde_json::Value;

    use super::*;
    use crate::domain::card::{CardCluster, Reader, Remembered};
    use crate::domain::request::ResourceNames;

    fn line(number: usize, stage: Stage) -> DigestLine {
        DigestLine {
            id: RequestId::new(format!("01a20c25-22d8-712e-bc2e-{number:012}")),
            stage,
            reviews: number,
            is_partial: false,
            user: format!("user-{number}"),
            subject: "dba".to_owned(),
        }
    }

    /// Draws a card, with the Web UI or without.
    fn drawn(lines: &[DigestLine], web: bool) -> (Value, String) {
        with_view(web, |view| {
            let Message { card, summary } = digest(view, lines);
            (serde_json::to_value(card).unwrap(), summary)
        })
    }

    fn with_view<T>(web: bool, draw: impl FnOnce(View<'_>) -> T) -> T {
        let cluster = CardCluster {
            name: "teleport.example.com".to_owned(),
            web: web.then(|| "https://teleport.example.com".to_owned()),
            plugin: "teleport-msteams".to_owned(),
        };
        draw(View {
            cluster: &cluster,
            names: &ResourceNames::default(),
            reader: &Reader::default(),
            now: jiff::Timestamp::UNIX_EPOCH,
            reviews: None,
        })
    }

    fn heads(card: &Value) -> Vec<&str> {
        let rows = card["body"].as_array().unwrap().iter();
        rows.filter_map(|row| row["items"][0]["text"].as_str()).collect()
    }

    #[test]
    fn pending_requests_come_first_and_the_title_counts_them() {
        let lines = [
            line(1, Stage::Approved),
            line(2, Stage::Pending),
            line(3, Stage::Expired),
            line(4, Stage::Pending),
        ];
        let (card, summary) = drawn(&lines, true);
        assert_eq!(summary, "2 Access Requests need review");
        assert_eq!(
            heads(&card),
            [
                "⏳ user-2 requests dba",
                "⏳ user-4 requests dba",
                "✅ user-1 requested dba",
                "⚪ user-3 requested dba"
            ]
        );
        for (stage, count, expected) in [
            (
                Stage::Pending,
                1,
                "1 Access Request needs review. Review it in Teleport.",
            ),
            (
                Stage::Pending,
                5,
                "5 Access Requests need review. Review them in Teleport.",
            ),
            (Stage::Denied, 1, "The Access Request is resolved."),
            (Stage::Denied, 5, "All 5 Access Requests are resolved."),
        ] {
            let lines: Vec<_> = (0..count).map(|number| line(number, stage)).collect();
            let (card, summary) = drawn(&lines, true);
            assert_eq!(card["fallbackText"], expected);
            assert!(expected.starts_with(&format!("{summary}.")));
        }
    }

    #[test]
    fn each_line_opens_its_request_and_no_button_reviews_it() {
        let (card, _) = drawn(&[line(1, Stage::Pending), line(2, Stage::Expired)], true);
        let row = |number: usize| card["body"][number + 1].clone();
        assert_eq!(
            row(1)["selectAction"]["url"],
            "https://teleport.example.com/web/requests/01a20c25-22d8-712e-bc2e-000000000001"
        );
        assert!(row(2)["selectAction"].is_null());
        assert!(card["actions"].is_null() && !card.to_string().contains("Action.Execute"));
        let (card, _) = drawn(&[line(1, Stage::Pending)], false);
        assert!(!card.to_string().contains("selectAction"));
        assert!(card.to_string().contains("01a20c25-22d8-712e-bc2e-000000000001"));
    }

    #[test]
    fn a_line_can_be_made_of_a_record() {
        let remembered = Remembered {
            id: RequestId::new("1"),
            user: "bob".to_owned(),
            roles: "dba,dev".to_owned(),
            reason: String::new(),
            reviews: 2,
            stage: Stage::Denied,
            resolve_reason: String::new(),
        };
        let mut line = with_view(true, |view| DigestLine::of(view, &Content::Record(remembered)));
        let (card, _) = drawn(from_ref(&line), true);
        assert_eq!(heads(&card), ["❌ bob requested dba and dev"]);
        assert!(card.to_string().contains("Denied · 2 reviews"));
        // The request says more than its record, which may say a later state.
        let of_request = DigestLine {
            subject: "access to db-1".to_owned(),
            ..self::line(1, Stage::Pending)
        };
        assert!(line.complete_with(&of_request));
        assert_eq!(
            heads(&drawn(from_ref(&line), true).0),
            ["❌ user-1 requested access to db-1"]
        );
        assert!(!line.complete_with(&of_request) && line.reviews == 2);
    }
}
