//! Dispatches the events of Teleport to lanes and rules.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::daemon::context::Context;
use crate::daemon::requests::Lanes;
use crate::domain::rules;
use crate::heartbeat::Heartbeat;
use crate::telemetry::{Health, systemd};
use crate::teleport::WatchEvent;

/// The interval of heartbeats while no event arrives.
const TICK: Duration = Duration::from_secs(1);

/// Sorts events into lanes, and reconciles unrouted requests after a change of the rules.
pub(super) struct Dispatcher {
    context: Arc<Context>,
    lanes: Lanes,
    health: Health,
    heartbeat: Heartbeat,
    events: mpsc::Receiver<WatchEvent>,
    fail_fast: bool,
    /// Whether requests without recipients may have some now.
    rules_changed: bool,
}

impl Dispatcher {
    pub(super) fn new(
        context: Arc<Context>,
        lanes: Lanes,
        health: Health,
        heartbeat: Heartbeat,
        events: mpsc::Receiver<WatchEvent>,
        fail_fast: bool,
    ) -> Self {
        Self {
            context,
            lanes,
            health,
            heartbeat,
            events,
            fail_fast,
            rules_changed: false,
        }
    }

    /// Sorts events until the watch fails and the daemon must end.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.heartbeat.beat().await;
            tokio::select! {
                _ = ticks.tick() => {
                    self.health.tokens(self.context.teams.holds_tokens());
                    // After a tick, because many rules often change together.
                    if std::mem::take(&mut self.rules_changed) {
                        self.lanes.retry_unrouted();
                    }
                }
                event = self.events.recv() => match event {
                    // The watch has ended, which `tasks` reports.
                    None => return std::future::pending().await,
                    Some(event) => self.sort(event)?,
                }
            }
        }
    }

    fn sort(&mut self, event: WatchEvent) -> anyhow::Result<()> {
        match event {
            WatchEvent::Connected { denied, route } => {
                self.health.watching(true);
                if self.health.has_started() {
                    systemd::status("Watching access requests");
                }
                self.context.metrics.connected();
                self.context.outages.watch_works(route);
                self.context.rules.watched(!denied.contains(&rules::KIND));
                self.context.connections.send_modify(|opened| *opened += 1);
            }
            WatchEvent::Request(request) => {
                self.context.metrics.request_event(request.stage);
                self.lanes.event(*request);
            }
            WatchEvent::Gone(id) => self.lanes.gone(&id),
            WatchEvent::Rule(rule) => {
                self.context.rules.put(*rule);
                self.rules_changed = true;
            }
            WatchEvent::RuleGone(name) => {
                self.context.rules.remove(&name);
                self.rules_changed = true;
            }
            WatchEvent::Disconnected { error, pause } => {
                self.health.watching(false);
                systemd::status("Events of Teleport are not received; trying again");
                self.context.metrics.disconnected();
                if self.fail_fast {
                    return Err(error).context("Connection problem detected. Exiting as fail fast is on");
                }
                self.context.outages.watch_broke(&error, pause);
            }
        }
        Ok(())
    }
}
