//! The memory of requests that are announced and wait for reviews.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use crate::rig::Rig;
use crate::servers::{Servers, request, requester};
use crate::{ROUND_TRIP, megabytes, row};
use world::cluster::Draft;

const REQUESTS: usize = 10_000;

/// The number of requests that the daemon really announces; the others are copies of them and of their records.
const SAMPLES: usize = 30;

/// The number of recipients, and of requesters.
const PEOPLE: usize = 30;

/// How long the memory stays the same once everything is read.
const QUIET: Duration = Duration::from_secs(5);

/// Measures ten thousand requests with three cards each, of which the daemon learns when it starts again. With notifications,
/// each has a card of the requester too, and reminders and an escalation are scheduled.
pub(crate) async fn announced(notified: bool) -> anyhow::Result<()> {
    let servers = Servers::start(PEOPLE, ROUND_TRIP).await?;
    if notified {
        servers.turn_on_notifications(PEOPLE)?;
    }
    let rig = Rig::around(servers).await?;
    let before = rig.memory("VmRSS:")?;
    let samples: Vec<_> = (0..SAMPLES).map(|number| create(&rig, number)).collect();
    rig.messages(SAMPLES * (3 + usize::from(notified))).await;
    for id in &samples {
        until_released(&rig, id).await;
    }
    let servers = rig.stop().await?;
    copy(&servers, &samples);
    let (messages, writes) = (servers.tenant.messages(), servers.cluster.state().writes.len());
    let rig = Rig::around(servers).await?;
    let now = settled(&rig).await?;
    let servers = &rig.servers;
    ensure!(
        servers.tenant.messages() == messages && servers.cluster.state().writes.len() == writes,
        "the daemon must know all requests as announced"
    );
    let figure = if notified {
        "the same, with all notifications on"
    } else {
        "resident memory with 10,000 announced requests"
    };
    let value = format!("{:.1} MB", megabytes(now));
    row(figure, &value, "under 150 MB", megabytes(now) < 150.0);
    let each = now.saturating_sub(before) / u64::try_from(REQUESTS)?;
    let value = format!("{:.1} KB", megabytes(each) * 1_000.0);
    row("  per request", &value, "under 12 KB", each < 12_000);
    let peak = rig.memory("VmHWM:")?;
    let value = format!("{:.1} MB", megabytes(peak));
    row(
        "  while they are listed, at most",
        &value,
        "under 150 MB",
        megabytes(peak) < 150.0,
    );
    Ok(())
}

fn create(rig: &Rig, number: usize) -> String {
    let first = number * 3;
    rig.servers.cluster.create(Draft {
        user: requester(number % PEOPLE),
        ..request((first..first + 3).map(|number| number % PEOPLE))
    })
}

async fn until_released(rig: &Rig, id: &str) {
    let mut changes = rig.servers.cluster.changes();
    let is_held = || {
        let data = rig.servers.cluster.plugin_data(id);
        data.get("x_claim").is_none_or(|claim| claim.starts_with("held"))
    };
    while is_held() {
        // The cluster lives as long as the rig.
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Copies requests with their plugin data, until there are enough.
fn copy(servers: &Servers, samples: &[String]) {
    let mut state = servers.cluster.state();
    for (number, sample) in (samples.len()..REQUESTS).zip(samples.iter().cycle()) {
        let id = format!("00000000-0000-7000-8000-{number:012}");
        let (request, data) = (
            state.requests.get(sample).cloned(),
            state.plugin_data.get(sample).cloned(),
        );
        let (Some(mut request), Some(data)) = (request, data) else {
            continue;
        };
        if let Some(metadata) = &mut request.metadata {
            metadata.name.clone_from(&id);
        }
        state.requests.insert(id.clone(), request);
        state.plugin_data.insert(id, data);
    }
}

/// Returns the memory once it does not change.
async fn settled(rig: &Rig) -> anyhow::Result<u64> {
    let mut last = 0;
    loop {
        let now = rig.memory("VmRSS:")?;
        // A page may come and go.
        if now.abs_diff(last) < 100_000 {
            return Ok(now);
        }
        last = now;
        sleep(QUIET).await;
    }
}
