//! Measures how fast the daemon delivers cards, and its memory and processor time: the real binary between a fake cluster and a
//! fake tenant with 50 ms of latency, which enforce Microsoft's documented limits.
//!
//! `cargo bench --bench delivery` prints a table. It asserts nothing.

#![expect(clippy::print_stdout, reason = "the table goes to the terminal")]

mod announced;
mod press;
mod rig;
mod servers;

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::rig::Rig;
use crate::servers::{request, requester};
use world::cluster::Draft;

/// The round-trip time to either side.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Messages a second that Microsoft documents for one app.
const MESSAGES_A_SECOND: f64 = 50.0;

/// All benches, in the order in which they run.
const BENCHES: [&str; 13] = [
    "size",
    "start",
    "first_card",
    "hundred_recipients",
    "hundred_new_recipients",
    "validate",
    "burst",
    "flood",
    "flood_notified",
    "announced",
    "announced_notified",
    "press",
    "unsigned",
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = BENCHES.to_vec();
    }
    println!("{:<62} {:>12}   goal", "figure", "measured");
    for name in names {
        match name {
            "size" => size()?,
            "start" => start().await?,
            "first_card" => first_card().await?,
            "hundred_recipients" => hundred_recipients().await?,
            "hundred_new_recipients" => hundred_new_recipients().await?,
            "validate" => validate().await?,
            "burst" => burst().await?,
            "flood" => flood(false).await?,
            "flood_notified" => flood(true).await?,
            "announced" => announced::announced(false).await?,
            "announced_notified" => announced::announced(true).await?,
            "press" => press::press().await?,
            "unsigned" => press::unsigned().await?,
            other => anyhow::bail!("there is no bench {other}; use one or more of {}", BENCHES.join(", ")),
        }
    }
    Ok(())
}

fn row(figure: &str, measured: &str, goal: &str, reached: bool) {
    let mark = if reached { "reached" } else { "missed" };
    println!("{figure:<62} {measured:>12}   {goal}: {mark}");
}

fn size() -> anyhow::Result<()> {
    let size = megabytes(std::fs::metadata(rig::PROGRAM)?.len());
    row("release binary", &format!("{size:.1} MB"), "under 15 MB", size < 15.0);
    Ok(())
}

/// Measures the start and the idle memory with 200 recipients to preload.
async fn start() -> anyhow::Result<()> {
    let begun = Instant::now();
    let rig = Rig::start(200, ROUND_TRIP).await?;
    let ready = rig.ready - begun;
    let goal = ready < Duration::from_secs(1);
    row(
        "ready, with 200 recipients to preload",
        &seconds(ready),
        "under 1 s",
        goal,
    );
    let idle = megabytes(rig.memory("VmRSS:")?);
    row(
        "resident memory, idle, 200 recipients preloaded",
        &format!("{idle:.1} MB"),
        "under 15 MB",
        idle < 15.0,
    );
    Ok(())
}

/// Measures one request for one preloaded recipient, ten times for roles, and ten times for resources with unknown names.
async fn first_card() -> anyhow::Result<()> {
    let rig = Rig::start(10, ROUND_TRIP).await?;
    let first = |draft: fn(usize) -> Draft| {
        let rig = &rig;
        async move {
            let mut times = Vec::new();
            for number in 0..10 {
                let before = rig.servers.tenant.messages();
                let begun = Instant::now();
                rig.servers.cluster.create(draft(number));
                rig.messages(before + 1).await;
                times.push(begun.elapsed());
            }
            times.sort();
            times
        }
    };
    let known = first(|number| request([number])).await;
    let with_names = first(|number| {
        let resources = ["node", "db", "app"].map(|kind| (kind.to_owned(), format!("{kind}-{number}")));
        Draft {
            resources: resources.to_vec(),
            ..request([number])
        }
    })
    .await;
    for (what, trips, time) in [
        ("median of 10", 3.0, known[5]),
        ("worst of 10", 3.0, known[9]),
        ("names of 3 resources looked up, worst of 10", 4.0, with_names[9]),
    ] {
        let these = time.as_secs_f64() / ROUND_TRIP.as_secs_f64();
        row(
            &format!("event to card, {what}"),
            &seconds(time),
            &format!("{trips} round trips (these are {these:.1})"),
            these <= trips,
        );
    }
    Ok(())
}

