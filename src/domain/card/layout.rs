//! Which elements a card has, and in what order: what a reviewer needs to approve or deny comes first.

use std::iter;

use crate::domain::card::buttons::Buttons;
use crate::domain::card::drawing::Drawing;
use crate::domain::card::elements::{Facts, heading, line, shown_id, small};
use crate::domain::card::schema::{Action, Element, TextBlock, mention_text};
use crate::domain::card::text::plain;
use crate::domain::card::view::Detail;
use crate::domain::card::{Card, Remembered, Role, View, time};
use crate::domain::recipients::Reason;
use crate::domain::request::{AccessRequest, RequestKind, Stage};

/// Draws a request.
pub(super) fn draw_request(view: View<'_>, request: &AccessRequest, detail: Detail) -> Card {
    let drawing = Drawing::of(view, request, detail);
    let subject = drawing.wording.subject(request);
    let mentions = drawing.mentions();
    let is_mentioning = mentions.is_some();
    let mut body = drawing.head(&request.user, &subject);
    body.extend(mentions);
    body.extend(drawing.reason(&request.reason));
    body.extend(drawing.facts(request));
    body.extend(drawing.reviews(request));
    body.extend(drawing.foot(drawing.audience(&request.user)));
    let buttons = drawing.buttons(request);
    let mut card = drawing.card(body, buttons, &request.user, &subject);
    if is_mentioning {
        let people = view.reader.mentions.iter();
        card.mention(people.map(|person| (person.id.as_str(), person.name.as_str())));
    }
    card
}

/// Draws the recorded facts of a request.
pub(super) fn draw_record(view: View<'_>, remembered: &Remembered, detail: Detail) -> Card {
    let drawing = Drawing::new(view, &remembered.id, remembered.stage, detail);
    let roles = remembered.role_names();
    let subject = drawing.wording.role_subject(&roles);
    let mut body = drawing.head(&remembered.user, &subject);
    body.extend(drawing.reason(&remembered.reason));
    let mut facts = Facts::default();
    facts.add("Resolution", plain(&remembered.resolve_reason, detail.reason));
    body.extend(facts.into_element());
    let count = match remembered.reviews {
        0 => None,
        1 => Some("1 review".to_owned()),
        more => Some(format!("{more} reviews")),
    };
    body.extend(count.map(|count| small(format!("{count}; the details are no longer available"), true)));
    body.extend(drawing.foot(drawing.audience(&remembered.user)));
    drawing.card(body, None, &remembered.user, &subject)
}

impl Drawing<'_> {
    /// Returns the buttons that review the request. A long-term request is reviewed with its Access List, in Teleport.
    fn buttons(&self, request: &AccessRequest) -> Option<Buttons> {
        let can_review =
            self.is_for_reviewer() && self.stage == Stage::Pending && request.kind == RequestKind::ShortTerm;
        let rule = self.view.reviews.filter(|_| can_review)?;
        Buttons::new(self.id, rule)
    }

    fn card(&self, mut body: Vec<Element>, buttons: Option<Buttons>, user: &str, subject: &str) -> Card {
        let link = self.link();
        let user = self.wording.name(user);
        let id = shown_id(self.id);
        let fallback = match (self.view.reader.role, self.stage, &link) {
            (Role::Requester, stage, _) => format!("Your request for {subject}: the Access Request {id} is {stage}."),
            // A client that is too old for the buttons does not draw the link either.
            (Role::Reviewer, Stage::Pending, Some(Action::OpenUrl { url, .. })) if buttons.is_some() => {
                format!("{user} requests {subject}. Review the Access Request {id} in Teleport: {url}")
            }
            (Role::Reviewer, Stage::Pending, _) => {
                format!("{user} requests {subject}. Review the Access Request {id} in Teleport.")
            }
            (Role::Reviewer, stage, _) => format!("{user} requested {subject}. The Access Request {id} is {stage}."),
        };
        let Some(Buttons { direct, part }) = buttons else {
            return Card::new(body, link.into_iter().collect(), fallback);
        };
        body.extend(direct);
        let actions = iter::once(part).chain(link).collect();
        Card::new(body, actions, fallback).with_execute()
    }

    /// Returns the status, who requests what, and whether the request was escalated.
    fn head(&self, user: &str, subject: &str) -> Vec<Element> {
        let (status, color) = match self.stage {
            Stage::Pending => ("⏳ Pending", Some("Accent")),
            // Cards of such a request are neither posted nor updated.
            Stage::Unknown => ("❔ Other state", None),
            Stage::Approved => ("✅ Approved", Some("Good")),
            Stage::Denied => ("❌ Denied", Some("Attention")),
            Stage::Promoted => ("⤴️ Promoted", Some("Good")),
            Stage::Expired => ("⚪ Expired", None),
        };
        let status = TextBlock {
            text: status.to_owned(),
            weight: Some("Bolder"),
            color,
            is_subtle: color.is_none(),
            ..TextBlock::default()
        };
        let verb = if self.is_open() { "requests" } else { "requested" };
        let text = match self.view.reader.role {
            Role::Requester => format!("Your request for {subject}"),
            Role::Reviewer => format!("{} {verb} {subject}", self.wording.name(user)),
        };
        let heading = TextBlock {
            spacing: Some("Small"),
            ..heading(text)
        };
        let mut elements = vec![status.into(), heading.into()];
        elements.extend(self.why_also());
        elements
    }

    /// Returns the line that explains why the reader is notified of a pending request besides the usual recipients.
    fn why_also(&self) -> Option<Element> {
        if !self.is_open() || !self.is_for_reviewer() {
            return None;
        }
        match self.view.reader.reason.as_ref()? {
            Reason::Escalation { after, .. } => {
                let after = time::length_of(*after);
                Some(line(format!("⏫ Escalated: still pending after {after}")))
            }
            Reason::OutOfOffice { name, .. } => {
                let name = self.wording.name(name);
                Some(line(format!("🌴 {name} is out of office and named you")))
            }
            _ => None,
        }
    }

    /// Returns the sentence that mentions the reviewers that a rule or the request names, while they can review.
    fn mentions(&self) -> Option<Element> {
        let people = &self.view.reader.mentions;
        if people.is_empty() || !self.is_open() || !self.is_for_reviewer() {
            return None;
        }
        let people: Vec<_> = people.iter().map(|person| mention_text(&person.name)).collect();
        Some(line(format!("Reviewers: {}", people.join(", "))))
    }

    /// Returns why the reader is notified, and who else is, while the request is pending.
    fn audience(&self, user: &str) -> Vec<String> {
        let reader = self.view.reader;
        match reader.role {
            _ if !self.is_open() => Vec::new(),
            Role::Requester => vec![self.wording.asked(reader)],
            Role::Reviewer => {
                let mut sentences = vec![self.wording.audience(reader)];
                if reader.place.is_shared() {
                    sentences.push(format!("{} cannot review this request.", self.wording.name(user)));
                }
                sentences
            }
        }
    }
}
