//! The members of the groups that are recipients, read in the background and refreshed.
//!
//! Architecture Invariant: limited in number and time. A request waits only for a group that was never read, and not for long.
//! The members that were read last stay current while Microsoft does not answer.

use std::collections::BTreeMap;
use std::convert::Infallible;
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
use crate::msteams::{Error, Members, Priority, Urgency};

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
    /// A read has ended, with or without success.
    was_read: bool,
    is_being_read: bool,
    due: Instant,
    used: Instant,
    pauses: Backoff,
    /// The last failure or peculiarity was logged.
    is_warned: bool,
}

impl Groups {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            known: Mutex::default(),
            wanted: Notify::new(),
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
            match known.get(id).and_then(|group| group.members.clone()) {
                Some(found) => members.put(id, found),
                None => has_all = false,
            }
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
        for group in self.lock().values_mut().filter(|group| group.is_warned) {
            group.due = now;
        }
    }

    /// Records the result of a read.
    fn take(&self, id: &str, found: Result<Members, Error>) -> Option<Taken> {
        let mut known = self.lock();
        let group = known.get_mut(id)?;
        (group.is_being_read, group.was_read) = (false, true);
        let was_warned = group.is_warned;
        let taken = match found {
            Ok(members) => {
                group.pauses.reset();
                group.due = Instant::now() + self.life;
                group.is_warned = members.is_cut || members.people.is_empty();
                let people: Arc<[Address]> = members.people.into();
                let before = group.members.replace(Arc::clone(&people));
                Taken::Read {
                    members: people.len(),
                    is_cut: members.is_cut,
                    is_news: group.is_warned && !was_warned,
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
                group.is_warned = true;
                Taken::Failed {
                    known: group.members.as_ref().map(|members| members.len()),
                    error,
                    pause,
                    is_news: !was_warned,
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
            was_read: false,
            is_being_read: false,
            due: now,
            used: now,
            pauses: Backoff::new(groups.first_pause, groups.life),
            is_warned: false,
        }
    }
}

/// What a read came to.
enum Taken {
    Read {
        members: usize,
        is_cut: bool,
        /// The first read in a row of a group with too many members or none.
        is_news: bool,
        has_changed: bool,
    },
    Failed {
        /// The number of members that stay current.
        known: Option<usize>,
        error: Error,
        pause: Duration,
        is_news: bool,
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
            && let Some(taken) = context.groups.take(&id, found)
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
    match taken {
        Taken::Read {
            members,
            is_cut,
            is_news,
            has_changed,
        } => {
            debug!(group.id = id, members, "Members of a group read");
            if is_news && is_cut {
                let hint = hint!("Name a smaller group, or a channel that its members read");
                warn!(group.id = id, members, hint, "Group has more members than are notified");
            } else if is_news {
                let hint = hint!(
                    "Add people to the group; if its members are hidden, grant the application permission Member.Read.Hidden"
                );
                warn!(group.id = id, hint, "Group has no members to notify");
            }
            if has_changed {
                context.resync_now.notify_one();
            }
        }
        Taken::Failed {
            known,
            error,
            pause,
            is_news,
        } => {
            let (hint, retry_in) = (error.hint(), readable(pause));
            warn_if!(
                is_news && context.outages.microsoft_example(&error),
                group.id = id, known, %error, hint, retry_in,
                "Could not list the members of a group"
            );
        }
    }
}
