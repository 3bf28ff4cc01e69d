//! Presses of buttons: how long a person waits for the answer, and how many answers there are in a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::rig::Rig;
use crate::servers::{recipient, request};
use crate::{ROUND_TRIP, megabytes, row, seconds};
use world::tenant::Inbound;

/// How long Teams shows that a press is being processed.
const PATIENCE: Duration = Duration::from_secs(3);

/// The number of people who press one after another.
const PEOPLE: usize = 100;

/// The number of people who press at the same time, and how often each of them does.
const TOGETHER: usize = 32;
const EACH: usize = 10;

/// Measures the time to the answer, for people whose Teleport users are not cached and then for the same people again, and
/// the number of presses in a second.
pub(crate) async fn press() -> anyhow::Result<()> {
    let (rig, _) = Rig::with_reviews(PEOPLE, ROUND_TRIP).await?;
    for what in ["not cached", "cached"] {
        announce(&rig, PEOPLE, 1).await;
        let mut times = Vec::new();
        for person in 0..PEOPLE {
            times.push(answered(newest(&rig, person, 0)?).await?);
        }
        report(&format!("press to card, user {what}"), &mut times);
        // The cards of this round are updated before the next one is announced.
        sleep(Duration::from_secs(3)).await;
    }
    announce(&rig, TOGETHER, EACH).await;
    let mut people = JoinSet::new();
    let begun = Instant::now();
    for person in 0..TOGETHER {
        let presses: Vec<_> = (0..EACH)
            .map(|back| newest(&rig, person, back))
            .collect::<anyhow::Result<_>>()?;
        people.spawn(async move {
            for press in presses {
                answered(press).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = people.join_next().await {
        done??;
    }
    let rate = f64::from(u32::try_from(TOGETHER * EACH)?) / begun.elapsed().as_secs_f64();
    row(
        "presses by 32 people at the same time, different requests",
        &format!("{rate:.0} a second"),
        "at least 100",
        rate >= 100.0,
    );
    Ok(())
}

/// Measures presses and memory while 500 connections a second send requests without a token.
pub(crate) async fn unsigned() -> anyhow::Result<()> {
    const CONNECTIONS_A_SECOND: u32 = 500;
    let (rig, address) = Rig::with_reviews(PEOPLE, ROUND_TRIP).await?;
    announce(&rig, PEOPLE, 1).await;
    let before = rig.memory("VmHWM:")?;
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let begun = Instant::now();
    let mut flood = JoinSet::new();
    flood.spawn(async move {
        let mut ticks = interval(Duration::from_secs(1) / CONNECTIONS_A_SECOND);
        loop {
            ticks.tick().await;
            let (address, count) = (address.clone(), Arc::clone(&count));
            // A rejected connection is a success of the daemon.
            world::spawn(async move { send_unsigned(&address, &count).await.is_ok() });
        }
    });
    sleep(Duration::from_secs(2)).await;
    let mut times = Vec::new();
    for person in 0..PEOPLE {
        times.push(answered(newest(&rig, person, 0)?).await?);
    }
    flood.abort_all();
    let rate = f64::from(sent.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64();
    row(
        "unsigned requests that were sent",
        &format!("{rate:.0} a second"),
        "about 500",
        rate >= 450.0,
    );
    report("press to card, 500 unsigned requests/s", &mut times);
    let more = megabytes(rig.memory("VmHWM:")?.saturating_sub(before));
    row(
        "  additional peak memory",
        &format!("{more:.1} MB"),
        "under 10 MB",
        more < 10.0,
    );
    Ok(())
}

/// Creates requests for each of the first people, and waits until all of them are announced.
async fn announce(rig: &Rig, people: usize, each: usize) {
    let before = rig.servers.tenant.messages();
    for number in 0..people * each {
        rig.servers.cluster.create(request([number % people]));
    }
    rig.messages(before + people * each).await;
}

/// Returns a press on a person's newest card, or on an older one.
fn newest(rig: &Rig, person: usize, back: usize) -> anyhow::Result<Inbound> {
    let tenant = &rig.servers.tenant;
    let card = tenant.chat_of(&recipient(person)).into_iter().rev().nth(back);
    let card = card.context("the person has too few cards")?;
    let press = tenant.try_press(&rig.servers.people[person], &card, "approve", &[]);
    press.context("the card has no button")
}

/// Sends a press, and returns how long the answer took, which must be a card.
async fn answered(press: Inbound) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let answer = press.send().await;
    let time = begun.elapsed();
    let is_card = answer.as_ref().is_ok_and(|answer| answer.card().is_some());
    anyhow::ensure!(is_card, "the answer is not a card: {answer:?}");
    Ok(time)
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    for (which, percent) in [("median", 50), ("99th percentile", 99)] {
        let time = times[(times.len() * percent / 100).min(times.len() - 1)];
        row(
            &format!("{what}, {which}"),
            &seconds(time),
            "under 3 s",
            time < PATIENCE,
        );
    }
}

/// Sends a request without a token, and keeps the connection for a second, or until the daemon closes it.
async fn send_unsigned(address: &str, count: &AtomicU32) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head =
        "POST /api/messages HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(head.as_bytes()).await?;
    count.fetch_add(1, Ordering::Relaxed);
    let mut rest = Vec::new();
    // The timeout is the usual end.
    let _ = timeout(Duration::from_secs(1), stream.read_to_end(&mut rest)).await;
    Ok(())
}
