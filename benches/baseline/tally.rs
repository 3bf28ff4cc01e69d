//! Counts the cards that recipients see.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use crate::servers::Servers;
use world::reading::{card_of, request_of, word_of};
use world::tenant::Card;

/// Recipients by the state of their cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Exactly one card, which is up to date.
    pub(crate) right: usize,
    /// No card.
    pub(crate) lost: usize,
    /// One card, which is stale.
    pub(crate) stale: usize,
    /// More than one card, of which one is up to date.
    pub(crate) twice: usize,
}

impl Tally {
    pub(crate) fn all(self) -> usize {
        let Self {
            right,
            lost,
            stale,
            twice,
        } = self;
        right + lost + stale + twice
    }

    #[expect(clippy::cast_precision_loss, reason = "an approximate share")]
    pub(crate) fn share(self) -> f64 {
        self.right as f64 / self.all() as f64
    }

    /// Returns whether no card is missing or stale.
    pub(crate) fn is_calm(self) -> bool {
        self.lost + self.stale == 0
    }
}

/// All cards by request and conversation.
pub(crate) struct Cards(HashMap<String, BTreeMap<String, Vec<Card>>>);

impl Cards {
    pub(crate) fn read(servers: &Servers) -> Self {
        let mut cards: HashMap<String, BTreeMap<String, Vec<Card>>> = HashMap::new();
        for (conversation, card) in servers.tenant.cards() {
            let about = card
                .history
                .first()
                .map(|activity| request_of(card_of(activity)))
                .unwrap_or_default();
            let by_conversation = cards.entry(about).or_default();
            by_conversation.entry(conversation).or_default().push(card);
        }
        Self(cards)
    }

    /// Counts the recipients of requests by the state of their cards.
    pub(crate) fn tally(&self, requests: &[String], recipients: usize, truth: &str) -> Tally {
        let mut tally = Tally::default();
        for id in requests {
            let notified: Vec<_> = self.0.get(id).into_iter().flatten().collect();
            tally.lost += recipients.saturating_sub(notified.len());
            for (_, cards) in notified {
                let is_true = |card: &Card| {
                    card.history
                        .last()
                        .is_some_and(|shown| word_of(card_of(shown)) == truth)
                };
                match (cards.iter().any(is_true), cards.len()) {
                    (true, 1) => tally.right += 1,
                    (true, _) => tally.twice += 1,
                    (false, _) => tally.stale += 1,
                }
            }
        }
        tally
    }

    /// Returns when the cards of some requests were posted, in seconds, in order.
    pub(crate) fn times(&self, requests: &[String], begun: SystemTime) -> Vec<f64> {
        let cards = requests.iter().filter_map(|id| self.0.get(id));
        let cards = cards.flat_map(BTreeMap::values).flatten();
        let since = |card: &Card| card.times.first()?.duration_since(begun).ok();
        let mut times: Vec<_> = cards.filter_map(since).map(|time| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        times
    }
}
