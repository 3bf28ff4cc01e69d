//! Which replica may tell people now.

use std::fmt;

/// The mark that a replica leaves in the plugin data while it tells people, and the one it leaves when it is done.
///
/// Every mark is new: `beat` counts the writes of its owner, so an unchanged mark means that nobody has written since.
/// Whether a mark is stale is judged by how long a reader has seen it unchanged on its own clock, never by a time of day:
/// the clocks of two replicas need not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub held: bool,
    /// The replica that wrote the mark; a name that no other process has.
    pub owner: String,
    pub beat: u64,
}

impl Claim {
    /// Reads what `Display` writes; anything else is a mark of another version, and counts as held by somebody.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let (state, owner, beat) = (words.next(), words.next(), words.next());
        Self {
            held: state != Some("done"),
            owner: owner.unwrap_or_default().to_owned(),
            beat: beat.and_then(|beat| beat.parse().ok()).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.held { "held" } else { "done" };
        write!(f, "{state} {} {}", self.owner, self.beat)
    }
}
