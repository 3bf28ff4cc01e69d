//! What is tried, on each side in the same way.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep, timeout};

use crate::model::{Begun, Plugin, Repeat, START};
use crate::rig::Rig;
use crate::servers::Servers;
use crate::side::Side;
use crate::tally::{Cards, Tally};
use world::tenant::{Chance, Fault};

/// Recipients of each request, where there are many requests.
const EACH: usize = 3;

/// People among whom they go round.
const PEOPLE: usize = 300;

/// How long everything may take to come right after the last event: longer than the model works on one.
const COMES_RIGHT: Duration = Duration::from_secs(20);

/// How one request went to its recipients.
pub(crate) struct Spread {
    pub(crate) recipients: usize,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) delivered: usize,
    /// Cards that stand in the plugin data, without which they never change.
    pub(crate) noted: usize,
}

pub(crate) async fn spread(side: &Side, recipients: usize) -> anyhow::Result<Spread> {
    let begun = now();
    let id = side.create(0..recipients);
    let noted = |servers: &Servers| {
        let data = servers.cluster.plugin_data(&id);
        data.get("messages").map_or(0, |cards| cards.split(',').count())
    };
    side.over(|servers| noted(servers) >= recipients).await?;
    let times = Cards::read(side.servers()).times(std::slice::from_ref(&id), begun);
    Ok(Spread {
        recipients,
        first: times.first().copied().unwrap_or(f64::NAN),
        last: times.last().copied().unwrap_or(f64::NAN),
        delivered: times.len(),
        noted: noted(side.servers()),
    })
}

/// Announces and then decides some requests, ten a second, while one message in a hundred and one edit in a hundred go
/// wrong. That is below Microsoft's limits, whoever sends them.
pub(crate) async fn faults(side: &Side, requests: usize) -> anyhow::Result<Tally> {
    let servers = side.servers();
    let kinds = vec![
        Fault::Status(429, Some(1)),
        Fault::Status(502, None),
        Fault::Status(503, None),
        Fault::ResetBefore,
        Fault::ResetAfter,
    ];
    servers
        .tenant
        .faults(|faults| faults.chance = Some(Chance::new(0.01, kinds, 7)));
    let mut ids = Vec::new();
    for number in 0..requests {
        ids.push(side.create(some(number)));
        sleep(Duration::from_millis(100)).await;
    }
    come_right(side, &ids, "PENDING").await;
    for id in &ids {
        side.approve(id);
        sleep(Duration::from_millis(100)).await;
    }
    come_right(side, &ids, "APPROVED").await;
    servers.tenant.faults(|faults| faults.chance = None);
    Ok(Cards::read(servers).tally(&ids, EACH, "APPROVED"))
}

async fn come_right(side: &Side, ids: &[String], truth: &str) {
    // Whoever is not right by then is counted.
    let right = side.over(|servers| Cards::read(servers).tally(ids, EACH, truth).is_calm());
    timeout(COMES_RIGHT, right).await.ok();
}

/// How many requests at once went.
pub(crate) struct Burst {
    /// When each card was posted, in order.
    pub(crate) times: Vec<f64>,
    pub(crate) wanted: usize,
    pub(crate) refused: usize,
}

impl Burst {
    /// Share of the documented 50 messages a second.
    #[expect(clippy::cast_precision_loss, reason = "a share for reading")]
    pub(crate) fn share(&self) -> f64 {
        self.times.len() as f64 / self.times.last().copied().unwrap_or(f64::NAN) / 50.0
    }
}

pub(crate) async fn burst(side: &Side, requests: usize) -> anyhow::Result<Burst> {
    let tenant = &side.servers().tenant;
    let (refused, before) = (tenant.throttled(), tenant.messages());
    let wanted = requests * EACH;
    let begun = now();
    let ids: Vec<_> = (0..requests).map(|number| side.create(some(number))).collect();
    side.over(|servers| servers.tenant.messages() >= before + wanted)
        .await?;
    Ok(Burst {
        times: Cards::read(side.servers()).times(&ids, begun),
        wanted,
        refused: tenant.throttled() - refused,
    })
}

/// Returns the time of day, which is what the tenant writes on its messages.
fn now() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is not the daemon")]
    SystemTime::now()
}

fn some(number: usize) -> impl Iterator<Item = usize> {
    (0..EACH).map(move |next| (number * EACH + next) % PEOPLE)
}

/// How a start with many recipients to look up went.
pub(crate) struct Start {
    pub(crate) recipients: usize,
    pub(crate) program_ready: f64,
    pub(crate) program_knows: f64,
    /// How many the model knew when it gave up, unless it did not have to.
    pub(crate) model_gave_up: Option<usize>,
    /// When it would be ready if it had as long as it wants.
    pub(crate) model_ready: f64,
}

pub(crate) async fn start(recipients: usize, round_trip: Duration) -> anyhow::Result<Start> {
    let begun = Instant::now();
    let program = async {
        let rig = Rig::start(recipients, round_trip).await?;
        anyhow::Ok(((rig.ready - begun).as_secs_f64(), begun.elapsed().as_secs_f64()))
    };
    let model = async |budget| {
        let servers = Servers::start(recipients, round_trip).await?;
        let begun = Plugin::start(&servers, Repeat::WithoutBody, budget).await?;
        anyhow::Ok(begun)
    };
    let unhurried = async {
        model(Duration::MAX).await?;
        anyhow::Ok(begun.elapsed().as_secs_f64())
    };
    let (program, model, unhurried) = tokio::try_join!(program, model(START), unhurried)?;
    Ok(Start {
        recipients,
        program_ready: program.0,
        program_knows: program.1,
        model_gave_up: match model {
            Begun::GaveUp(known) => Some(known),
            Begun::Ready(_) => None,
        },
        model_ready: unhurried,
    })
}
