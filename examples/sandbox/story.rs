//! The story of `--scenario demo`: what happens to a few requests, in good and in bad times.

use anyhow::Context as _;
use anyhow::ensure;

use crate::action::{Action, Mode, NewRequest, Proposal};
use crate::narrator::{Narrator, picture};
use crate::sandbox::Sandbox;
use crate::view::View;
use world::cluster::{ClusterState, PluginData};

/// Answers of "too many requests" that the daemon has to live through.
const THROTTLED: usize = 3;

/// Plays the whole story.
///
/// # Errors
/// A card that is missing, doubled or untrue.
pub async fn play(sandbox: Sandbox) -> anyhow::Result<()> {
    let mut story = Story {
        narrator: Narrator::new(sandbox.clone()),
        sandbox,
        expected: Vec::new(),
    };
    story.good_times().await?;
    story.throttled().await?;
    story.teleport_goes_away().await?;
    story.daemon_is_killed().await?;
    story.verdict().await
}

struct Story {
    sandbox: Sandbox,
    narrator: Narrator,
    expected: Vec<Expected>,
}

/// A request, who must have a card of it, and what the card must say.
struct Expected {
    id: String,
    chats: Vec<String>,
    word: &'static str,
}

impl Story {
    async fn good_times(&mut self) -> anyhow::Result<()> {
        let narrator = &self.narrator;
        narrator
            .see("the daemon is connected to Teleport", |view| view.cluster.watches > 0)
            .await?;

        narrator.tell("Bob asks for the role dba and suggests Alice and Carol; two approvals are needed");
        let first = self.ask("bob", "dba", &["alice", "carol"], 2).await?;
        self.see(first, "Alice, Carol and the channel Databases have a card: PENDING")
            .await?;

        self.narrator.tell("Alice approves");
        self.review(first, "alice", Proposal::Approve).await?;
        let id = self.expected[first].id.clone();
        let shows = move |view: &View| view.cards_of(&id).all(|(_, card)| card.versions.len() == 2);
        self.narrator
            .see("the same three cards show her review, still PENDING", shows)
            .await?;

        self.narrator.tell("Carol approves");
        self.review(first, "carol", Proposal::Approve).await?;
        self.expected[first].word = "APPROVED";
        self.see(first, "the same three cards say APPROVED").await?;

        self.narrator
            .tell("Eve asks for admin, and is denied; Dan asks for dev, and is promoted to an access list");
        let (denied, promoted) = (
            self.ask("eve", "admin", &["alice"], 1).await?,
            self.ask("dan", "dev", &["bob"], 1).await?,
        );
        self.see(denied, "Alice and both channels know of Eve: PENDING").await?;
        self.see(promoted, "Bob and a channel know of Dan: PENDING").await?;
        self.review(denied, "alice", Proposal::Deny).await?;
        let author = self.sandbox.company.mail("bob");
        self.act(Action::Promote {
            id: self.id(promoted),
            author,
        })
        .await?;
        self.expected[denied].word = "DENIED";
        self.expected[promoted].word = "PROMOTED";
        self.see(denied, "the cards about Eve say DENIED").await?;
        self.see(promoted, "the cards about Dan say PROMOTED").await?;

        self.narrator.tell("Nobody answers Bob's next request, and it expires");
        let expired = self.ask("bob", "dev", &["carol"], 1).await?;
        self.see(expired, "Carol and a channel have cards: PENDING").await?;
        self.act(Action::Expire { id: self.id(expired) }).await?;
        self.expected[expired].word = "EXPIRED";
        self.see(expired, "both cards say EXPIRED").await
    }

    async fn throttled(&mut self) -> anyhow::Result<()> {
        self.narrator
            .tell("Microsoft answers 429 to everything; Carol asks for dba");
        self.act(Action::Microsoft { mode: Mode::Throttled }).await?;
        let before = self.sandbox.view().microsoft.throttled;
        let late = self.ask("carol", "dba", &["alice", "bob"], 1).await?;
        let patient = |view: &View| view.microsoft.throttled >= before + THROTTLED;
        self.narrator
            .see("the daemon is told to wait, and waits", patient)
            .await?;
        self.narrator.tell("Microsoft recovers");
        self.act(Action::Microsoft { mode: Mode::Normal }).await?;
        self.see(late, "Alice, Bob and the channel Databases have one card each: PENDING")
            .await
    }

    async fn teleport_goes_away(&mut self) -> anyhow::Result<()> {
        let open = self.expected.len() - 1;
        self.narrator
            .tell("Teleport goes away; meanwhile Carol is approved, and Dan asks for admin");
        self.act(Action::ClusterStop).await?;
        self.act(Action::Approve {
            id: self.id(open),
            reason: "while nobody was looking".to_owned(),
        })
        .await?;
        self.expected[open].word = "APPROVED";
        let missed = self.ask("dan", "admin", &["carol"], 1).await?;
        self.narrator
            .see("the daemon has lost its watch", |view| view.cluster.watches == 0)
            .await?;
        self.narrator.tell("Teleport comes back");
        self.act(Action::ClusterStart).await?;
        self.see(open, "Carol's cards have caught up: APPROVED").await?;
        self.see(missed, "Dan's request was not lost: PENDING").await
    }

