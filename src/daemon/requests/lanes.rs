//! One lane for each request: order within a request, concurrency between them.
//!
//! A lane has at most one running job and one newest observation. An observation that arrives while a job runs
//! replaces the queued one and stops the job from starting new deliveries, so a burst of events costs one run, and
//! memory is bounded by the number of open requests.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::daemon::context::Context;
use crate::daemon::outages::Services;
use crate::daemon::reminders::schedule;
use crate::daemon::requests::lane::{Lane, LaneTable, Listing};
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::news::News;
use crate::daemon::requests::reconcile::{is_outdated, reconcile};
use crate::daemon::requests::run_end::RunEnd;
use crate::daemon::requests::turns::{Queue, QueuePlace};
use crate::daemon::requests::waiting::Waiting;
use crate::daemon::tasks::Tasks;
use crate::domain::lifecycle::Observed;
use crate::domain::request::{AccessRequest, RequestId};

#[derive(Clone)]
pub(in crate::daemon) struct Lanes {
    context: Arc<Context>,
    tasks: Tasks,
    table: LaneTable,
}

/// Why the wait of a request ended.
#[derive(Default)]
struct Rested {
    /// The place in the queue since the recovery of the service.
    place: Option<QueuePlace>,
    recovered: Services,
    /// The permit to probe whether the service works again.
    probe: Option<OwnedSemaphorePermit>,
}

impl Lanes {
    pub(in crate::daemon) fn new(context: Arc<Context>, tasks: Tasks) -> Self {
        Self {
            table: context.lanes.clone(),
            context,
            tasks,
        }
    }

    /// Begins a listing. Events from now on are newer than its result.
    pub(super) fn begin_listing(&self) -> Listing {
        self.table.lock().begin_listing()
    }

    /// Records the state of a request from an event.
    pub(in crate::daemon) fn event(&self, request: AccessRequest) {
        let request = Arc::new(request);
        let id = request.id.clone();
        self.context.digests.observe(&request);
        let mut table = self.table.lock();
        let heard = table.listing;
        let lane = table.lane(&id, &self.context.limits);
        lane.heard = Some(heard);
        lane.ended = false;
        lane.last = Some(Arc::clone(&request));
        self.offer(lane, &id, Observed::Request(request));
    }

    /// Records the end of a request from an event.
    pub(in crate::daemon) fn gone(&self, id: &RequestId) {
        let mut table = self.table.lock();
        let heard = table.listing;
        let lane = table.lane(id, &self.context.limits);
        lane.heard = Some(heard);
        self.end(lane, id);
    }

    /// Records the end of a request. A second end is ignored, since it carries less.
    fn end(&self, lane: &mut Lane, id: &RequestId) {
        let last = lane.last.take();
        if last.is_none() && lane.running && lane.ended {
            return;
        }
        lane.ended = true;
        self.offer(lane, id, Observed::Gone(last));
    }

    /// Records a request and its record from a list, unless an event since the start of the listing is newer. An
    /// unknown record is read when it is needed.
    pub(super) fn listed(&self, request: AccessRequest, record: Option<BTreeMap<String, String>>, listing: Listing) {
        let request = Arc::new(request);
        let id = request.id.clone();
        let mut table = self.table.lock();
        let lane = table.lane(&id, &self.context.limits);
        if lane.heard >= Some(listing) {
            return;
        }
        lane.ended = false;
        lane.last = Some(Arc::clone(&request));
        self.context.digests.observe(&request);
        if let Some(record) = record {
            lane.learn(&record);
        }
        self.offer(lane, &id, Observed::Request(request));
    }

    /// Records the record of a request that has ended, from a list.
    pub(super) fn listed_gone(&self, id: &RequestId, record: &BTreeMap<String, String>, listing: Listing) {
        let mut table = self.table.lock();
        let lane = table.lane(id, &self.context.limits);
        if lane.heard >= Some(listing) {
            return;
        }
        lane.learn(record);
        self.end(lane, id);
    }

    /// Closes requests that ended unobserved and are in no list, because no event and no record will mention them
    /// again. Known cards are closed, and requests without a card are dropped.
    pub(super) fn forget_ended(&self, listed: &HashSet<RequestId>, listing: Listing, now: Timestamp) {
        self.table.lock().lanes.retain(|id, lane| {
            let ended = lane.last.as_ref().is_some_and(|last| last.is_over(now));
            let untold = lane.memory.as_ref().is_some_and(|memory| memory.record().is_none());
            let unheard = lane.heard < Some(listing) && !listed.contains(id);
            let over = ended && unheard && !lane.running && lane.newest.is_none();
            if over && !untold {
                self.end(lane, id);
            }
            !(over && untold)
        });
    }

