//! People who approve and deny in Teams, and the check that each press is one review at most.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use world::cluster::{Cluster, State};
use world::tenant::{Answer, Inbound, NoAnswer, Tenant, User};

/// The Teleport user of the daemons.
pub(crate) const PLUGIN: &str = "chaos";

/// Ports that the system gives to no outgoing connection, so that a restarted daemon finds its port free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What became of a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// The person saw the card with their review.
    Reviewed,
    /// The person saw a sentence.
    Answered,
    /// The daemon had no keys yet.
    Unavailable,
    /// The daemon was down.
    Lost,
}

/// One press of a button.
#[derive(Clone, Debug)]
struct Press {
    request: String,
    person: String,
    state: State,
    /// `None` while Teams waits for the answer.
    fate: Option<Fate>,
}

/// The presses of a run; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Presses(Arc<Mutex<Vec<Press>>>);

/// Returns a free port.
pub(crate) fn free_port(rng: &mut Rng) -> u16 {
    loop {
        let port = rng.u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Presses {
    /// Lets a person press a button of a card, if the card has buttons. Some presses are delivered twice.
    pub(crate) fn press(&self, tenant: &Tenant, rng: &mut Rng, user: &User, request: &str, endpoints: &[String]) {
        let cards = tenant.chat_of(user.mail.as_deref().unwrap_or_default());
        let text = |history: &Vec<serde_json::Value>| history.first().map(ToString::to_string).unwrap_or_default();
        let Some(card) = cards.iter().find(|card| text(&card.history).contains(request)) else {
            return;
        };
        let (button, state) = if rng.u32(..4) == 0 {
            ("deny", State::Denied)
        } else {
            ("approve", State::Approved)
        };
        let inputs: &[(&str, &str)] = if rng.bool() { &[("reason", "on call")] } else { &[] };
        let Some(press) = tenant.try_press(user, card, button, inputs) else {
            return;
        };
        let mut endpoint = || endpoints[rng.usize(..endpoints.len())].clone();
        let (first, second) = (press.clone().to(&endpoint()), press.to(&endpoint()));
        let repeats = (rng.u32(..3) == 0).then(|| Duration::from_millis(rng.u64(..2_000)));
        self.send(user, request, state, first, Duration::ZERO);
        if let Some(after) = repeats {
            self.send(user, request, state, second, after);
        }
    }

    fn send(&self, user: &User, request: &str, state: State, inbound: Inbound, after: Duration) {
        let place = {
            let mut presses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            presses.push(Press {
                request: request.to_owned(),
                person: user.upn.clone(),
                state,
                fate: None,
            });
            presses.len() - 1
        };
        let presses = self.clone();
        world::spawn(async move {
            sleep(after).await;
            let fate = fate(inbound.send().await);
            presses.0.lock().unwrap_or_else(PoisonError::into_inner)[place].fate = Some(fate);
        });
    }

    /// Returns whether every press was answered or given up.
    pub(crate) fn are_over(&self) -> bool {
        self.all().iter().all(|press| press.fate.is_some())
    }

    /// Counts the presses by what became of them.
    pub(crate) fn fates(&self) -> BTreeMap<Option<Fate>, usize> {
        let mut fates = BTreeMap::new();
        for press in self.all() {
            *fates.entry(press.fate).or_default() += 1;
        }
        fates
    }

    /// Compares the reviews of a request with the presses, and returns what is wrong.
    pub(crate) fn check(&self, cluster: &Cluster, request: &str) -> Vec<String> {
        let reviews = cluster.reviews(request);
        let presses: Vec<_> = self
            .all()
            .into_iter()
            .filter(|press| press.request == request)
            .collect();
        let mut wrong = Vec::new();
        let by_press = reviews.iter().filter(|review| review.submitted_by == PLUGIN);
        for review in by_press {
            let author = &review.author;
            if reviews.iter().filter(|other| other.author == *author).count() > 1 {
                wrong.push(format!("{author} has two reviews"));
            }
            let is_it = |press: &&Press| press.person == *author && press.state == review.proposed_state();
            if !presses.iter().any(|press| is_it(&press)) {
                wrong.push(format!("{author} has a review without a press"));
            }
        }
        // The reviews of a deleted request are gone.
        if cluster.request(request).is_some() {
            for press in presses.iter().filter(|press| press.fate == Some(Fate::Reviewed)) {
                let is_it = |review: &world::types::AccessReview| {
                    review.author == press.person && review.proposed_state() == press.state
                };
                if !reviews.iter().any(is_it) {
                    wrong.push(format!("{} saw a review that does not exist", press.person));
                }
            }
        }
        wrong
    }

    fn all(&self) -> Vec<Press> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn fate(answer: Result<Answer, NoAnswer>) -> Fate {
    match answer {
        Err(_) => Fate::Lost,
        Ok(answer) if answer.status == 503 => Fate::Unavailable,
        Ok(answer) if answer.card().is_some() => Fate::Reviewed,
        Ok(_) => Fate::Answered,
    }
}
