//! A state of the model. Values of the program are numbers into the pools of `pure`.

use std::ops::Sub;
use std::time::Duration;

use teleport_msteams::domain::lifecycle::{Aim, Shown};

use crate::model::pool::Id;
use crate::model::pure::MOST;

/// The duration of a claim. The model does not depend on its value.
pub(super) const TERM: Duration = Duration::from_secs(20);

/// A time, reduced to what matters: now, or at least a term ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    LongAgo,
    Now,
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        match (self, earlier) {
            (Self::Now, Self::LongAgo) => TERM,
            _ => Duration::ZERO,
        }
    }
}

/// What a replica received about the request: a version of its history, or its end with the version seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seen {
    /// The second part says that the request has been pending long enough for an escalation.
    Version(u8, bool),
    Gone(Option<u8>),
}

/// How many faults may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    pub(super) crashes: u8,
    /// Writes whose answer does not come; they take effect later, or never.
    pub(super) lost_writes: u8,
    /// Posts that Microsoft accepts and whose answer does not come.
    pub(super) lost_posts: u8,
    /// Terms that pass while a living replica could not renew its claim.
    pub(super) partitions: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The version of the request that Teleport has; the length of the history means that it is deleted.
    pub(super) version: u8,
    /// The newest version that a dead replica had received.
    pub(super) last_received: u8,
    /// The plugin data.
    pub(super) store: Option<Id>,
    pub(super) replicas: [Replica; 2],
    /// What the cards of each recipient show, in the order of posting.
    pub(super) cards: [Vec<Shown>; MOST],
    /// The number of duplicate cards that faults explain, for each recipient.
    pub(super) excused: [u8; MOST],
    /// A fault fell between an update of one of their cards and its record, so that the next replica does not know it,
    /// or it may still take effect.
    pub(super) blind: [bool; MOST],
    /// A write whose sender stopped waiting for it.
    pub(super) late: Option<Id>,
    pub(super) left: Faults,
}

#[expect(clippy::struct_excessive_bools, reason = "each can hold together with any other")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    /// The number of restarts: each process has its own name.
    pub(super) life: u8,
    pub(super) alive: bool,
    pub(super) heard: Option<u8>,
    pub(super) newest: Option<Seen>,
    pub(super) last: Option<u8>,
    /// The replica knows that the request is due for escalation.
    pub(super) escalated: bool,
    pub(super) stored: Id,
    pub(super) looked: bool,
    /// Another replica's mark, and whether it has been seen for a term.
    pub(super) foreign: Option<(Id, Moment)>,
    /// The replica received something newer than what the job works on.
    pub(super) stop: bool,
    pub(super) job: Job,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Job {
    Idle,
    /// Waits until another replica's mark is stale.
    Paused(Seen, Moment),
    Claiming {
        seen: Seen,
        plan: Id,
        write: Id,
        begun: Moment,
    },
    Delivering(Round),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Round {
    pub(super) seen: Seen,
    /// The program's own run.
    pub(super) run: Id,
    /// The deliveries in flight.
    pub(super) flights: Vec<Flight>,
    /// Accepted by Microsoft and in no entry yet, and in the entry that is being written.
    pub(super) answered: Vec<Answer>,
    pub(super) entered: Vec<Answer>,
    /// A delivery has to be retried after this run.
    pub(super) again: bool,
    /// The claim was renewed without anything to record; once is enough for a reader to notice.
    pub(super) renewed: bool,
    pub(super) writing: Option<Writing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) task: Task,
    pub(super) shown: Shown,
}

/// What a plan requires.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Planned {
    /// `known` says that the plan knows what cards should show.
    Nothing {
        known: bool,
    },
    Work(Aim),
}

/// A delivery, by the number of the recipient and of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    Post(usize),
    Update(usize, u8),
}

/// A delivery that Microsoft accepted, by the number of the recipient; a post became the card with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Posted(usize, u8),
    Updated(usize),
}

/// The write on its way, and the moment before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Writing {
    pub(super) write: Id,
    pub(super) begun: Moment,
}

impl Replica {
    pub(super) fn new(life: u8) -> Self {
        Self {
            life,
            alive: true,
            heard: None,
            newest: None,
            last: None,
            escalated: false,
            stored: 0,
            looked: false,
            foreign: None,
            stop: false,
            job: Job::Idle,
        }
    }
}
