//! Which delegates of recipients who are out of office are notified, too.
//!
//! Architecture Invariant: looks up only, after every card of the request that is due; the record decides who is notified.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::exempt::{Exempt, Unknown};
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::news::News;
use crate::daemon::requests::turns::Turn;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::Observed;
use crate::domain::recipients::{Address, Delegate, Person, choose_delegate};
use crate::domain::request::AccessRequest;
use crate::msteams::{Error, MOST_PRESENCES, Meaning, Priority, Retry, Urgency};

/// The hint for a rejection that is not about permissions.
const NO_PRESENCE: &str = hint!(
    "Check that the application permission Presence.Read.All is granted and that the cloud of the tenant has presence, or set `[notify] out_of_office` to false"
);

/// What is known of the delegates of one request.
#[derive(Debug)]
pub(super) struct Delegation {
    /// The recipients that were looked up, by name. Each is looked up once.
    asked: HashSet<String>,
    /// The delegates that were found; the record has them from the next claim on.
    pub(super) found: Vec<Delegate>,
    /// When the settings under which they were looked up were read.
    settings: Timestamp,
    /// The last look-up failed, and a retry may help.
    pub(super) is_partial: bool,
}

/// How a search for delegates ended.
pub(super) enum Sought {
    Nothing,
    /// The request has further recipients.
    Found,
    /// A look-up failed; a retry may help.
    Failed,
    /// The request changed, or the daemon stops.
    Interrupted,
}

/// Recipients that are to be looked up.
struct ToLookUp<'a> {
    request: &'a AccessRequest,
    /// Those with a card or a rejected one.
    recipients: Vec<Address>,
    /// The names of those that were not looked up yet. Of more than [`MOST_PRESENCES`], the rest is not looked up.
    names: Vec<String>,
}

/// Returns the recipients that are to be looked up, if there are any. Delegates are not looked up: only one level is followed.
fn to_ask<'a>(live: &InForce, observed: &'a Observed, memory: &LaneState) -> Option<ToLookUp<'a>> {
    let (true, Some(record), Observed::Request(request)) = (live.notify.out_of_office, memory.record(), observed)
    else {
        return None;
    };
    if !request.stage.is_open() || request.is_over(clock::now()) {
        return None;
    }
    let known = memory
        .delegation
        .as_deref()
        .filter(|known| known.settings == live.since);
    let is_asked = |name: &str| known.is_some_and(|known| known.asked.contains(name));
    let has_delegate = |name: &str| record.delegates.iter().any(|delegate| delegate.absent == name);
    let delivered = record.cards.iter().map(|card| &card.recipient);
    let delivered = delivered.chain(record.refusals.keys());
    let mut to_look_up = ToLookUp {
        request,
        recipients: Vec::new(),
        names: Vec::new(),
    };
    for recipient in delivered.filter(|recipient| recipient.audience.reviews()) {
        let Some(address) = Address::parse(&recipient.name).ok().filter(Address::is_person) else {
            continue;
        };
        let name = &recipient.name;
        let is_new = !is_asked(name) && !has_delegate(name) && record.delegate(recipient).is_none();
        if is_new && !to_look_up.names.contains(name) {
            to_look_up.names.push(name.clone());
        }
        to_look_up.recipients.push(address);
    }
    (!to_look_up.names.is_empty()).then_some(to_look_up)
}

/// Looks up the recipients that were not looked up yet, unless there is a newer observation. No card waits for it, and no other
/// request for the turn.
pub(super) async fn look_up(
    context: &Context,
    observed: &Observed,
    memory: &mut LaneState,
    turn: &mut Turn,
    news: &News<'_>,
) -> Sought {
    let live = context.live.current();
    let Some(to_look_up) = to_ask(&live, observed, memory) else {
        // What failed is not looked up any more.
        if let Some(delegation) = &mut memory.delegation {
            delegation.is_partial = false;
        }
        return Sought::Nothing;
    };
    turn.step_aside();
    let found = tokio::select! {
        () = news.heard() => return Sought::Interrupted,
        found = find(context, &live, &to_look_up) => found,
    };
    let (is_new, is_partial) = (!found.found.is_empty(), found.is_partial);
    memory.delegation = Some(Box::new(found.after(memory.delegation.as_deref())));
    match (is_new, is_partial) {
        (true, _) => Sought::Found,
        (false, true) => Sought::Failed,
        (false, false) => Sought::Nothing,
    }
}

/// Looks recipients up within a limited time. Returns what is known then, for the state of the lane.
async fn find(context: &Context, live: &InForce, to_look_up: &ToLookUp<'_>) -> Delegation {
    let mut delegation = Delegation {
        asked: HashSet::new(),
        found: Vec::new(),
        settings: live.since,
        is_partial: false,
    };
    // No card waits for it, so it may be as slow as Microsoft.
    let found = timeout(context.limits.presence_patience, delegates(context, live, to_look_up)).await;
    match found.unwrap_or(Err(Unknown::TimedOut)) {
        Ok(found) => {
            debug!(request.id = %to_look_up.request.id, delegates = found.len(), "Looked up who is out of office");
            for delegate in &found {
                let absent = Address::parse(&delegate.absent).map(|address| address.to_string());
                let absent = absent.unwrap_or_default();
                let named = Address::parse(&delegate.recipient).map(|address| address.to_string());
                let named = named.unwrap_or_default();
                info!(request.id = %to_look_up.request.id, recipient = absent, delegate = named, "Recipient is out of office, notifying the delegate");
            }
            delegation.found = found;
        }
        Err(unknown) => {
            delegation.is_partial = is_retried(&unknown);
            report(context, to_look_up.request, &unknown, delegation.is_partial);
        }
    }
    if !delegation.is_partial {
        delegation.asked.extend(to_look_up.names.iter().cloned());
    }
    delegation
}

