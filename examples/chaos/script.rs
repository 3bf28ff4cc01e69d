//! Everything that will happen in a run, written down from its seed before it begins.

use std::time::Duration;

use fastrand::Rng;

use crate::trouble::{self, Trouble};

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Each request is known by its number; it ends undecided after this long.
    Create(usize, Duration),
    Review(usize),
    Approve(usize),
    Deny(usize),
    Promote(usize),
    /// It ends undecided, and Teleport deletes it.
    Expire(usize),
    /// Somebody deletes it before its end.
    Withdraw(usize),
    Begin(Trouble),
    Mend(Trouble),
    /// With SIGKILL.
    Kill(usize),
    /// With SIGTERM.
    Stop(usize),
    Start(usize),
}

/// Returns what happens, and when, in order.
pub(crate) fn write(rng: &mut Rng, requests: usize, replicas: usize, length: Duration) -> Vec<(Duration, Action)> {
    let mut script = Vec::new();
    for number in 0..requests {
        let created = moment(rng, length.mul_f64(0.95));
        let later = |rng: &mut Rng, most: f64| between(rng, 0.0, most).min(length.saturating_sub(created));
        let review = (rng.u32(..4) == 0).then(|| later(rng, 20.0));
        // Most are decided after they were announced, some at once, and a third waits until the end.
        let most = if rng.u32(..5) == 0 { 0.2 } else { 40.0 };
        let after = later(rng, most);
        let mut ends_in = Duration::from_hours(24);
        let decision = match rng.u32(..14) {
            0..=3 => Some(Action::Approve(number)),
            4 | 5 => Some(Action::Deny(number)),
            6 => Some(Action::Promote(number)),
            7 => {
                // The cluster deletes what has ended, never earlier.
                ends_in = after;
                Some(Action::Expire(number))
            }
            8 => {
                ends_in = after + between(rng, 1.0, 30.0);
                Some(Action::Withdraw(number))
            }
            _ => None,
        };
        script.push((created, Action::Create(number, ends_in)));
        script.extend(review.map(|after| (created + after, Action::Review(number))));
        script.extend(decision.map(|decision| (created + after, decision)));
    }
    let mut at = Duration::from_secs(1);
    while at < length {
        let trouble = trouble::any(rng);
        script.push((at, Action::Begin(trouble)));
        script.push((at + between(rng, 0.5, 6.0), Action::Mend(trouble)));
        at += between(rng, 0.5, 3.0);
    }
    let mut at = Duration::from_secs(4);
    while at < length {
        let replica = rng.usize(..replicas);
        let end = if rng.u32(..4) == 0 { Action::Stop } else { Action::Kill };
        script.push((at, end(replica)));
        script.push((at + between(rng, 0.0, 3.0), Action::Start(replica)));
        at += between(rng, 1.0, 8.0);
    }
    // What happens to a request happens after it was created: the sort keeps the order of equal moments.
    script.sort_by_key(|(at, _)| *at);
    script
}

fn moment(rng: &mut Rng, length: Duration) -> Duration {
    length.mul_f64(rng.f64())
}

fn between(rng: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + rng.f64() * (most - least))
}
