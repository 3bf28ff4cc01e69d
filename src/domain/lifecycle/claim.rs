//! The claim: which replica can deliver cards of a request now.

use std::fmt;
use std::ops::Sub;
use std::time::Duration;

use crate::domain::lifecycle::Record;

/// The mark that a replica writes to the plugin data when it claims a request, and when it releases the claim.
///
/// Every mark is new: `beat` counts the writes of its owner, so an unchanged mark means that no replica has written since.
/// Whether a mark is stale is judged by how long a reader has seen it unchanged on its own clock, never by a time of day:
/// the clocks of two replicas need not agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub held: bool,
    /// The replica that wrote the mark; the name is unique to the process.
    pub owner: String,
    pub beat: u64,
    /// A mark of another replica that wrote an outcome to the owner's record, so that the owner's next compare-and-swap fails
    /// and it reads the record again.
    pub witness: Option<String>,
}

/// The validity of this replica's claim; posts start only while it is valid. Times are those of the holder's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease<T> {
    /// The time before the last accepted write; `None` after another replica has taken the claim over.
    since: Option<T>,
}

/// Another replica's mark, and the time since which the reader has seen it unchanged, on its own clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OthersClaim<T> {
    seen: Option<(String, T)>,
}

impl Claim {
    /// Parses the output of `Display`; anything else is a mark of another version, and counts as held.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let (state, owner, beat) = (words.next(), words.next(), words.next());
        let witness = words.next().map(str::to_owned);
        Self {
            held: state != Some("done"),
            owner: owner.unwrap_or_default().to_owned(),
            beat: beat.and_then(|beat| beat.parse().ok()).unwrap_or_default(),
            witness,
        }
    }

    /// Returns the mark that `me` must respect before it delivers a card, if there is one.
    pub fn of_others(record: &Record, me: &str) -> Option<String> {
        match &record.claim {
            Some(claim) if claim.held && claim.owner != me => Some(claim.to_string()),
            // The Go plugin writes no mark; data without a message may mean that it is posting now.
            None if record.cards.is_empty() => Some(String::new()),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.held { "held" } else { "done" };
        write!(f, "{state} {} {}", self.owner, self.beat)?;
        match &self.witness {
            Some(witness) => write!(f, " {witness}"),
            None => Ok(()),
        }
    }
}

impl<T: Copy + Sub<Output = Duration>> Lease<T> {
    /// Starts with an accepted write; `since` is a time before it was sent.
    pub fn new(since: T) -> Self {
        Self { since: Some(since) }
    }

    /// Renews the claim after another accepted write. A claim that was taken over stays lost even if our outcomes were recorded
    /// since: the other replica may have made, or be making, the remaining deliveries.
    pub fn renew(&mut self, since: T) {
        if self.since.is_some() {
            self.since = Some(since);
        }
    }

    /// Ends the claim, because another replica took it over.
    pub fn lose(&mut self) {
        self.since = None;
    }

    /// Returns the remaining time of the claim, unless it has ended.
    pub fn left(self, now: T, term: Duration) -> Option<Duration> {
        let left = term.checked_sub(now - self.since?)?;
        Some(left).filter(|left| !left.is_zero())
    }
}

impl<T: Copy + Sub<Output = Duration>> OthersClaim<T> {
    pub fn none() -> Self {
        Self { seen: None }
    }

    /// Returns how long the mark must still be respected; zero once it has not changed for `term`. `now` is a time
    /// after it was read.
    pub fn remaining(&mut self, mark: &str, now: T, term: Duration) -> Duration {
        match &self.seen {
            Some((seen, since)) if seen == mark => term.saturating_sub(now - *since),
            Some(_) | None => {
                self.seen = Some((mark.to_owned(), now));
                term
            }
        }
    }
}
