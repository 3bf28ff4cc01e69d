//! The story of `--scenario demo`: a few requests, with and without faults.

use std::collections::BTreeMap;

use anyhow::Context as _;
use anyhow::ensure;

use crate::action::{Action, Mode, NewRequest, Press, Proposal};
use crate::narrator::{Narrator, picture};
use crate::sandbox::Sandbox;
use crate::view::View;
use world::cluster::{ClusterState, PluginData};

/// The number of 429 responses before Microsoft recovers.
const THROTTLED: usize = 3;

/// Plays the whole story.
///
/// # Errors
/// A card is missing, duplicated or stale.
pub async fn play(sandbox: Sandbox) -> anyhow::Result<()> {
    let mut story = Story {
        narrator: Narrator::new(sandbox.clone()),
        sandbox,
        expected: Vec::new(),
    };
    story.without_faults().await?;
    story.reviewed_in_teams().await?;
    story.throttled().await?;
    story.teleport_is_down().await?;
    story.daemon_is_killed().await?;
    story.verdict().await
}

struct Story {
    sandbox: Sandbox,
    narrator: Narrator,
    expected: Vec<Expected>,
}

/// A request, its requester, the chats that must have a card of it, and the state that the card must show.
struct Expected {
    id: String,
    requester: String,
    chats: Vec<String>,
    word: &'static str,
}

impl Story {
    async fn without_faults(&mut self) -> anyhow::Result<()> {
        let narrator = &self.narrator;
        narrator
            .see("the daemon is connected to Teleport", |view| view.cluster.watches > 0)
            .await?;

        narrator.say("Bob requests the role dba with Alice and Carol as reviewers; two approvals are required");
        let first = self.ask("bob", "dba", &["alice", "carol"], 2).await?;
        self.see(
            first,
            "Alice, Carol, the channel Databases and the requester Bob have a card: PENDING",
        )
        .await?;

        self.narrator.say("Alice approves");
        self.review(first, "alice", Proposal::Approve).await?;
        let id = self.expected[first].id.clone();
        let shows = move |view: &View| view.cards_of(&id).all(|(_, card)| card.versions.len() == 2);
        self.narrator
            .see("the same four cards show her review: still PENDING", shows)
            .await?;

        self.narrator.say("Carol approves");
        self.review(first, "carol", Proposal::Approve).await?;
        self.expected[first].word = "APPROVED";
        self.see(
            first,
            "the same four cards are updated, and Bob gets a message: APPROVED",
        )
        .await?;

        self.narrator
            .say("Eve requests admin and is denied; Dan requests dev and is promoted to an Access List");
        let (denied, promoted) = (
            self.ask("eve", "admin", &["alice"], 1).await?,
            self.ask("dan", "dev", &["bob"], 1).await?,
        );
        self.see(
            denied,
            "Alice, both channels and Eve have a card of Eve's request: PENDING",
        )
        .await?;
        self.see(promoted, "Bob, a channel and Dan have a card of Dan's request: PENDING")
            .await?;
        self.review(denied, "alice", Proposal::Deny).await?;
        let author = self.sandbox.company.mail("bob");
        self.act(Action::Promote {
            id: self.id(promoted),
            author,
        })
        .await?;
        self.expected[denied].word = "DENIED";
        self.expected[promoted].word = "PROMOTED";
        self.see(
            denied,
            "the cards of Eve's request are updated, and Eve gets a message: DENIED",
        )
        .await?;
        self.see(
            promoted,
            "the cards of Dan's request are updated, and Dan gets a message: PROMOTED",
        )
        .await?;

        self.narrator.say("Bob's next request gets no review and expires");
        let expired = self.ask("bob", "dev", &["carol"], 1).await?;
        self.see(expired, "Carol, a channel and Bob have a card: PENDING")
            .await?;
        self.act(Action::Expire { id: self.id(expired) }).await?;
        self.expected[expired].word = "EXPIRED";
        self.see(expired, "the three cards are updated, without a message: EXPIRED")
            .await
    }

