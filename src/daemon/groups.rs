//! The members of the groups that are recipients, read in the background and refreshed.
//!
//! Architecture Invariant: limited in number and time. A request waits only for a group that was never read, and not for long.
//! The members that were read last stay current while Microsoft does not answer; a group that Microsoft refuses or does not know
//! has none.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::clock::readable;
use crate::config::Limits;
use crate::daemon::context::Context;
use crate::daemon::upkeep::InForce;
use crate::domain::recipients::{Address, GroupMembers};
use crate::heartbeat::Heartbeat;
use crate::msteams::{Error, Meaning, Members, Priority, Urgency};

/// How long a group is refreshed after a request needed it last. Configured groups are refreshed until shutdown.
const UNUSED_FOR: Duration = Duration::from_hours(1);

/// Largest number of groups; further ones are not read.
const MOST: usize = 1_000;

/// The number of groups that are read at the same time.
const CONCURRENCY: usize = 4;

/// The longest time between two checks of what is due.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The groups that requests and the configuration name.
#[derive(Debug)]
pub(super) struct Groups {
    known: Mutex<BTreeMap<String, Group>>,
    /// A group was named that is not known.
    wanted: Notify,
    /// A group was omitted because there are too many, which was logged.
    is_full: AtomicBool,
    /// The number of reads that have ended.
    ended: watch::Sender<u64>,
    /// How long members are used before they are read again.
    life: Duration,
    /// The pause after a read that failed; it doubles up to `life`.
    first_pause: Duration,
}

#[derive(Debug)]
struct Group {
    members: Option<Arc<[Address]>>,
    /// Microsoft refuses to list the members, or does not know the group.
    is_refused: bool,
    /// A read has ended, with or without success.
    was_read: bool,
    is_being_read: bool,
    due: Instant,
    used: Instant,
    pauses: Backoff,
    /// Why the last read did not list all members.
    lack: Option<Lack>,
    /// The last one that was logged.
    reported: Option<Lack>,
}

/// Why the members of a group that was read are not all notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// There are too many.
    Cut,
    Empty,
    Failed(Meaning),
}

impl Groups {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            known: Mutex::default(),
            wanted: Notify::new(),
            is_full: AtomicBool::new(false),
            ended: watch::Sender::new(0),
            life: limits.groups_every,
            first_pause: limits.outage_pause,
        }
    }

    /// Adds the members of groups to `members`, as far as they are known. Waits up to `patience` for groups that were never read.
    /// Returns whether the members of all are known.
    pub(super) async fn find(&self, groups: &[String], patience: Duration, members: &mut GroupMembers) -> bool {
        if groups.is_empty() {
            return true;
        }
        let mut ended = self.ended.subscribe();
        let wait = async {
            // The sender lives as long as the groups.
            while !self.were_read(groups) && ended.changed().await.is_ok() {}
        };
        timeout(patience, wait).await.ok();
        let known = self.lock();
        let mut has_all = true;
        for id in groups {
            let group = known.get(id);
            if let Some(found) = group.and_then(|group| group.members.clone()) {
                members.put(id, found);
            }
            has_all &= group.is_some_and(Group::has_members);
        }
        has_all
    }

    /// Names groups, and returns whether each has been read at least once.
    fn were_read(&self, groups: &[String]) -> bool {
        let (mut known, now) = (self.lock(), Instant::now());
        let mut were_read = true;
        for id in groups {
            if let Some(group) = known.get_mut(id) {
                group.used = now;
                were_read &= group.was_read;
            } else if known.len() < MOST {
                known.insert(id.clone(), Group::new(now, self));
                self.wanted.notify_one();
                were_read = false;
            } else if !self.is_full.swap(true, Ordering::Relaxed) {
                let hint = hint!("Name fewer groups in the configuration and in the rules");
                warn!(
                    group.id = id,
                    limit = MOST,
                    hint,
                    "Too many groups are recipients, omitting the others"
                );
            }
        }
        were_read
    }

    /// Returns up to `most` groups that are due, and when the next one is. Forgets groups that are no longer used.
    fn take_due(&self, most: usize) -> (Vec<String>, Instant) {
        let (mut known, now) = (self.lock(), Instant::now());
        known.retain(|_, group| group.is_being_read || now - group.used < UNUSED_FOR);
        let mut due = Vec::new();
        let mut next = now + LONGEST_WAIT;
        for (id, group) in known.iter_mut().filter(|(_, group)| !group.is_being_read) {
            if group.due <= now && due.len() < most {
                group.is_being_read = true;
                due.push(id.clone());
            } else if group.due > now {
                next = next.min(group.due);
            }
        }
        (due, next)
    }

    /// Makes the groups due that could not be read, because an operator reported a change.
    fn retry_failed(&self) {
        let now = Instant::now();
        for group in self.lock().values_mut().filter(|group| group.lack.is_some()) {
            group.due = now;
        }
    }

    /// Records the result of a read. `is_example` returns whether a failure can be logged at level WARN.
    fn take(&self, id: &str, found: Result<Members, Error>, is_example: impl FnOnce(&Error) -> bool) -> Option<Taken> {
        let mut known = self.lock();
        let group = known.get_mut(id)?;
        (group.is_being_read, group.was_read) = (false, true);
        let before = group.members.clone();
        let taken = match found {
            Ok(members) => {
                group.pauses.reset();
                group.due = Instant::now() + self.life;
                let lack = match members.people.len() {
                    0 => Some(Lack::Empty),
                    _ => members.is_cut.then_some(Lack::Cut),
                };
                group.lack = lack;
                if lack.is_none() {
                    group.reported = None;
                }
                let people: Arc<[Address]> = members.people.into();
                group.members = Some(Arc::clone(&people));
                group.is_refused = false;
                Taken::Read {
                    members: people.len(),
                    news: lack.filter(|lack| group.reports(*lack, || true)),
                    has_changed: before.is_none_or(|before| before != people),
                }
            }
            Err(error) => {
                let pause = group.pauses.pause();
                let pause = if error.is_outage() {
                    pause.min(self.first_pause)
                } else {
                    pause
                };
                group.due = Instant::now() + pause;
                if !keeps_members(&error) {
                    group.is_refused = true;
                    group.members = Some(Arc::default());
                }
                let lack = Lack::Failed(error.meaning());
                group.lack = Some(lack);
                Taken::Failed {
                    known: group.members.as_ref().map(|members| members.len()),
                    is_news: group.reports(lack, || is_example(&error)),
                    has_changed: before.is_some_and(|before| Some(before) != group.members),
                    error,
                    pause,
                }
            }
        };
        drop(known);
        self.ended.send_modify(|ended| *ended += 1);
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn new(now: Instant, groups: &Groups) -> Self {
        Self {
            members: None,
            is_refused: false,
            was_read: false,
            is_being_read: false,
            due: now,
            used: now,
            pauses: Backoff::new(groups.first_pause, groups.life),
            lack: None,
            reported: None,
        }
    }

    /// Returns whether the members are known.
    fn has_members(&self) -> bool {
        self.members.is_some() && !self.is_refused
    }

    /// Returns whether something is to be logged: it differs from what was logged last, and `can_log`.
    fn reports(&mut self, lack: Lack, can_log: impl FnOnce() -> bool) -> bool {
        let is_news = self.reported != Some(lack) && can_log();
        if is_news {
            self.reported = Some(lack);
        }
        is_news
    }
}

