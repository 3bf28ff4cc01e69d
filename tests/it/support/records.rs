//! Checks at the end of each story that the records name exactly the cards that exist.

use std::mem::discriminant;
use std::sync::Mutex;

use teleport_msteams::domain::lifecycle::{Posted, Record};

use crate::support::sight::{newest, rows, word};
use crate::support::town::Town;
use crate::world::tenant::Card;

/// The differences that a test expects, and their reason.
#[derive(Default)]
pub(crate) struct Differences(Mutex<Vec<(Left, &'static str)>>);

/// How records and cards differ at the end, where they may not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// So many cards are in no record.
    Unrecorded(usize),
    /// The number of recorded cards that do not exist, or no longer exist.
    Missing(usize),
    /// The number of cards whose recorded state differs from what they show.
    Stale(usize),
}

/// A shared card, and the requests whose records name it.
struct Shared {
    card: Card,
    members: Vec<String>,
}

impl Shared {
    fn new(card: Card) -> Self {
        Self {
            card,
            members: Vec::new(),
        }
    }

    /// Fails unless the card shows exactly these requests.
    fn check(&self) {
        let (rows, members) = (rows(&self.card), &self.members);
        let is_shown = |id: &String| rows.iter().any(|row| row.is_of(id));
        assert!(
            rows.len() == members.len() && members.iter().all(is_shown),
            "the card shows {rows:#?}, and the records of {members:?} name it"
        );
    }
}

impl Town {
    /// Expects this difference between records and cards at the end, for this reason.
    pub(crate) fn leaves(&self, left: Left, why: &'static str) {
        self.differences.0.lock().unwrap().push((left, why));
    }

    /// Fails unless the records name exactly the cards that exist, and what they show.
    pub(super) fn check_records(&self) {
        let mut unrecorded: Vec<Card> = self.tenant.cards().into_iter().map(|(_, card)| card).collect();
        unrecorded.retain(|card| !card.deleted);
        let (mut missing, mut stale, mut shared) = (Vec::new(), Vec::new(), Vec::<Shared>::new());
        for (id, record) in self.records() {
            // A card whose id Microsoft did not return is in the record, and cannot be found by it.
            for posted in record.cards.iter().filter(|posted| !posted.activity.is_empty()) {
                let what = format!("{} of {} for {id}", posted.activity, posted.recipient.name);
                let Some(card) = self.card_of(posted) else {
                    missing.push(what);
                    continue;
                };
                let same = |other: &Card| (&other.id, &other.conversation) == (&card.id, &card.conversation);
                let place = unrecorded.iter().position(same);
                let mut shown = word(newest(&card));
                if posted.digest {
                    let row = rows(&card).into_iter().find(|row| row.is_of(&id));
                    shown = row.map(|row| row.word).unwrap_or_default();
                    shared.extend(place.map(|place| Shared::new(unrecorded.swap_remove(place))));
                    let shared = shared.iter_mut().find(|shared| same(&shared.card));
                    let shared = shared.unwrap_or_else(|| panic!("no shared card: {what}"));
                    shared.members.push(id.clone());
                } else {
                    let place = place.unwrap_or_else(|| panic!("two entries of records name one card: {what}"));
                    unrecorded.swap_remove(place);
                }
                assert!(
                    newest(&card).to_string().contains(&id),
                    "a card of another request: {what}"
                );
                let said = record.shown(posted).stage.to_string();
                if said != shown {
                    stale.push(format!("{what} shows {shown}, recorded as {said}"));
                }
            }
        }
        shared.iter().for_each(Shared::check);
        let names: Vec<_> = unrecorded
            .iter()
            .map(|card| format!("{} in {}", card.id, card.conversation))
            .collect();
        self.check_left(&names, Left::Unrecorded);
        self.check_left(&missing, Left::Missing);
        self.check_left(&stale, Left::Stale);
    }

    fn check_left(&self, found: &[String], left: fn(usize) -> Left) {
        let found_left = left(found.len());
        let allowed = self.differences.0.lock().unwrap();
        let is_it = |(allowed, _): &&(Left, _)| discriminant(allowed) == discriminant(&found_left);
        match allowed.iter().find(is_it) {
            Some((allowed, why)) => assert_eq!(found_left, *allowed, "{why}: {found:#?}"),
            None => assert!(found.is_empty(), "{found_left:?}: {found:#?}"),
        }
    }

    /// Finds the card of an entry in the chat of its recipient.
    fn card_of(&self, posted: &Posted) -> Option<Card> {
        let name = &posted.recipient.name;
        let is_named_channel = name.contains('/') && !name.contains("://") && !name.contains('@');
        let cards = if is_named_channel {
            // The name may lead elsewhere by now.
            self.tenant.cards().into_iter().map(|(_, card)| card).collect()
        } else {
            self.chat(name)
        };
        let cards = cards.into_iter();
        let is_it = |card: &Card| {
            let conversation = posted.conversation.as_ref();
            card.id == posted.activity
                && conversation.is_none_or(|known| self.tenant.canonical(known) == card.conversation)
        };
        cards.filter(|card| !card.deleted).find(is_it)
    }

    /// Decodes every record in the cluster, by the id of its request.
    fn records(&self) -> Vec<(String, Record)> {
        let state = self.cluster.state();
        let records = state.plugin_data.iter().filter_map(|(id, plugins)| {
            let record = Record::decode(plugins.get("msteams")?)?;
            assert!(record.unreadable.is_empty(), "{id}: {:?}", record.unreadable);
            Some((id.clone(), record))
        });
        records.collect()
    }
}
