//! Drives one run: makes the calls that the state machine requests, and returns their results.
//!
//! Recipients are independent: each has its own call in flight and its own time of the next attempt. A newer
//! observation becomes a new plan immediately.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::requests::delivery::{Done, Round};
use crate::daemon::requests::drawing::Sources;
use crate::daemon::requests::in_flight::InFlight;
use crate::daemon::requests::job::{Delivered, Job, Known};
use crate::daemon::requests::lane_state::{LaneState, Retry};
use crate::daemon::requests::news::News;
use crate::daemon::requests::planning::{
    Planned, audiences, known_recipients, nothing, planned, reason, refusal_pauses, until,
};
use crate::daemon::requests::report::Report;
use crate::daemon::requests::settling::{Settled, retry_later, settle};
use crate::daemon::requests::taken::Taken;
use crate::daemon::requests::turns::Turn;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Landed, Observed, Outcome, Plan, Recipient, Run, Step, Why, Work, targets};
use crate::domain::request::RequestId;

/// How long a write waits for further deliveries to end. A daemon that is killed meanwhile loses these cards, so it is
/// short. Under Microsoft's limit, the cards of one request follow each other within 20 ms.
const COLLECTED_FOR: Duration = Duration::from_millis(100);

/// Delivers the plan, and newer plans that replace it, until nothing is due.
pub(super) async fn deliver(
    job: Job<'_>,
    run: Run<Instant>,
    work: Work,
    memory: &mut LaneState,
    observed: &mut Observed,
    news: &mut News<'_>,
    turn: &mut Turn,
) -> Delivered {
    let Job {
        context,
        id,
        live,
        retry_at,
        known,
    } = job;
    let taken = Arc::new(Taken::new(&run.account().record().cards));
    let sheet = Sources {
        context,
        live: &live,
        observed,
        record: run.account().record(),
        memory,
        known: &known,
    }
    .sheet(work.content, &work.targets);
    let (shown, halt) = (run.account().shown(), CancellationToken::new());
    let round = Round::new(context, id, sheet, &known, shown, &taken, halt);
    let driver = Driver {
        context,
        id,
        live,
        known,
        run,
        memory,
        observed,
        taken,
        report: Report::new(context, id),
        round: Arc::new(round),
        retry_at,
        in_flight: InFlight::new(context.limits.slow_delivery),
        record_at: None,
        unknown_recipients: false,
    };
    driver.go_on(news, turn).await
}

struct Driver<'a> {
    context: &'a Context,
    id: &'a RequestId,
    /// The settings of the newest plan.
    live: Arc<InForce>,
    known: Known,
    run: Run<Instant>,
    memory: &'a mut LaneState,
    observed: &'a mut Observed,
    taken: Arc<Taken>,
    report: Report<'a>,
    /// The newest plan.
    round: Arc<Round<'a>>,
    /// When a delivery is due again.
    retry_at: Option<Instant>,
    in_flight: InFlight,
    /// When deliveries that have ended are to be recorded.
    record_at: Option<Instant>,
    /// The rules must be evaluated, which only a new run does.
    unknown_recipients: bool,
}

impl<'a> Driver<'a> {
    async fn go_on(mut self, news: &mut News<'_>, turn: &mut Turn) -> Delivered {
        let (context, id) = (self.context, self.id);
        let limits = &context.limits;
        let mut flights = FuturesUnordered::new();
        let mut settling: Option<Pin<Box<dyn Future<Output = Settled> + Send + '_>>> = None;
        let mut pauses = Backoff::new(limits.teleport_first_pause, limits.teleport_longest_pause);
        let mut recovered = context.retry_now.subscribe();
        let mut renew_at = Instant::now() + limits.claim_term / 3;
        let mut moved = Instant::now();
        loop {
            let now = Instant::now();
            if news.is_over() {
                self.halt();
            }
            self.plan(news, now);
            while self.in_flight.has_room(now)
                && let Some(step) = self.run.begin(now)
            {
                self.in_flight.begin(step.recipient(), now);
                flights.push(delivery(Arc::clone(&self.round), self.memory.is_missing(&step), step));
            }
            if self.run.is_halted() || !self.run.holds(now) {
                self.halt();
            }
            if settling.is_none() {
                let due = now >= renew_at || self.record_at.is_some_and(|at| now >= at);
                let write = self.run.entry(context.mark(), due, clock::now());
                if !self.run.has_unrecorded() {
                    self.record_at = None;
                }
                settling = write.map(|write| settle(context, id, write));
            }
            if self.run.is_over() {
                break;
            }
            tokio::select! {
                Some((step, done)) = flights.next() => {
                    moved = Instant::now();
                    self.landed(&step, done);
                    // Other finished deliveries join the same write.
                    while let std::task::Poll::Ready(Some((step, done))) = futures_util::poll!(flights.next()) {
                        self.landed(&step, done);
                    }
                }
                settled = async { settling.as_mut().expect("only then").await }, if settling.is_some() => {
                    renew_at = Instant::now() + limits.claim_term / 3;
                    settling = self.settled(settled, &mut pauses);
                }
                () = news.heard(), if self.run.takes_plans() => {}
                // The sender lives as long as the context.
                _ = recovered.changed() => {
                    let services = *recovered.borrow_and_update();
                    if self.memory.retry_now(services) {
                        self.retry_at = Some(Instant::now());
                    }
                }
                () = sleep_until(self.next_look(renew_at)) => {}
                () = sleep_until(moved + limits.standing_still) => {
                    moved = Instant::now();
                    turn.step_aside();
                }
            }
        }
        self.report.log(self.run.account().shown());
        let interrupted = self.run.is_halted() || self.run.is_contested() || self.unknown_recipients;
        Delivered {
            interrupted,
            retry_at: self.retry_at,
            known: self.run.into_known(),
        }
    }

