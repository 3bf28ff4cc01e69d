//! Lets senders wait for their turn.
//!
//! Whoever waits at the head of the crowd keeps the clock for all (the *driver*): it sleeps until `pace` lets the next one
//! go and tells that one. A driver that got its turn, or was dropped, is followed by the next waiter. So nothing needs
//! to be spawned, and nobody is woken for nothing.
//!
//! Architecture Invariant: decides nothing; the limits and the order are `pace`'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::msteams::line::{Caller, Key, Ticket};
use crate::msteams::pace::{Next, Pace, PaceLimits};

/// The door through which every request of a service goes; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pacer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something happened that may let somebody go before the driver's alarm.
    changed: Notify,
    driver: tokio::sync::Mutex<()>,
    /// Who would have to wait longer because of a pause is told so instead.
    patience: Duration,
}

struct State {
    pace: Pace,
    bells: HashMap<Ticket, oneshot::Sender<Permit>>,
}

/// The right to have one request in flight; dropping it ends that.
pub(crate) struct Permit {
    shared: Arc<Shared>,
    key: Key,
    is_silent: bool,
    /// It was given in spite of a pause, to find out whether that is over.
    is_probe: bool,
}

/// A place in a line that is given up when it is dropped.
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
                bells: HashMap::new(),
            }),
            changed: Notify::new(),
            driver: tokio::sync::Mutex::new(()),
            patience,
        }))
    }

    /// Waits for a turn; the error tells for how long Microsoft wants nothing from us there.
    pub(crate) async fn enter(&self, caller: Caller<'_>) -> Result<Permit, Duration> {
        let key = caller.key;
        loop {
            let now = Instant::now();
            let (place, mut bell) = {
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
            let turn = self.wait(&mut bell).await;
            drop(place);
            if let Some(permit) = turn {
                return Ok(permit);
            }
        }
    }

    /// Tells how many wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().bells.len()
    }

    /// Keeps a key (the empty one: everything) from sending for a time.
    pub(crate) fn pause(&self, key: &Key, pause: Duration) {
        let now = Instant::now();
        let mut state = self.0.lock();
        let waiting = state.pace.pause(now, key, now + pause);
        if pause > self.0.patience {
            // Without their bells they look again, and learn of the pause.
            for ticket in waiting {
                state.bells.remove(&ticket);
            }
        }
    }

    /// Waits for the bell, keeping the clock for all when nobody else does. None: the place was taken away.
    async fn wait(&self, bell: &mut oneshot::Receiver<Permit>) -> Option<Permit> {
        self.0.let_go();
        match bell.try_recv() {
            Err(TryRecvError::Empty) => {}
            turn => return turn.ok(),
        }
        // The driver may sleep longer than this one has to.
        self.0.changed.notify_one();
        let _driver = tokio::select! {
            biased;
            permit = &mut *bell => return permit.ok(),
            driver = self.0.driver.lock() => driver,
        };
        loop {
            let alarm = self.0.let_go();
            match bell.try_recv() {
                Err(TryRecvError::Empty) => {}
                turn => return turn.ok(),
            }
            tokio::select! {
                biased;
                permit = &mut *bell => return permit.ok(),
                () = self.0.changed.notified() => {}
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => {}
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
        let (sender, bell) = oneshot::channel();
        state.bells.insert(ticket, sender);
        let place = QueuePlace {
            shared: self,
            key: caller.key,
            ticket,
        };
        (place, bell)
    }

    /// Lets everybody go who may; returns when to look again.
    fn let_go(self: &Arc<Self>) -> Option<Instant> {
        let mut turns = Vec::new();
        let alarm = {
            let mut state = self.lock();
            loop {
                match state.pace.next(Instant::now()) {
                    Next::Go(ticket, key) => {
                        let permit = Permit::new(self, key, false);
                        turns.push((state.bells.remove(&ticket), permit));
                    }
                    Next::At(at) => break Some(at),
                    Next::Idle => break None,
                }
            }
        };
        // Outside the lock: a permit whose owner has gone is dropped here, and wants the lock.
        for (bell, permit) in turns {
            if let Some(bell) = bell {
                bell.send(permit).ok();
            }
        }
        alarm
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

    /// Takes that there was no answer for a while: others need not wait for this one.
    pub(crate) fn fall_silent(&mut self) {
        if !self.is_silent {
            self.is_silent = self.shared.lock().pace.fall_silent();
            self.shared.changed.notify_one();
        }
    }

    /// Takes that the service serves again: if the permit was a probe, the pause is over.
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
        let bell = state.bells.remove(&self.ticket);
        drop(state);
        drop(bell);
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
    use crate::msteams::line::Urgency;
    use crate::msteams::{bot, graph};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn key(number: usize) -> Key {
        Arc::from(format!("conversation {number}"))
    }

    #[tokio::test(start_paused = true)]
    async fn many_senders_all_get_their_turn_at_nearly_the_allowed_rate() {
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
    async fn who_gives_up_while_waiting_leaves_no_trace() {
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
        assert!(pacer.0.lock().bells.is_empty());
        drop((first, second));
        assert!(
            timeout(brief, pacer.enter(Caller::new(&key(0), Urgency::Review)))
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_waiter_keeps_the_clock_when_the_first_gives_up() {
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
    async fn a_pause_beyond_patience_is_told_to_those_who_wait_and_those_who_come() {
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
    async fn one_call_a_minute_finds_out_whether_a_long_pause_is_over() {
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
