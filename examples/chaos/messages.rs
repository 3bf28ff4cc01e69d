//! The messages of a run, by the request and the person.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde_json::Value;

use crate::company::{self, Company};
use world::reading::{Kind, card_of, request_of};
use world::tenant::{Card, Tenant};

/// All messages of a tenant, by request and email address.
pub(crate) struct Messages(HashMap<String, BTreeMap<String, Vec<(Kind, Card)>>>);

impl Messages {
    pub(crate) fn of(tenant: &Tenant, company: &Company) -> Self {
        let mut all = Self(HashMap::new());
        for user in company.everyone() {
            let mail = company::mail_of(user);
            for card in tenant.chat_of(mail) {
                let request = request_of(card.history.first().map_or(&Value::Null, card_of));
                let people = all.0.entry(request).or_default();
                let chat = people.entry(mail.to_owned()).or_default();
                let first = card.history.first().unwrap_or(&Value::Null);
                chat.push((Kind::of(first), card));
            }
        }
        all
    }

    /// Returns the messages of one kind about a request in a person's chat, in order.
    pub(crate) fn about(&self, request: &str, mail: &str, kind: Kind) -> Vec<&Card> {
        let chat = self.0.get(request).and_then(|people| people.get(mail));
        let chat = chat.into_iter().flatten().filter(|(found, _)| *found == kind);
        chat.map(|(_, card)| card).collect()
    }

    /// Returns the messages about a request, each with the email address of the person.
    pub(crate) fn all_about(&self, request: &str) -> impl Iterator<Item = (&str, Kind, &Card)> {
        let people = self.0.get(request).into_iter().flatten();
        people.flat_map(|(mail, chat)| chat.iter().map(|(kind, card)| (mail.as_str(), *kind, card)))
    }
}

pub(crate) fn posted(card: &Card) -> SystemTime {
    card.times.first().copied().unwrap_or(SystemTime::UNIX_EPOCH)
}
