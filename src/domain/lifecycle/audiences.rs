//! The targets of a request's cards: one list for all audiences.

use crate::domain::lifecycle::{Audience, Observed, Posted, Record, Target};
use crate::domain::recipients::Address;

/// The people and channels that can get a card of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audiences<'a> {
    /// Those that rules, the routing table or the request name.
    pub reviewers: &'a [Address],
    /// Further ones, once the request is escalated.
    pub escalation: &'a [Address],
    /// The requester, if the requester is notified and has a known address.
    pub requester: Option<&'a Address>,
    /// Requesters are notified.
    pub notifies_requester: bool,
    /// The recorded delegates of recipients who are out of office are notified.
    pub notifies_delegates: bool,
}

/// Returns the targets of a request. The requester is never asked to review it. Without a reviewer, the requester is not
/// notified either; the message for the decision is for requesters who had a card.
pub fn targets(audiences: Audiences<'_>, observed: &Observed, record: Option<&Record>) -> Vec<Target> {
    let Observed::Request(request) = observed else {
        return Vec::new();
    };
    let is_other = |address: &&Address| !address.is_user_name(&request.user);
    let reviewers = audiences.reviewers.iter().filter(is_other);
    let mut targets: Vec<Target> = reviewers.cloned().map(Target::reviewer).collect();
    let known = record.map(|record| record.cards.as_slice()).unwrap_or_default();
    if audiences.notifies_delegates {
        targets.extend(delegates(record, &targets, is_other));
    }
    let is_further = |address: &&Address| {
        let is_asked = |target: &Target| target.audience == Audience::Reviewers && target.address == **address;
        !targets.iter().any(is_asked) && !known.iter().filter_map(Posted::target).any(|target| is_asked(&target))
    };
    let escalation = audiences.escalation.iter().filter(is_other).filter(is_further);
    let escalation: Vec<_> = escalation
        .map(|address| Target::new(Audience::Escalation, address.clone()))
        .collect();
    targets.extend(escalation);
    if !audiences.notifies_requester {
        return targets;
    }
    let has_card = |card: &&Posted| card.recipient.audience == Audience::Requester;
    let carded = known
        .iter()
        .find(has_card)
        .and_then(Posted::target)
        .map(|target| target.address);
    let requester = carded.or_else(|| audiences.requester.cloned());
    if let Some(requester) = requester {
        if !targets.is_empty() {
            targets.push(Target::new(Audience::Requester, requester.clone()));
        }
        if request.stage.is_resolved() && record.is_some() {
            targets.push(Target::new(Audience::Decision, requester));
        }
    }
    targets
}