/// Returns whether a retry may find more.
fn is_retried(unknown: &Unknown) -> bool {
    match unknown {
        Unknown::Microsoft(error) => {
            let is_final = matches!(error.meaning(), Meaning::Denied | Meaning::NotFound | Meaning::Rejected);
            !is_final && error.retry() != Retry::Never
        }
        Unknown::Teleport(_) | Unknown::TimedOut => true,
    }
}

/// Logs a failed look-up, once until Microsoft answers who is out of office.
fn report(context: &Context, request: &AccessRequest, unknown: &Unknown, is_retried: bool) {
    let is_new = !context.presence_warned.swap(true, Ordering::Relaxed);
    let error = match unknown {
        Unknown::Microsoft(error) => error,
        Unknown::Teleport(error) => {
            let hint = error.hint();
            warn_if!(is_new, request.id = %request.id, %error, hint, "Could not read who made or reviewed the request; delegates are notified later");
            return;
        }
        Unknown::TimedOut => {
            warn_if!(is_new, request.id = %request.id, "Presence look-up timed out");
            return;
        }
    };
    if !is_new {
        debug!(request.id = %request.id, %error, "Could not look up who is out of office");
    } else if is_retried {
        let hint = error.hint();
        warn!(request.id = %request.id, %error, hint, "Could not read who is out of office, retrying");
    } else {
        let hint = error.hint().unwrap_or(NO_PRESENCE);
        warn!(
            request.id = %request.id, %error, hint,
            "Could not read who is out of office; delegates are not notified"
        );
    }
}

impl Delegation {
    /// Adds what was found earlier under the same settings.
    pub(super) fn after(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier.filter(|earlier| earlier.settings == self.settings) {
            self.asked.extend(earlier.asked.iter().cloned());
            self.found.extend(earlier.found.iter().cloned());
        }
        self
    }
}

async fn delegates(context: &Context, live: &InForce, to_look_up: &ToLookUp<'_>) -> Result<Vec<Delegate>, Unknown> {
    let priority = &Priority::new(Urgency::Announcement, to_look_up.request.id.as_str());
    let person = |address: Address| async move {
        match context.teams.person(&address, priority).await {
            // One recipient who cannot be found does not concern the others.
            Err(error) if is_no_one(&error) => Ok((address, None)),
            person => person.map(|person| (address, person)),
        }
    };
    // A recipient with a card is known; others are not looked up.
    let known = to_look_up
        .recipients
        .iter()
        .filter_map(|address| context.teams.known_person(address));
    let mut others: Vec<String> = known.map(|person| person.id).collect();
    let asked = to_look_up
        .names
        .iter()
        .take(MOST_PRESENCES)
        .filter_map(|name| Address::parse(name).ok());
    let mut people: Vec<(Address, Person)> = Vec::new();
    for found in join_all(asked.map(person)).await {
        let (address, found) = found?;
        people.extend(found.map(|person| (address, person)));
    }
    others.extend(people.iter().map(|(_, person)| person.id.clone()));
    let ids: Vec<String> = people.iter().map(|(_, person)| person.id.clone()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (absent, is_answer) = context.teams.absent(&ids, priority).await?;
    if is_answer {
        context.presence_warned.store(false, Ordering::Relaxed);
    }
    let absent: Vec<_> = people
        .into_iter()
        .filter_map(|(address, person)| {
            let named = absent.get(&person.id).filter(|named| !named.is_empty())?;
            Some((address, person, named))
        })
        .collect();
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    let exempt = &Exempt::find(context, live, to_look_up.request).await?;
    let exempt_people = exempt.people(context, priority).await?;
    let is_exempt = |person: &Person| {
        exempt_people
            .iter()
            .any(|other| other.id.eq_ignore_ascii_case(&person.id))
    };
    others.extend(exempt_people.iter().map(|person| person.id.clone()));
    let mut found = Vec::new();
    for (address, absent, named) in absent {
        // A person who has reviewed needs no delegate.
        if exempt.names(&address) || is_exempt(&absent) {
            continue;
        }
        let is_other = |named: &&Address| !to_look_up.recipients.contains(named) && !exempt.names(named);
        let members = named.iter().filter(is_other).map(|named| async move {
            let member = context.teams.member_at(named, priority).await?;
            Ok::<_, Error>(member.map(|member| (named.clone(), member)))
        });
        let members: Result<Vec<_>, Error> = join_all(members).await.into_iter().collect();
        let members: Vec<(Address, Person)> = members?.into_iter().flatten().collect();
        let ids: Vec<&str> = others.iter().map(String::as_str).collect();
        if let Some((chosen, person)) = choose_delegate(&members, &ids) {
            let delegate = Delegate {
                recipient: chosen.as_str().to_owned(),
                absent: address.as_str().to_owned(),
                name: absent.name,
            };
            others.push(person.id.clone());
            found.push(delegate);
        }
    }
    Ok(found)
}

/// Returns whether Microsoft answered that an address belongs to no one, or to several people.
fn is_no_one(error: &Error) -> bool {
    matches!(
        error.meaning(),
        Meaning::NotFound | Meaning::Ambiguous | Meaning::Rejected
    )
}
