//! The events of a run, generated from its seed before the run begins.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::{self, RandomFault};
use crate::presses::Press;

/// One event of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// The number of the request, and the time after which it expires.
    Create(usize, Duration),
    Review(usize),
    /// A person presses a button of a card.
    Press(usize, Press),
    Approve(usize),
    Deny(usize),
    Promote(usize),
    /// The request expires, and Teleport deletes it.
    Expire(usize),
    /// A user deletes the request before it expires.
    Withdraw(usize),
    Inject(RandomFault),
    Clear(RandomFault),
    /// Sends SIGKILL.
    Kill(usize),
    /// Sends SIGTERM.
    Stop(usize),
    Start(usize),
}

/// Returns the events and their times, in order.
pub(crate) fn write(rng: &mut Rng, requests: usize, replicas: usize, length: Duration) -> Vec<(Duration, Action)> {
    let mut script = Vec::new();
    for number in 0..requests {
        let created = moment(rng, length.mul_f64(0.95));
        let later = |rng: &mut Rng, most: f64| between(rng, 0.0, most).min(length.saturating_sub(created));
        let review = (rng.u32(..4) == 0).then(|| later(rng, 20.0));
        // Most requests are resolved after they were announced, some immediately, and a third stays pending.
        let most = if rng.u32(..5) == 0 { 0.2 } else { 40.0 };
        let after = later(rng, most);
        let mut ends_in = Duration::from_hours(24);
        let resolution = match rng.u32(..14) {
            0..=3 => Some(Action::Approve(number)),
            4 | 5 => Some(Action::Deny(number)),
            6 => Some(Action::Promote(number)),
            7 => {
                // The cluster never deletes a request before it expires.
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
        // Several people press, and some of them several times.
        for _ in 0..[0, 0, 1, 1, 2, 4][rng.usize(..6)] {
            let press = Press::any(rng, replicas);
            script.push((created + later(rng, 25.0), Action::Press(number, press)));
        }
        script.extend(review.map(|after| (created + after, Action::Review(number))));
        script.extend(resolution.map(|resolution| (created + after, resolution)));
    }
    let mut at = Duration::from_secs(1);
    while at < length {
        let fault = fault::any(rng);
        script.push((at, Action::Inject(fault)));
        script.push((at + between(rng, 0.5, 6.0), Action::Clear(fault)));
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
    // The sort is stable, so that a request is created before its other events.
    script.sort_by_key(|(at, _)| *at);
    script
}

fn moment(rng: &mut Rng, length: Duration) -> Duration {
    length.mul_f64(rng.f64())
}

fn between(rng: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + rng.f64() * (most - least))
}
