//! Notifications for the service manager; without one, they do nothing.
//!
//! With `WatchdogSec=` the manager restarts a service that sends no heartbeat. The daemon sends one only while every loop
//! is responsive.

use std::time::Duration;

use sd_notify::NotifyState;

/// Reports that the daemon is connected and has compared every open request with its cards.
pub fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("Watching access requests")]);
}

/// Reports that a reload begins; [`reloaded`] must follow.
pub fn reloading() {
    // The time shows the manager that this answers its own request.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Reports that a reload has ended, successful or not.
pub fn reloaded() {
    notify(&[NotifyState::Ready]);
}

/// Returns the time without a heartbeat after which the manager restarts this process.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Sends a heartbeat.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// Sets the status line of `systemctl status`.
pub fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

/// Reports that the daemon is stopping.
pub fn stopping() {
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status("Finishing what is on its way"),
    ]);
}

fn notify(states: &[NotifyState<'_>]) {
    // An unreachable manager must not stop deliveries.
    let _ = sd_notify::notify(states);
}
