//! Prints an explanation.

use jiff::Timestamp;

use crate::cli::explain::situation::Situation;
use crate::cli::explain::words;
use crate::cli::length::length;
use crate::cli::output::say;
use crate::cli::rules;
use crate::cli::rules::Tested;
use crate::config::Settings;
use crate::domain::explanation::{Event, Found, Retry, Status};
use crate::domain::lifecycle::{Audience, Record, RoutedBy, Why};
use crate::domain::recipients::Address;
use crate::domain::request::AccessRequest;
use crate::domain::rules::Source;
use crate::visible;

/// Prints everything.
pub(super) fn print(settings: &Settings, situation: &Situation) {
    match &situation.request {
        Some(request) => say!("Access Request {} of {}", situation.id, request.user),
        None => say!(
            "Access Request {} does not exist, or the role cannot see it",
            situation.id
        ),
    }
    facts(settings, situation);
    say!("");
    recipients(settings, situation);
    if situation.inquiry.is_some() {
        say!("");
        monitoring_rules(situation);
    }
    say!("");
    next(settings, situation);
}

fn fact(name: &str, value: &str) {
    if !value.is_empty() {
        say!("  {name:<10}  {}", visible::line(value));
    }
}

fn facts(settings: &Settings, situation: &Situation) {
    let Situation {
        request, record, now, ..
    } = situation;
    let at = |at: Option<Timestamp>| at.map(|at| words::time(at, *now)).unwrap_or_default();
    match (request, record) {
        (Some(request), _) => {
            fact("Roles", &request.roles.join(", "));
            let resources: Vec<_> = request.resources.iter().map(ToString::to_string).collect();
            fact("Resources", &resources.join(", "));
            fact("Reason", &request.reason);
            let reviews = words::reviews(request.reviews.len());
            fact("Stage", &format!("{}, {reviews}", request.stage));
            fact("Created", &at(request.created));
            fact("Expires", &at(request.expires));
        }
        (None, Some(record)) => {
            fact("User", &record.user);
            fact("Roles", &record.roles);
            fact("Reason", &record.reason);
            let resolution = record.resolution.map(|stage| stage.to_string());
            fact("Stage", resolution.as_deref().unwrap_or("no resolution in the record"));
            fact("Expires", &at(record.end()));
        }
        (None, None) => {}
    }
    let announced = match record {
        None => "not yet".to_owned(),
        Some(record) => match (record.announced, record.cards.is_empty()) {
            (Some(announced), _) => words::time(announced, *now),
            (None, false) => "yes; the record does not contain the time".to_owned(),
            (None, true) => "not yet".to_owned(),
        },
    };
    fact("Announced", &announced);
    if let Some(record) = record {
        fact("Replica", &replica(settings, record));
    }
}

fn replica(settings: &Settings, record: &Record) -> String {
    match &record.claim {
        Some(claim) if claim.held => format!(
            "{} holds the claim: it delivers now, or has stopped; another replica takes over a claim that is not renewed for {}",
            claim.owner,
            length(settings.limits.claim_stale)
        ),
        Some(claim) => format!(
            "{} announced or updated it last; no replica holds the claim",
            claim.owner
        ),
        None => "the Go plugin wrote the record".to_owned(),
    }
}

fn recipients(settings: &Settings, situation: &Situation) {
    let Situation {
        inquiry,
        record,
        recipients,
        explained,
        now,
        ..
    } = situation;
    let recorded = record.as_ref().map(|record| &record.routed_by);
    let by = match (recorded, inquiry.as_ref().map(|inquiry| inquiry.route.source)) {
        (Some(RoutedBy::Rules(_)), _) => ", by the rules that matched when it was announced",
        (Some(RoutedBy::Table), _) | (_, Some(Source::Static)) => ", by role_to_recipients and suggested reviewers",
        (_, Some(Source::Rules)) => {
            ", by Access Monitoring Rules; role_to_recipients and suggested reviewers do not apply"
        }
        (_, Some(Source::None) | None) => "",
    };
    say!("Recipients{by}");
    let held = situation
        .moments
        .iter()
        .find(|moment| moment.event == Event::Announcement);
    let held = held.and_then(|moment| moment.at).map(|at| words::time(at, *now));
    for found in &explained.recipients {
        recipient(found, situation, held.as_deref());
    }
    if is_requester_unknown(settings, situation) {
        say!("  the requester, by notify.requester");
        say!("      not notified: no address in Microsoft Teams is known");
    }
    for reviewer in &recipients.unreachable {
        say!("  {}", visible::line(reviewer));
        say!("      not notified: no email address or user ID is known, so it is not a valid recipient");
    }
    if explained.recipients.is_empty() && recipients.unreachable.is_empty() {
        say!("  none");
    }
    if let Some(inquiry) = inquiry {
        for unanswered in &inquiry.failed {
            say!("  not looked up: {}", visible::line(&unanswered.error));
            if let Some(hint) = &unanswered.hint {
                say!("      hint: {}", visible::line(hint));
            }
        }
    }
    match explained.why_nothing {
        Some(Why::NeverAnnounced) => say!("  It was resolved before it was announced, so no recipient is notified."),
        Some(Why::NoRecipients) => say!("  No recipient would be notified."),
        Some(Why::Behind) => say!("  The cards show a later state than the one that Teleport returned."),
        Some(Why::UnknownState) => say!("  This version does not know the state of the request; cards stay unchanged."),
        Some(Why::UpToDate) | None => {}
    }
}

