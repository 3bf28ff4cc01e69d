//! The current keys of the Bot connector, fetched in the background.
//!
//! Architecture Invariant: only the loop in [`KeyCache::keep`] fetches, so one fetch runs at a time. Looking up a known
//! key waits for nothing. A failed fetch changes nothing, and without keys no token is accepted.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{error, fmt};

use http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::heartbeat::Heartbeat;
use crate::msteams::inbound::keys::{Key, KeySet, Unusable};
use crate::msteams::inbound::refusal::Refusal;
use crate::msteams::inbound::schedule::Schedule;
use crate::msteams::inbound::token::{Audience, Bearer, Verified};

/// Keeps the keys up to date.
pub struct KeyCache {
    state: Mutex<State>,
    /// Wakes the loop when the schedule has changed.
    changed: Notify,
    /// Counts the fetches that have ended.
    fetches: watch::Sender<u64>,
}

struct State {
    schedule: Schedule,
    held: Option<Held>,
}

struct Held {
    keys: KeySet,
    fetched: Instant,
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoKey {
    /// Microsoft does not publish a key with this ID.
    Unknown,
    /// Microsoft publishes the key, but not for requests from Teams.
    Unusable(Unusable),
    /// Microsoft's keys are not known yet, so the token can be neither accepted nor refused.
    Unavailable,
}

/// How long a request waits for a fetch. Teams expects an answer within five seconds.
const PATIENCE: Duration = Duration::from_secs(1);

impl KeyCache {
    /// Creates a cache without keys. [`Self::keep`] fetches them. Unknown keys cause one fetch in `unknown_key_every`.
    pub fn new(unknown_key_every: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                schedule: Schedule::new(Instant::now(), unknown_key_every),
                held: None,
            }),
            changed: Notify::new(),
            fetches: watch::Sender::new(0),
        }
    }

    /// Verifies that a request comes from Teams and is meant for us, by its headers alone.
    ///
    /// # Errors
    /// Why the request is refused.
    pub async fn verify(&self, headers: &HeaderMap, audience: &Audience, now: Timestamp) -> Result<Verified, Refusal> {
        let bearer = Bearer::from_headers(headers)?;
        let key = self.find(bearer.kid()).await?;
        Ok(bearer.verify(&key, audience, now)?)
    }

    /// Finds the key with which a token claims to be signed. If it is unknown, and the keys were not fetched recently, it
    /// waits for a fetch.
    ///
    /// # Errors
    /// Why the token cannot be verified.
    pub async fn find(&self, kid: &str) -> Result<Arc<Key>, NoKey> {
        let mut fetches = {
            let mut state = self.lock();
            let found = state.find(kid);
            if found != Err(NoKey::Unknown) || !state.schedule.request(Instant::now()) {
                return found;
            }
            // Under the lock, so that the end of the fetch is not missed.
            self.fetches.subscribe()
        };
        self.changed.notify_one();
        // The sender lives as long as `self`.
        match timeout(PATIENCE, fetches.changed()).await {
            Ok(_) => self.lock().find(kid),
            Err(_) => Err(NoKey::Unavailable),
        }
    }

    /// Fetches the keys when they are due, until shutdown. `fetch` has to end within a limited time, and to report its
    /// failures.
    pub async fn keep<F, E>(&self, heartbeat: &Heartbeat, fetch: impl Fn() -> F) -> Infallible
    where
        F: Future<Output = Result<KeySet, E>>,
    {
        loop {
            let due = self.lock().schedule.due();
            let wait = async {
                tokio::select! {
                    () = sleep_until(due) => true,
                    () = self.changed.notified() => false,
                }
            };
            if heartbeat.while_waiting(wait).await {
                self.lock().schedule.started();
                let outcome = heartbeat.while_waiting(fetch()).await;
                self.settle(outcome);
            }
        }
    }

    /// Returns how long ago the keys were fetched; `None` if they never were.
    pub fn age(&self) -> Option<Duration> {
        self.lock().held.as_ref().map(|held| held.fetched.elapsed())
    }

    fn settle<E>(&self, outcome: Result<KeySet, E>) {
        let now = Instant::now();
        let mut state = self.lock();
        state.schedule.ended(outcome.is_ok(), now);
        // The fetch has reported a failure.
        if let Ok(keys) = outcome {
            state.held = Some(Held { keys, fetched: now });
        }
        self.fetches.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, kid: &str) -> Result<Arc<Key>, NoKey> {
        let held = self.held.as_ref().ok_or(NoKey::Unavailable)?;
        match held.keys.find(kid) {
            Some(key) => key.map_err(NoKey::Unusable),
            None => Err(NoKey::Unknown),
        }
    }
}

impl NoKey {
    /// Returns the HTTP status of the answer, whose body is empty.
    pub fn status(self) -> u16 {
        match self {
            Self::Unknown | Self::Unusable(_) => 401,
            Self::Unavailable => 503,
        }
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Microsoft does not publish the key of the token"),
            Self::Unusable(reason) => reason.fmt(f),
            Self::Unavailable => f.write_str("the keys of Microsoft are not available"),
        }
    }
}

