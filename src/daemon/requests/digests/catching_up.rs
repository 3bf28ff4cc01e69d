//! Draws shared cards that are behind although no delivery will draw them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::backoff::Backoff;
use crate::daemon::context::Context;
use crate::daemon::courier::Undelivered;
use crate::daemon::outages::Services;
use crate::daemon::requests::digests::delivery::{Delivering, Unshown};
use crate::daemon::requests::digests::digest::Failure;
use crate::daemon::requests::digests::table::DigestId;
use crate::daemon::tasks::Tasks;
use crate::heartbeat::Heartbeat;

/// The number of times that a card which is behind is drawn while that fails. The next listing or recovery tries again.
const MOST_CATCHING_UP: usize = 5;

/// Draws shared cards again that do not show what this process knows although no delivery will draw them, until shutdown.
/// Each is drawn by a task, because a conversation may not answer.
pub(in crate::daemon) async fn keep_current(context: Arc<Context>, tasks: Tasks, heartbeat: Heartbeat) -> Infallible {
    let mut recovered = context.retry_now.subscribe();
    loop {
        let due = async {
            tokio::select! {
                () = context.digests.behind.notified() => {}
                // The sender lives as long as the context.
                _ = recovered.changed() => context.digests.retry_behind(),
            }
        };
        heartbeat.while_waiting(due).await;
        for digest in context.digests.all_behind() {
            let context = Arc::clone(&context);
            tasks.must_finish("digest", async move { catch_up(&context, digest).await });
        }
    }
}

/// Draws a card that is behind, with pauses after failures.
async fn catch_up(context: &Context, digest: DigestId) {
    let Some(mut ticket) = context.digests.catch_up(digest) else {
        return;
    };
    let limits = &context.limits;
    let mut pauses = Backoff::new(limits.again_first_pause, limits.again_longest_pause);
    let delivering = Delivering {
        context,
        queue: "shared cards",
        alert: false,
        halt: &context.stopping,
    };
    for _ in 0..MOST_CATCHING_UP {
        let mut probe = None;
        if let Some(failure) = ticket.failure() {
            tokio::select! {
                () = context.stopping.cancelled() => break,
                permit = rest(failure, pauses.pause(), limits.outage_pause, &context.retry_now, &context.probes) => probe = permit,
            }
        }
        let shown = delivering.show(&mut ticket).await;
        drop(probe);
        match shown {
            Ok(_) => return,
            Err(Unshown::Undelivered(Undelivered::Later(error, _))) => {
                debug!(%error, "Could not draw a shared card again, retrying");
            }
            // Microsoft may be behind; a card is given up only if it is missing twice.
            Err(Unshown::Undelivered(Undelivered::Gone(error, _))) if ticket.is_behind() => {
                debug!(%error, "Shared card is missing, retrying");
            }
            Err(Unshown::Undelivered(undelivered)) => {
                if let Some(error) = undelivered.into_error() {
                    debug!(%error, "Could not draw a shared card again");
                }
                break;
            }
            Err(Unshown::Closed) => break,
        }
    }
    ticket.give_up();
}

/// Waits until a failed call can be repeated, which is usually after this pause. While a service is out, a few calls probe it, and
/// its recovery ends every wait.
async fn rest(
    failure: Failure,
    pause: Duration,
    outage_pause: Duration,
    recovered: &watch::Sender<Services>,
    probes: &Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    let Failure { not_before, outage } = failure;
    let waits = outage != Services::NONE;
    let mut recovered = recovered.subscribe();
    let until = Instant::now() + if waits { pause.min(outage_pause) } else { pause };
    let mut until = not_before.map_or(until, |asked| asked.max(until));
    loop {
        tokio::select! {
            () = sleep_until(until) => {}
            Ok(()) = recovered.changed(), if waits => {
                if recovered.borrow_and_update().meets(outage) {
                    return None;
                }
                continue;
            }
        }
        if !waits {
            return None;
        }
        if let Ok(probe) = Arc::clone(probes).try_acquire_owned() {
            return Some(probe);
        }
        until = Instant::now() + outage_pause;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits for as long as it takes, at most for an hour, and returns the seconds.
    async fn waited(rest: impl Future<Output = Option<OwnedSemaphorePermit>>) -> u64 {
        let begun = Instant::now();
        let _ = timeout(Duration::from_hours(1), rest).await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_call_is_repeated_after_a_pause_or_when_microsoft_asks_for_it() {
        let (recovered, probes) = (watch::Sender::new(Services::NONE), Arc::new(Semaphore::new(0)));
        let rest_for = |asked: u64| {
            let failure = Failure {
                not_before: Some(Instant::now() + SECOND * u32::try_from(asked).unwrap()),
                outage: Services::NONE,
            };
            waited(rest(failure, SECOND * 5, SECOND * 15, &recovered, &probes))
        };
        assert_eq!(rest_for(0).await, 5);
        assert_eq!(rest_for(300).await, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn during_an_outage_a_few_calls_probe_the_service_and_its_recovery_ends_every_wait() {
        let (recovered, probes) = (watch::Sender::new(Services::NONE), Arc::new(Semaphore::new(1)));
        let failure = Failure {
            not_before: None,
            outage: Services::TELEPORT,
        };
        let rests = || rest(failure, SECOND * 60, SECOND * 15, &recovered, &probes);
        let probe = rests().await;
        assert!(probe.is_some());
        assert_eq!(waited(rests()).await, 3_600, "another call probes the service");
        let recovers = async {
            tokio::time::sleep(SECOND * 20).await;
            recovered.send_replace(Services::TELEPORT);
        };
        assert_eq!(tokio::join!(waited(rests()), recovers).0, 20);
        drop(probe);
        assert_eq!(waited(rests()).await, 15);
    }
}