/// Returns whether the members of a group stay current after a failure: it says nothing about the group.
fn keeps_members(error: &Error) -> bool {
    error.is_outage() || matches!(error.meaning(), Meaning::Throttled | Meaning::Conflict)
}

/// The result of a read.
enum Taken {
    Read {
        members: usize,
        /// What was not logged yet.
        news: Option<Lack>,
        has_changed: bool,
    },
    Failed {
        /// The number of members that stay current.
        known: Option<usize>,
        error: Error,
        pause: Duration,
        is_news: bool,
        has_changed: bool,
    },
}

/// Reads groups when they are due, until shutdown.
pub(super) async fn keep(context: Arc<Context>, heartbeat: Heartbeat) -> Infallible {
    let mut live = context.live.subscribe();
    let mut reads = FuturesUnordered::new();
    loop {
        let configured = configured(&live.borrow_and_update());
        context.groups.were_read(&configured);
        let (due, next) = context.groups.take_due(CONCURRENCY.saturating_sub(reads.len()));
        for id in due {
            // Requests may wait for the members, and groups are few.
            let priority = Priority::new(Urgency::Announcement, "groups");
            let teams = context.teams.clone();
            reads.push(async move {
                let found = teams.members(&id, &priority).await;
                (id, found)
            });
        }
        let event = async {
            tokio::select! {
                Some(read) = reads.next(), if !reads.is_empty() => Some(read),
                () = context.groups.wanted.notified() => None,
                // The sender lives as long as the context.
                _ = live.changed() => {
                    context.groups.retry_failed();
                    None
                }
                () = sleep_until(next) => None,
            }
        };
        if let Some((id, found)) = heartbeat.while_waiting(event).await
            && let Some(taken) = context
                .groups
                .take(&id, found, |error| context.outages.microsoft_example(error))
        {
            report(&context, &id, taken);
        }
    }
}

/// Returns the groups that the configuration names.
fn configured(live: &InForce) -> Vec<String> {
    let mut addresses = live.routing.addresses();
    let escalation = live.escalation.iter();
    addresses.extend(escalation.flat_map(|escalation| escalation.routing.addresses()));
    GroupMembers::groups_in(&addresses)
}

/// Logs the result of a read. Pending requests are planned again if the members have changed.
fn report(context: &Context, id: &str, taken: Taken) {
    let has_changed = match taken {
        Taken::Read {
            members,
            news,
            has_changed,
        } => {
            debug!(group.id = id, members, "Members of a group read");
            match news {
                Some(Lack::Cut) => {
                    let hint = hint!("Name a smaller group, or a channel that its members read");
                    warn!(group.id = id, members, hint, "Group has more members than are notified");
                }
                Some(Lack::Empty) => {
                    let hint = hint!(
                        "Add people to the group; if its members are hidden, grant the application permission Member.Read.Hidden"
                    );
                    warn!(group.id = id, hint, "Group has no members to notify");
                }
                Some(Lack::Failed(_)) | None => {}
            }
            has_changed
        }
        Taken::Failed {
            known,
            error,
            pause,
            is_news,
            has_changed,
        } => {
            let (hint, retry_in) = (error.hint(), readable(pause));
            warn_if!(
                is_news,
                group.id = id, known, %error, hint, retry_in,
                "Could not list the members of a group"
            );
            has_changed
        }
    };
    if has_changed {
        context.resync_now.notify_one();
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
