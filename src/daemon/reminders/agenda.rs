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
use crate::domain::reminders::{Next, ReminderStep, Sent};
use crate::domain::request::RequestId;

/// How often the wall clock is compared with the monotonic clock.
const COMPARE_CLOCKS_EVERY: Duration = Duration::from_secs(30);

/// The smallest jump of the wall clock that is acted on; a clock that is adjusted gradually differs by less.
const JUMP: SignedDuration = SignedDuration::from_secs(5);

/// When requests are due. Every method returns immediately, except [`Agenda::due`].
#[derive(Debug, Default)]
pub(in crate::daemon) struct Agenda {
    inner: Mutex<Inner>,
    /// The first moment may be earlier than before.
    changed: Notify,
}

/// A request that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueRequest {
    pub(super) id: RequestId,
    /// Further recipients are to be notified; a request is due for it once.
    pub(super) escalates: bool,
    /// A reminder is to be sent. The request is due again when it is [`set`](Agenda::set) or
    /// [`postponed`](Agenda::postpone).
    pub(super) reminds: bool,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<RequestId, Entry>,
    /// The requests in the order in which they are due; the number orders requests of one moment.
    queue: BTreeMap<Place, RequestId>,
    count: u64,
}

type Place = (Instant, u64);

#[derive(Debug)]
struct Entry {
    /// When the request was announced.
    announced: Instant,
    next: Next,
    place: Option<Place>,
    /// What this process knows to be sent, beyond what its lane has read.
    sent: Sent,
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

    /// Sets when a request is due next; `waited` is the time since its announcement. A request for which nothing is due keeps what
    /// was sent, until it is [removed](Self::remove).
    pub(super) fn set(&self, id: &RequestId, waited: Duration, next: Next) {
        if next.is_never() {
            return self.lock().leave(id);
        }
        let now = Instant::now();
        let mut inner = self.lock();
        let entry = inner.entries.entry(id.clone()).or_insert_with(|| Entry {
            announced: now.checked_sub(waited).unwrap_or(now),
            next,
            place: None,
            sent: Sent::default(),
        });
        entry.next = next;
        inner.enter(id, now);
        self.changed.notify_one();
    }

    /// Makes a request due after a pause, because an attempt failed.
    pub(super) fn postpone(&self, id: &RequestId, pause: Duration) {
        self.lock().enter_at(id, Instant::now() + pause);
        self.changed.notify_one();
    }

    /// Returns the steps that this process knows to be sent.
    pub(super) fn sent(&self, id: &RequestId) -> Sent {
        let inner = self.lock();
        inner
            .entries
            .get(id)
            .map(|entry| entry.sent.clone())
            .unwrap_or_default()
    }

    /// Records steps as sent, as long as the request has an entry.
    pub(super) fn mark_sent(&self, id: &RequestId, steps: &[ReminderStep]) {
        if let Some(entry) = self.lock().entries.get_mut(id) {
            entry.sent.extend(steps);
        }
    }

    /// Forgets a request that has ended.
    pub(super) fn remove(&self, id: &RequestId) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.remove(id)
            && let Some(place) = entry.place
        {
            inner.queue.remove(&place);
        }
    }

    /// Waits for the next due request, and takes it from the queue.
    pub(super) async fn due(&self, clocks: &mut ClockWatch) -> DueRequest {
        loop {
            let now = Instant::now();
            if clocks.has_jumped(now) {
                self.lock().recompute(now);
            }
            let until = match self.lock().take(now) {
                Ok(due) => return due,
                Err(first) => first.into_iter().chain([now + COMPARE_CLOCKS_EVERY]).min(),
            };
            tokio::select! {
                () = sleep_until(until.unwrap_or(now)) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Enters a request at its next moment.
    fn enter(&mut self, id: &RequestId, now: Instant) {
        if let Some(entry) = self.entries.get(id) {
            match entry.next_moment(now) {
                Some(at) => self.enter_at(id, at),
                None => self.leave(id),
            }
        }
    }

    fn enter_at(&mut self, id: &RequestId, at: Instant) {
        self.leave(id);
        if let Some(entry) = self.entries.get_mut(id) {
            let place = (at, self.count);
            self.count += 1;
            entry.place = Some(place);
            self.queue.insert(place, id.clone());
        }
    }

    fn leave(&mut self, id: &RequestId) {
        let entry = self.entries.get_mut(id);
        if let Some(place) = entry.and_then(|entry| entry.place.take()) {
            self.queue.remove(&place);
        }
    }

    /// Takes a request that is due, or returns when the first one is.
    fn take(&mut self, now: Instant) -> Result<DueRequest, Option<Instant>> {
        let (place, id) = match self.queue.first_key_value() {
            Some((place, id)) if place.0 <= now => (*place, id.clone()),
            first => return Err(first.map(|(place, _)| place.0)),
        };
        self.queue.remove(&place);
        let Some(entry) = self.entries.get_mut(&id) else {
            return Err(Some(now));
        };
        entry.place = None;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let escalates = is_due(entry.after(entry.next.escalation));
        if escalates {
            entry.next.escalation = None;
        }
        let reminds = entry.next_moment(now).is_some_and(|at| at <= now) || !escalates;
        if !reminds {
            self.enter(&id, now);
        }
        Ok(DueRequest { id, escalates, reminds })
    }

    /// Computes every moment anew, after a jump of the wall clock.
    fn recompute(&mut self, now: Instant) {
        let queued = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.place.is_some() && entry.next.at.is_some());
        for id in queued.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.enter(&id, now);
        }
    }
}