impl error::Error for NoKey {}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use futures_util::future::join_all;
    use serde_json::{Value, json};
    use tokio::time::sleep;

    use super::*;
    use crate::msteams::inbound::keys::InvalidKeys;

    /// What Microsoft publishes, and how often it was fetched.
    struct Published {
        keys: RefCell<Result<Vec<Value>, InvalidKeys>>,
        fetches: Cell<usize>,
    }

    /// How long a fetch takes.
    const FETCH: Duration = Duration::from_millis(200);
    const MINUTE: Duration = Duration::from_mins(1);

    fn entry(kid: &str, channel: &str) -> Value {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        json!({"kty": "RSA", "kid": kid, "n": n, "e": "AQAB", "endorsements": [channel]})
    }

    impl Published {
        fn new(keys: &[&str]) -> Self {
            let published = Self {
                keys: RefCell::new(Err(InvalidKeys::Malformed)),
                fetches: Cell::new(0),
            };
            published.set(keys);
            published
        }

        fn set(&self, keys: &[&str]) {
            *self.keys.borrow_mut() = Ok(keys.iter().map(|kid| entry(kid, "msteams")).collect());
        }

        fn fail(&self) {
            *self.keys.borrow_mut() = Err(InvalidKeys::Malformed);
        }

        async fn fetch(&self) -> Result<KeySet, InvalidKeys> {
            self.fetches.set(self.fetches.get() + 1);
            sleep(FETCH).await;
            let entries = self.keys.borrow().clone()?;
            KeySet::parse(json!({"keys": entries}).to_string().as_bytes())
        }
    }

    /// Runs the loop beside `story`, and returns the number of fetches.
    async fn beside(published: &Published, story: impl AsyncFnOnce(&KeyCache)) -> usize {
        let cache = KeyCache::new(5 * MINUTE);
        let heartbeat = Heartbeat::new("keys", MINUTE);
        tokio::select! {
            never = cache.keep(&heartbeat, || published.fetch()) => match never {},
            () = story(&cache) => {}
        }
        published.fetches.get()
    }

    async fn found(cache: &KeyCache, kid: &str) -> Option<NoKey> {
        cache.find(kid).await.err()
    }

    #[tokio::test(start_paused = true)]
    async fn without_keys_no_token_can_be_verified_and_the_fetch_is_retried() {
        let published = Published::new(&["a"]);
        published.fail();
        let fetches = beside(&published, async |cache| {
            assert_eq!((found(cache, "a").await, cache.age()), (Some(NoKey::Unavailable), None));
            sleep(10 * MINUTE).await;
            let before = published.fetches.get();
            for _ in 0..50 {
                assert_eq!(found(cache, "a").await, Some(NoKey::Unavailable));
            }
            assert_eq!(published.fetches.get(), before);
            published.set(&["a"]);
            sleep(3 * MINUTE).await;
            assert_eq!(found(cache, "a").await, None);
        });
        let fetches = fetches.await;
        assert!((8..20).contains(&fetches), "{fetches}");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_refreshed_daily_and_survive_an_outage() {
        let published = Published::new(&["a"]);
        let fetches = beside(&published, async |cache| {
            sleep(MINUTE).await;
            published.fail();
            sleep(Duration::from_hours(23)).await;
            assert_eq!(published.fetches.get(), 1);
            sleep(Duration::from_hours(48)).await;
            assert!(published.fetches.get() > 1_000);
            assert_eq!(found(cache, "a").await, None);
            assert!(cache.age().unwrap() > Duration::from_hours(70));
            published.set(&["b"]);
            // Longer than the longest pause between two attempts with its jitter.
            sleep(10 * MINUTE).await;
            assert!(cache.age().unwrap() < 11 * MINUTE);
            assert_eq!(found(cache, "a").await, Some(NoKey::Unknown));
            assert_eq!(found(cache, "b").await, None);
        });
        fetches.await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_keys_causes_one_fetch_in_five_minutes() {
        let published = Published::new(&["a"]);
        let fetches = beside(&published, async |cache| {
            sleep(MINUTE).await;
            assert_eq!(found(cache, "b").await, Some(NoKey::Unknown));
            assert_eq!(published.fetches.get(), 1);
            sleep(5 * MINUTE).await;
            published.set(&["a", "unknown 7"]);
            let kids: Vec<_> = (0..50).map(|number| format!("unknown {number}")).collect();
            let outcomes = join_all(kids.iter().map(|kid| found(cache, kid))).await;
            for (number, outcome) in outcomes.into_iter().enumerate() {
                let expected = if number == 7 { None } else { Some(NoKey::Unknown) };
                assert_eq!(outcome, expected, "{number}");
            }
            assert_eq!(found(cache, "b").await, Some(NoKey::Unknown));
        });
        assert_eq!(fetches.await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_is_refused_when_the_fetch_fails() {
        let published = Published::new(&["a"]);
        let fetches = beside(&published, async |cache| {
            sleep(6 * MINUTE).await;
            published.fail();
            assert_eq!(found(cache, "b").await, Some(NoKey::Unknown));
            assert_eq!(found(cache, "b").await, Some(NoKey::Unknown));
            assert_eq!(found(cache, "a").await, None);
        });
        assert_eq!(fetches.await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_does_not_wait_for_a_slow_fetch() {
        let cache = KeyCache::new(5 * MINUTE);
        cache.settle(Published::new(&["a"]).fetch().await);
        sleep(6 * MINUTE).await;
        let asked = Instant::now();
        let heartbeat = Heartbeat::new("keys", MINUTE);
        let slow = || async {
            sleep(MINUTE).await;
            Err("late")
        };
        tokio::select! {
            never = cache.keep(&heartbeat, slow) => match never {},
            outcome = found(&cache, "b") => assert_eq!(outcome, Some(NoKey::Unavailable)),
        }
        assert_eq!(asked.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn endorsements_change_with_the_next_refresh() {
        let published = Published::new(&["a", "b"]);
        beside(&published, async |cache| {
            sleep(MINUTE).await;
            *published.keys.borrow_mut() = Ok(vec![entry("a", "webchat"), entry("b", "msteams")]);
            assert_eq!(found(cache, "a").await, None);
            sleep(Duration::from_hours(24)).await;
            let foreign = NoKey::Unusable(Unusable::NotEndorsed);
            assert_eq!((found(cache, "a").await, foreign.status()), (Some(foreign), 401));
        })
        .await;
    }
}
