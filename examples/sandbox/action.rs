//! The actions on the page, and their effect on the fake cluster, the fake tenant and the daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::sandbox::Sandbox;
use world::cluster::{Draft, State, Verdict};
use world::tenant::NoAnswer;

/// How long access lasts: short enough to watch how the daemon announces its end.
const ACCESS: Duration = Duration::from_mins(10);

/// One button or form of the page.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    Create(NewRequest),
    Review {
        id: String,
        author: String,
        verdict: Proposal,
        reason: String,
    },
    Approve {
        id: String,
        reason: String,
    },
    Deny {
        id: String,
        reason: String,
    },
    Promote {
        id: String,
        author: String,
    },
    Expire {
        id: String,
    },
    Repeat {
        id: String,
    },
    Block {
        chat: String,
    },
    Unblock {
        chat: String,
    },
    Microsoft {
        mode: Mode,
    },
    Press(Press),
    RepeatPresses {
        on: bool,
    },
    KeysDown {
        on: bool,
    },
    RotateKeys,
    ClusterStop,
    ClusterStart,
    ClusterCut,
    DaemonKill,
    DaemonRestart,
    DaemonStop,
    DaemonStart,
}

/// The form of a new request.
#[derive(Debug, Default, Deserialize)]
pub struct NewRequest {
    pub user: String,
    pub roles: Vec<String>,
    pub reason: String,
    pub reviewers: Vec<String>,
    /// Each as `kind/name`.
    pub resources: Vec<String>,
    /// The number of approving reviews that it needs.
    pub approvals: u32,
}

/// A press of a button in Teams.
#[derive(Debug, Deserialize)]
pub struct Press {
    /// The email address of the person who presses.
    pub person: String,
    pub chat: String,
    pub card: String,
    /// The title of the button.
    pub button: String,
    /// What the person has typed, by the IDs of the inputs.
    pub inputs: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposal {
    Approve,
    Deny,
}

/// How Microsoft answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Normal,
    Throttled,
    Broken,
    Slow,
}

impl Action {
    /// Performs the action, and returns the answer for the page.
    pub async fn perform(self, sandbox: &Sandbox) -> anyhow::Result<Value> {
        let Sandbox {
            cluster,
            tenant,
            company,
            daemon,
            ..
        } = sandbox;
        match self {
            Self::Create(request) => return Ok(json!({ "id": cluster.create(request.draft()) })),
            Self::Review {
                id,
                author,
                verdict,
                reason,
            } => {
                sandbox.open_request(&id)?;
                cluster.review(&id, &author, verdict.into(), &reason);
            }
            Self::Approve { id, reason } => {
                sandbox.open_request(&id)?;
                cluster.set_state(&id, State::Approved, &reason);
            }
            Self::Deny { id, reason } => {
                sandbox.open_request(&id)?;
                cluster.set_state(&id, State::Denied, &reason);
            }
            Self::Promote { id, author } => {
                sandbox.open_request(&id)?;
                cluster.promote(&id, &author, "On-call engineers");
            }
            Self::Expire { id } => {
                sandbox.open_request(&id)?;
                cluster.delete(&id);
            }
            Self::Repeat { id } => {
                sandbox.open_request(&id)?;
                cluster.repeat(&id);
            }
            Self::Block { chat } => tenant.block(company.user(&chat)?),
            Self::Unblock { chat } => tenant.unblock(company.user(&chat)?),
            Self::Microsoft { mode } => sandbox.set_mode(mode),
            Self::Press(press) => return press.send(sandbox).await,
            Self::RepeatPresses { on } => sandbox.repeat_presses(on),
            Self::KeysDown { on } => sandbox.take_keys_down(on),
            Self::RotateKeys => tenant.rotate_keys(),
            Self::ClusterStop => cluster.stop().await,
            Self::ClusterStart => cluster.start_again().await,
            Self::ClusterCut => cluster.cut_streams(),
            Self::DaemonKill => daemon.kill(),
            Self::DaemonRestart => daemon.restart().await?,
            Self::DaemonStop => daemon.stop().await,
            Self::DaemonStart => daemon.start()?,
        }
        Ok(json!({}))
    }
}

impl Press {
    /// Sends the press to the daemon, and returns what the person sees: a card, a message or an error.
    pub async fn send(self, sandbox: &Sandbox) -> anyhow::Result<Value> {
        let user = sandbox.company.user(&self.person)?;
        let card = sandbox.card(&self.chat, &self.card)?;
        let inputs: Vec<_> = self.inputs.iter().map(|(id, text)| (&**id, &**text)).collect();
        let press = sandbox.tenant.try_press(user, &card, &self.button, &inputs);
        let press = press.context("the newest version of the card has no such button")?;
        let answer = match press.send().await {
            Ok(answer) => answer,
            Err(NoAnswer(why)) => return Ok(json!({ "error": format!("no answer: {why}") })),
        };
        Ok(if let Some(card) = answer.card() {
            json!({ "card": card })
        } else if let Some(message) = answer.message() {
            json!({ "message": message })
        } else if let Some(error) = answer.error() {
            json!({ "error": error })
        } else {
            json!({ "error": format!("Something went wrong. Please try again. (HTTP {})", answer.status) })
        })
    }
}

impl NewRequest {
    fn draft(self) -> Draft {
        let resources = self.resources.iter().map(|resource| {
            let (kind, name) = resource.split_once('/').unwrap_or(("node", resource));
            (kind.to_owned(), name.to_owned())
        });
        Draft {
            resources: resources.collect(),
            user: self.user,
            roles: self.roles,
            reason: self.reason,
            suggested_reviewers: self.reviewers,
            approvals: self.approvals.max(1),
            access_for: ACCESS,
            ..Draft::default()
        }
    }
}

impl From<Proposal> for Verdict {
    fn from(proposal: Proposal) -> Self {
        match proposal {
            Proposal::Approve => Self::Approve,
            Proposal::Deny => Self::Deny,
        }
    }
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Throttled => "throttled",
            Self::Broken => "broken",
            Self::Slow => "slow",
        }
    }
}