/// Returns the targets of the recorded delegates that are no recipients for another reason.
fn delegates(record: Option<&Record>, targets: &[Target], is_other: impl Fn(&&Address) -> bool) -> Vec<Target> {
    let Some(record) = record else {
        return Vec::new();
    };
    let addresses = record.delegates.iter();
    let addresses = addresses.filter_map(|delegate| Address::parse(&delegate.recipient).ok());
    let is_escalated = |address: &Address| {
        let mut cards = record.cards.iter().filter_map(Posted::target);
        cards.any(|card| card.audience == Audience::Escalation && card.address == *address)
    };
    let is_new = |address: &Address| {
        is_other(&address) && !targets.iter().any(|target| target.address == *address) && !is_escalated(address)
    };
    addresses.filter(is_new).map(Target::reviewer).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::lifecycle::{Outcome, Recipient, Shown};
    use crate::domain::recipients::Delegate;
    use crate::domain::request::{AccessRequest, RequestId, Stage};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// Lists the targets of a request of `bob@x.y`, each as its audience and address.
    fn listed(audiences: Audiences<'_>, stage: Stage, record: Option<&Record>) -> Vec<String> {
        let request = AccessRequest {
            stage,
            ..AccessRequest::new(RequestId::new("1"), "bob@x.y")
        };
        let targets = targets(audiences, &Observed::Request(request.into()), record);
        let line = |target: &Target| format!("{} {}", target.audience.as_str(), target.address.as_str());
        targets.iter().map(line).collect()
    }

    fn record_with(audience: Audience, name: &str) -> Record {
        let mut record = Record::default();
        let posted = Outcome::Posted {
            recipient: Recipient {
                audience,
                name: name.to_owned(),
            },
            activity: "1".to_owned(),
            conversation: "c".to_owned(),
            replacement: false,
            digest: false,
            shown: Shown::new(Stage::Pending, 0),
        };
        record.note(posted, Timestamp::UNIX_EPOCH);
        record
    }

    #[test]
    fn the_requester_is_never_a_reviewer_and_no_recipient_is_asked_twice() {
        let (alice, bob, carol) = (address("alice@x.y"), address("BOB@x.y"), address("carol@x.y"));
        let audiences = Audiences {
            reviewers: &[alice.clone(), bob.clone()],
            escalation: &[bob.clone(), alice.clone(), carol.clone()],
            requester: Some(&bob),
            notifies_requester: true,
            notifies_delegates: true,
        };
        let expected = ["reviewers alice@x.y", "escalation carol@x.y", "requester BOB@x.y"];
        assert_eq!(listed(audiences, Stage::Pending, None), expected);
        let record = record_with(Audience::Reviewers, "carol@x.y");
        let expected = ["reviewers alice@x.y", "requester BOB@x.y"];
        assert_eq!(listed(audiences, Stage::Pending, Some(&record)), expected);
    }

    #[test]
    fn the_decision_goes_to_a_requester_who_was_notified() {
        let on = Audiences {
            notifies_requester: true,
            ..Audiences::default()
        };
        let none: [&str; 0] = [];
        assert_eq!(listed(on, Stage::Approved, None), none, "first seen resolved");
        let record = record_with(Audience::Reviewers, "alice@x.y");
        assert_eq!(listed(on, Stage::Approved, Some(&record)), none, "never notified");
        let record = record_with(Audience::Requester, "bob@x.y");
        assert_eq!(listed(on, Stage::Approved, Some(&record)), ["decision bob@x.y"]);
        assert_eq!(listed(on, Stage::Pending, Some(&record)), none);
        assert_eq!(
            listed(Audiences::default(), Stage::Denied, Some(&record)),
            none,
            "turned off"
        );
    }

    #[test]
    fn recorded_delegates_are_reviewers_while_this_is_turned_on() {
        let alice = address("alice@x.y");
        let mut record = record_with(Audience::Escalation, "carol@x.y");
        let delegate = |recipient: &str, absent: &str| Delegate {
            recipient: recipient.to_owned(),
            absent: absent.to_owned(),
            name: String::new(),
        };
        record.add_delegates(&[
            delegate("eve@x.y", "alice@x.y"),
            delegate("dan@x.y", "alice@x.y"),
            delegate("BOB@x.y", "a@x.y"),
            delegate("carol@x.y", "b@x.y"),
            delegate("Alice@x.y", "c@x.y"),
        ]);
        let on = Audiences {
            reviewers: std::slice::from_ref(&alice),
            notifies_delegates: true,
            ..Audiences::default()
        };
        let expected = ["reviewers alice@x.y", "reviewers eve@x.y"];
        assert_eq!(listed(on, Stage::Pending, Some(&record)), expected);
        let off = Audiences {
            notifies_delegates: false,
            ..on
        };
        assert_eq!(listed(off, Stage::Pending, Some(&record)), ["reviewers alice@x.y"]);
    }

    #[test]
    fn without_a_reviewer_the_requester_gets_no_card() {
        let bob = address("bob@x.y");
        let audiences = Audiences {
            requester: Some(&bob),
            notifies_requester: true,
            ..Audiences::default()
        };
        assert!(listed(audiences, Stage::Pending, None).is_empty());
    }
}
