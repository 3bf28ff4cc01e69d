//! One side of the comparison: its own servers, and the program that delivers between them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::bail;
use tokio::time::timeout;

use crate::model::{Begun, Plugin, Repeat};
use crate::rig::Rig;
use crate::servers::{Servers, request};
use world::cluster::State;

/// Longer than any operation that is expected to end.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) struct Side {
    delivers: Delivers,
    /// The number of events sent so far.
    events: AtomicUsize,
}

enum Delivers {
    Program(Rig),
    Model(Servers, Plugin),
}

impl Side {
    /// Starts the real daemon, and waits until it has looked up all recipients.
    pub(crate) async fn program(recipients: usize, round_trip: Duration) -> anyhow::Result<Self> {
        let rig = Rig::start(recipients, round_trip).await?;
        Ok(Self::of(Delivers::Program(rig)))
    }

    /// Starts the model, without latency until it has looked up all recipients one after another.
    pub(crate) async fn model(recipients: usize, round_trip: Duration, repeat: Repeat) -> anyhow::Result<Self> {
        let servers = Servers::start(recipients, Duration::ZERO).await?;
        let Begun::Ready(plugin) = Plugin::start(&servers, repeat, PATIENCE).await? else {
            bail!("the model did not start");
        };
        servers.move_away(round_trip);
        Ok(Self::of(Delivers::Model(servers, plugin)))
    }

    fn of(delivers: Delivers) -> Self {
        Self {
            delivers,
            events: AtomicUsize::new(0),
        }
    }

    pub(crate) fn servers(&self) -> &Servers {
        match &self.delivers {
            Delivers::Program(rig) => &rig.servers,
            Delivers::Model(servers, _) => servers,
        }
    }

    pub(crate) fn create(&self, recipients: impl IntoIterator<Item = usize>) -> String {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.servers().cluster.create(request(recipients))
    }

    pub(crate) fn approve(&self, id: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.servers().cluster.set_state(id, State::Approved, "fine");
    }

    /// Waits until the condition holds, or until the model has finished every event and it can no longer change.
    pub(crate) async fn over(&self, wanted: impl Fn(&Servers) -> bool) -> anyhow::Result<()> {
        let waiting = async {
            match &self.delivers {
                Delivers::Program(rig) => {
                    let mut messages = rig.servers.tenant.changes();
                    let mut records = rig.servers.cluster.changes();
                    while !wanted(&rig.servers) {
                        tokio::select! {
                            changed = messages.changed() => changed?,
                            changed = records.changed() => changed?,
                        }
                    }
                    Ok(())
                }
                Delivers::Model(_, plugin) => plugin.handled(self.events.load(Ordering::Relaxed)).await,
            }
        };
        timeout(PATIENCE, waiting).await?
    }
}