    /// Makes a new plan if there is a newer observation, a retry is due, or a delivery of an older plan has ended.
    fn plan(&mut self, news: &mut News<'_>, now: Instant) {
        if !self.run.takes_plans() {
            return;
        }
        let newer = news.take();
        let heard = newer.is_some();
        let due = self.retry_at.is_some_and(|at| at <= now);
        if !heard && !due && !self.run.wants_plan() {
            return;
        }
        if let Some((newer, waiting)) = newer {
            *self.observed = newer;
            self.memory.waiting = waiting;
        }
        let (context, id) = (self.context, self.id);
        self.live = context.live.current();
        let record = self.run.record(clock::now());
        let Some(recipients) = known_recipients(&self.live, self.observed, Some(&record), self.memory) else {
            self.unknown_recipients = true;
            self.retry_at = None;
            self.run.rest(false, false);
            return;
        };
        let recipients = self.memory.groups.expand_in(recipients);
        let audiences = audiences(&self.live, &recipients, self.memory);
        let targets = &targets(audiences, self.observed, Some(&record));
        let Planned {
            plan,
            deferred,
            retry_at,
        } = planned(
            context,
            &self.live,
            id,
            self.observed,
            Some(&record),
            targets,
            self.memory,
        );
        self.retry_at = retry_at;
        match plan {
            Plan::Nothing { why, .. } => {
                nothing(id, why, self.memory);
                if heard {
                    self.round.halt.cancel();
                }
                self.run.rest(deferred, why == Why::UpToDate);
            }
            Plan::Work(work) => {
                self.report.log(self.run.account().shown());
                let shown = work.aim.shown;
                // Deliveries of the same card continue, and are halted together with newer ones.
                let mut halt = self.round.halt.clone();
                if shown != self.round.shown || halt.is_cancelled() {
                    halt.cancel();
                    halt = CancellationToken::new();
                }
                let sheet = Sources {
                    context,
                    live: &self.live,
                    observed: self.observed,
                    record: &record,
                    memory: self.memory,
                    known: &self.known,
                }
                .sheet(work.content, &work.targets);
                self.round = Arc::new(Round::new(context, id, sheet, &self.known, shown, &self.taken, halt));
                self.run.aim(work.aim, deferred);
            }
        }
    }

    fn halt(&mut self) {
        self.run.halt();
        self.round.halt.cancel();
    }

    /// Returns when the run must act without an event.
    fn next_look(&self, renew_at: Instant) -> Instant {
        let now = Instant::now();
        let lease = self
            .run
            .left(now)
            .map(|left| now + left)
            .filter(|_| !self.run.is_halted());
        let slots = self.in_flight.next_slot(now);
        let retry = self.retry_at.filter(|_| self.run.takes_plans());
        let renew = Some(renew_at).filter(|at| *at > now);
        let record = self.record_at.filter(|at| *at > now);
        let all = [lease, slots, retry, renew, record];
        let rest = now + self.context.limits.slow_delivery;
        all.into_iter().flatten().min().unwrap_or(rest)
    }

