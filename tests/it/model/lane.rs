//! A replica's lane up to its claim, as in `requests::lanes` and `requests::reconcile`.

use std::time::Duration;

use teleport_msteams::domain::lifecycle::{Claim, OthersClaim, Record};

use crate::model::delivering;
use crate::model::pure::{ABSENT, Pure, UNKNOWN};
use crate::model::state::{Job, Moment, Planned, Replica, Seen, State, TERM};
use crate::model::teleport::{Arrived, arrive, fresh_mark, name};

/// A term passes. That is a fault while a living replica has a claim that it would have renewed.
pub(super) fn tick(pure: &mut Pure, state: &mut State) -> Option<()> {
    let renews = |pure: &Pure, replica: &Replica| match &replica.job {
        Job::Claiming { begun, .. } => *begun == Moment::Now,
        Job::Delivering(round) => pure.runs.of(round.run).holds(Moment::Now),
        _ => false,
    };
    let waits = |replica: &Replica| matches!(replica.job, Job::Paused(_, Moment::Now));
    if !state.replicas.iter().any(waits) {
        // Only a waiting replica acts on a passed term.
        return None;
    }
    if state.replicas.iter().any(|replica| renews(pure, replica)) {
        state.left.partitions = state.left.partitions.checked_sub(1)?;
    }
    for r in 0..2 {
        if renews(pure, &state.replicas[r]) {
            delivering::excuse(pure, state, r, true);
        }
        let replica = &mut state.replicas[r];
        if let Some((_, since)) = &mut replica.foreign {
            *since = Moment::LongAgo;
        }
        match &mut replica.job {
            Job::Claiming { begun, .. } => *begun = Moment::LongAgo,
            Job::Paused(_, since) => *since = Moment::LongAgo,
            Job::Delivering(round) => delivering::outlive(pure, round),
            Job::Idle => {}
        }
    }
    Some(())
}

pub(super) fn hear(pure: &mut Pure, state: &mut State, r: usize, version: u8) {
    let replica = &mut state.replicas[r];
    replica.heard = Some(version);
    if usize::from(version) < pure.history.len() {
        replica.last = Some(version);
        replica.newest = Some(Seen::Version(version, replica.escalated));
    } else {
        // Events come in order, so the previous version was received too.
        replica.last = None;
        replica.newest = Some(Seen::Gone(version.checked_sub(1)));
    }
    act_on_news(pure, state, r);
}

/// The request has been pending for so long that further recipients are due; `None` if that is known, or not so.
pub(super) fn escalate(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let announced = state.store.and_then(|map| Record::decode(pure.maps.of(map)))?;
    let replica = &mut state.replicas[r];
    let last = replica
        .last
        .filter(|last| pure.history[usize::from(*last)].stage.is_open())?;
    let is_announced = announced.announced_at(&pure.history[0]).is_some();
    if !pure.cast.escalates || !replica.alive || replica.escalated || !is_announced {
        return None;
    }
    replica.escalated = true;
    replica.newest.get_or_insert(Seen::Version(last, true));
    if let Some(Seen::Version(_, escalated)) = &mut replica.newest {
        *escalated = true;
    }
    act_on_news(pure, state, r);
    Some(())
}

fn act_on_news(pure: &mut Pure, state: &mut State, r: usize) {
    state.replicas[r].stop = true;
    match state.replicas[r].job {
        Job::Idle => take(pure, state, r, None),
        Job::Delivering(_) => {
            delivering::go_on(pure, state, r);
        }
        Job::Paused(..) | Job::Claiming { .. } => {}
    }
}

pub(super) fn wake(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let Job::Paused(seen, since) = state.replicas[r].job else {
        return None;
    };
    if since == Moment::Now && !state.replicas[r].stop {
        return None;
    }
    take(pure, state, r, Some(seen));
    Some(())
}

/// A new process lists the records, and then the requests; it closes what is gone from its record.
pub(super) fn restart(pure: &mut Pure, state: &mut State, r: usize, version: u8) {
    state.replicas[r] = Replica::new(state.replicas[r].life + 1);
    state.replicas[r].heard = Some(version);
    // If there is nothing to do, it waits for events.
    let _ = resync(pure, state, r);
}

