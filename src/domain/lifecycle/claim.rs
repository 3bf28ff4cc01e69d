//! Which replica may tell people now.

use std::fmt;
use std::ops::Sub;
use std::time::Duration;

use crate::domain::lifecycle::Record;

/// The mark that a replica leaves in the plugin data while it tells people, and the one it leaves when it is done.
///
/// Every mark is new: `beat` counts the writes of its owner, so an unchanged mark means that nobody has written since.
/// Whether a mark is stale is judged by how long a reader has seen it unchanged on its own clock, never by a time of day:
/// the clocks of two replicas need not agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub held: bool,
    /// The replica that wrote the mark; a name that no other process has.
    pub owner: String,
    pub beat: u64,
    /// A mark of another replica that had to note something on the owner's record, so that the owner looks before it
    /// writes over that.
    pub witness: Option<String>,
}

/// How long a claim is known to hold; posts are begun only while it does. Moments are those of the holder's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease<T> {
    /// The moment before the last write that Teleport accepted; nothing once somebody else took the claim over.
    since: Option<T>,
}

/// Somebody else's mark, and since when a reader has seen it unchanged on its own clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OthersClaim<T> {
    seen: Option<(String, T)>,
}

impl Claim {
    /// Reads what `Display` writes; anything else is a mark of another version, and counts as held by somebody.
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

    /// Returns the mark that `me` has to respect before it tells anybody, if there is one.
    pub fn of_others(record: &Record, me: &str) -> Option<String> {
        match &record.claim {
            Some(claim) if claim.held && claim.owner != me => Some(claim.to_string()),
            // The Go plugin leaves no mark; data without a message may mean that it is posting right now.
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
    /// Begins with a write that Teleport accepted; `since` is a moment before it was sent.
    pub fn new(since: T) -> Self {
        Self { since: Some(since) }
    }

    /// Goes on with another such write. A claim that was taken over stays lost, even if what we did could be noted
    /// since: what is left of our plan may have been done by others, or they are at it.
    pub fn renew(&mut self, since: T) {
        if self.since.is_some() {
            self.since = Some(since);
        }
    }

    /// Ends for good, because somebody else took the claim over.
    pub fn lose(&mut self) {
        self.since = None;
    }

    /// Returns how long it holds still, unless it has ended.
    pub fn left(self, now: T, term: Duration) -> Option<Duration> {
        let left = term.checked_sub(now - self.since?)?;
        Some(left).filter(|left| !left.is_zero())
    }
}

impl<T: Copy + Sub<Output = Duration>> OthersClaim<T> {
    pub fn none() -> Self {
        Self { seen: None }
    }

    /// Returns how long the mark must still be respected; zero once it has not changed for `term`. `now` is a moment
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
