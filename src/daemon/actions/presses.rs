//! The presses that are being worked on: one job for each person and request, however often Teams sends the press.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::daemon::actions::answer;
use crate::daemon::actions::chats;
use crate::daemon::actions::review::{self, Reviewed};
use crate::daemon::actions::users::Users;
use crate::daemon::context::Context;
use crate::daemon::tasks::Tasks;
use crate::domain::review::{Refusal, Verb};
use crate::msteams::inbound::{InvokeAnswer, Press};

/// The largest number of presses that are worked on, and of answers that are remembered.
const MOST: usize = 1_000;

/// The largest number of presses of one person that are worked on, so that one person cannot occupy all places.
const MOST_OF_ONE_PERSON: usize = 8;

/// How long a successful review is remembered, so that a repeated press has the same answer although the server's cache
/// does not contain the review yet. Teams repeats a press after 15 seconds.
const REMEMBERED: Duration = Duration::from_mins(1);

/// How often a press waits for an earlier one of the same person with another verb.
const EARLIER: usize = 3;

/// The presses of one daemon.
pub(super) struct Presses(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    tasks: Tasks,
    users: Users,
    jobs: Mutex<HashMap<Key, Arc<Job>>>,
}

/// A person, by object ID, and a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    person: String,
    request: String,
}

struct Job {
    verb: Verb,
    reason: Option<String>,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    /// The result, and when it arrived.
    done: Option<(Reviewed, Instant)>,
    /// The person waits for a message with the result.
    is_late: bool,
}

impl Presses {
    pub(super) fn new(context: Arc<Context>, tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            context,
            tasks,
            users: Users::new(),
            jobs: Mutex::default(),
        }))
    }

    /// Submits the review that a press asks for, and returns what the person sees, shortly after `deadline` at the latest.
    pub(super) async fn answer(&self, press: Press, deadline: Instant) -> InvokeAnswer {
        let context = &self.0.context;
        let refuse = async |refusal| answer::to_press(&press, &review::refuse(&press, refusal, context), context).await;
        for _ in 0..EARLIER {
            let Some(job) = self.join(&press) else {
                return refuse(Refusal::Busy).await;
            };
            match job.wait(deadline, job.is_for(&press)).await {
                Some(reviewed) if reviewed.outcome.is_success() && job.verb != press.verb => {
                    return refuse(Refusal::Reviewed(Some(job.verb))).await;
                }
                // A review with the same verdict is the answer, also if it has another reason.
                Some(reviewed) if reviewed.outcome.is_success() || job.is_for(&press) => {
                    return answer::to_press(&press, &reviewed, context).await;
                }
                // The earlier press was no review, so this one counts.
                Some(_) => {}
                None if job.is_for(&press) => return InvokeAnswer::message(answer::PROCESSING),
                None => return refuse(Refusal::EarlierPress).await,
            }
        }
        refuse(Refusal::Busy).await
    }

    /// Returns the job of the same person and request, or starts one; `None` if there are too many.
    fn join(&self, press: &Press) -> Option<Arc<Job>> {
        let key = Key {
            person: press.person.object_id.clone(),
            request: press.request.clone(),
        };
        let mut jobs = self.lock();
        if let Some(job) = jobs.get(&key).filter(|job| job.is_current()) {
            debug!(
                request.id = press.request,
                person = key.person,
                "Teams repeats a press, or the person pressed again"
            );
            return Some(Arc::clone(job));
        }
        if jobs.len() >= MOST {
            jobs.retain(|_, job| job.is_current());
        }
        let is_theirs = |(other, job): &(&Key, &Arc<Job>)| other.person == key.person && job.is_running();
        if jobs.len() >= MOST || jobs.iter().filter(is_theirs).count() >= MOST_OF_ONE_PERSON {
            return None;
        }
        let job = Arc::new(Job {
            verb: press.verb,
            reason: press.reason.clone(),
            state: watch::Sender::new(State::default()),
        });
        jobs.insert(key, Arc::clone(&job));
        let (inner, press, started) = (Arc::clone(&self.0), press.clone(), Unfinished(Arc::clone(&job)));
        self.0
            .tasks
            .must_finish("review", async move { inner.run(&press, started).await });
        Some(job)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Job>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    async fn run(&self, press: &Press, job: Unfinished) {
        let reviewed = review::review(press, &self.context, &self.users).await;
        if job.0.end(&reviewed) {
            let text = answer::follow_up(press, &reviewed, &self.context);
            chats::notify(press, &text, &self.context).await;
        }
    }
}

/// A job that ends without a result when it is dropped, so that nothing waits for it forever.
struct Unfinished(Arc<Job>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0.is_running() {
            self.0.end(&review::refused(Refusal::NoAnswer));
        }
    }
}

impl Job {
    /// Returns whether the job does exactly what a press asks for.
    fn is_for(&self, press: &Press) -> bool {
        self.verb == press.verb && self.reason == press.reason
    }

    /// Records the result. Returns whether a person waits for a message with it.
    fn end(&self, reviewed: &Reviewed) -> bool {
        let mut is_late = false;
        self.state.send_modify(|state| {
            state.done = Some((reviewed.clone(), Instant::now()));
            is_late = state.is_late;
        });
        is_late
    }

    /// Waits until the deadline for the result. If there is none, and `wants_message` is set, the person gets a message.
    async fn wait(&self, deadline: Instant, wants_message: bool) -> Option<Reviewed> {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _ = timeout_at(deadline, state.wait_for(|state| state.done.is_some())).await;
        let mut done = None;
        self.state.send_if_modified(|state| {
            done = state.done.as_ref().map(|(reviewed, _)| reviewed.clone());
            state.is_late |= done.is_none() && wants_message;
            false
        });
        done
    }

    fn is_running(&self) -> bool {
        self.state.borrow().done.is_none()
    }

    /// Returns whether the job is under way, or has had a success that is remembered.
    fn is_current(&self) -> bool {
        match &self.state.borrow().done {
            None => true,
            Some((reviewed, at)) => reviewed.outcome.is_success() && at.elapsed() < REMEMBERED,
        }
    }
}
