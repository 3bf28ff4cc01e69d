//! A replica's deliveries and entries, as `daemon::deliver` and `daemon::settling` go.

use teleport_msteams::domain::lifecycle::{Entry, Lease, Outcome, Record};

use crate::model::act::Step;
use crate::model::check;
use crate::model::lane::take;
use crate::model::pool::Id;
use crate::model::pure::{PEOPLE, Pure, activity};
use crate::model::state::{Delivery, Job, Moment, Round, Seen, State, TERM, Task, Writing};
use crate::model::teleport::{Arrived, arrive, fresh_mark, name};

pub(super) fn start(pure: &mut Pure, stored: Id, seen: Seen, plan: Id, lease: Lease<Moment>, forgotten: bool) -> Round {
    Round {
        seen,
        plan,
        account: pure.account(plan, stored),
        lease,
        halt: false,
        forgotten,
        renewed: false,
        steps: vec![Delivery::Waiting; pure.plans.of(plan).steps.len()],
        writing: None,
    }
}

pub(super) fn round(state: &mut State, r: usize) -> Option<&mut Round> {
    match &mut state.replicas[r].job {
        Job::Delivering(round) => Some(round),
        _ => None,
    }
}

/// The claim was not renewed for a term.
pub(super) fn outlive(round: &mut Round) {
    if round.lease.left(Moment::Now, TERM).is_some() {
        round.lease = Lease::new(Moment::LongAgo);
    }
    if let Some(writing) = &mut round.writing {
        writing.begun = Moment::LongAgo;
    }
}

/// Begins a delivery, unless it must not be begun any more.
pub(super) fn deliver(pure: &mut Pure, mut state: State, r: usize, s: usize) -> Step {
    let (heard, stop) = (state.replicas[r].heard, state.replicas[r].stop);
    let Some(round) = round(&mut state, r) else {
        return Ok(state);
    };
    let planned = pure.plans.of(round.plan);
    let task = planned.steps[s];
    if round.lease.left(Moment::Now, TERM).is_none() {
        round.halt = true;
    }
    if stop || round.halt {
        round.steps[s] = Delivery::NotBegun;
        note(pure, &mut state, r);
        return Ok(state);
    }
    round.steps[s] = Delivery::Flying;
    check::begun_in_time(pure, heard, task, planned.shown)?;
    Ok(state)
}

/// A delivery takes effect, and is answered or not.
pub(super) fn done(pure: &mut Pure, mut state: State, r: usize, s: usize, answered: bool) -> Step {
    let Job::Delivering(round) = &mut state.replicas[r].job else {
        return Ok(state);
    };
    if round.steps[s] != Delivery::Flying {
        return Ok(state);
    }
    let planned = pure.plans.of(round.plan);
    match planned.steps[s] {
        Task::Post(person) => {
            let number = u8::try_from(state.cards[person].len()).unwrap();
            round.steps[s] = if answered {
                Delivery::Answered(number)
            } else {
                Delivery::Again
            };
            state.cards[person].push(planned.shown);
            check::posted_once(&state, person)?;
            state.excused[person] += u8::from(!answered);
        }
        Task::Update(person, number) => {
            round.steps[s] = Delivery::Answered(number);
            let shown = planned.shown;
            let card = &mut state.cards[person][usize::from(number)];
            let before = std::mem::replace(card, shown);
            check::updated_forward(before, shown, state.blind[person])?;
        }
    }
    note(pure, &mut state, r);
    Ok(state)
}

fn is_open(round: &Round) -> bool {
    let open = |step: &Delivery| matches!(step, Delivery::Waiting | Delivery::Flying);
    round.steps.iter().any(open)
}

fn is_waiting(round: &Round) -> bool {
    let waiting = |step: &Delivery| matches!(step, Delivery::Answered(_));
    round.steps.iter().any(waiting)
}

/// The heartbeat, while nothing waits to be noted.
pub(super) fn renew(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let watched = state.replicas[1 - r].foreign.is_some() && state.left.partitions > 0;
    let round = round(state, r)?;
    let holds = round.lease.left(Moment::Now, TERM).is_some();
    // Otherwise nobody would see the difference.
    let needed = watched || !holds;
    if !is_open(round) || is_waiting(round) || round.renewed || !needed {
        return None;
    }
    round.renewed = true;
    round.halt |= !holds;
    enter(pure, state, r)
}

/// Notes what was delivered, once there is something, or everything is over, and no entry is on its way.
fn note(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let round = round(state, r)?;
    if round.writing.is_some() || is_open(round) && !is_waiting(round) {
        return None;
    }
    enter(pure, state, r)
}

