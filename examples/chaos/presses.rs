//! Presses of buttons on cards, and the check that each of them became at most one review.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::company::{self, Company};
use crate::ledger::{Entry, Ledger};
use world::cluster::{Cluster, State};
use world::reading::{Kind, card_of, request_of};
use world::tenant::{Answer, Inbound, NoAnswer, Tenant, User};
use world::types::AccessReview;

/// Who presses.
#[derive(Clone, Copy, Debug)]
enum Person {
    /// One of the recipients.
    Recipient(usize),
    Requester,
    /// A Teleport user without the right to review.
    Barred,
    /// A person without a Teleport user.
    Outsider,
}

/// One press, as the script plans it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Press {
    person: Person,
    approves: bool,
    with_reason: bool,
    /// Which replica gets it. Teams knows one address only; a load balancer chooses.
    replica: usize,
    repeat: Option<Repeat>,
}

/// The second delivery of a press.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    replica: usize,
    new_id: bool,
    after: Duration,
}

impl Press {
    pub(crate) fn any(rng: &mut Rng, replicas: usize) -> Self {
        let person = match rng.u32(..12) {
            0 => Person::Requester,
            1 => Person::Barred,
            2 => Person::Outsider,
            _ => Person::Recipient(rng.usize(..3)),
        };
        let repeats = rng.u32(..3) == 0;
        Self {
            person,
            approves: rng.u32(..3) != 0,
            with_reason: rng.bool(),
            replica: rng.usize(..replicas),
            repeat: repeats.then(|| Repeat {
                replica: rng.usize(..replicas),
                new_id: rng.bool(),
                after: match rng.u32(..3) {
                    0 => Duration::ZERO,
                    1 => Duration::from_millis(rng.u64(..500)),
                    _ => Duration::from_millis(rng.u64(..8_000)),
                },
            }),
        }
    }
}

/// What the person saw after one delivery of a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// A card with the person's review, or a sentence that it was submitted.
    Accepted,
    /// A card without the person's review.
    WrongCard,
    /// The review was not confirmed in time.
    Processing,
    Refused,
    /// An answer other than 200.
    Failed,
    NoAnswer,
}

/// One delivery of a press.
struct Delivered {
    /// The number of the request.
    number: usize,
    /// The Teleport user of the person, or what stands for it.
    author: String,
    state: State,
    reason: String,
    seen: Seen,
}

/// All presses of a run.
#[derive(Default)]
pub(crate) struct Presses {
    pub(crate) made: usize,
    pub(crate) repeated: usize,
    running: JoinSet<Delivered>,
    done: Vec<Delivered>,
}

impl Presses {
    /// Presses a button of a recipient's card, if it has one, and returns what happened.
    pub(crate) fn make(
        &mut self,
        press: Press,
        (number, entry): (usize, &Entry),
        tenant: &Tenant,
        company: &Company,
        addresses: &[String],
    ) -> Option<String> {
        let place = match press.person {
            Person::Recipient(place) => place % entry.recipients.len(),
            _ => 0,
        };
        let mail = &entry.recipients[place];
        // People press on the newest card; the daemon may have resolved it since.
        let card = tenant.chat_of(mail).into_iter().rfind(|card| {
            Kind::of(&card.history[0]) == Kind::Card && request_of(card_of(&card.history[0])) == entry.id
        })?;
        let (user, author): (&User, String) = match press.person {
            Person::Recipient(_) => (company.person(mail)?, company::teleport_user(mail)),
            Person::Requester => (
                &company.requesters[entry.requester],
                company::requester(entry.requester),
            ),
            Person::Barred => (&company.barred, company::BARRED.to_owned()),
            Person::Outsider => (&company.outsider, "outsider".to_owned()),
        };
        let (verb, state) = if press.approves {
            ("approve", State::Approved)
        } else {
            ("deny", State::Denied)
        };
        let reason = press.with_reason.then(|| format!("press {}", self.made));
        let inputs: Vec<_> = reason.iter().map(|reason| ("reason", reason.as_str())).collect();
        let inbound = tenant.try_press(user, &card, verb, &inputs)?;
        let second = press.repeat.map(|repeat| {
            self.repeated += 1;
            let second = inbound.clone().to(&addresses[repeat.replica]);
            let second = if repeat.new_id {
                second.set("id", json!(format!("f:second-{}", self.made)))
            } else {
                second
            };
            (second, repeat.after)
        });
        self.made += 1;
        let reason = reason.unwrap_or_default();
        let what = format!(
            "{author} presses {verb} on card {}, reason {reason:?}, replica {}, repeated: {:?}",
            card.id, press.replica, press.repeat
        );
        let first = (inbound.to(&addresses[press.replica]), Duration::ZERO);
        for (inbound, after) in std::iter::once(first).chain(second) {
            let (author, reason) = (author.clone(), reason.clone());
            self.running
                .spawn(deliver(inbound, after, number, author, state, reason));
        }
        Some(what)
    }