    async fn reviewed_in_teams(&mut self) -> anyhow::Result<()> {
        self.narrator
            .say("Dan requests dba; Alice presses Approve on her card, and Teams repeats the press");
        self.act(Action::RepeatPresses { on: true }).await?;
        let request = self.ask("dan", "dba", &["alice"], 1).await?;
        self.see(request, "Alice, the channel Databases and Dan have a card: PENDING")
            .await?;
        self.press(request, "alice", "Approve").await?;
        self.act(Action::RepeatPresses { on: false }).await?;
        self.expected[request].word = "APPROVED";
        self.see(request, "the three cards are updated, and Dan gets a message: APPROVED")
            .await?;
        let reviews = self.sandbox.cluster.reviews(&self.id(request));
        ensure!(
            reviews.len() == 1,
            "Teleport has other reviews than Alice's: {reviews:?}"
        );
        Ok(())
    }

    async fn throttled(&mut self) -> anyhow::Result<()> {
        self.narrator
            .say("Microsoft throttles every call (429); Carol requests dba");
        self.act(Action::Microsoft { mode: Mode::Throttled }).await?;
        let before = self.sandbox.view().microsoft.throttled;
        let late = self.ask("carol", "dba", &["alice", "bob"], 1).await?;
        let patient = |view: &View| view.microsoft.throttled >= before + THROTTLED;
        self.narrator
            .see("the daemon is throttled and backs off", patient)
            .await?;
        self.narrator.say("Microsoft recovers");
        self.act(Action::Microsoft { mode: Mode::Normal }).await?;
        self.see(
            late,
            "Alice, Bob, the channel Databases and Carol have one card each: PENDING",
        )
        .await
    }

    async fn teleport_is_down(&mut self) -> anyhow::Result<()> {
        let open = self.expected.len() - 1;
        self.narrator
            .say("Teleport goes down; meanwhile Carol is approved, and Dan requests admin");
        self.act(Action::ClusterStop).await?;
        self.act(Action::Approve {
            id: self.id(open),
            reason: "during the outage".to_owned(),
        })
        .await?;
        self.expected[open].word = "APPROVED";
        let missed = self.ask("dan", "admin", &["carol"], 1).await?;
        self.narrator
            .see("the daemon has lost its event stream", |view| view.cluster.watches == 0)
            .await?;
        self.narrator.say("Teleport is up again");
        self.act(Action::ClusterStart).await?;
        self.see(open, "the cards of Carol's request are updated: APPROVED")
            .await?;
        self.see(missed, "Dan's request is announced: PENDING").await
    }

    async fn daemon_is_killed(&mut self) -> anyhow::Result<()> {
        let open = self.expected.len() - 1;
        self.narrator
            .say("The daemon is killed; meanwhile Dan is denied, and Eve requests dba");
        self.recorded(open).await;
        self.act(Action::DaemonKill).await?;
        let missed = self.ask("eve", "dba", &["alice", "bob", "carol"], 1).await?;
        self.act(Action::Deny {
            id: self.id(open),
            reason: "not today".to_owned(),
        })
        .await?;
        self.expected[open].word = "DENIED";
        self.narrator.say("The daemon restarts");
        self.act(Action::DaemonStart).await?;
        self.see(open, "the cards of Dan's request are updated: DENIED").await?;
        self.see(missed, "all recipients have a card of Eve's request: PENDING")
            .await?;
        self.review(missed, "carol", Proposal::Approve).await?;
        self.expected[missed].word = "APPROVED";
        self.see(missed, "all of them are updated: APPROVED").await
    }

    /// Waits until the daemon has recorded its cards: it cannot update a card whose ID it did not record before it was killed.
    async fn recorded(&self, request: usize) {
        let id = self.id(request);
        let done = |data: &PluginData| data.get("x_claim").is_some_and(|claim| claim.starts_with("done"));
        let recorded = |state: &ClusterState| state.plugin_data.get(&id).is_some_and(|all| all.values().any(done));
        self.sandbox.cluster.until("the cards are recorded", recorded).await;
    }

