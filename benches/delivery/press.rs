//! Measures presses of buttons: the time to their answer, how many are answered in a second, and both under a flood of
//! requests without tokens.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};
use world::tenant::Inbound;

use crate::rig::Rig;
use crate::servers::{recipient, request};
use crate::{ROUND_TRIP, megabytes, row, seconds};

/// The number of people, each of which is a reviewer.
const PEOPLE: usize = 40;

/// The number of presses for each figure.
const PRESSES: usize = 40;

/// Requests without a token, for each second of the flood.
const FLOOD: usize = 500;

pub(crate) async fn press() -> anyhow::Result<()> {
    let (rig, _) = start().await?;
    let unknown = one_by_one(&rig, 0).await?;
    let known = one_by_one(&rig, PRESSES).await?;
    for (what, times) in [("user looked up", unknown), ("user known", known)] {
        for (which, time) in [("median", times[PRESSES / 2]), ("slowest", times[PRESSES - 1])] {
            row(
                &format!("press to answer, {what}, {which} of {PRESSES}"),
                &seconds(time),
                "under 3 s",
                time < Duration::from_secs(3),
            );
        }
    }
    let presses = presses(&rig, 2 * PRESSES, 8 * PRESSES).await?;
    let count = presses.len();
    let begun = Instant::now();
    let times = join_all(presses.into_iter().map(answered)).await;
    let took = begun.elapsed();
    let slowest = times.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().max();
    row(
        &format!("{count} presses at once, all answered"),
        &seconds(took),
        "under 3 s",
        slowest.is_some_and(|time| time < Duration::from_secs(3)),
    );
    Ok(())
}

pub(crate) async fn press_flood() -> anyhow::Result<()> {
    let (rig, address) = start().await?;
    // The first presses allocate what every press needs.
    one_by_one(&rig, 0).await?;
    let before = rig.memory("VmHWM:")?;
    let presses = presses(&rig, PRESSES, PRESSES).await?;
    let flood = async {
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(FLOOD).unwrap_or(u32::MAX));
        loop {
            ticks.tick().await;
            let address = address.clone();
            world::spawn(async move { unsigned(&address).await });
        }
    };
    let pressing = async {
        let mut slowest = Duration::ZERO;
        for press in presses {
            slowest = slowest.max(answered(press).await?);
            sleep(Duration::from_millis(150)).await;
        }
        anyhow::Ok(slowest)
    };
    let slowest = tokio::select! {
        () = flood => anyhow::bail!("the flood has no end"),
        slowest = pressing => slowest?,
    };
    row(
        &format!("press to answer under {FLOOD} unsigned requests a second, slowest"),
        &seconds(slowest),
        "under 3 s",
        slowest < Duration::from_secs(3),
    );
    let more = rig.memory("VmHWM:")?.saturating_sub(before);
    row(
        "  additional peak memory",
        &format!("{:.1} MB", megabytes(more)),
        "under 10 MB",
        megabytes(more) < 10.0,
    );
    Ok(())
}

/// Starts a daemon with buttons on the cards, lets Teams send presses to it, and returns its address.
async fn start() -> anyhow::Result<(Rig, String)> {
    // Another program may take the port in this moment, which ends the bench with an error.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let review = format!("[review]\nenabled = true\nlisten = {address:?}\n");
    let rig = Rig::start_with(PEOPLE, ROUND_TRIP, &review).await?;
    let url = format!("http://{address}/api/messages");
    rig.servers.tenant.set_messaging_endpoint(&url);
    Ok((rig, address))
}

/// Presses a button for each person in turn, and returns the sorted times to the answers.
async fn one_by_one(rig: &Rig, messages: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for press in presses(rig, messages, PRESSES).await? {
        times.push(answered(press).await?);
    }
    times.sort();
    Ok(times)
}

/// Announces requests to one person each, and prepares an approval by that person. There are `messages` cards already.
async fn presses(rig: &Rig, messages: usize, count: usize) -> anyhow::Result<Vec<Inbound>> {
    let servers = &rig.servers;
    let ids: Vec<_> = (0..count)
        .map(|number| servers.cluster.create(request([number % PEOPLE])))
        .collect();
    rig.messages(messages + count).await;
    let mut presses = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        let mail = recipient(number % PEOPLE);
        let cards = servers.tenant.chat_of(&mail);
        let is_it = |body: &serde_json::Value| body.to_string().contains(id.as_str());
        let card = cards.iter().find(|card| card.history.iter().any(is_it));
        let card = card.context("a card is missing")?;
        let person = servers.tenant.user(&mail).context("a person is missing")?;
        presses.push(servers.tenant.press(&person, card, "approve", &[]));
    }
    Ok(presses)
}

/// Sends a press, and returns the time to its answer, which must be the card.
async fn answered(press: Inbound) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let answer = press.send().await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let time = begun.elapsed();
    anyhow::ensure!(answer.card().is_some(), "a press was refused: {}", answer.text);
    Ok(time)
}

/// Sends a request with an invented token.
async fn unsigned(address: &str) {
    let head = "POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                Authorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA\r\n\r\n{}";
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let mut answer = Vec::new();
    // A connection that is closed early needs no answer.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.read_to_end(&mut answer).await;
}
