//! The trials, which are the same for each side.

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

/// The number of recipients that the requests rotate among.
const PEOPLE: usize = 300;

/// The time limit for cards to settle after the last event; longer than the time limit of the model for one event.
const COMES_RIGHT: Duration = Duration::from_secs(20);

/// The delivery of one request.
pub(crate) struct Spread {
    pub(crate) recipients: usize,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) delivered: usize,
    /// The number of cards in the plugin data; other cards are never updated.
    pub(crate) recorded: usize,
}

pub(crate) async fn spread(side: &Side, recipients: usize) -> anyhow::Result<Spread> {
    let begun = now();
    let id = side.create(0..recipients);
    let recorded = |servers: &Servers| {
        let data = servers.cluster.plugin_data(&id);
        data.get("messages").map_or(0, |cards| cards.split(',').count())
    };
    side.over(|servers| recorded(servers) >= recipients).await?;
    let times = Cards::read(side.servers()).times(std::slice::from_ref(&id), begun);
    Ok(Spread {
        recipients,
        first: times.first().copied().unwrap_or(f64::NAN),
        last: times.last().copied().unwrap_or(f64::NAN),
        delivered: times.len(),
        recorded: recorded(side.servers()),
    })
}

/// Announces and then resolves requests, ten a second, while 1 % of the messages and 1 % of the edits fail. This stays below
/// Microsoft's limits for each side.
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
    // Count the recipients whose cards are not settled by then.
    let right = side.over(|servers| Cards::read(servers).tally(ids, EACH, truth).is_calm());
    timeout(COMES_RIGHT, right).await.ok();
}

/// The delivery of many simultaneous requests.
pub(crate) struct Burst {
    /// The time at which each card was posted, in order.
    pub(crate) times: Vec<f64>,
    pub(crate) wanted: usize,
    pub(crate) refused: usize,
}

impl Burst {
    /// Share of the documented 50 messages a second.
    #[expect(clippy::cast_precision_loss, reason = "an approximate share")]
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

/// Returns the wall-clock time, which the tenant writes to its messages.
fn now() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is not the daemon")]
    SystemTime::now()
}

fn some(number: usize) -> impl Iterator<Item = usize> {
    (0..EACH).map(move |next| (number * EACH + next) % PEOPLE)
}

/// The start with many recipients to look up.
pub(crate) struct Start {
    pub(crate) recipients: usize,
    pub(crate) program_ready: f64,
    pub(crate) program_knows: f64,
    /// The number of recipients that the model had looked up when it gave up, if it did.
    pub(crate) model_gave_up: Option<usize>,
    /// The time to ready without a time limit.
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
