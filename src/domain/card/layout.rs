//! Which elements a card has, and in what order: what a reviewer needs to approve or deny comes first.

use std::iter;

use jiff::SignedDuration;

use crate::domain::card::buttons::Buttons;
use crate::domain::card::long::{self, Long, LongList};
use crate::domain::card::schema::{Action, Container, Element, Fact, TextBlock, mention_text};
use crate::domain::card::text::{beginning, breakable, plain};
use crate::domain::card::view::Detail;
use crate::domain::card::wording::Wording;
use crate::domain::card::{Card, Remembered, View, time};
use crate::domain::request::{AccessRequest, RequestId, RequestKind, Review, Stage};

/// The number of thresholds that are shown.
const THRESHOLDS: usize = 10;

/// One drawing: the card of one request for one reader.
struct Drawing<'a> {
    view: View<'a>,
    id: &'a RequestId,
    stage: Stage,
    detail: Detail,
    wording: Wording<'a>,
}

/// Draws a request.
pub(super) fn draw_request(view: View<'_>, request: &AccessRequest, detail: Detail) -> Card {
    let drawing = Drawing::new(view, &request.id, request.stage, detail);
    let subject = drawing.wording.subject(request);
    let mentions = drawing.mentions();
    let is_mentioning = mentions.is_some();
    let mut body = drawing.head(&request.user, &subject);
    body.extend(mentions);
    body.extend(drawing.reason(&request.reason));
    body.extend(drawing.facts(request));
    body.extend(drawing.reviews(request));
    body.extend(drawing.foot(&request.user));
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
    body.extend(drawing.foot(&remembered.user));
    drawing.card(body, None, &remembered.user, &subject)
}

impl<'a> Drawing<'a> {
    fn new(view: View<'a>, id: &'a RequestId, stage: Stage, detail: Detail) -> Self {
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

    fn is_open(&self) -> bool {
        self.stage.is_open()
    }

    /// Returns the buttons that review the request. A long-term request is reviewed with its Access List, in Teleport.
    fn buttons(&self, request: &AccessRequest) -> Option<Buttons> {
        let can_review = self.stage == Stage::Pending && request.kind == RequestKind::ShortTerm;
        let rule = self.view.reviews.filter(|_| can_review)?;
        Buttons::new(self.id, rule)
    }

    fn card(&self, mut body: Vec<Element>, buttons: Option<Buttons>, user: &str, subject: &str) -> Card {
        let title = if self.is_open() {
            "Review in Teleport"
        } else {
            "View in Teleport"
        };
        // Teleport deletes an expired request, so there is nothing to view.
        let link = self.view.cluster.link(self.id).filter(|_| self.stage != Stage::Expired);
        let user = self.wording.name(user);
        let id = shown_id(self.id);
        let fallback = match (self.stage, &link) {
            // A client that is too old for the buttons does not draw the link either.
            (Stage::Pending, Some(url)) if buttons.is_some() => {
                format!("{user} requests {subject}. Review the Access Request {id} in Teleport: {url}")
            }
            (Stage::Pending, _) => format!("{user} requests {subject}. Review the Access Request {id} in Teleport."),
            (stage, _) => format!("{user} requested {subject}. The Access Request {id} is {stage}."),
        };
        let link = link.map(|url| Action::OpenUrl { title, url });
        let Some(Buttons { direct, part }) = buttons else {
            return Card::new(body, link.into_iter().collect(), fallback);
        };
        body.extend(direct);
        let actions = iter::once(part).chain(link).collect();
        Card::new(body, actions, fallback).with_execute()
    }

    /// Returns the status, and who requests what.
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
        let heading = TextBlock {
            text: format!("{} {verb} {subject}", self.wording.name(user)),
            size: Some("Medium"),
            weight: Some("Bolder"),
            spacing: Some("Small"),
            wrap: true,
            ..TextBlock::default()
        };
        vec![status.into(), heading.into()]
    }

    /// Returns the sentence that mentions the reviewers that a rule or the request names, while they can review.
    fn mentions(&self) -> Option<Element> {
        let people = &self.view.reader.mentions;
        if people.is_empty() || !self.is_open() {
            return None;
        }
        let people: Vec<_> = people.iter().map(|person| mention_text(&person.name)).collect();
        let text = TextBlock {
            text: format!("Reviewers: {}", people.join(", ")),
            spacing: Some("Small"),
            wrap: true,
            ..TextBlock::default()
        };
        Some(text.into())
    }

    /// Returns the reason as a quotation.
    fn reason(&self, reason: &str) -> Option<Element> {
        let text = plain(reason, self.detail.reason);
        if text.is_empty() {
            return None;
        }
        let items = match beginning(reason, long::LINES_OF_TEXT) {
            Some(beginning) => Long::REASON.of_text(beginning, text),
            None => vec![block(text)],
        };
        let quotation = Container {
            items,
            style: Some("emphasis"),
            ..Container::default()
        };
        Some(Element::Container(quotation))
    }

