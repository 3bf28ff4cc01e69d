//! A replica's deliveries and entries: drives the program's own run, as `requests::deliver` does.

use teleport_msteams::domain::lifecycle::{Landed, Outcome, Record};

use crate::model::act::Step;
use crate::model::check;
use crate::model::lane::take;
use crate::model::pool::Id;
use crate::model::pure::{Input, Pure, activity, recipient, task};
use crate::model::state::{Answer, Flight, Job, Moment, Round, Seen, State, Task, Writing};
use crate::model::teleport::{Arrived, arrive, fresh_mark, name};

pub(super) fn start(seen: Seen, run: Id) -> Round {
    Round {
        seen,
        run,
        flights: Vec::new(),
        answered: Vec::new(),
        entered: Vec::new(),
        again: false,
        renewed: false,
        writing: None,
    }
}

pub(super) fn round(state: &mut State, r: usize) -> Option<&mut Round> {
    match &mut state.replicas[r].job {
        Job::Delivering(round) => Some(round),
        _ => None,
    }
}

/// Hands the run an input, and returns its answer.
fn feed(pure: &mut Pure, round: &mut Round, input: Input) -> Option<Id> {
    let (run, answer) = pure.react(round.run, input);
    round.run = run;
    answer
}

/// The claim was not renewed for a term.
pub(super) fn outlive(pure: &mut Pure, round: &mut Round) {
    feed(pure, round, Input::Outlive);
    if let Some(writing) = &mut round.writing {
        writing.begun = Moment::LongAgo;
    }
}

/// Begins the next delivery, if that is still allowed.
pub(super) fn deliver(pure: &mut Pure, mut state: State, r: usize) -> Step {
    let heard = state.replicas[r].heard;
    let Some(round) = round(&mut state, r) else {
        return Ok(state);
    };
    match feed(pure, round, Input::Begin) {
        Some(step) => {
            let shown = pure.runs.of(round.run).account().shown();
            let task = task(pure.steps.of(step));
            round.flights.push(Flight { task, shown });
            check::begun_in_time(pure, heard, task, shown)?;
        }
        None => {
            go_on(pure, &mut state, r);
        }
    }
    Ok(state)
}

/// A delivery takes effect, and is answered or not.
pub(super) fn done(pure: &mut Pure, mut state: State, r: usize, f: usize, answered: bool) -> Step {
    let Job::Delivering(round) = &mut state.replicas[r].job else {
        return Ok(state);
    };
    let Flight { task, shown } = round.flights.remove(f);
    let (person, outcome) = match task {
        Task::Post(person) => {
            let number = u8::try_from(state.cards[person].len()).unwrap();
            state.cards[person].push(shown);
            let recipient = recipient(person);
            let outcome = if answered {
                round.answered.push(Answer::Posted(person, number));
                Outcome::Posted {
                    recipient,
                    activity: activity(person, number),
                    conversation: person.to_string(),
                    replacement: false,
                    digest: false,
                    shown,
                }
            } else {
                round.again = true;
                Outcome::Unconfirmed {
                    recipient,
                    why: String::new(),
                    shown,
                }
            };
            (person, outcome)
        }
        Task::Update(person, number) => {
            round.answered.push(Answer::Updated(person));
            let card = &mut state.cards[person][usize::from(number)];
            let before = std::mem::replace(card, shown);
            check::updated_forward(before, shown, state.blind[person])?;
            let outcome = Outcome::Updated {
                recipient: recipient(person),
                activity: activity(person, number),
                conversation: person.to_string(),
                shown,
            };
            (person, outcome)
        }
    };
    let landed = pure.landed.id(Landed::Done(vec![outcome]));
    feed(pure, round, Input::Landed(person, landed));
    if matches!(task, Task::Post(_)) {
        check::posted_once(&state, person)?;
        state.excused[person] += u8::from(!answered);
    }
    go_on(pure, &mut state, r);
    Ok(state)
}

