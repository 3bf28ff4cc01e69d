//! Lets calls wait until they may be sent.
//!
//! One waiting call (the *driver*) runs the timer for all: it sleeps until `pace` allows the next call, and sends that
//! call its permit. When the driver gets its own permit, or is dropped, another waiting call takes over. So nothing has
//! to be spawned, and no call is woken early.
//!
//! Architecture Invariant: decides nothing; `pace` owns the limits and the order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::msteams::call_queue::{Caller, Key, Ticket};
use crate::msteams::pace::{Next, Pace, PaceLimits};

/// Limits the requests of a service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pacer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified when a call may be sendable before the driver wakes up.
    changed: Notify,
    driver: tokio::sync::Mutex<()>,
    /// The longest pause that a call waits out; for a longer one it fails.
    patience: Duration,
}

struct State {
    pace: Pace,
    waiters: HashMap<Ticket, oneshot::Sender<Permit>>,
}

/// The right to have one request in flight, until it is dropped.
pub(crate) struct Permit {
    shared: Arc<Shared>,
    key: Key,
    is_silent: bool,
    /// Granted in spite of a pause, to test whether the pause is over.
    is_probe: bool,
}

/// A place in a line, which is released when it is dropped.
struct QueuePlace<'a> {
    shared: &'a Shared,
    key: &'a Key,
    ticket: Ticket,
}