    /// Waits until each press has its answer, or none.
    ///
    /// # Errors
    /// If one of the tasks panicked.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<()> {
        while let Some(delivered) = self.running.join_next().await {
            self.done.push(delivered?);
        }
        Ok(())
    }

    /// Returns the number of deliveries by what the person saw.
    pub(crate) fn outcomes(&self) -> [(&'static str, usize); 6] {
        let count = |seen| self.done.iter().filter(|delivered| delivered.seen == seen).count();
        [
            ("  answered with the review", count(Seen::Accepted)),
            ("  answered with a card without the review", count(Seen::WrongCard)),
            ("  answered that the review is being processed", count(Seen::Processing)),
            ("  refused", count(Seen::Refused)),
            ("  failed", count(Seen::Failed)),
            ("  without an answer", count(Seen::NoAnswer)),
        ]
    }

    /// Compares the presses with the reviews in Teleport, and returns the problems of each request.
    pub(crate) fn check(&self, cluster: &Cluster, ledger: &Ledger) -> BTreeMap<usize, Vec<String>> {
        let mut problems: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (number, entry) in ledger.entries.iter().enumerate() {
            let reviews = entry.reviews(cluster);
            let presses: Vec<_> = self.done.iter().filter(|done| done.number == number).collect();
            let found = compare(&reviews, &presses);
            if !found.is_empty() {
                problems.insert(number, found);
            }
        }
        problems
    }
}

async fn deliver(
    inbound: Inbound,
    after: Duration,
    number: usize,
    author: String,
    state: State,
    reason: String,
) -> Delivered {
    sleep(after).await;
    let answer = inbound.send().await;
    let seen = read(&answer, &author, state);
    Delivered {
        number,
        author,
        state,
        reason,
        seen,
    }
}

fn read(answer: &Result<Answer, NoAnswer>, author: &str, state: State) -> Seen {
    let Ok(answer) = answer else {
        return Seen::NoAnswer;
    };
    if let Some(card) = answer.card() {
        let verdict = if state == State::Approved { "Approved" } else { "Denied" };
        // A card without the review would still name the author among the reviewers, or not at all.
        let shows = card.to_string().contains(&format!("{verdict} by {author}"));
        return if shows { Seen::Accepted } else { Seen::WrongCard };
    }
    match answer.message() {
        Some(text) if text.starts_with("Your ") && text.ends_with(" was submitted.") => Seen::Accepted,
        Some(text) if text.contains("is being processed") => Seen::Processing,
        Some(_) => Seen::Refused,
        None => Seen::Failed,
    }
}

/// Returns what is wrong with the reviews of a request.
fn compare(reviews: &[AccessReview], presses: &[&Delivered]) -> Vec<String> {
    let mut problems = Vec::new();
    for review in reviews {
        let (author, state) = (&review.author, review.proposed_state());
        let same = reviews.iter().filter(|other| other.author == *author).count();
        if same > 1 {
            problems.push(format!("{author} has {same} reviews"));
        }
        let is_from =
            |press: &&Delivered| (&press.author, press.state, &press.reason) == (author, state, &review.reason);
        if !company::SCRIPT_AUTHORS.contains(&author.as_str()) && !presses.iter().copied().any(|press| is_from(&press))
        {
            problems.push(format!("a review by {author} ({state:?}) comes from no press"));
        }
    }
    for press in presses {
        let (author, state) = (&press.author, press.state);
        let is_stored = reviews
            .iter()
            .any(|review| review.author == *author && review.proposed_state() == state);
        if press.seen == Seen::WrongCard {
            problems.push(format!(
                "the answer to {author} is a card without the review ({state:?})"
            ));
        }
        if press.seen == Seen::Accepted && !is_stored {
            problems.push(format!("{author} saw a review ({state:?}) that Teleport does not have"));
        }
    }
    problems
}