    /// Handles the result of a delivery.
    fn landed(&mut self, step: &Step, done: Done) {
        let recipient = &step.recipient();
        self.in_flight.end(recipient);
        let landed = match done {
            Done::Recorded(outcomes) => {
                self.memory.tries.remove(recipient);
                self.report.delivered(&outcomes, self.memory.waiting);
                // The requester gets a card when a reviewer has one.
                if !step.is_update() && recipient.audience.reviews() && self.memory.requester.address().is_some() {
                    self.retry_in(Duration::ZERO);
                }
                Landed::Done(outcomes)
            }
            Done::Refused(outcomes, refused) => {
                self.memory.tries.remove(recipient);
                let before = self.run.account().record().refusals.get(recipient);
                let news = before.is_none_or(|before| before.why != refused.why);
                let retry_in = self.retry_refused(&outcomes);
                if !step.is_update() && !self.memory.aliases.is_empty() {
                    // A card that other targets relied on does not exist; plan them again.
                    self.memory.aliases.clear();
                    self.retry_in(Duration::ZERO);
                }
                let source = self.source(recipient);
                self.report.refused(&refused, retry_in, source.as_deref(), news);
                Landed::Done(outcomes)
            }
            Done::Elsewhere(target) => {
                self.memory.aliases.insert(target);
                // If no target is left, the next plan says so.
                self.retry_in(Duration::ZERO);
                Landed::Elsewhere
            }
            Done::Deferred(deferral) => {
                let (shown, limits) = (self.run.account().shown(), &self.context.limits);
                let Retry {
                    pause: retry_in,
                    first,
                    hopeless,
                } = self.memory.defer(step, shown, &deferral, limits);
                let source = self.source(recipient);
                self.report.deferred(&deferral, retry_in, first, source.as_deref());
                if hopeless {
                    self.memory.tries.remove(recipient);
                    let refused = deferral.give_up(recipient);
                    self.report.refused(&refused, None, source.as_deref(), true);
                    let recipient = recipient.clone();
                    let why = refused.why;
                    Landed::Done(vec![Outcome::Refused { recipient, why, shown }])
                } else {
                    self.retry_in(retry_in);
                    Landed::Deferred
                }
            }
            Done::NotBegun => Landed::NotBegun,
        };
        self.run.landed(recipient, landed);
        if self.run.has_unrecorded() {
            self.record_at.get_or_insert_with(|| Instant::now() + COLLECTED_FOR);
        }
    }

    fn source(&self, recipient: &Recipient) -> Option<String> {
        let record = self.run.account().record();
        let reason = reason(&self.live, self.observed, record, self.memory, recipient);
        reason.map(|reason| reason.to_string())
    }

    /// Schedules the retry of a rejected delivery, and returns its pause, if there is a retry.
    fn retry_refused(&mut self, outcomes: &[Outcome]) -> Option<Duration> {
        let (recipient, shown) = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused { recipient, shown, .. } | Outcome::Unconfirmed { recipient, shown, .. } => {
                Some((recipient, *shown))
            }
            _ => None,
        })?;
        let now = clock::now();
        let mut record = self.run.record(now);
        for outcome in outcomes {
            record.note(outcome.clone(), now);
        }
        let refusal = record.refusals.get(recipient)?;
        let at = refusal.retry_at(shown, refusal_pauses(&self.context.limits))?;
        let pause = until(at);
        self.retry_in(pause);
        Some(pause)
    }

    fn retry_in(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.retry_at = self.retry_at.into_iter().chain([at]).min();
    }

    /// Handles the result of a write, and returns the next call if the write is not done.
    fn settled(
        &mut self,
        settled: Settled,
        pauses: &mut Backoff,
    ) -> Option<Pin<Box<dyn Future<Output = Settled> + Send + 'a>>> {
        let (context, id) = (self.context, self.id);
        match settled {
            Settled::Written(write, since) => {
                pauses.reset();
                self.run.written(*write, since);
                return None;
            }
            Settled::Overtaken(map) => self.run.overtaken(&map, context.replica(), clock::now()),
            Settled::Gone => self.run.forget(),
            Settled::TooLarge => {
                let smaller = self.run.shrink();
                self.report.too_large(smaller);
            }
            Settled::Failed(error) => {
                self.report.not_recorded(&error);
                let pause = pauses.pause();
                return Some(Box::pin(retry_later(context, pause)));
            }
            Settled::Retry => {}
        }
        let write = self.run.write(context.mark())?;
        Some(settle(context, id, write))
    }
}

async fn delivery(round: Arc<Round<'_>>, missing: bool, step: Step) -> (Step, Done) {
    let done = round.deliver(step.clone(), missing).await;
    (step, done)
}