impl Pacer {
    pub(crate) fn new(limits: PaceLimits, patience: Duration) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                pace: Pace::new(limits),
                waiters: HashMap::new(),
            }),
            changed: Notify::new(),
            driver: tokio::sync::Mutex::new(()),
            patience,
        }))
    }

    /// Waits for a permit. The error is the pause that Microsoft requested.
    pub(crate) async fn enter(&self, caller: Caller<'_>) -> Result<Permit, Duration> {
        let key = caller.key;
        loop {
            let now = Instant::now();
            let (place, mut waiter) = {
                let mut state = self.0.lock();
                let pause = state
                    .pace
                    .paused_until(key)
                    .map(|until| until.saturating_duration_since(now));
                if let Some(pause) = pause.filter(|pause| *pause > self.0.patience) {
                    let is_probe = state.pace.probe(now, key);
                    drop(state);
                    return if is_probe {
                        Ok(Permit::new(&self.0, key.clone(), true))
                    } else {
                        Err(pause)
                    };
                }
                self.0.join(&mut state, now, caller)
            };
            let turn = self.wait(&mut waiter).await;
            drop(place);
            if let Some(permit) = turn {
                return Ok(permit);
            }
        }
    }

    /// Returns the number of waiting calls.
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().waiters.len()
    }

    /// Pauses a key (the empty one: everything) for a time.
    pub(crate) fn pause(&self, key: &Key, pause: Duration) {
        let now = Instant::now();
        let mut state = self.0.lock();
        let waiting = state.pace.pause(now, key, now + pause);
        if pause > self.0.patience {
            // Without their senders they try to enter again, and see the pause.
            for ticket in waiting {
                state.waiters.remove(&ticket);
            }
        }
    }

    /// Waits for the permit, and runs the timer for all if no other call does. Returns `None` if the place was removed.
    async fn wait(&self, waiter: &mut oneshot::Receiver<Permit>) -> Option<Permit> {
        self.0.grant_permits();
        match waiter.try_recv() {
            Err(TryRecvError::Empty) => {}
            turn => return turn.ok(),
        }
        // The driver may be sleeping for longer than this call has to wait.
        self.0.changed.notify_one();
        let _driver = tokio::select! {
            biased;
            permit = &mut *waiter => return permit.ok(),
            driver = self.0.driver.lock() => driver,
        };
        loop {
            let wake_at = self.0.grant_permits();
            match waiter.try_recv() {
                Err(TryRecvError::Empty) => {}
                turn => return turn.ok(),
            }
            tokio::select! {
                biased;
                permit = &mut *waiter => return permit.ok(),
                () = self.0.changed.notified() => {}
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join<'a>(
        &'a self,
        state: &mut State,
        now: Instant,
        caller: Caller<'a>,
    ) -> (QueuePlace<'a>, oneshot::Receiver<Permit>) {
        let ticket = state.pace.join(now, caller);
        let (sender, waiter) = oneshot::channel();
        state.waiters.insert(ticket, sender);
        let place = QueuePlace {
            shared: self,
            key: caller.key,
            ticket,
        };
        (place, waiter)
    }

    /// Grants permits to all calls that may be sent; returns when to check next.
    fn grant_permits(self: &Arc<Self>) -> Option<Instant> {
        let mut granted = Vec::new();
        let wake_at = {
            let mut state = self.lock();
            loop {
                match state.pace.next(Instant::now()) {
                    Next::Go(ticket, key) => {
                        let permit = Permit::new(self, key, false);
                        granted.push((state.waiters.remove(&ticket), permit));
                    }
                    Next::At(at) => break Some(at),
                    Next::Idle => break None,
                }
            }
        };
        // Outside the lock: a permit whose receiver is gone is dropped here, and takes the lock.
        for (waiter, permit) in granted {
            if let Some(waiter) = waiter {
                waiter.send(permit).ok();
            }
        }
        wake_at
    }
}

impl Permit {
    fn new(shared: &Arc<Shared>, key: Key, is_probe: bool) -> Self {
        Self {
            shared: Arc::clone(shared),
            key,
            is_silent: false,
            is_probe,
        }
    }

    /// Records that there was no answer for a while, so that other calls need not wait for this one.
    pub(crate) fn mark_silent(&mut self) {
        if !self.is_silent {
            self.is_silent = self.shared.lock().pace.mark_silent();
            self.shared.changed.notify_one();
        }
    }

    /// Records that the service answers: if the permit was a probe, the pause is over.
    pub(crate) fn answered(&self) {
        if self.is_probe {
            self.shared.lock().pace.resume(Instant::now(), &self.key);
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.pace.done(Instant::now(), &self.key, self.is_silent);
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let held = state.pace.leave(Instant::now(), self.key, self.ticket);
        let waiter = state.waiters.remove(&self.ticket);
        drop(state);
        drop(waiter);
        if held {
            self.shared.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::msteams::call_queue::Urgency;
    use crate::msteams::{bot, graph};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn key(number: usize) -> Key {
        Arc::from(format!("conversation {number}"))
    }

    #[tokio::test(start_paused = true)]
    async fn many_senders_all_send_at_nearly_the_allowed_rate() {
        let pacer = Pacer::new(bot::pace(), PATIENCE);
        let start = Instant::now();
        let send = async |number: usize| {
            let permit = pacer
                .enter(Caller::new(&key(number % 300), Urgency::Announcement))
                .await
                .unwrap();
            sleep(Duration::from_millis(120)).await;
            drop(permit);
        };
        join_all((0..1_500).map(send)).await;
        let seconds = start.elapsed().as_secs_f64();
        assert!(1_500.0 / seconds >= 0.95 * 50.0, "{seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_call_leaves_no_trace() {
        let pacer = Pacer::new(bot::pace(), PATIENCE);
        let first = pacer.enter(Caller::new(&key(0), Urgency::Review)).await.unwrap();
        let second = pacer.enter(Caller::new(&key(0), Urgency::Review)).await.unwrap();
        let brief = Duration::from_millis(50);
        for _ in 0..3 {
            assert!(
                timeout(brief, pacer.enter(Caller::new(&key(0), Urgency::Resolution)))
                    .await
                    .is_err()
            );
        }
        assert!(pacer.0.lock().waiters.is_empty());
        drop((first, second));
        assert!(
            timeout(brief, pacer.enter(Caller::new(&key(0), Urgency::Review)))
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_call_runs_the_timer_when_the_first_is_cancelled() {
        let pacer = Pacer::new(bot::pace(), PATIENCE);
        pacer.pause(&key(0), Duration::from_secs(5));
        let (name, other) = (key(0), key(0));
        let first = timeout(Duration::from_secs(1), pacer.enter(Caller::new(&name, Urgency::Review)));
        let second = timeout(
            Duration::from_secs(6),
            pacer.enter(Caller::new(&other, Urgency::Review)),
        );
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err());
        assert!(second.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_patience_fails_waiting_and_new_calls() {
        let pacer = Pacer::new(bot::pace(), PATIENCE);
        let name = key(0);
        let permits = [
            pacer.enter(Caller::new(&name, Urgency::Review)).await.unwrap(),
            pacer.enter(Caller::new(&name, Urgency::Review)).await.unwrap(),
        ];
        let pause = Duration::from_secs(100);
        let waiting = pacer.enter(Caller::new(&name, Urgency::Review));
        let (outcome, ()) = tokio::join!(waiting, async { pacer.pause(&name, pause) });
        assert_eq!(outcome.err(), Some(pause));
        assert_eq!(
            pacer.enter(Caller::new(&name, Urgency::Resolution)).await.err(),
            Some(pause)
        );
        assert!(pacer.enter(Caller::new(&key(1), Urgency::Review)).await.is_ok());
        drop(permits);
        sleep(pause).await;
        assert!(pacer.enter(Caller::new(&name, Urgency::Review)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_a_minute_probes_whether_a_long_pause_is_over() {
        let pacer = Pacer::new(graph::pace(), PATIENCE);
        let (everything, pause) = (Key::from(""), Duration::from_mins(5));
        let enter = || pacer.enter(Caller::new(&everything, Urgency::Announcement));
        pacer.pause(&everything, pause);
        assert!(enter().await.is_err());
        sleep(Duration::from_mins(1)).await;
        let probe = enter().await.unwrap();
        assert!(enter().await.is_err());
        drop(probe);
        assert!(enter().await.is_err(), "a probe that fails ends nothing");
        sleep(Duration::from_mins(1)).await;
        enter().await.unwrap().answered();
        assert!(enter().await.is_ok());
        assert!(enter().await.is_ok());
    }
}