impl Entry {
    fn after(&self, waited: Option<Duration>) -> Option<Instant> {
        self.announced.checked_add(waited?)
    }

    fn next_moment(&self, now: Instant) -> Option<Instant> {
        let until = |at: Timestamp| Duration::try_from(at.duration_since(clock::now())).unwrap_or_default();
        let at = self.next.at.and_then(|at| now.checked_add(until(at)));
        let moments = [self.after(self.next.waited), self.after(self.next.escalation), at];
        moments.into_iter().flatten().min()
    }
}

/// Notices jumps of the wall clock.
#[derive(Debug)]
pub(super) struct ClockWatch {
    compared_at: Instant,
    read: Timestamp,
}

impl ClockWatch {
    pub(super) fn new() -> Self {
        Self {
            compared_at: Instant::now(),
            read: clock::now(),
        }
    }

    /// Returns whether the wall clock has moved differently from the monotonic clock since the last call.
    fn has_jumped(&mut self, now: Instant) -> bool {
        let read = clock::now();
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.compared_at));
        let jump = read.duration_since(self.read) - passed.unwrap_or(SignedDuration::MAX);
        (self.compared_at, self.read) = (now, read);
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
            ..Next::default()
        }
    }

    fn reminds(name: &str) -> DueRequest {
        DueRequest {
            id: id(name),
            escalates: false,
            reminds: true,
        }
    }

    #[tokio::test]
    async fn requests_are_due_in_order_and_once() {
        let (agenda, mut clocks) = (Agenda::default(), ClockWatch::new());
        let second = Duration::from_secs;
        agenda.set(&id("later"), Duration::ZERO, waited(Duration::from_hours(1)));
        agenda.set(&id("second"), second(9), waited(second(8)));
        agenda.set(&id("first"), second(9), waited(second(5)));
        agenda.set(&id("gone"), second(9), waited(second(1)));
        agenda.remove(&id("gone"));
        assert_eq!(agenda.due(&mut clocks).await, reminds("first"));
        assert_eq!(agenda.due(&mut clocks).await, reminds("second"));
        let now = Instant::now();
        let next = agenda.lock().take(now).unwrap_err().unwrap();
        assert!(next > now + Duration::from_mins(59), "only the later one is left");
        agenda.postpone(&id("first"), Duration::ZERO);
        assert_eq!(agenda.due(&mut clocks).await, reminds("first"));
        agenda.remove(&id("first"));
        agenda.postpone(&id("first"), Duration::ZERO);
        assert_eq!(
            agenda.lock().entries.len(),
            2,
            "a request that has ended stays forgotten"
        );
    }

    #[tokio::test]
    async fn an_escalation_is_due_once_and_does_not_take_the_reminder_along() {
        let (agenda, mut clocks) = (Agenda::default(), ClockWatch::new());
        let next = Next {
            waited: Some(Duration::from_hours(1)),
            escalation: Some(Duration::from_secs(5)),
            at: None,
        };
        agenda.set(&id("a"), Duration::from_secs(9), next);
        let due = agenda.due(&mut clocks).await;
        assert!(due.escalates && !due.reminds, "{due:?}");
        let next = agenda.lock().take(Instant::now()).unwrap_err();
        assert!(next.is_some(), "the reminder is still queued");
        agenda.set(
            &id("b"),
            Duration::from_secs(9),
            Next {
                waited: Some(Duration::from_secs(1)),
                ..next_of("a", &agenda)
            },
        );
        assert_eq!(agenda.due(&mut clocks).await, reminds("b"));
    }

    fn next_of(name: &str, agenda: &Agenda) -> Next {
        agenda.lock().entries[&id(name)].next
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
        let mut clocks = ClockWatch {
            compared_at: now,
            read: clock::now() - SignedDuration::from_mins(1),
        };
        assert!(clocks.has_jumped(now));
        assert!(!clocks.has_jumped(now + Duration::from_millis(1)));
    }

    #[test]
    fn times_of_day_are_computed_anew_after_a_jump() {
        let agenda = Agenda::default();
        let at = |at| Next {
            at: Some(at),
            ..Next::default()
        };
        agenda.set(
            &id("a"),
            Duration::ZERO,
            at(clock::now() + SignedDuration::from_hours(1)),
        );
        // As if the wall clock had been an hour behind when the moment was computed.
        agenda.lock().entries.get_mut(&id("a")).unwrap().next = at(clock::now());
        let now = Instant::now();
        assert!(agenda.lock().take(now).is_err());
        agenda.lock().recompute(now);
        assert_eq!(agenda.lock().take(Instant::now()), Ok(reminds("a")));
    }
}
