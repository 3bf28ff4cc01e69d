//! Teleport's side: the effect of a write, and the marks that a replica may still hold.

use teleport_msteams::domain::lifecycle::{Claim, RecordState};

use crate::model::pool::Id;
use crate::model::pure::Pure;
use crate::model::state::{Job, State};

/// How a compare-and-swap ends.
pub(super) enum Arrived {
    Written(Id),
    Lost,
    /// Neither the request nor its data exist.
    Gone,
}

pub(super) fn arrive(pure: &mut Pure, state: &State, write: Id) -> Arrived {
    let deleted = usize::from(state.version) == pure.history.len();
    if deleted && state.store.is_none() {
        return Arrived::Gone;
    }
    match pure.swap(state.store, write) {
        Some(map) => Arrived::Written(map),
        None => Arrived::Lost,
    }
}

/// The name of a replica; each restart gives it a new one.
pub(super) fn name(state: &State, r: usize) -> String {
    format!("{}{}", ["a", "b"][r], state.replicas[r].life)
}

/// Returns a mark of this replica that no replica holds. The program never reuses a number; the model reuses one
/// when no replica holds it any more, because no replica can notice that.
pub(super) fn fresh_mark(pure: &mut Pure, state: &State, r: usize) -> Id {
    let mut seen: Vec<Claim> = Vec::new();
    let mut see = |mark: Option<&str>| seen.extend(mark.map(Claim::parse));
    if let Some(map) = state.store {
        see(pure.maps.of(map).get("x_claim").map(String::as_str));
    }
    let mut writes: Vec<Id> = state.late.into_iter().collect();
    for replica in &state.replicas {
        if let RecordState::Known(known) = pure.stored.of(replica.stored) {
            see(known.map.get("x_claim"));
        }
        if let Some((mark, _)) = replica.foreign {
            see(Some(pure.texts.of(mark)));
        }
        match &replica.job {
            Job::Claiming { write, .. } => writes.push(*write),
            Job::Delivering(round) => {
                let record = pure.runs.of(round.run).account().record();
                see(record.claim.as_ref().map(ToString::to_string).as_deref());
                writes.extend(round.writing.map(|writing| writing.write));
            }
            Job::Idle | Job::Paused(..) => {}
        }
    }
    for write in writes {
        let write = pure.writes.of(write);
        see(write.expect.get("x_claim").map(String::as_str));
        see(write.set.get("x_claim").map(String::as_str));
    }
    let owner = name(state, r);
    let taken = |beat: u64| {
        let witness = format!("{owner}/{beat}");
        let is_it = |mark: &Claim| mark.owner == owner && mark.beat == beat || mark.witness.as_ref() == Some(&witness);
        seen.iter().any(is_it)
    };
    // One more than can be taken.
    let beat = (0..=2 * seen.len() as u64).find(|beat| !taken(*beat)).unwrap();
    let mark = Claim {
        held: true,
        owner,
        beat,
        witness: None,
    };
    pure.texts.id(mark.to_string())
}