    /// Checks that every recipient has exactly one card of each request, and that all cards are up to date.
    async fn verdict(&self) -> anyhow::Result<()> {
        self.sandbox.daemon.stop().await;
        let view = self.sandbox.view();
        ensure!(view.daemon.note.is_empty(), "the daemon failed: {}", view.daemon.note);
        for expected in &self.expected {
            ensure!(
                expected.holds(&view),
                "the cards of request {} are wrong:\n{}",
                expected.id,
                picture(&view)
            );
        }
        let cards: usize = self.expected.iter().map(Expected::messages).sum();
        let (found, verdict) = (view.verdict.cards, &view.verdict);
        ensure!(
            found == cards,
            "{found} cards were posted instead of {cards}:\n{}",
            picture(&view)
        );
        ensure!(
            verdict.up_to_date == cards,
            "only {} of {cards} cards are up to date:\n{}",
            verdict.up_to_date,
            picture(&view)
        );
        let seconds = self.narrator.elapsed().as_secs();
        let what = format!(
            "{} requests, {cards} cards in {seconds} s: all cards up to date",
            self.expected.len()
        );
        self.narrator.see(&what, |_| true).await
    }

    /// Creates a request of a user for a role, and returns its index in `expected`.
    async fn ask(&mut self, user: &str, role: &str, reviewers: &[&str], approvals: u32) -> anyhow::Result<usize> {
        let company = &self.sandbox.company;
        let reviewers: Vec<_> = reviewers.iter().map(|name| company.mail(name)).collect();
        let requester = company.mail(user);
        let mut chats = reviewers.clone();
        chats.push(requester.clone());
        chats.extend(
            company
                .recipients(role)
                .iter()
                .filter(|id| !reviewers.contains(id))
                .cloned(),
        );
        let request = NewRequest {
            user: requester.clone(),
            roles: vec![role.to_owned()],
            reason: format!("Something that needs the role {role}"),
            reviewers,
            resources: vec!["db/orders".to_owned()],
            approvals,
        };
        let answer = Action::Create(request).perform(&self.sandbox).await?;
        let id = answer["id"].as_str().context("a new request has no id")?.to_owned();
        let word = "PENDING";
        self.expected.push(Expected {
            id,
            requester,
            chats,
            word,
        });
        Ok(self.expected.len() - 1)
    }

    async fn review(&self, request: usize, author: &str, verdict: Proposal) -> anyhow::Result<()> {
        let author = self.sandbox.company.mail(author);
        let (id, reason) = (self.id(request), "checked".to_owned());
        self.act(Action::Review {
            id,
            author,
            verdict,
            reason,
        })
        .await
    }

    /// Presses a button on the card that a person has of a request.
    async fn press(&self, request: usize, person: &str, button: &str) -> anyhow::Result<()> {
        let chat = self.sandbox.company.mail(person);
        let (id, view) = (self.id(request), self.sandbox.view());
        let mut cards = view.cards_of(&id).filter(|(owner, _)| *owner == chat);
        let (_, card) = cards.next().context("the person has no card of the request")?;
        let press = Press {
            person: chat.clone(),
            chat,
            card: card.id.clone(),
            button: button.to_owned(),
            inputs: BTreeMap::new(),
        };
        let answer = Action::Press(press).perform(&self.sandbox).await?;
        ensure!(answer.get("error").is_none(), "the press failed: {answer}");
        Ok(())
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
    /// Returns whether the request was decided, so that its requester gets a message.
    fn is_decided(&self) -> bool {
        ["APPROVED", "DENIED", "PROMOTED"].contains(&self.word)
    }

    /// Returns the number of messages about the request.
    fn messages(&self) -> usize {
        self.chats.len() + usize::from(self.is_decided())
    }

    /// Returns whether exactly the expected chats have one card each, all cards show the expected state, and the requester of a
    /// decided request has one message with the decision.
    fn holds(&self, view: &View) -> bool {
        let decisions: Vec<_> = view.decisions_of(&self.id).collect();
        let is_notified = decisions.len() == usize::from(self.is_decided())
            && decisions
                .iter()
                .all(|(chat, card)| *chat == self.requester && card.says == self.word);
        let cards: Vec<_> = view.cards_of(&self.id).collect();
        let one_each = |chat: &String| cards.iter().filter(|(id, _)| id == chat).count() == 1;
        is_notified
            && cards.len() == self.chats.len()
            && self.chats.iter().all(one_each)
            && cards.iter().all(|(_, card)| card.says == self.word && card.up_to_date)
    }
}
