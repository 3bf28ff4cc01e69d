//! The invariants, and the search for a state that violates one.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use teleport_msteams::domain::lifecycle::{Audience, Record, Shown};
use teleport_msteams::domain::request::Stage;

use crate::model::act::{Action, next};
use crate::model::pure::{MOST, Pure, activity, audience, recipient};
use crate::model::state::{Faults, Job, Replica, State, Task};

/// No card of a pending request is posted once its resolution was received, and no decision before it.
pub(super) fn begun_in_time(pure: &Pure, heard: Option<u8>, task: Task, shown: Shown) -> Result<(), String> {
    let newest = heard.and_then(|heard| pure.history.get(usize::from(heard)));
    let pending = newest.is_some_and(|request| request.stage.is_open());
    if let Task::Post(person) = task
        && audience(person) == Audience::Decision
    {
        return if pending || !shown.stage.is_resolved() || shown.stage == Stage::Expired {
            Err(format!("a decision is announced at {shown}"))
        } else {
            Ok(())
        };
    }
    if matches!(task, Task::Post(_)) && (!pending || shown.stage != Stage::Pending) {
        return Err("a card is posted although the decision was heard".to_owned());
    }
    Ok(())
}

/// A second card needs a fault between acceptance and record, and each fault explains one.
pub(super) fn posted_once(state: &State, person: usize) -> Result<(), String> {
    let allowed = 1 + usize::from(state.excused[person]);
    if state.cards[person].len() > allowed {
        return Err(format!("{} cards for one person", state.cards[person].len()));
    }
    Ok(())
}

/// A card never goes back, unless a fault fell between an update and its record.
pub(super) fn updated_forward(before: Shown, after: Shown, blind: bool) -> Result<(), String> {
    if before.is_ahead_of(after) && !blind {
        return Err(format!("a card goes back from {before} to {after}"));
    }
    Ok(())
}

/// What must hold when only faults are left to happen.
fn settled(pure: &Pure, state: &State) -> Result<(), String> {
    if !state.replicas.iter().any(|replica| replica.alive) {
        return Ok(());
    }
    if state.replicas.iter().any(|replica| replica.job != Job::Idle) {
        return Err("a replica waits forever".to_owned());
    }
    let last = pure.history.last().unwrap();
    let version = pure.history.get(usize::from(state.version));
    let is_true = |shown: Shown| match version {
        Some(request) => shown.satisfies(Shown::of(request)),
        None => shown.satisfies(Shown::of(last)) && last.stage.is_resolved() || shown.stage == Stage::Expired,
    };
    let pending = version.is_some_and(|request| request.stage.is_open());
    let record = state.store.and_then(|map| Record::decode(pure.maps.of(map)));
    if let Some(record) = &record
        && let Some(stage) = record.resolution
        && !record.all_show(Shown::new(stage, record.reviews))
    {
        return Err("the record has a resolution that not every card shows".to_owned());
    }
    let decided = version.is_some_and(|request| request.stage.is_resolved());
    let mut had_card = false;
    for (person, cards) in state.cards.iter().enumerate() {
        let known = |number: usize| match &record {
            Some(record) => record
                .cards
                .iter()
                .any(|card| card.activity == activity(person, u8::try_from(number).unwrap())),
            // A replica that remembers them still has to close them.
            None => true,
        };
        let (known, unknown): (Vec<_>, Vec<_>) = (0..cards.len()).partition(|number| known(*number));
        if unknown.len() > usize::from(state.excused[person]) {
            return Err("a card is in no record".to_owned());
        }
        let lies = known.iter().filter(|number| !is_true(cards[**number])).count();
        let allowed = match &record {
            Some(_) => 0,
            // What only a dead process had recorded or seen is lost.
            None if state.replicas.iter().any(|replica| replica.life > 0 || !replica.alive) => cards.len(),
            None => usize::from(state.excused[person]),
        };
        if lies > allowed {
            return Err(format!("a card lies: {cards:?}"));
        }
        let is_due = match audience(person) {
            Audience::Reviewers => pending && person < pure.cast.people,
            Audience::Escalation => pending && pure.cast.escalates,
            Audience::Requester => {
                had_card = record.is_some() && !known.is_empty();
                pending && pure.cast.requester
            }
            Audience::Decision => decided && had_card,
        };
        if is_due && known.is_empty() {
            return Err(format!("{:?} was not notified", recipient(person)));
        }
    }
    Ok(())
}

/// Checks every reachable state, and returns their number.
///
/// # Errors
/// The violated invariant, and the shortest path to it.
pub(super) fn explore(pure: &mut Pure, faults: Faults) -> Result<usize, String> {
    let begin = begin(pure, faults);
    let mut seen = HashSet::from([hash(&begin)]);
    let mut ways: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut waiting = VecDeque::from([(begin, 0)]);
    while let Some((state, here)) = waiting.pop_front() {
        let nexts = next(pure, &state);
        if nexts.iter().all(|(action, _)| action.is_fault()) {
            settled(pure, &state).map_err(|what| story(&what, &ways, here, None, &state))?;
        }
        for (action, next) in nexts {
            let next = next.map_err(|what| story(&what, &ways, here, Some(action), &state))?;
            if seen.insert(hash(&next)) {
                ways.push((here, Some(action)));
                waiting.push_back((next, ways.len() - 1));
            }
        }
    }
    Ok(seen.len())
}

fn begin(pure: &Pure, faults: Faults) -> State {
    State {
        version: u8::try_from(pure.history.len()).unwrap() - 1,
        last_received: 0,
        store: None,
        replicas: [Replica::new(0), Replica::new(0)],
        cards: Default::default(),
        excused: [0; MOST],
        blind: [false; MOST],
        late: None,
        left: faults,
    }
}

/// Follows one path, and checks its end as if no further action were possible.
///
/// # Errors
/// The violated invariant.
pub(super) fn follow(pure: &mut Pure, faults: Faults, way: &[Action]) -> Result<(), String> {
    let mut state = begin(pure, faults);
    for action in way {
        let mut nexts = next(pure, &state).into_iter();
        let (_, next) = nexts.find(|(possible, _)| possible == action).unwrap();
        state = next?;
    }
    let end = next(pure, &state).iter().all(|(action, _)| action.is_fault());
    assert!(end, "more happens");
    settled(pure, &state)
}

fn hash(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn story(what: &str, ways: &[(usize, Option<Action>)], mut here: usize, last: Option<Action>, state: &State) -> String {
    let mut actions: Vec<_> = last.into_iter().collect();
    while let (before, Some(action)) = ways[here] {
        actions.push(action);
        here = before;
    }
    actions.reverse();
    let lines: Vec<_> = actions.iter().map(|action| format!("  {action:?}")).collect();
    format!("{what}, after\n{}\nbefore the last: {state:#?}", lines.join("\n"))
}
