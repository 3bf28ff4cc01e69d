//! The fake servers in a separate process, and the protocol that controls them: a command on a line, answered by a line when
//! all cards show its effect.

use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::timeout;

use crate::servers::{Servers, recipient, request, requester};
use world::cluster::{Draft, State, Verdict};

/// The argument that starts this program as the servers.
pub(crate) const COMMAND: &str = "servers";

/// The second argument if the daemon notifies requesters.
const NOTIFYING: &str = "notifying";

const PATIENCE: Duration = Duration::from_secs(30);

/// The handle to the servers in the daemon's process.
pub(crate) struct Far {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Reused, so that it does not allocate.
    line: String,
    config: PathBuf,
}

impl Far {
    pub(crate) fn start(notifies: bool) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .args(notifies.then_some(NOTIFYING))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let words = child.stdin.take().context("stdin is piped")?;
        let answers = child.stdout.take().context("stdout is piped")?;
        let mut far = Self {
            child,
            words,
            answers: BufReader::new(answers),
            line: String::with_capacity(4_096),
            config: PathBuf::new(),
        };
        far.listen()?;
        far.config = PathBuf::from(far.line.trim());
        Ok(far)
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Sends a command to the servers, and waits until all cards show its effect.
    pub(crate) fn command(&mut self, word: &str) -> anyhow::Result<()> {
        self.words.write_all(word.as_bytes())?;
        self.words.write_all(b"\n")?;
        self.listen()
    }

    fn listen(&mut self) -> anyhow::Result<()> {
        self.line.clear();
        let read = self.answers.read_line(&mut self.line)?;
        ensure!(read > 0, "the servers ended");
        Ok(())
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // The process may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs the servers until the input is closed.
#[tokio::main]
pub(crate) async fn serve(arguments: &[&str]) -> anyhow::Result<()> {
    let servers = Servers::start(1, Duration::ZERO).await?;
    servers.turn_on_reviews()?;
    let notifies = arguments == [NOTIFYING];
    if notifies {
        servers.turn_on_notifications(1)?;
    }
    println!("{}", servers.config().display());
    let mut requests = Requests {
        servers,
        notifies,
        newest: String::new(),
    };
    for line in stdin().lines() {
        let done = timeout(PATIENCE, requests.act(&line?)).await;
        done.context("the cards do not show the effect in time")??;
        println!("done");
    }
    Ok(())
}

struct Requests {
    servers: Servers,
    notifies: bool,
    newest: String,
}

impl Requests {
    async fn act(&mut self, word: &str) -> anyhow::Result<()> {
        let cluster = &self.servers.cluster;
        let tenant = &self.servers.tenant;
        match word {
            "create" => {
                let draft = Draft {
                    approvals: u32::MAX,
                    user: requester(0),
                    ..request([0])
                };
                self.newest = cluster.create(draft);
                self.until_released(self.notifies.then_some("requester")).await
            }
            "repeat" => {
                cluster.repeat(&self.newest);
                Ok(())
            }
            "review" => {
                cluster.review(&self.newest, "alice", Verdict::Approve, "fine");
                self.until("reviews_count", |_| true).await
            }
            "press" => {
                let cards = tenant.chat_of(&recipient(0));
                let press = cards
                    .last()
                    .and_then(|card| tenant.try_press(&self.servers.people[0], card, "approve", &[]));
                let answer = press.context("the newest card has no button")?.send().await;
                let is_card = answer.as_ref().is_ok_and(|answer| answer.card().is_some());
                ensure!(is_card, "the answer is not a card: {answer:?}");
                self.until("reviews_count", |_| true).await
            }
            "approve" => {
                cluster.set_state(&self.newest, State::Approved, "fine");
                self.until("resolution", |_| true).await?;
                if self.notifies {
                    self.until_released(Some("decision")).await?;
                }
                Ok(())
            }
            other => bail!("unknown command {other:?}"),
        }
    }

    /// Waits until the claim of the newest request is released, and until this audience has a card, if one is given.
    async fn until_released(&self, audience: Option<&str>) -> anyhow::Result<()> {
        if let Some(audience) = audience {
            self.until("x_cards", |cards| cards.contains(audience)).await?;
        }
        self.until("x_claim", |mark| !mark.starts_with("held")).await
    }

    /// Waits until the record of the newest request meets the condition.
    async fn until(&self, key: &str, says: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let cluster = &self.servers.cluster;
        let mut changes = cluster.changes();
        while !cluster
            .plugin_data(&self.newest)
            .get(key)
            .is_some_and(|value| says(value))
        {
            changes.changed().await?;
        }
        Ok(())
    }
}
