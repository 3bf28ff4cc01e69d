//! What a service manager wants to hear. Without one, nobody is told anything.
//!
//! The manager restarts a service that promised signs of life (`WatchdogSec=`) and gives none; ours are given only while
//! every loop that does work turns.

use std::time::Duration;

use sd_notify::NotifyState;

/// Everything is connected and was compared once.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("Watching access requests")]);
}

/// The configuration is read again; [`reloaded`] has to follow.
pub fn reloading() {
    // Without the time, a manager that asked for the reload could not tell whether this is its answer.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The configuration was read again, well or not.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Returns after how long without a sign of life the manager restarts this process.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// A sign of life.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// What one line of `systemctl status` says.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// No more work is taken.
pub fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("Finishing what is on its way"),
    ]);
}

fn tell(states: &[NotifyState<'_>]) {
    // A manager that cannot be told is no reason to stop working for those who wait for cards.
    let _ = sd_notify::notify(states);
}
