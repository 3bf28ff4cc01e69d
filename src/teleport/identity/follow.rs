//! Follows the credential files while the program runs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use crate::clock;
use crate::config::Credentials;
use crate::heartbeat::Heartbeat;
use crate::teleport::identity::{Identity, IdentityError, Keyring};
use crate::teleport::{Error, Meaning};

/// `tbot` writes files in place, so a reader may see half a file. It is read up to this many times, with this pause in
/// between.
const ATTEMPTS: u32 = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

/// Interval at which files that stay broken are reported.
const REPORT_BROKEN_EVERY: Duration = Duration::from_mins(1);

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// A change of the credentials.
#[derive(Debug)]
pub enum IdentityEvent {
    /// New credentials are loaded.
    Renewed(Arc<Identity>),
    /// The files are invalid; the current credentials stay in use.
    Broken { error: Error, current: Arc<Identity> },
    /// The credentials expire soon and have not been renewed.
    NearEnd(Arc<Identity>),
    /// The credentials have expired. Nothing works until there are new files.
    Ended(Arc<Identity>),
}

impl Keyring {
    /// Checks the files whenever the system reports a change, and every `interval`. Sends events until the receiver is
    /// dropped.
    pub async fn follow(
        self,
        interval: Duration,
        events: mpsc::Sender<IdentityEvent>,
        heartbeat: Heartbeat,
    ) -> Option<Infallible> {
        let changed = Arc::new(Notify::new());
        // The interval still works where the system reports no changes, as on some network file systems.
        let _watcher = watch_directories(self.credentials(), &changed);
        let mut broken_reported: Option<Instant> = None;
        let mut warnings = EndWarnings {
            identity: self.newest(),
            steps: 0,
        };
        loop {
            match self.read_whole().await {
                Ok(()) => broken_reported = None,
                Err(error) => {
                    if broken_reported.is_none_or(|reported| reported.elapsed() >= REPORT_BROKEN_EVERY) {
                        broken_reported = Some(Instant::now());
                        let event = IdentityEvent::Broken {
                            error: credentials_error(&error),
                            current: self.newest(),
                        };
                        events.send(event).await.ok()?;
                    }
                }
            }
            // A new connection may have loaded new credentials before this loop did.
            let newest = self.newest();
            if !Arc::ptr_eq(&newest, &warnings.identity) {
                warnings.identity = Arc::clone(&newest);
                warnings.steps = 0;
                events.send(IdentityEvent::Renewed(newest)).await.ok()?;
            }
            if let Some(event) = warnings.next() {
                events.send(event).await.ok()?;
            }
            // The files are checked in either case.
            let _ = heartbeat.while_waiting(timeout(interval, changed.notified())).await;
        }
    }

    /// Reads the files, and retries while they look half written.
    async fn read_whole(&self) -> Result<(), IdentityError> {
        let mut attempts = 1;
        loop {
            match self.refresh().await {
                Err(_) if attempts < ATTEMPTS => sleep(BETWEEN_ATTEMPTS).await,
                result => return result,
            }
            attempts += 1;
        }
    }
}

/// Converts an error of the credentials to an error of a call.
pub(in crate::teleport) fn credentials_error(error: &IdentityError) -> Error {
    Error::new(Meaning::Credentials, "log in to Teleport", error.to_string()).with_hint(error.hint())
}

/// Watches the directories, not the files: a rename or a swapped link replaces the watched file.
fn watch_directories(credentials: &Credentials, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let notify_changed = move |event: notify::Result<notify::Event>| {
        // Reads do not count as changes, otherwise our own reads would trigger more reads.
        let is_reading = |kind: EventKind| match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            kind => kind.is_access(),
        };
        if !event.is_ok_and(|event| is_reading(event.kind)) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(notify_changed).ok()?;
    let files: Vec<&PathBuf> = match credentials {
        Credentials::Identity(file) => vec![file],
        Credentials::Tls {
            key,
            certificate,
            authorities,
        } => vec![key, certificate, authorities],
    };
    let directories: BTreeSet<&Path> = files
        .into_iter()
        .map(|file| match file.parent() {
            Some(directory) if directory != Path::new("") => directory,
            Some(_) | None => Path::new("."),
        })
        .collect();
    for directory in directories {
        watcher.watch(directory, RecursiveMode::NonRecursive).ok()?;
    }
    Some(watcher)
}

/// The warnings that were sent about the end of one certificate.
struct EndWarnings {
    identity: Arc<Identity>,
    /// Number of steps that were reported: first the warnings, then the end.
    steps: usize,
}

impl EndWarnings {
    fn next(&mut self) -> Option<IdentityEvent> {
        let identity = Arc::clone(&self.identity);
        let left = identity.left(clock::now());
        let steps = steps(identity.life(), left);
        if steps <= self.steps {
            return None;
        }
        self.steps = steps;
        Some(if left.is_zero() {
            IdentityEvent::Ended(identity)
        } else {
            IdentityEvent::NearEnd(identity)
        })
    }
}

/// Counts the steps to report when this much is left: a day, an hour, and the end. For a short-lived certificate a
/// third of its life replaces the longer ones, so that a certificate which is renewed in time causes no warning.
fn steps(life: Duration, left: Duration) -> usize {
    let third = life / 3;
    [DAY.min(third), HOUR.min(third), Duration::ZERO]
        .into_iter()
        .filter(|step| left <= *step)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_reported_in_steps_that_fit_the_lifetime() {
        let minutes = |minutes: u64| Duration::from_mins(minutes);
        for (life, left, expected) in [
            (60 * 24 * 365, 60 * 25, 0),
            (60 * 24 * 365, 60 * 24, 1),
            (60 * 24 * 365, 61, 1),
            (60 * 24 * 365, 60, 2),
            (60 * 12, 60 * 5, 0),
            (60 * 12, 60 * 4, 1),
            (60, 40, 0),
            (60, 20, 2),
            (60, 0, 3),
        ] {
            assert_eq!(steps(minutes(life), minutes(left)), expected, "{life} {left}");
        }
    }
}
