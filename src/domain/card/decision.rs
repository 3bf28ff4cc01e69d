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
    Message::fitting(summary, |detail| {
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