/// Lists everything; `None` if that changes nothing.
pub(super) fn resync(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let store = state.store;
    let replica = &mut state.replicas[r];
    let version = replica.heard?;
    if !replica.alive || replica.job != Job::Idle {
        return None;
    }
    if store.is_some() || pure.is_in_doubt(replica.stored) {
        replica.stored = pure.read(replica.stored, store);
        replica.looked = true;
    }
    replica.newest = if usize::from(version) < pure.history.len() {
        replica.last = Some(version);
        Some(Seen::Version(version, replica.escalated))
    } else if store.is_some() {
        Some(Seen::Gone(replica.last.take()))
    } else {
        None
    };
    take(pure, state, r, None);
    Some(()).filter(|()| state.replicas[r].job != Job::Idle)
}

/// Takes the newest observation, or what was left to do; without any, the lane rests, or ends.
pub(super) fn take(pure: &mut Pure, state: &mut State, r: usize, unfinished: Option<Seen>) {
    let replica = &mut state.replicas[r];
    replica.stop = false;
    replica.job = Job::Idle;
    if let Some(seen) = replica.newest.take().or(unfinished) {
        look(pure, state, r, seen);
        return;
    }
    let pending = |version: u8| pure.history[usize::from(version)].stage.is_open();
    if !replica.last.is_some_and(pending) {
        replica.stored = UNKNOWN;
        replica.looked = false;
        replica.foreign = None;
    }
}

/// Reads the record if it is not known, unless the request looks new.
fn look(pure: &mut Pure, state: &mut State, r: usize, seen: Seen) {
    let replica = &mut state.replicas[r];
    let looks_new = match seen {
        Seen::Version(version, _) => {
            let request = &pure.history[usize::from(version)];
            request.stage.is_open() && request.reviews.is_empty()
        }
        Seen::Gone(_) => false,
    };
    if pure.is_in_doubt(replica.stored) {
        replica.stored = if looks_new && !replica.looked {
            ABSENT
        } else {
            pure.read(replica.stored, state.store)
        };
        replica.looked = true;
    }
    decide(pure, state, r, seen);
}

/// Plans, checks the queue position, and sends the claim.
fn decide(pure: &mut Pure, state: &mut State, r: usize, seen: Seen) {
    let me = name(state, r);
    let replica = &mut state.replicas[r];
    let plan = pure.plan(seen, replica.stored);
    if matches!(pure.plans.of(plan), Planned::Nothing { .. }) {
        return take(pure, state, r, None);
    }
    let record = pure.stored.of(replica.stored).record();
    if let Some(mark) = record.and_then(|record| Claim::of_others(record, &me)) {
        let mut foreign = OthersClaim::none();
        if let Some((seen, since)) = replica.foreign {
            foreign.remaining(pure.texts.of(seen), since, TERM);
        }
        if foreign.remaining(&mark, Moment::Now, TERM) > Duration::ZERO {
            let mark = pure.texts.id(mark);
            // The term of a mark counts from the first time it was seen.
            let since = match replica.foreign {
                Some((seen, since)) if seen == mark => since,
                Some(_) | None => Moment::Now,
            };
            replica.foreign = Some((mark, since));
            replica.stored = pure.doubt(replica.stored);
            replica.job = Job::Paused(seen, since);
            return;
        }
    }
    let mark = fresh_mark(pure, state, r);
    let write = pure.claim(state.replicas[r].stored, seen, mark);
    state.replicas[r].job = Job::Claiming {
        seen,
        plan,
        write,
        begun: Moment::Now,
    };
}

pub(super) fn claimed(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let Job::Claiming {
        seen,
        plan,
        write,
        begun,
    } = state.replicas[r].job
    else {
        return None;
    };
    let arrived = arrive(pure, state, write);
    let replica = &mut state.replicas[r];
    let forgotten = match arrived {
        Arrived::Written(map) => {
            state.store = Some(map);
            replica.stored = pure.claimed(replica.stored, write);
            replica.foreign = None;
            false
        }
        Arrived::Lost => {
            replica.stored = pure.doubt(replica.stored);
            if replica.stop {
                take(pure, state, r, Some(seen));
            } else {
                look(pure, state, r, seen);
            }
            return Some(());
        }
        // Only what has cards is still to be updated.
        Arrived::Gone if !pure.posts(plan) => true,
        Arrived::Gone => {
            take(pure, state, r, None);
            return Some(());
        }
    };
    let stored = std::mem::replace(&mut replica.stored, UNKNOWN);
    let run = pure.run(plan, stored, begun, forgotten);
    state.replicas[r].job = Job::Delivering(delivering::start(seen, run));
    delivering::go_on(pure, state, r)
}
