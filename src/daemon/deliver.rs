//! Carries out a plan: each recipient on its own, noted as it happens.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::daemon::claiming::Lease;
use crate::daemon::context::Context;
use crate::daemon::settling::Ledger;
use crate::daemon::step::{Done, Round};
use crate::daemon::turns::Turn;
use crate::daemon::waiting::Waiting;
use crate::domain::lifecycle::{Entry, Outcome, Work};
use crate::domain::recipients::Address;
use crate::domain::request::RequestId;

/// How many deliveries of one request may wait for their turn at once: a request with a thousand recipients then stands
/// in the queue like any other.
const AT_ONCE: usize = 32;

/// How a plan ended.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) posted: usize,
    pub(super) updated: usize,
    pub(super) refused: usize,
    pub(super) told: Vec<Address>,
    /// Deliveries that have to be tried again, and the longest pause that Microsoft asked for.
    pub(super) again: usize,
    pub(super) pause: Option<Duration>,
    pub(super) interrupted: bool,
}

/// What is to be delivered, and under which conditions.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) id: &'a RequestId,
    pub(super) work: &'a Work,
    pub(super) lease: &'a Lease,
    /// Cancelled when nothing more is to be begun: the request changed, or the daemon stops.
    pub(super) stop: &'a CancellationToken,
    /// Since when people wait for it.
    pub(super) waiting: Option<Waiting>,
    /// Only the first failure of a row is told above debug level.
    pub(super) quiet: bool,
}

/// Delivers and notes everything that the plan asks for, until it is done or the job is told to stop. What is on its way then
/// is still finished and noted. Where nothing moves for a while, others have the turn meanwhile.
pub(super) async fn deliver(job: Job<'_>, ledger: &mut Ledger<'_>, turn: &mut Turn) -> Delivered {
    let Job {
        context, work, lease, ..
    } = job;
    let round = Round::new(job);
    round.take_conversations_of(&ledger.record().cards).await;
    let mut delivered = Delivered::default();
    let deliveries = stream::iter(work.steps.clone())
        .map(|step| round.step(step))
        .buffer_unordered(AT_ONCE);
    let mut deliveries = pin!(deliveries);
    let mut guard = pin!(round.guard());
    let mut heartbeat = interval(context.limits.claim_term / 3);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let mut open = true;
    let mut waiting = Vec::new();
    while open {
        tokio::select! {
            done = deliveries.next() => match done {
                Some(done) => waiting.extend(delivered.count(done)),
                None => open = false,
            },
            () = sleep(context.limits.standing_still) => {
                turn.step_aside();
                continue;
            }
            _ = heartbeat.tick() => {}
            () = &mut guard => {}
        }
        while open {
            // Whatever else is ready goes into the same entry.
            match futures_util::poll!(deliveries.next()) {
                std::task::Poll::Ready(Some(done)) => waiting.extend(delivered.count(done)),
                std::task::Poll::Ready(None) => open = false,
                std::task::Poll::Pending => break,
            }
        }
        if !open {
            break;
        }
        // Deliveries go on while an entry is written, and make up the next one.
        let mut written = pin!(ledger.write(std::mem::take(&mut waiting), Entry::Interim));
        loop {
            tokio::select! {
                () = &mut written => break,
                () = &mut guard => {}
                done = deliveries.next(), if open => match done {
                    Some(done) => waiting.extend(delivered.count(done)),
                    None => open = false,
                },
            }
        }
        heartbeat.reset();
        if !lease.holds() {
            round.halt.cancel();
        }
    }
    let complete = delivered.again == 0 && !delivered.interrupted;
    ledger.write(waiting, Entry::Last { complete }).await;
    delivered
}

impl Delivered {
    /// Counts a result, and returns what has to be noted of it.
    fn count(&mut self, done: Done) -> Vec<Outcome> {
        match done {
            Done::Noted(outcomes) => {
                for outcome in &outcomes {
                    match outcome {
                        Outcome::Posted { .. } => self.posted += 1,
                        Outcome::Updated { .. } => self.updated += 1,
                        Outcome::Refused { .. } => self.refused += 1,
                        Outcome::Vanished { .. } => {}
                    }
                }
                return outcomes;
            }
            Done::Told(address) => self.told.push(address),
            Done::Again(pause) => {
                self.again += 1;
                self.pause = self.pause.max(pause);
            }
            Done::NotBegun => self.interrupted = true,
        }
        Vec::new()
    }
}