/// Measures one request for a hundred preloaded recipients.
async fn hundred_recipients() -> anyhow::Result<()> {
    let rig = Rig::start(100, ROUND_TRIP).await?;
    let begun = Instant::now();
    rig.servers.cluster.create(request(0..100));
    rig.messages(100).await;
    let time = begun.elapsed();
    let goal = ROUND_TRIP * 3 + Duration::from_secs_f64(100.0 / MESSAGES_A_SECOND);
    row(
        "one request, 100 known recipients, all served",
        &seconds(time),
        &seconds(goal),
        time <= goal,
    );
    refused(&rig);
    Ok(())
}

/// Measures one request for a hundred recipients who are looked up for it.
async fn hundred_new_recipients() -> anyhow::Result<()> {
    let rig = Rig::with_strangers(1, 100, ROUND_TRIP).await?;
    let begun = Instant::now();
    rig.servers.cluster.create(request(1..101));
    rig.messages(100).await;
    let time = begun.elapsed();
    row(
        "one request, 100 new recipients, all served",
        &seconds(time),
        "under 5 s",
        time < Duration::from_secs(5),
    );
    refused(&rig);
    Ok(())
}

/// Measures `validate` for five hundred recipients, two messages each.
async fn validate() -> anyhow::Result<()> {
    let rig = Rig::start(500, ROUND_TRIP).await?;
    let begun = Instant::now();
    rig.validate(500).await?;
    let time = begun.elapsed();
    // Three lookups for each at 30 a second; the messages go out at the same time.
    row(
        "validate, 500 recipients",
        &seconds(time),
        "50 s is the limit's own",
        time <= Duration::from_secs(55),
    );
    refused(&rig);
    Ok(())
}

/// Measures a thousand simultaneous requests for three hundred recipients, three each.
async fn burst() -> anyhow::Result<()> {
    let rig = Rig::start(300, ROUND_TRIP).await?;
    let before = rig.processor_time()?;
    let begun = Instant::now();
    for number in 0..1_000 {
        let first = number * 3;
        rig.servers
            .cluster
            .create(request((first..first + 3).map(|number| number % 300)));
    }
    rig.messages(3_000).await;
    let time = begun.elapsed();
    let share = 3_000.0 / time.as_secs_f64() / MESSAGES_A_SECOND * 100.0;
    row(
        "a burst of 1,000 requests, 3 of 300 recipients each, all served",
        &seconds(time),
        "60 s is the limit's own",
        true,
    );
    row(
        "share of the documented 50 messages a second",
        &format!("{share:.1} %"),
        "at least 95 %",
        share >= 95.0,
    );
    refused(&rig);
    let spent = rig.processor_time()?.saturating_sub(before);
    row(
        "processor time of these 3,000 cards",
        &seconds(spent),
        "under 3 s",
        spent < Duration::from_secs(3),
    );
    let most = megabytes(rig.memory("VmHWM:")?);
    row(
        "peak resident memory during the burst",
        &format!("{most:.1} MB"),
        "under 40 MB",
        most < 40.0,
    );
    Ok(())
}

/// Measures ten thousand requests, a thousand a second: nearly all of them are queued when the last one arrives. With
/// notifications, requesters are notified, and reminders, escalations and ends of access are scheduled.
async fn flood(notified: bool) -> anyhow::Result<()> {
    const REQUESTS: usize = 10_000;
    let rig = if notified {
        Rig::with_notifications(30, ROUND_TRIP).await?
    } else {
        Rig::start(30, ROUND_TRIP).await?
    };
    let before = rig.memory("VmRSS:")?;
    for number in 0..REQUESTS {
        if number % 100 == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        let first = number * 3;
        let recipients = (first..first + 3).map(|number| number % 30);
        let draft = request(recipients);
        rig.servers.cluster.create(if notified {
            Draft {
                user: requester(number % 30),
                ..draft
            }
        } else {
            draft
        });
    }
    let mut most = before;
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = rig.memory("VmHWM:")?;
        if now == most {
            break;
        }
        most = now;
    }
    let figure = if notified {
        "the same, with all notifications on"
    } else {
        "peak resident memory with 10,000 queued requests"
    };
    row(
        figure,
        &format!("{:.1} MB", megabytes(most)),
        "under 150 MB",
        megabytes(most) < 150.0,
    );
    let each = most.saturating_sub(before) / u64::try_from(REQUESTS)?;
    row(
        "  per request",
        &format!("{:.1} KB", megabytes(each) * 1_000.0),
        "under 12 KB",
        each < 12_000,
    );
    Ok(())
}

fn refused(rig: &Rig) {
    let refused = rig.servers.tenant.throttled();
    row("  calls rejected with 429", &refused.to_string(), "none", refused == 0);
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "an approximate figure")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
