//! What the cards of one plan are drawn from, for each recipient.

use std::sync::Arc;

use crate::clock;
use crate::config::{Attention, DigestSettings};
use crate::daemon::context::Context;
use crate::daemon::requests::job::Known;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::planning::reason;
use crate::daemon::upkeep::InForce;
use crate::domain::card::{CardCluster, Content, DigestLine, Message, Place, Reader, Role, View, decision};
use crate::domain::lifecycle::{Audience, Observed, Recipient, Record, Target};
use crate::domain::recipients::{Address, Person, Reason};
use crate::domain::request::{AccessRequest, ResourceNames};
use crate::domain::review::ReasonRule;

/// The number of people that a card in a channel mentions.
const MOST_MENTIONS: usize = 10;

/// One drawing for all recipients of a plan; each card is drawn when its delivery starts.
#[derive(Debug)]
pub(super) struct Sheet {
    cluster: CardCluster,
    content: Content,
    names: Arc<ResourceNames>,
    audience: Vec<Listed>,
    /// The addresses of suggested reviewers, also of those that a rule does not notify.
    suggested: Vec<Address>,
    live: Arc<InForce>,
    /// When a review needs a reason; `None` if cards have no buttons.
    reviews: Option<ReasonRule>,
}

/// A recipient of the request, as cards name it.
#[derive(Debug)]
struct Listed {
    recipient: Recipient,
    address: Option<Address>,
    reason: Option<Reason>,
}

/// What a sheet is made from.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) context: &'a Context,
    pub(super) live: &'a Arc<InForce>,
    pub(super) observed: &'a Observed,
    pub(super) record: &'a Record,
    pub(super) memory: &'a LaneState,
    pub(super) known: &'a Known,
}

impl Sources<'_> {
    /// Prepares the drawing of all cards of a plan, whose targets are these.
    pub(super) fn sheet(self, content: Content, targets: &[Target]) -> Sheet {
        // A resolved card shows no recipients.
        let is_open = matches!(&content, Content::Request(request) if request.stage.is_open());
        Sheet {
            cluster: self.context.cluster.clone(),
            content,
            names: Arc::clone(&self.known.names),
            audience: if is_open { self.audience(targets) } else { Vec::new() },
            suggested: if is_open { self.suggested() } else { Vec::new() },
            live: Arc::clone(self.live),
            reviews: self.context.reviews(self.live),
        }
    }

    /// Lists the reviewers of the plan and of the record, without the requester and those that Microsoft rejected.
    fn audience(self, targets: &[Target]) -> Vec<Listed> {
        let is_notified = |target: &&Target| {
            let is_requester = self.known.is_requester(&target.address, &self.context.teams);
            let is_alias = self.memory.aliases.contains(*target);
            target.audience.reviews()
                && !is_requester
                && !is_alias
                && !self.record.refusals.contains_key(&target.recipient())
        };
        let planned = targets.iter().filter(is_notified);
        let mut audience: Vec<_> = planned
            .map(|target| self.listed(target.recipient(), Some(target.address.clone())))
            .collect();
        let cards = self
            .record
            .cards
            .iter()
            .filter(|card| card.recipient.audience.reviews());
        for card in cards {
            if audience.iter().all(|listed| listed.recipient != card.recipient) {
                let address = Address::parse(&card.recipient.name).ok();
                audience.push(self.listed(card.recipient.clone(), address));
            }
        }
        audience
    }

    fn suggested(self) -> Vec<Address> {
        let request = self.observed.request();
        let suggested = request.map(|request| self.memory.suggested.addresses(request).take(MOST_MENTIONS));
        suggested.into_iter().flatten().collect()
    }

    fn listed(self, recipient: Recipient, address: Option<Address>) -> Listed {
        let reason = reason(self.live, self.observed, self.record, self.memory, &recipient);
        Listed {
            recipient,
            address,
            reason,
        }
    }
}

impl Sheet {
    /// Returns the request, unless only its record is known.
    pub(super) fn request(&self) -> Option<&AccessRequest> {
        match &self.content {
            Content::Request(request) => Some(request),
            Content::Record(_) => None,
        }
    }

    pub(super) fn attention(&self) -> Attention {
        self.live.notify.attention
    }

    /// Returns when requests share a card.
    pub(super) fn digest(&self) -> Option<DigestSettings> {
        self.live.digest
    }

    /// Draws the line of the request on a shared card.
    pub(super) fn line(&self) -> DigestLine {
        let reader = Reader::default();
        DigestLine::of(self.view(&reader), &self.content)
    }

    /// Draws the card for a recipient.
    pub(super) fn draw(&self, recipient: &Recipient, mentions: Vec<Person>) -> Message {
        let reader = self.reader(recipient, mentions);
        let view = self.view(&reader);
        match &self.content {
            Content::Request(request) if recipient.audience == Audience::Decision => {
                decision(view, request, &self.live.notify.instructions)
            }
            content => content.draw(view),
        }
    }

    fn view<'v>(&'v self, reader: &'v Reader) -> View<'v> {
        View {
            cluster: &self.cluster,
            names: &self.names,
            reader,
            now: clock::now(),
            reviews: self.reviews,
        }
    }

    fn reader(&self, recipient: &Recipient, mentions: Vec<Person>) -> Reader {
        let own = self.audience.iter().find(|listed| listed.recipient == *recipient);
        let others = || self.audience.iter().filter(|listed| listed.recipient != *recipient);
        let labels = others().filter_map(|listed| listed.address.as_ref()?.label());
        let labels: Vec<_> = labels.take(Reader::NAMED_OTHERS).collect();
        let role = if recipient.audience.reviews() {
            Role::Reviewer
        } else {
            Role::Requester
        };
        Reader {
            role,
            place: place(recipient),
            reason: own.and_then(|listed| listed.reason.clone()),
            more_others: others().count() - labels.len(),
            others: labels,
            mentions,
        }
    }

    /// Returns the people that a card in a channel mentions: those that rules name, and the suggested reviewers.
    pub(super) fn named_people(&self) -> Vec<Address> {
        let is_named = |listed: &&Listed| matches!(listed.reason, Some(Reason::Rule(_) | Reason::Suggested));
        let named = self.audience.iter().filter(is_named);
        let named = named.filter_map(|listed| listed.address.clone());
        let named = named.filter(Address::is_person);
        let mut people: Vec<Address> = Vec::new();
        for address in named.chain(self.suggested.iter().cloned()) {
            if people.len() < MOST_MENTIONS && !people.contains(&address) {
                people.push(address);
            }
        }
        people
    }
}

/// Returns where the card of a recipient is read.
fn place(recipient: &Recipient) -> Place {
    Address::parse(&recipient.name).map_or(Place::Personal, |address| Place::of(&address))
}