/// Takes what was received meanwhile, makes a plan where one is due, and records what has ended.
pub(super) fn go_on(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let replica = &mut state.replicas[r];
    let Job::Delivering(round) = &mut replica.job else {
        return None;
    };
    let run = pure.runs.of(round.run);
    let newer = replica.newest.filter(|_| run.takes_plans());
    // The requester gets a card when a reviewer has one.
    let follows = pure.cast.requester && run.takes_plans();
    if newer.is_some() || run.wants_plan() || follows {
        if let Some(newer) = newer {
            (replica.newest, replica.stop) = (None, false);
            round.seen = newer;
        }
        let plan = pure.plan_of_run(round.seen, round.run);
        feed(pure, round, Input::Aim(plan));
    }
    enter(pure, state, r, false)
}

/// The heartbeat, while nothing is waiting to be recorded.
pub(super) fn renew(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let watched = state.replicas[1 - r].foreign.is_some() && state.left.partitions > 0;
    let round = round(state, r)?;
    // Otherwise no reader would notice a difference.
    let needed = watched || !pure.runs.of(round.run).holds(Moment::Now);
    if round.renewed || !needed {
        return None;
    }
    round.renewed = true;
    enter(pure, state, r, true)
}

fn enter(pure: &mut Pure, state: &mut State, r: usize, renew: bool) -> Option<()> {
    let mark = fresh_mark(pure, state, r);
    let round = round(state, r)?;
    let write = feed(pure, round, Input::Entry { mark, renew });
    if round.writing.is_none() {
        let answered = std::mem::take(&mut round.answered);
        round.entered.extend(answered);
    }
    send(pure, state, r, write)
}

/// Sends an entry; without one, the run goes on, or is over.
fn send(pure: &mut Pure, state: &mut State, r: usize, write: Option<Id>) -> Option<()> {
    let round = round(state, r)?;
    if let Some(write) = write {
        let begun = Moment::Now;
        round.writing = Some(Writing { write, begun });
        return Some(());
    }
    let run = pure.runs.of(round.run);
    if !run.is_over() {
        return Some(());
    }
    let again = run.is_halted() || run.is_contested() || round.again;
    let (seen, run) = (round.seen, round.run);
    state.replicas[r].stored = pure.known(run);
    take(pure, state, r, Some(seen).filter(|_| again));
    Some(())
}

pub(super) fn recorded(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let Writing { write, begun } = round(state, r)?.writing.take()?;
    let input = match arrive(pure, state, write) {
        Arrived::Written(map) => {
            state.store = Some(map);
            let round = round(state, r)?;
            round.entered.clear();
            feed(pure, round, Input::Written(write, begun));
            return go_on(pure, state, r);
        }
        Arrived::Lost => {
            let me = pure.texts.id(name(state, r));
            Input::Overtaken(state.store, me)
        }
        Arrived::Gone => Input::Forget,
    };
    feed(pure, round(state, r)?, input);
    rewrite(pure, state, r)
}

fn rewrite(pure: &mut Pure, state: &mut State, r: usize) -> Option<()> {
    let mark = fresh_mark(pure, state, r);
    let write = feed(pure, round(state, r)?, Input::Write(mark));
    send(pure, state, r, write)?;
    if write.is_none() {
        go_on(pure, state, r);
    }
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
    let Writing { write, .. } = round(state, r)?.writing.take()?;
    state.late = Some(write);
    rewrite(pure, state, r)
}

/// Allows a second card for each post of this replica that Microsoft has and no replica can know of; posts in flight
/// count if they may still arrive.
pub(super) fn excuse(pure: &Pure, state: &mut State, r: usize, flying: bool) {
    let Job::Delivering(round) = &state.replicas[r].job else {
        return;
    };
    let record = state.store.and_then(|map| Record::decode(pure.maps.of(map)));
    let is_recorded = |person: usize, number: u8| {
        let record = record.as_ref();
        record.is_some_and(|record| record.card(&recipient(person), &activity(person, number)).is_some())
    };
    for flight in round.flights.iter().filter(|_| flying) {
        match flight.task {
            Task::Post(person) => state.excused[person] += 1,
            Task::Update(person, _) => state.blind[person] = true,
        }
    }
    for answer in round.answered.iter().chain(&round.entered) {
        match *answer {
            Answer::Posted(person, number) => state.excused[person] += u8::from(!is_recorded(person, number)),
            Answer::Updated(person) => state.blind[person] = true,
        }
    }
}