fn enter(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let round = round(state, r)?;
    let tasks = &pure.plans.of(round.plan).steps;
    let mut done = Vec::new();
    for (step, task) in round.steps.iter_mut().zip(tasks) {
        let Delivery::Answered(number) = *step else {
            continue;
        };
        *step = Delivery::Entered(number);
        done.push(match *task {
            Task::Post(person) => Outcome::Posted {
                recipient: PEOPLE[person].to_owned(),
                activity: activity(person, number),
                conversation: person.to_string(),
                again: false,
            },
            Task::Update(person, number) => Outcome::Updated {
                activity: activity(person, number),
                conversation: person.to_string(),
            },
        });
    }
    let undone = |step: &Delivery| matches!(step, Delivery::Again | Delivery::NotBegun);
    let entry = if is_open(round) {
        Entry::Interim
    } else {
        let complete = !round.steps.iter().any(undone);
        Entry::Last { complete }
    };
    let (account, record) = pure.note(round.account, done);
    round.account = account;
    send(pure, state, r, record, entry)
}

/// Sends an entry, or keeps it if Teleport has forgotten the request.
fn send(pure: &mut Pure, state: &mut State, r: usize, record: Id, entry: Entry) -> Option<()> {
    let mark = fresh_mark(pure, state, r);
    let round = round(state, r)?;
    let Some(write) = pure.entry(round.account, record, entry, mark) else {
        return finish(pure, state, r, entry);
    };
    if round.forgotten {
        round.account = pure.keep(round.account, write);
        return finish(pure, state, r, entry);
    }
    round.writing = Some(Writing {
        record,
        entry,
        write,
        begun: Moment::Now,
    });
    Some(())
}

pub(super) fn noted(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let Writing {
        record,
        entry,
        write,
        begun,
    } = round(state, r)?.writing?;
    match arrive(pure, state, write) {
        Arrived::Written(map) => {
            state.store = Some(map);
            let round = round(state, r)?;
            round.account = pure.written(round.account, write);
            round.lease.renew(begun);
            finish(pure, state, r, entry)
        }
        Arrived::Lost => {
            let (me, store) = (name(state, r), state.store);
            let round = round(state, r)?;
            let (account, record, ours) = pure.take_over(round.account, store, &me);
            round.account = account;
            if !ours {
                round.lease.lose();
            }
            send(pure, state, r, record, entry)
        }
        Arrived::Gone => {
            round(state, r)?.forgotten = true;
            send(pure, state, r, record, entry)
        }
    }
}

/// The entry is written; after the last one the run is over.
fn finish(pure: &mut Pure, state: &mut State, r: usize, entry: Entry) -> Option<()> {
    let round = round(state, r)?;
    round.writing = None;
    for step in &mut round.steps {
        if let Delivery::Entered(_) = step {
            *step = Delivery::Noted;
        }
    }
    if entry == Entry::Interim {
        note(pure, state, r);
        return Some(());
    }
    let (seen, account) = (round.seen, round.account);
    let (again, interrupted) = (
        round.steps.contains(&Delivery::Again),
        round.steps.contains(&Delivery::NotBegun),
    );
    let replica = &mut state.replicas[r];
    replica.stored = pure.known(account);
    let contested = pure.accounts.of(account).is_contested();
    let unfinished = Some(seen).filter(|_| again || interrupted || contested);
    take(pure, state, r, unfinished);
    Some(())
}

/// The answer to a write does not come.
pub(super) fn give_up(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    if state.late.is_some() {
        return None;
    }
    let replica = &mut state.replicas[r];
    if let Job::Claiming { seen, write, .. } = replica.job {
        state.late = Some(write);
        replica.stored = pure.doubt(replica.stored);
        take(pure, state, r, Some(seen));
        return Some(());
    }
    let Writing {
        record, entry, write, ..
    } = round(state, r)?.writing?;
    state.late = Some(write);
    send(pure, state, r, record, entry)
}

/// Allows a second card for each post of this replica that Microsoft has and nobody can know of; those on their way count
/// if they may still arrive.
pub(super) fn excuse(pure: &Pure, state: &mut State, r: usize, flying: bool) {
    let Job::Delivering(round) = &state.replicas[r].job else {
        return;
    };
    let record = state.store.and_then(|map| Record::decode(pure.maps.of(map)));
    let is_noted = |id: &str| {
        let cards = record.iter().flat_map(|record| &record.cards);
        cards.into_iter().any(|card| card.activity == id)
    };
    for (step, task) in round.steps.iter().zip(&pure.plans.of(round.plan).steps) {
        let unknown = match *step {
            Delivery::Flying => flying,
            Delivery::Answered(_) | Delivery::Entered(_) => true,
            _ => false,
        };
        match (*task, *step) {
            (Task::Post(person), Delivery::Answered(number) | Delivery::Entered(number)) => {
                state.excused[person] += u8::from(!is_noted(&activity(person, number)));
            }
            (Task::Post(person), _) => state.excused[person] += u8::from(unknown),
            (Task::Update(person, _), _) => state.blind[person] |= unknown,
        }
    }
}