    /// Reconciles pending requests that have not been announced, because changed rules may name recipients. A job that
    /// evaluated the earlier rules starts over.
    pub(in crate::daemon) fn retry_unrouted(&self) {
        let mut table = self.table.lock();
        let mut lanes: Vec<_> = table.lanes.iter_mut().filter(|(_, lane)| lane.is_unrouted()).collect();
        lanes.sort_by_key(|(_, lane)| lane.number);
        for (id, lane) in lanes {
            if let Some(last) = lane.last.clone() {
                self.offer(lane, id, Observed::Request(last));
            }
        }
    }

    /// Plans a request again, because the time has changed what is due.
    pub(in crate::daemon) fn plan_again(&self, id: &RequestId) {
        let mut table = self.table.lock();
        if let Some(lane) = table.lanes.get_mut(id)
            && let Some(last) = lane.last.clone()
            && lane.newest.is_none()
        {
            self.offer(lane, id, Observed::Request(last));
        }
    }

    /// Returns whether a request is pending, as far as is known.
    pub(in crate::daemon) fn is_open(&self, id: &RequestId) -> bool {
        let table = self.table.lock();
        let last = table.lanes.get(id).and_then(|lane| lane.last.as_ref());
        last.is_some_and(|last| last.stage.is_open())
    }

    /// Returns whether an event of the request arrived since the listing began.
    pub(super) fn heard(&self, id: &RequestId, listing: Listing) -> bool {
        let table = self.table.lock();
        table.lanes.get(id).is_some_and(|lane| lane.heard >= Some(listing))
    }

