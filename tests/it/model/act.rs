//! The possible actions and their effects: the daemon's steps around the program's decisions.

use crate::model::delivering::{deliver, done, excuse, give_up, recorded, renew, round};
use crate::model::lane::{claimed, escalate, hear, restart, resync, tick, wake};
use crate::model::pure::Pure;
use crate::model::state::{Job, Replica, State, Task};
use crate::model::teleport::{Arrived, arrive};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// The request is deleted.
    Delete,
    /// The plugin data end with the request.
    Vanish,
    /// A term passes.
    Tick,
    /// A replica receives a version, possibly after versions that its lane never saw. The time at which Teleport got
    /// the version has no effect, so it may arrive from the beginning on; the time of a deletion has one.
    Hear(usize, u8),
    /// The wait for another replica's claim ends.
    Wake(usize),
    /// The claim arrives and is answered. If another replica wrote first, the record is read and planned again.
    Claimed(usize),
    /// The next delivery is begun, or is not because it must not be.
    Begin(usize),
    /// A delivery takes effect, and its entry is sent.
    Done(usize, usize),
    /// The claim is renewed without anything to record.
    Renew(usize),
    /// The entry arrives and is answered. If another replica wrote first, its record is merged and sent again.
    Recorded(usize),
    Crash(usize),
    /// A new process lists everything, and finds this version.
    Restart(usize, u8),
    /// A replica knows that the request is due for escalation.
    Escalate(usize),
    /// Everything is listed again.
    Resync(usize),
    /// A write is given up; it may still arrive.
    GiveUp(usize),
    /// A write arrives after its sender stopped waiting for it.
    Late,
    /// A post takes effect, and its answer is lost.
    AnswerLost(usize, usize),
}

impl Action {
    /// Returns whether the action is a fault or its consequence, which need not happen.
    pub(super) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Crash(_) | Self::Restart(..) | Self::GiveUp(_) | Self::Late | Self::AnswerLost(..)
        )
    }
}

pub(super) type Step = Result<State, String>;

/// Returns every next state with the action that leads to it.
pub(super) fn next(pure: &mut Pure, state: &State) -> Vec<(Action, Step)> {
    let mut all = Vec::new();
    let end = u8::try_from(pure.history.len()).unwrap();
    if pure.ends && state.version < end {
        all.push(Action::Delete);
    }
    if state.version == end && state.store.is_some() && pure.vanishes {
        all.push(Action::Vanish);
    }
    all.push(Action::Tick);
    if state.late.is_some() {
        all.push(Action::Late);
    }
    for r in 0..2 {
        of_replica(state, r, &mut all);
    }
    let mut nexts: Vec<_> = all
        .into_iter()
        .filter_map(|action| take(pure, state, action).map(|next| (action, next)))
        .filter(|(_, next)| next.as_ref().ok() != Some(state))
        .collect();
    if nexts.iter().all(|(action, _)| action.is_fault()) {
        for r in 0..2 {
            let next = take(pure, state, Action::Resync(r));
            nexts.extend(next.map(|next| (Action::Resync(r), next)));
        }
    }
    nexts
}

fn of_replica(state: &State, r: usize, all: &mut Vec<Action>) {
    let replica = &state.replicas[r];
    if !replica.alive {
        let heard = state.replicas.iter().filter_map(|replica| replica.heard).max();
        let from = heard.unwrap_or_default().max(state.last_received);
        all.extend((from..=state.version).map(|version| Action::Restart(r, version)));
        return;
    }
    if state.left.crashes > 0 {
        all.push(Action::Crash(r));
    }
    let unheard = replica.heard.map_or(0, |heard| heard + 1);
    // The replicas are identical, so the first one always receives first.
    let first = &state.replicas[0];
    if r == 0 || first.heard.is_some() || first.life > 0 || !first.alive || !replica.alive {
        all.extend((unheard..=state.version).map(|version| Action::Hear(r, version)));
    }
    all.push(Action::Escalate(r));
    match &replica.job {
        Job::Idle => {}
        Job::Paused(..) => all.push(Action::Wake(r)),
        Job::Claiming { .. } => all.extend([Action::Claimed(r), Action::GiveUp(r)]),
        Job::Delivering(round) => {
            all.push(Action::Begin(r));
            for f in 0..round.flights.len() {
                all.extend([Action::Done(r, f), Action::AnswerLost(r, f)]);
            }
            match round.writing {
                None => all.push(Action::Renew(r)),
                Some(_) => all.extend([Action::Recorded(r), Action::GiveUp(r)]),
            }
        }
    }
}

/// Applies the action; `None` if it is not possible in this state.
fn take(pure: &mut Pure, state: &State, action: Action) -> Option<Step> {
    let mut next = state.clone();
    match action {
        Action::Delete => next.version += 1,
        Action::Vanish => next.store = None,
        Action::Tick => tick(pure, &mut next)?,
        Action::Hear(r, version) => hear(pure, &mut next, r, version),
        Action::Wake(r) => wake(pure, &mut next, r)?,
        Action::Claimed(r) => claimed(pure, &mut next, r)?,
        Action::Begin(r) => return Some(deliver(pure, next, r)),
        Action::Done(r, f) => return Some(done(pure, next, r, f, true)),
        Action::AnswerLost(r, f) => {
            next.left.lost_posts = next.left.lost_posts.checked_sub(1)?;
            let round = round(&mut next, r)?;
            if !matches!(round.flights[f].task, Task::Post(_)) {
                return None;
            }
            return Some(done(pure, next, r, f, false));
        }
        Action::Renew(r) => renew(pure, &mut next, r)?,
        Action::Recorded(r) => recorded(pure, &mut next, r)?,
        Action::Crash(r) => {
            next.left.crashes -= 1;
            next.last_received = next.last_received.max(next.replicas[r].heard.unwrap_or_default());
            excuse(pure, &mut next, r, false);
            let life = next.replicas[r].life;
            next.replicas[r] = Replica {
                alive: false,
                ..Replica::new(life)
            };
        }
        Action::Restart(r, version) => restart(pure, &mut next, r, version),
        Action::GiveUp(r) => {
            next.left.lost_writes = next.left.lost_writes.checked_sub(1)?;
            give_up(pure, &mut next, r)?;
        }
        Action::Late => {
            let write = next.late.take()?;
            if let Arrived::Written(map) = arrive(pure, &next, write) {
                next.store = Some(map);
            }
        }
        Action::Escalate(r) => escalate(pure, &mut next, r)?,
        Action::Resync(r) => resync(pure, &mut next, r)?,
    }
    Some(Ok(next))
}