/// Returns whether the requester of a pending request would be notified, but has no address.
fn is_requester_unknown(settings: &Settings, situation: &Situation) -> bool {
    let mut found = situation.explained.recipients.iter();
    let is_open = situation
        .request
        .as_ref()
        .is_some_and(|request| request.stage.is_open());
    settings.notify.requester
        && is_open
        && situation
            .inquiry
            .as_ref()
            .is_some_and(|inquiry| inquiry.requester.is_none())
        && !found.any(|found| found.recipient.audience == Audience::Requester)
}

fn recipient(found: &Found, situation: &Situation, held: Option<&str>) {
    let Found {
        recipient,
        reason,
        cards,
        refusal,
        is_due,
        is_requester,
    } = found;
    let why = words::why(recipient.audience, reason.as_ref());
    say!("  {}  ({})", visible::line(&recipient.name), visible::line(&why));
    for card in cards {
        say!("      {}", visible::line(&words::card(card)));
    }
    if let Some((refusal, retry)) = refusal {
        let line = words::refusal(refusal, *retry, situation.now);
        say!("      {}", visible::line(&line));
    }
    let is_announced = situation.record.as_ref().is_some_and(|record| !record.cards.is_empty());
    match (is_due, held) {
        _ if *is_requester && cards.is_empty() => {
            say!("      not notified: is the requester, who is not asked to review");
        }
        (true, Some(held)) => say!("      would be notified at {held}"),
        (true, None) if refusal.is_some() => {}
        (true, None) if is_announced => {
            say!("      would be notified now, unless its chat already has a card or is the requester's");
        }
        (true, None) => say!("      would be notified now"),
        (false, _) if cards.is_empty() && refusal.is_none() => say!("      has no card, and none is due"),
        (false, _) => {}
    }
}

fn monitoring_rules(situation: &Situation) {
    let Some(inquiry) = &situation.inquiry else { return };
    let is_announced = situation.record.is_some();
    say!(
        "Access Monitoring Rules{}",
        if is_announced { ", as they are now" } else { "" }
    );
    match &inquiry.subject {
        Some(subject) => {
            let tested: Vec<_> = inquiry.rules.iter().map(|rule| Tested::new(rule, subject)).collect();
            rules::print(&tested, subject);
        }
        None if inquiry.rules.is_empty() => say!("  none for this plugin"),
        None => say!("  not evaluated, because the requester could not be read"),
    }
}

fn next(settings: &Settings, situation: &Situation) {
    say!("Schedule");
    let Situation { moments, now, .. } = situation;
    let escalation = situation.request.as_ref().map(|request| further(settings, request));
    let escalation = escalation.unwrap_or_default();
    let mut lines: Vec<(Option<Timestamp>, String, String)> = moments
        .iter()
        .map(|moment| {
            let status = words::status(moment.status, moment.at, *now);
            (moment.at, status, words::event(moment.event, &escalation))
        })
        .collect();
    for found in &situation.explained.recipients {
        if let Some((_, Retry::At(at))) = found.refusal {
            let status = words::status(Status::Coming, Some(at), *now);
            let name = &found.recipient.name;
            lines.push((Some(at), status, format!("next attempt to deliver to {name}")));
        }
    }
    lines.sort_by_key(|(at, ..)| *at);
    let wide = lines
        .iter()
        .map(|(_, status, _)| status.len())
        .max()
        .unwrap_or_default();
    for (at, status, what) in &lines {
        let at = at.map_or_else(|| "time unknown".to_owned(), words::moment);
        say!("  {at:<23}  {status:wide$}  {}", visible::line(what));
    }
    if lines.is_empty() {
        say!("  nothing is due");
    }
}

/// Names the recipients of an escalation.
fn further(settings: &Settings, request: &AccessRequest) -> String {
    let Some(escalation) = &settings.escalation else {
        return String::new();
    };
    let is_other = |address: &Address| !address.is_user_name(&request.user);
    let addresses = escalation.routing.of_roles(request).into_iter().filter(is_other);
    let mut names: Vec<String> = addresses.map(|address| address.as_str().to_owned()).collect();
    if escalation.manager {
        names.push("the managers of recipients who have not reviewed".to_owned());
    }
    match names.pop() {
        None => "no recipient: no entry of escalation.role_to_recipients fits".to_owned(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}
