//! The queues that limit how many requests are worked on: first come, first served.
//!
//! A place in a queue is taken immediately, so the order is that of arrival, independent of the scheduler. A queued
//! request costs little more than its place.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of requests that can be claimed for an announcement at the same time. Each claim must be renewed, so
/// further requests wait before they claim. At the documented 50 messages a second this number uses the whole rate.
const ANNOUNCING: usize = 64;

/// The number of resolved or reviewed requests that are updated at the same time. They do not wait for announcements.
const UPDATING: usize = 64;

/// The number of requests with stalled deliveries that can leave their place to others. Their claims are renewed too,
/// which costs Teleport three writes per term for each.
const ASIDE: usize = 128;

/// The two queues, and the room for stalled requests.
#[derive(Debug)]
pub(in crate::daemon) struct Turns {
    announcing: Arc<Semaphore>,
    updating: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

/// The queue of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Not announced, as far as this replica knows.
    Announcements,
    /// Its cards change.
    Updates,
}

/// A place in a queue; dropping it gives the place up.
pub(super) struct QueuePlace {
    queue: Queue,
    permit: Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>,
    /// The turn, if it was free when the place was taken.
    granted: Option<OwnedSemaphorePermit>,
    aside: Arc<Semaphore>,
}

/// The right to work on one request; dropping it passes the turn on.
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
        // The first poll enters the queue.
        let granted = permit.as_mut().now_or_never().flatten();
        QueuePlace {
            queue,
            permit,
            granted,
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

    /// Waits for the turn. The wait can be cancelled and repeated without losing the place.
    pub(super) async fn turn(&mut self) -> Turn {
        let permit = match self.granted.take() {
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
    /// Passes the turn on and continues outside the queue, if there is room. Further calls change nothing.
    pub(super) fn step_aside(&mut self) {
        if let Some(aside) = &self.aside
            && let Ok(permit) = Arc::clone(aside).try_acquire_owned()
        {
            // Dropping the permit passes the turn on.
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
