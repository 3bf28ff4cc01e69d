//! Whose turn it is to work on a request: two queues, first come first served.
//!
//! A place in a queue is taken at once, so the order is that of arrival, whatever the scheduler makes of the tasks. Who
//! waits costs little more than the place.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests may be claimed for an announcement at once. Each holds a claim that must be kept alive, so those
/// beyond wait before they claim; at the documented 50 messages a second this many keep the route full.
const ANNOUNCING: usize = 64;

/// How many resolved or reviewed requests may be brought up to date at once. They do not wait for announcements.
const UPDATING: usize = 64;

/// How many requests whose deliveries do not move may stand aside, so that others have their turn. Their claims are kept
/// alive too, which costs Teleport three writes a term for each.
const ASIDE: usize = 128;

/// The two queues, and the room beside them.
#[derive(Debug)]
pub(in crate::daemon) struct Turns {
    announcing: Arc<Semaphore>,
    updating: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

/// Which queue a request stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Nobody was told of it, as far as we know.
    Announcements,
    /// What people see of it changes.
    Updates,
}

/// A place in a queue; it is given up when it is dropped.
pub(super) struct QueuePlace {
    queue: Queue,
    permit: Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>,
    /// The turn that was there when the place was taken.
    at_once: Option<OwnedSemaphorePermit>,
    aside: Arc<Semaphore>,
}

/// The right to work on one request; dropping it gives the turn to the next.
#[derive(Debug)]
pub(super) struct Turn {
    permit: OwnedSemaphorePermit,
    aside: Option<Arc<Semaphore>>,
}

impl Turns {
    pub(in crate::daemon) fn new() -> Self {
        Self {
            announcing: Arc::new(Semaphore::new(ANNOUNCING)),
            updating: Arc::new(Semaphore::new(UPDATING)),
            aside: Arc::new(Semaphore::new(ASIDE)),
        }
    }

    /// Takes a place at the end of a queue.
    pub(super) fn join(&self, queue: Queue) -> QueuePlace {
        let semaphore = match queue {
            Queue::Announcements => &self.announcing,
            Queue::Updates => &self.updating,
        };
        let permit = Arc::clone(semaphore).acquire_owned();
        // The semaphores are never closed.
        let mut permit = Box::pin(permit.map(Result::ok));
        // Asked once, it stands in the queue.
        let at_once = permit.as_mut().now_or_never().flatten();
        QueuePlace {
            queue,
            permit,
            at_once,
            aside: Arc::clone(&self.aside),
        }
    }
}

impl fmt::Debug for QueuePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuePlace")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl QueuePlace {
    pub(super) fn queue(&self) -> Queue {
        self.queue
    }

    /// Waits for the turn. Nothing is lost if the wait is given up and begun again.
    pub(super) async fn turn(&mut self) -> Turn {
        let permit = match self.at_once.take() {
            Some(permit) => Some(permit),
            None => self.permit.as_mut().await,
        };
        match permit {
            Some(permit) => Turn {
                permit,
                aside: Some(Arc::clone(&self.aside)),
            },
            None => std::future::pending().await,
        }
    }
}

impl Turn {
    /// Lets the next one have the turn and goes on beside the queue, if there is room. Asked again, it stays where it is.
    pub(super) fn step_aside(&mut self) {
        if let Some(aside) = &self.aside
            && let Ok(permit) = Arc::clone(aside).try_acquire_owned()
        {
            // The one that is dropped here is the next one's turn.
            drop(std::mem::replace(&mut self.permit, permit));
            self.aside = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_in_which_places_were_taken() {
        let turns = Turns::new();
        let mut first: Vec<_> = (0..ANNOUNCING).map(|_| turns.join(Queue::Announcements)).collect();
        let mut next = turns.join(Queue::Announcements);
        let mut last = turns.join(Queue::Announcements);
        let mut update = turns.join(Queue::Updates);
        assert!(
            update.turn().now_or_never().is_some(),
            "updates have a queue of their own"
        );
        let mut working = Vec::new();
        for place in &mut first {
            working.push(place.turn().await);
        }
        assert!(last.turn().now_or_never().is_none());
        assert!(
            next.turn().now_or_never().is_none(),
            "asking later does not change the order"
        );
        working.pop();
        assert!(last.turn().now_or_never().is_none());
        let turn = next.turn().now_or_never();
        assert!(turn.is_some());
        drop(next);
        drop(turn);
        assert!(last.turn().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_steps_aside_makes_room_while_there_is_some() {
        let turns = Turns::new();
        let mut aside = Vec::new();
        for _ in 0..ASIDE {
            let mut turn = turns.join(Queue::Announcements).turn().await;
            turn.step_aside();
            turn.step_aside();
            aside.push(turn);
        }
        let mut working = Vec::new();
        for _ in 0..ANNOUNCING {
            let mut turn = turns.join(Queue::Announcements).turn().await;
            turn.step_aside();
            working.push(turn);
        }
        let mut next = turns.join(Queue::Announcements);
        assert!(next.turn().now_or_never().is_none());
        aside.pop();
        working[0].step_aside();
        assert!(next.turn().now_or_never().is_some());
    }
}