    async fn daemon_is_killed(&mut self) -> anyhow::Result<()> {
        let open = self.expected.len() - 1;
        self.narrator
            .tell("The daemon is killed; meanwhile Dan is denied, and Eve asks for dba");
        self.noted(open).await;
        self.act(Action::DaemonKill).await?;
        let missed = self.ask("eve", "dba", &["alice", "bob", "carol"], 1).await?;
        self.act(Action::Deny {
            id: self.id(open),
            reason: "not today".to_owned(),
        })
        .await?;
        self.expected[open].word = "DENIED";
        self.narrator.tell("The daemon starts again");
        self.act(Action::DaemonStart).await?;
        self.see(open, "the cards about Dan say DENIED").await?;
        self.see(missed, "everybody has a card about Eve: PENDING").await?;
        self.review(missed, "carol", Proposal::Approve).await?;
        self.expected[missed].word = "APPROVED";
        self.see(missed, "and all of them say APPROVED").await
    }

    /// Waits until the daemon has noted what it posted: a card that it could not note before it died has no known id, and
    /// stays as it is.
    async fn noted(&self, request: usize) {
        let id = self.id(request);
        let done = |data: &PluginData| data.get("x_claim").is_some_and(|claim| claim.starts_with("done"));
        let noted = |state: &ClusterState| state.plugin_data.get(&id).is_some_and(|all| all.values().any(done));
        self.sandbox.cluster.until("what was posted is noted", noted).await;
    }

    /// Looks at everything again: nobody was forgotten, nobody was told twice, and every card is true.
    async fn verdict(&self) -> anyhow::Result<()> {
        self.sandbox.daemon.stop().await;
        let view = self.sandbox.view();
        ensure!(view.daemon.note.is_empty(), "the daemon failed: {}", view.daemon.note);
        for expected in &self.expected {
            ensure!(
                expected.holds(&view),
                "request {} is not told as it is:\n{}",
                expected.id,
                picture(&view)
            );
        }
        let cards: usize = self.expected.iter().map(|expected| expected.chats.len()).sum();
        let (told, verdict) = (view.verdict.cards, &view.verdict);
        ensure!(
            told == cards,
            "{told} cards were posted instead of {cards}:\n{}",
            picture(&view)
        );
        ensure!(
            verdict.r#true == cards,
            "only {} of {cards} cards are true:\n{}",
            verdict.r#true,
            picture(&view)
        );
        let seconds = self.narrator.elapsed().as_secs();
        let what = format!(
            "{} requests, {cards} cards in {seconds} s: every card is true",
            self.expected.len()
        );
        self.narrator.see(&what, |_| true).await
    }

    /// Asks for a role in somebody's name; returns the place of the request in `expected`.
    async fn ask(&mut self, user: &str, role: &str, reviewers: &[&str], approvals: u32) -> anyhow::Result<usize> {
        let company = &self.sandbox.company;
        let reviewers: Vec<_> = reviewers.iter().map(|name| company.mail(name)).collect();
        let mut chats = reviewers.clone();
        chats.extend(
            company
                .recipients(role)
                .iter()
                .filter(|id| !reviewers.contains(id))
                .cloned(),
        );
        let request = NewRequest {
            user: company.mail(user),
            roles: vec![role.to_owned()],
            reason: format!("Something only {role} can do"),
            reviewers,
            resources: vec!["db/orders".to_owned()],
            approvals,
        };
        let answer = Action::Create(request).perform(&self.sandbox).await?;
        let id = answer["id"].as_str().context("a new request has no id")?.to_owned();
        let word = "PENDING";
        self.expected.push(Expected { id, chats, word });
        Ok(self.expected.len() - 1)
    }

    async fn review(&self, request: usize, author: &str, verdict: Proposal) -> anyhow::Result<()> {
        let author = self.sandbox.company.mail(author);
        let (id, reason) = (self.id(request), "looked at it".to_owned());
        self.act(Action::Review {
            id,
            author,
            verdict,
            reason,
        })
        .await
    }

    async fn act(&self, action: Action) -> anyhow::Result<()> {
        action.perform(&self.sandbox).await.map(drop)
    }

    async fn see(&self, request: usize, what: &str) -> anyhow::Result<()> {
        let expected = &self.expected[request];
        self.narrator.see(what, |view| expected.holds(view)).await
    }

    fn id(&self, request: usize) -> String {
        self.expected[request].id.clone()
    }
}

impl Expected {
    /// Each of them has exactly one card, nobody else has any, and all cards say the word.
    fn holds(&self, view: &View) -> bool {
        let cards: Vec<_> = view.cards_of(&self.id).collect();
        let one_each = |chat: &String| cards.iter().filter(|(id, _)| id == chat).count() == 1;
        cards.len() == self.chats.len()
            && self.chats.iter().all(one_each)
            && cards.iter().all(|(_, card)| card.says == self.word && card.r#true)
    }
}
