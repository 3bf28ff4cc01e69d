//! The agenda: one timer for the next due moment of every announced request.
//!
//! Times since an announcement follow the monotonic clock from the moment at which this process first knew of it, so a wall
//! clock that jumps makes nothing due and delays nothing. Ends of requests and access are wall clock times; after a jump
//! they are computed anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::domain::reminders::Next;
use crate::domain::request::RequestId;

/// How often the wall clock is compared with the monotonic clock.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The smallest jump of the wall clock that is acted on; a clock that is adjusted gradually differs by less.
const JUMP: SignedDuration = SignedDuration::from_secs(5);

/// When requests are due. Every method returns immediately, except [`Agenda::due`].
#[derive(Debug, Default)]
pub(in crate::daemon) struct Agenda {
    inner: Mutex<Inner>,
    /// The first moment may be earlier than before.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<RequestId, Entry>,
    /// The requests in the order in which they are due; the number orders requests of one moment.
    queue: BTreeMap<(Instant, u64), RequestId>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    /// When the request was announced.
    announced: Instant,
    next: Next,
    place: Option<(Instant, u64)>,
}

impl Agenda {
    /// Returns the time since the announcement of a request. An announcement in the future, by a clock that was set back since,
    /// counts as made now.
    pub(in crate::daemon) fn waited(&self, id: &RequestId, announced: Timestamp) -> Duration {
        let now = Instant::now();
        match self.lock().entries.get(id) {
            Some(entry) => now.saturating_duration_since(entry.announced),
            None => Duration::try_from(clock::now().duration_since(announced)).unwrap_or_default(),
        }
    }

    /// Sets when a request is due next; `waited` is the time since its announcement.
    pub(in crate::daemon) fn set(&self, id: &RequestId, waited: Duration, next: Next) {
        if next.is_never() {
            return self.remove(id);
        }
        let now = Instant::now();
        let mut inner = self.lock();
        let inner = &mut *inner;
        let entry = inner.entries.entry(id.clone()).or_insert_with(|| Entry {
            announced: now.checked_sub(waited).unwrap_or(now),
            next,
            place: None,
        });
        entry.next = next;
        let first = inner.count;
        inner.count += 1;
        enter(&mut inner.queue, id, entry, now, first);
        self.changed.notify_one();
    }

    /// Makes a request due after a pause, because an attempt failed.
    pub(in crate::daemon) fn postpone(&self, id: &RequestId, pause: Duration) {
        let now = Instant::now();
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(entry) = inner.entries.get_mut(id) else {
            return;
        };
        let place = (now + pause, inner.count);
        inner.count += 1;
        if let Some(before) = entry.place.replace(place) {
            inner.queue.remove(&before);
        }
        inner.queue.insert(place, id.clone());
        self.changed.notify_one();
    }

