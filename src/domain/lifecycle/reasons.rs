//! Which recipients a request has, and why each is notified, from its record and the tables.

use std::time::Duration;

use crate::domain::lifecycle::{Audience, Observed, Recipient, Record, RoutedBy};
use crate::domain::recipients::{
    Address, Delegate, GroupMembers, Reason, Recipients, RoutingTable, SuggestedReviewers,
};
use crate::domain::request::AccessRequest;

/// Where recipients are configured, besides rules.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    pub routing: &'a RoutingTable,
    /// When requests are escalated, and to which recipients.
    pub escalation: Option<(Duration, &'a RoutingTable)>,
    pub suggested: &'a SuggestedReviewers,
    /// The members of groups, who are notified because of their group.
    pub groups: &'a GroupMembers,
}

/// Returns the recipients of a request, unless the rules must be evaluated.
pub fn known_recipients(tables: Tables<'_>, observed: &Observed, record: Option<&Record>) -> Option<Recipients> {
    let Observed::Request(request) = observed else {
        return Some(Recipients::default());
    };
    if !request.stage.is_open() {
        return Some(Recipients::default());
    }
    let Tables { routing, suggested, .. } = tables;
    match &record?.routed_by {
        RoutedBy::Unknown => None,
        RoutedBy::Table if suggested.is_unknown(request) => None,
        RoutedBy::Table => Some(routing.recipients(request, suggested)),
        RoutedBy::Rules(named) => Some(Recipients::of(named.iter().map(|named| named.recipient.as_str()))),
    }
}

/// Returns why a recipient is notified, as far as the record and the current configuration contain it. `routed_by` is how the
/// request was routed, also if the record does not contain it.
pub fn reason(
    tables: Tables<'_>,
    request: &AccessRequest,
    (routed_by, record): (&RoutedBy, Option<&Record>),
    recipient: &Recipient,
) -> Option<Reason> {
    if let Some(delegate) = record.and_then(|record| record.delegate(recipient)) {
        let Delegate { absent, name, .. } = delegate;
        let name = if name.is_empty() { absent } else { name };
        return Some(Reason::OutOfOffice {
            person: absent.clone(),
            name: name.clone(),
        });
    }
    let Tables {
        routing,
        escalation,
        suggested,
        groups,
    } = tables;
    let place = |routing: &RoutingTable, address: &Address| {
        let mut names = groups.names_of(address);
        names.find_map(|name| routing.place(request, &name))
    };
    match recipient.audience {
        Audience::Reviewers => {}
        Audience::Escalation => {
            let (after, routing) = escalation?;
            let address = Address::parse(&recipient.name).ok()?;
            let is_manager = place(routing, &address).is_none();
            return Some(Reason::Escalation { after, is_manager });
        }
        Audience::Requester | Audience::Decision => return None,
    }
    let address = Address::parse(&recipient.name).ok();
    if let RoutedBy::Rules(named) = routed_by {
        let names: Vec<Address> = address.iter().flat_map(|address| groups.names_of(address)).collect();
        let is_it =
            |text: &str| text == recipient.name || Address::parse(text).is_ok_and(|named| names.contains(&named));
        if let Some(named) = named.iter().find(|named| is_it(&named.recipient)) {
            return Some(Reason::Rule(named.rule.clone()));
        }
    }
    let address = address?;
    let is_suggested = || suggested.addresses(request).any(|reviewer| reviewer == address);
    let in_table = place(routing, &address);
    in_table.or_else(|| is_suggested().then_some(Reason::Suggested))
}
