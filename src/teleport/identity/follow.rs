//! Follows the files of the credentials for as long as the program runs.

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

/// `tbot` writes in place, so a reader may see half a file: it looks so many times again, after such a pause each.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// How often files that stay broken are told of.
const TELL_BROKEN_EVERY: Duration = Duration::from_mins(1);

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// What happens to the credentials.
#[derive(Debug)]
pub enum IdentityEvent {
    /// New ones are in force.
    Renewed(Arc<Identity>),
    /// The files cannot be used; those in force stay so.
    Broken { error: Error, in_force: Arc<Identity> },
    /// No renewal has come, and there is not much time left.
    NearEnd(Arc<Identity>),
    /// Nothing works any more until there are new files.
    Ended(Arc<Identity>),
}

impl Keyring {
    /// Looks at the files whenever the system tells of a change, and every `interval`; reports until nobody listens.
    pub async fn follow(
        self,
        interval: Duration,
        events: mpsc::Sender<IdentityEvent>,
        heartbeat: Heartbeat,
    ) -> Option<Infallible> {
        let changed = Arc::new(Notify::new());
        // Without it, as on some network file systems, there is still the interval.
        let _watcher = watch_folders(self.credentials(), &changed);
        let mut told_broken: Option<Instant> = None;
        let mut told = Told {
            identity: self.newest(),
            steps: 0,
        };
        loop {
            match self.look().await {
                Ok(()) => told_broken = None,
                Err(error) => {
                    if told_broken.is_none_or(|told| told.elapsed() >= TELL_BROKEN_EVERY) {
                        told_broken = Some(Instant::now());
                        let event = IdentityEvent::Broken {
                            error: credentials_error(&error),
                            in_force: self.newest(),
                        };
                        events.send(event).await.ok()?;
                    }
                }
            }
            // A connection may have taken up new ones before us.
            let newest = self.newest();
            if !Arc::ptr_eq(&newest, &told.identity) {
                told.identity = Arc::clone(&newest);
                told.steps = 0;
                events.send(IdentityEvent::Renewed(newest)).await.ok()?;
            }
            if let Some(event) = told.next() {
                events.send(event).await.ok()?;
            }
            // Either way the files are looked at.
            let _ = heartbeat.while_waiting(timeout(interval, changed.notified())).await;
        }
    }

    /// Looks at the files, and again while they look half written.
    async fn look(&self) -> Result<(), IdentityError> {
        let mut looks = 1;
        loop {
            match self.refresh().await {
                Err(_) if looks < LOOKS => sleep(BETWEEN_LOOKS).await,
                looked => return looked,
            }
            looks += 1;
        }
    }
}

/// Says that credentials cannot be used, in the words of every other failure.
pub(in crate::teleport) fn credentials_error(error: &IdentityError) -> Error {
    Error::new(Meaning::Credentials, "log in to Teleport", error.to_string()).with_hint(error.hint())
}

/// Watches the folders, not the files: a rename or a swapped link puts another file in the place of the one watched.
fn watch_folders(credentials: &Credentials, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let tell = move |event: notify::Result<notify::Event>| {
        // Reading is no change, and our own reading would never end.
        let is_reading = |kind: EventKind| match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            kind => kind.is_access(),
        };
        if !event.is_ok_and(|event| is_reading(event.kind)) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    let files: Vec<&PathBuf> = match credentials {
        Credentials::Identity(file) => vec![file],
        Credentials::Tls {
            key,
            certificate,
            authorities,
        } => vec![key, certificate, authorities],
    };
    let folders: BTreeSet<&Path> = files
        .into_iter()
        .map(|file| match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        })
        .collect();
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    }
    Some(watcher)
}

/// What was told of one certificate's end.
struct Told {
    identity: Arc<Identity>,
    /// How many of the warnings, and then the end.
    steps: usize,
}

impl Told {
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

/// Counts what is to be told when so much is left: a day, an hour, and the end. Of a certificate that lives shortly, a
/// third of its life takes the place of what is longer, so that one which is renewed in time is never told of.
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
    fn the_end_is_told_in_steps_that_fit_the_life() {
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
