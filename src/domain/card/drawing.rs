//! What the messages about a request have in common.

use crate::domain::card::elements::{block, shown_id, small};
use crate::domain::card::long::{self, Long};
use crate::domain::card::schema::{Action, Container, Element, TextBlock};
use crate::domain::card::text::{beginning, plain};
use crate::domain::card::view::Detail;
use crate::domain::card::wording::Wording;
use crate::domain::card::{Role, View};
use crate::domain::request::{AccessRequest, RequestId, Review, Stage};

/// One drawing: a message about one request for one reader.
pub(super) struct Drawing<'a> {
    pub(super) view: View<'a>,
    pub(super) id: &'a RequestId,
    pub(super) stage: Stage,
    pub(super) detail: Detail,
    pub(super) wording: Wording<'a>,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(view: View<'a>, id: &'a RequestId, stage: Stage, detail: Detail) -> Self {
        let wording = Wording {
            cluster: view.cluster,
            names: view.names,
            name: detail.name,
            write: plain,
        };
        Self {
            view,
            id,
            stage,
            detail,
            wording,
        }
    }

    /// Creates the drawing of a request.
    pub(super) fn of(view: View<'a>, request: &'a AccessRequest, detail: Detail) -> Self {
        Self::new(view, &request.id, request.stage, detail)
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage.is_open()
    }

    /// Returns whether the message is drawn for a reviewer, who can do something about the request.
    pub(super) fn is_for_reviewer(&self) -> bool {
        self.view.reader.role == Role::Reviewer
    }

    /// Returns the button that opens the request in Teleport. Teleport deletes an expired request, so there is nothing to
    /// view.
    pub(super) fn link(&self) -> Option<Action> {
        let title = if self.is_open() && self.is_for_reviewer() {
            "Review in Teleport"
        } else {
            "View in Teleport"
        };
        let url = self
            .view
            .cluster
            .link(self.id)
            .filter(|_| self.stage != Stage::Expired)?;
        Some(Action::OpenUrl { title, url })
    }

    /// Returns a reason as a quotation.
    pub(super) fn reason(&self, reason: &str) -> Option<Element> {
        let text = plain(reason, self.detail.reason);
        if text.is_empty() {
            return None;
        }
        let items = match beginning(reason, long::LINES_OF_TEXT) {
            Some(beginning) => Long::REASON.of_text(beginning, text),
            None => vec![block(text)],
        };
        Some(quotation(items))
    }

    /// Returns the reason of the resolution, unless a review contains it.
    pub(super) fn resolution(&self, request: &AccessRequest) -> String {
        let said_by_review = |review: &Review| review.reason.trim() == request.resolve_reason.trim();
        if request.reviews.iter().any(said_by_review) {
            return String::new();
        }
        plain(&request.resolve_reason, self.detail.reason)
    }

    /// Returns the newest reviews.
    pub(super) fn reviews(&self, request: &AccessRequest) -> Vec<Element> {
        let earlier = request.reviews.len().saturating_sub(self.detail.reviews);
        let mut elements = Vec::new();
        if earlier > 0 {
            let word = if earlier == 1 { "review" } else { "reviews" };
            elements.push(small(format!("{earlier} earlier {word} not shown"), true));
        }
        for review in request.reviews.iter().skip(earlier) {
            let verdict = TextBlock {
                text: self.wording.review(review),
                wrap: true,
                separator: true,
                ..TextBlock::default()
            };
            elements.push(verdict.into());
            let reason = plain(&review.reason, self.detail.review_reason);
            if !reason.is_empty() {
                let reason = TextBlock {
                    text: reason,
                    spacing: Some("None"),
                    wrap: true,
                    is_subtle: true,
                    ..TextBlock::default()
                };
                elements.push(reason.into());
            }
        }
        elements
    }

    /// Returns sentences about the message, and the name of the request.
    pub(super) fn foot(&self, mut sentences: Vec<String>) -> Vec<Element> {
        sentences.retain(|sentence| !sentence.is_empty());
        let cluster = self.wording.name(&self.view.cluster.name);
        let name = format!("{cluster} · {}", shown_id(self.id));
        let mut elements = Vec::new();
        if !sentences.is_empty() {
            elements.push(small(sentences.join(" "), true));
        }
        let is_first = elements.is_empty();
        elements.push(small(name, is_first));
        elements
    }
}

/// Returns elements on a background of their own.
pub(super) fn quotation(items: Vec<Element>) -> Element {
    Element::Container(Container {
        items,
        style: Some("emphasis"),
        ..Container::default()
    })
}