    /// Forgets a request for which nothing will be due.
    pub(in crate::daemon) fn remove(&self, id: &RequestId) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.remove(id)
            && let Some(place) = entry.place
        {
            inner.queue.remove(&place);
        }
    }

    /// Waits for the next due request, and takes it from the queue: [`set`](Self::set) or [`postpone`](Self::postpone) enters
    /// it again.
    pub(super) async fn due(&self, watch: &mut ClockWatch) -> RequestId {
        loop {
            let now = Instant::now();
            if watch.has_jumped(now) {
                self.reckon(now);
            }
            let until = match self.take(now) {
                Ok(id) => return id,
                Err(first) => first.map_or(now + LOOK_EVERY, |first| first.min(now + LOOK_EVERY)),
            };
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Takes a request that is due, or returns when the first one is.
    fn take(&self, now: Instant) -> Result<RequestId, Option<Instant>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        match inner.queue.first_entry() {
            Some(first) if first.key().0 <= now => {
                let id = first.remove();
                if let Some(entry) = inner.entries.get_mut(&id) {
                    entry.place = None;
                }
                Ok(id)
            }
            first => Err(first.map(|first| first.key().0)),
        }
    }

    /// Computes every moment anew, after a jump of the wall clock.
    fn reckon(&self, now: Instant) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        for (id, entry) in &mut inner.entries {
            if entry.place.is_some() && entry.next.at.is_some() {
                inner.count += 1;
                enter(&mut inner.queue, id, entry, now, inner.count);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Enters a request at its next moment, and removes its former place.
fn enter(
    queue: &mut BTreeMap<(Instant, u64), RequestId>,
    id: &RequestId,
    entry: &mut Entry,
    now: Instant,
    number: u64,
) {
    let waited = entry.next.waited.and_then(|waited| entry.announced.checked_add(waited));
    let until = |at: Timestamp| Duration::try_from(at.duration_since(clock::now())).unwrap_or_default();
    let at = entry.next.at.and_then(|at| now.checked_add(until(at)));
    let place = waited.into_iter().chain(at).min().map(|due| (due, number));
    if let Some(before) = std::mem::replace(&mut entry.place, place) {
        queue.remove(&before);
    }
    if let Some(place) = place {
        queue.insert(place, id.clone());
    }
}

/// Notices jumps of the wall clock.
#[derive(Debug)]
pub(super) struct ClockWatch {
    looked: Instant,
    read: Timestamp,
}

impl ClockWatch {
    pub(super) fn new() -> Self {
        Self {
            looked: Instant::now(),
            read: clock::now(),
        }
    }

    /// Returns whether the wall clock has moved differently from the monotonic clock since the last call.
    fn has_jumped(&mut self, now: Instant) -> bool {
        let read = clock::now();
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.looked));
        let jump = read.duration_since(self.read) - passed.unwrap_or(SignedDuration::MAX);
        (self.looked, self.read) = (now, read);
        jump.abs() > JUMP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> RequestId {
        RequestId::new(name)
    }

    fn waited(waited: Duration) -> Next {
        Next {
            waited: Some(waited),
            at: None,
        }
    }

    #[tokio::test]
    async fn requests_are_due_in_order_and_once() {
        let (agenda, mut watch) = (Agenda::default(), ClockWatch::new());
        agenda.set(&id("later"), Duration::ZERO, waited(Duration::from_hours(1)));
        agenda.set(&id("second"), Duration::from_secs(9), waited(Duration::from_secs(8)));
        agenda.set(&id("first"), Duration::from_secs(9), waited(Duration::from_secs(5)));
        agenda.set(&id("gone"), Duration::from_secs(9), waited(Duration::from_secs(1)));
        agenda.set(&id("gone"), Duration::from_secs(9), Next::default());
        assert_eq!(agenda.due(&mut watch).await, id("first"));
        assert_eq!(agenda.due(&mut watch).await, id("second"));
        let now = Instant::now();
        let next = agenda.take(now).unwrap_err().unwrap();
        assert!(next > now + Duration::from_mins(59), "only the later one is left");
        agenda.postpone(&id("first"), Duration::ZERO);
        assert_eq!(agenda.due(&mut watch).await, id("first"));
    }

    #[test]
    fn the_time_since_the_announcement_does_not_follow_the_wall_clock() {
        let agenda = Agenda::default();
        let tomorrow = clock::now() + SignedDuration::from_hours(24);
        assert_eq!(
            agenda.waited(&id("a"), tomorrow),
            Duration::ZERO,
            "a clock that was set back"
        );
        let hour = Duration::from_hours(1);
        agenda.set(&id("a"), hour, waited(Duration::from_hours(2)));
        let known = agenda.waited(&id("a"), tomorrow);
        assert!(known >= hour && known < hour + Duration::from_mins(1), "{known:?}");
        agenda.set(&id("a"), Duration::ZERO, waited(Duration::from_hours(3)));
        assert!(
            agenda.waited(&id("a"), tomorrow) >= hour,
            "the first announcement counts"
        );
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_noticed() {
        let now = Instant::now();
        let mut watch = ClockWatch {
            looked: now,
            read: clock::now() - SignedDuration::from_mins(1),
        };
        assert!(watch.has_jumped(now));
        assert!(!watch.has_jumped(now + Duration::from_millis(1)));
    }

    #[test]
    fn times_of_day_are_computed_anew_after_a_jump() {
        let agenda = Agenda::default();
        let next = Next {
            waited: None,
            at: Some(clock::now() + SignedDuration::from_hours(1)),
        };
        agenda.set(&id("a"), Duration::ZERO, next);
        // As if the wall clock had been an hour behind when the moment was computed.
        let past = Next {
            waited: None,
            at: Some(clock::now()),
        };
        agenda.lock().entries.get_mut(&id("a")).unwrap().next = past;
        let now = Instant::now();
        assert!(agenda.take(now).is_err());
        agenda.reckon(now);
        assert_eq!(agenda.take(Instant::now()), Ok(id("a")));
    }
}