    /// Returns a function that counts the requests with a lane, and those of them with work.
    pub(in crate::daemon) fn census(&self) -> impl Fn() -> (usize, usize) + Send + Sync + 'static {
        // Holds the table only, so that the metrics do not keep the daemon alive.
        let table = self.table.clone();
        move || {
            let lanes = &table.lock().lanes;
            let unfinished = lanes.values().filter(|lane| lane.running && !lane.resting).count();
            (lanes.len(), unfinished)
        }
    }

    fn offer(&self, lane: &mut Lane, id: &RequestId, observed: Observed) {
        lane.waiting = Some(Waiting::hear(lane.waiting, &observed, Instant::now()));
        lane.newest = Some(observed);
        lane.changed.cancel();
        if !lane.running && !self.context.stopping.is_cancelled() {
            lane.running = true;
            // Taken here, so that requests are announced in order of arrival.
            let place = self.context.turns.join(lane.queue());
            let job = self.clone().run(id.clone(), place);
            self.tasks.must_finish("request", job);
        }
    }

    /// Works until there is no newer observation.
    async fn run(self, id: RequestId, place: QueuePlace) {
        let mut place = Some(place);
        let mut probe = None;
        while let Some((queue, changed)) = self.next(&id) {
            // A resolution does not wait among announcements; other observations keep the place.
            let mut here = match place.take() {
                Some(place) if place.queue() == queue => place,
                Some(_) | None => self.context.turns.join(queue),
            };
            let mut turn = tokio::select! {
                biased;
                () = changed.cancelled() => {
                    place = Some(here);
                    continue;
                }
                turn = here.turn() => turn,
            };
            let Some((mut observed, mut memory, changed)) = self.take(&id) else {
                return;
            };
            let mut news = News::new(&self.table, &self.context.stopping, &id, changed);
            // Boxed, so that queued requests do not reserve memory for it.
            let reconciled = Box::pin(reconcile(
                &self.context,
                &id,
                &mut observed,
                &mut memory,
                &mut turn,
                &mut news,
            ));
            let outcome = reconciled.await;
            let changed = news.into_changed();
            schedule(&self.context, &id, &observed, memory.stored.known());
            if let Some(record) = memory.record() {
                self.context.digests.learn(&id, record, self.context.replica());
            }
            drop((turn, probe.take()));
            match outcome {
                RunEnd::Settled if is_outdated(&self.context, &observed, &memory) => {
                    self.give_back(&id, memory, Some(observed));
                }
                RunEnd::Settled => self.give_back(&id, memory, None),
                RunEnd::Interrupted => self.give_back(&id, memory, Some(observed)),
                RunEnd::RetryAfter(pause) => {
                    self.set_resting(&id, memory.reviewers_are_current());
                    let rested = self.rest(&id, pause, memory.waits_for(), &changed).await;
                    self.set_resting(&id, false);
                    memory.retry_now(rested.recovered);
                    (place, probe) = (rested.place, rested.probe);
                    self.give_back(&id, memory, Some(observed));
                }
            }
        }
    }

    fn set_resting(&self, id: &RequestId, resting: bool) {
        if let Some(lane) = self.table.lock().lanes.get_mut(id) {
            lane.resting = resting;
        }
    }

    /// Waits until a request is due. While services are `out`, a few requests probe them, and a recovery ends every
    /// wait.
    async fn rest(&self, id: &RequestId, pause: Duration, out: Services, changed: &CancellationToken) -> Rested {
        let (sender, mut woken) = oneshot::channel();
        let waits = out != Services::NONE;
        if waits && let Some(lane) = self.table.lock().lanes.get_mut(id) {
            lane.woken = Some((out, sender));
        }
        let mut until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => {}
                Ok((place, recovered)) = &mut woken, if waits => {
                    return Rested { place: Some(place), recovered, probe: None };
                }
                () = changed.cancelled() => return Rested::default(),
            }
            if !waits {
                return Rested::default();
            }
            if let Ok(probe) = Arc::clone(&self.context.probes).try_acquire_owned() {
                return Rested {
                    probe: Some(probe),
                    ..Rested::default()
                };
            }
            until = Instant::now() + self.context.limits.outage_pause;
        }
    }

    /// Wakes the requests that wait for recovered services, in order of arrival.
    pub(in crate::daemon) fn wake(&self, recovered: Services) {
        let mut table = self.table.lock();
        let mut waiting: Vec<_> = table
            .lanes
            .values_mut()
            .filter_map(|lane| {
                let (_, woken) = lane.woken.take_if(|(services, _)| services.meets(recovered))?;
                Some((lane.number, lane.queue(), woken))
            })
            .collect();
        waiting.sort_by_key(|(number, ..)| *number);
        for (_, queue, woken) in waiting {
            // A request that no longer waits continues anyway.
            let _ = woken.send((self.context.turns.join(queue), recovered));
        }
        drop(table);
        self.context.retry_now.send_replace(recovered);
    }

    /// Returns the queue of the newest observation, with a token that is cancelled when a newer one arrives. `None`
    /// ends the job.
    fn next(&self, id: &RequestId) -> Option<(Queue, CancellationToken)> {
        let mut table = self.table.lock();
        let lane = table.lanes.get_mut(id)?;
        if self.context.stopping.is_cancelled() {
            lane.running = false;
            return None;
        }
        if lane.newest.is_none() {
            lane.running = false;
            // Only a request that can still change is remembered.
            if lane.last.as_ref().is_none_or(|last| last.stage.is_resolved()) {
                table.lanes.remove(id);
            }
            return None;
        }
        lane.changed = self.context.stopping.child_token();
        Some((lane.queue(), lane.changed.clone()))
    }

    /// Hands the newest observation to the job that has the turn.
    fn take(&self, id: &RequestId) -> Option<(Observed, Box<LaneState>, CancellationToken)> {
        let mut table = self.table.lock();
        let lane = table.lanes.get_mut(id)?;
        let observed = lane.newest.take()?;
        let mut memory = lane
            .memory
            .take()
            .unwrap_or_else(|| Box::new(LaneState::new(&self.context.limits)));
        memory.waiting = lane.waiting;
        lane.changed = self.context.stopping.child_token();
        Some((observed, memory, lane.changed.clone()))
    }

    /// Takes the state of the lane back, and the remaining work unless a newer observation arrived.
    fn give_back(&self, id: &RequestId, memory: Box<LaneState>, unfinished: Option<Observed>) {
        let mut table = self.table.lock();
        if let Some(lane) = table.lanes.get_mut(id) {
            lane.memory = Some(memory);
            if unfinished.is_none() {
                let more = lane.newest.is_some();
                lane.waiting = lane.waiting.filter(|_| more).map(Waiting::newest_alone);
            }
            if lane.newest.is_none() {
                lane.newest = unfinished;
            }
        }
    }
}