    /// Returns what is requested, for how long, and what is missing.
    fn facts(&self, request: &AccessRequest) -> Vec<Element> {
        let (wording, detail) = (self.wording, self.detail);
        let mut facts = Facts::default();
        if !matches!(self.stage, Stage::Denied | Stage::Expired) {
            facts.add("Access", Self::access(request));
            facts.add("Starts", request.access_from.map(time::written).unwrap_or_default());
        }
        let roles = (!Wording::heading_has_roles(request)).then(|| {
            let names = request.roles.iter().map(|role| wording.name(role));
            Long::of_list(names.take(detail.roles).collect(), request.roles.len())
        });
        facts.add("Roles", roles.as_ref().map(LongList::short).unwrap_or_default());
        if request.kind == RequestKind::LongTerm && !request.recommended_list.is_empty() {
            facts.add("Access List", format!("{} (recommended)", wording.list(request)));
        }
        if let Some(list) = request.promoted_to.as_ref().filter(|_| self.stage == Stage::Promoted) {
            let title = if list.title.is_empty() { &list.name } else { &list.title };
            facts.add("Access List", wording.name(title));
        }
        if self.is_open() {
            let most = detail.roles.min(THRESHOLDS);
            facts.add("Approvals", wording.approvals(&request.approvals(), most));
            facts.add("Denials", wording.denials(&request.denials(), most));
            let expires = request.expires.map(|end| time::with_distance(end, self.view.now));
            facts.add("Review by", expires.unwrap_or_default());
            // A long-term request is reviewed with its Access List.
            let by_command = is_clean(self.id) && request.kind != RequestKind::LongTerm;
            if self.view.cluster.link(self.id).is_none() && by_command {
                facts.add_command("Approve", format!("tsh request review --approve {}", self.id));
                facts.add_command("Deny", format!("tsh request review --deny {}", self.id));
            }
        }
        let said_by_review = |review: &Review| review.reason.trim() == request.resolve_reason.trim();
        if self.stage.is_resolved() && self.stage != Stage::Expired && !request.reviews.iter().any(said_by_review) {
            facts.add("Resolution", plain(&request.resolve_reason, detail.reason));
        }
        let mut elements: Vec<_> = facts.into_element().into_iter().collect();
        if let Some(roles) = roles {
            elements.extend(roles.show_all(Long::ROLES, |rest| vec![block(rest.join(", "))]));
        }
        elements.extend(self.resources(request));
        elements
    }

    /// Returns the resources, one per line: their names can be too long for facts.
    fn resources(&self, request: &AccessRequest) -> Vec<Element> {
        let lines = request.resources.iter().take(self.detail.resources);
        let lines = lines.map(|resource| self.wording.resource(resource));
        let list = Long::of_list(lines.collect(), request.resources.len());
        let line = |text: &String| {
            let text = text.clone();
            Element::from(TextBlock {
                text,
                spacing: Some("None"),
                wrap: true,
                ..TextBlock::default()
            })
        };
        let title = TextBlock {
            text: "Resources".to_owned(),
            weight: Some("Bolder"),
            ..TextBlock::default()
        };
        let mut elements: Vec<_> = list.at_first().iter().map(line).collect();
        if !elements.is_empty() {
            elements.insert(0, title.into());
        }
        elements.extend(list.show_all(Long::RESOURCES, |rest| rest.iter().map(line).collect()));
        elements
    }

    /// Returns how long the access lasts. Teleport sends only its end.
    fn access(request: &AccessRequest) -> String {
        if request.kind == RequestKind::LongTerm {
            return "long-term, as a member of an Access List".to_owned();
        }
        let other = (request.kind == RequestKind::Other).then(|| "other".to_owned());
        let start = request.access_from.or(request.created);
        let length = request.access_until.zip(start);
        let length = length.map(|(until, start)| until.duration_since(start));
        let length = length.filter(SignedDuration::is_positive).map(time::length);
        let until = request
            .access_until
            .map(|until| format!("until {}", time::written(until)));
        let parts: Vec<_> = [other, length, until].into_iter().flatten().collect();
        parts.join(", ")
    }

    fn reviews(&self, request: &AccessRequest) -> Vec<Element> {
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

    /// Returns why the reader is notified and who else is, and the name of the request.
    fn foot(&self, user: &str) -> Vec<Element> {
        let reader = self.view.reader;
        let mut sentences = Vec::new();
        if self.is_open() {
            sentences.push(self.wording.audience(reader));
            if reader.is_channel {
                sentences.push(format!("{} cannot review this request.", self.wording.name(user)));
            }
        }
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

/// Facts in their order; facts without a value are omitted, because no client accepts them.
#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, title: &'static str, value: impl AsRef<str>) {
        let value = breakable(value.as_ref());
        if !value.is_empty() {
            self.0.push(Fact { title, value });
        }
    }

    /// Adds a text that is to be copied.
    fn add_command(&mut self, title: &'static str, value: String) {
        self.0.push(Fact { title, value });
    }

    fn into_element(self) -> Option<Element> {
        (!self.0.is_empty()).then_some(Element::FactSet { facts: self.0 })
    }
}

fn block(text: String) -> Element {
    Element::from(TextBlock {
        text,
        wrap: true,
        ..TextBlock::default()
    })
}

fn small(text: String, separator: bool) -> Element {
    Element::from(TextBlock {
        text,
        size: Some("Small"),
        spacing: (!separator).then_some("None"),
        is_subtle: true,
        wrap: true,
        separator,
        ..TextBlock::default()
    })
}

/// Teleport's ids are UUIDs; one that is not is shown like any other text.
fn shown_id(id: &RequestId) -> String {
    if is_clean(id) {
        id.to_string()
    } else {
        plain(id.as_str(), 64)
    }
}

fn is_clean(id: &RequestId) -> bool {
    let text = id.as_str();
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.starts_with('-') && (1..=64).contains(&text.len()) && text.bytes().all(clean)
}
