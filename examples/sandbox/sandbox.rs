//! The pretend world with the real daemon in it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::ensure;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::action::{Action, Mode, NewRequest};
use crate::company::{Chat, Company};
use crate::daemon_host::DaemonHost;
use crate::files;
use crate::ledger::Ledger;
use crate::log_lines::LogLines;
use crate::view;
use crate::view::{CardView, ChatView, ClusterView, DaemonView, MicrosoftView, Person, RoleView, Verdict, View};
use world::cluster::{Cluster, ClusterOptions};
use world::tenant::{Fault, Rule, Tenant, TenantOptions};

/// Slow enough to be seen, fast enough not to be given up on.
const SLOW: Duration = Duration::from_secs(3);

/// A cheap handle on everything.
#[derive(Clone)]
pub struct Sandbox {
    pub cluster: Cluster,
    pub tenant: Tenant,
    pub company: Arc<Company>,
    pub daemon: DaemonHost,
    pub log: LogLines,
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    mode: watch::Sender<Mode>,
    /// Removed with all its files when the sandbox ends.
    folder: TempDir,
}

impl Sandbox {
    /// Starts the pretend world and writes the files that the daemon is started with.
    pub async fn start(log: LogLines) -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions::default()).await;
        let tenant = Tenant::start(TenantOptions::default()).await;
        let company = Company::found(&tenant);
        let folder = tempfile::Builder::new()
            .prefix("teleport-msteams-sandbox-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.context("could not make a temporary folder")?;
        let config = files::write(folder.path(), &cluster, &tenant, &company)?;
        Ok(Self {
            cluster,
            tenant,
            company: Arc::new(company),
            daemon: DaemonHost::new(config),
            log,
            shared: Arc::new(Shared {
                ledger: Mutex::default(),
                mode: watch::Sender::default(),
                folder,
            }),
        })
    }

    /// Makes a first request, so that the page has something to show.
    pub async fn welcome(&self) -> anyhow::Result<()> {
        let welcome = Action::Create(NewRequest {
            user: self.company.mail("bob"),
            roles: vec!["dba".to_owned()],
            reason: "The orders table is slow; I would like to look at its locks.".to_owned(),
            reviewers: vec![self.company.mail("alice")],
            resources: vec!["db/orders".to_owned()],
            approvals: 1,
        });
        welcome.perform(self).await.map(drop)
    }

    /// Where the daemon's files are.
    pub fn folder(&self) -> &Path {
        self.shared.folder.path()
    }

    /// Makes Microsoft answer in another way.
    pub fn set_mode(&self, mode: Mode) {
        let fault = match mode {
            Mode::Normal => None,
            Mode::Throttled => Some(Fault::Status(429, Some(1))),
            Mode::Broken => Some(Fault::Status(502, None)),
            Mode::Slow => Some(Fault::Slow(SLOW)),
        };
        self.tenant.faults(|faults| {
            faults.rules = fault.into_iter().map(Rule::always).collect();
        });
        self.shared.mode.send_replace(mode);
    }

    /// Refuses ids of requests that Teleport does not hold.
    pub fn open_request(&self, id: &str) -> anyhow::Result<()> {
        // What is about to be deleted has to be remembered.
        self.ledger().observe(self.cluster.requests());
        ensure!(
            self.cluster.request(id).is_some(),
            "Teleport has no such request any more"
        );
        Ok(())
    }

    /// Looks at both sides.
    pub fn view(&self) -> View {
        let mut ledger = self.ledger();
        ledger.observe(self.cluster.requests());
        let mut chats: Vec<_> = self.company.chats.iter().map(|chat| self.chat(chat, &ledger)).collect();
        let phase = self.daemon.phase();
        let roles = self.company.routes().filter(|(name, _)| *name != "*");
        View {
            cluster: ClusterView {
                name: self.cluster.authority().cluster.clone(),
                up: self.cluster.is_up(),
                watches: self.cluster.state().watches(),
            },
            daemon: DaemonView {
                state: phase.word,
                note: phase.note,
            },
            microsoft: MicrosoftView {
                mode: self.shared.mode.borrow().as_str(),
                throttled: self.tenant.throttled(),
            },
            roles: roles.map(|(name, chats)| RoleView::new(name, &chats)).collect(),
            people: self.company.people().map(Person::new).collect(),
            verdict: Verdict::new(&ledger, &chats),
            requests: view::requests(&ledger, &chats),
            chats: {
                chats.iter_mut().for_each(ChatView::leave_newest);
                chats
            },
        }
    }

    fn chat(&self, chat: &Chat, ledger: &Ledger) -> ChatView {
        let (cards, standing) = match self.company.user(&chat.id) {
            Ok(user) => (self.tenant.chat_of(&chat.id), self.tenant.standing(user)),
            Err(_) => (self.tenant.channel_cards(&chat.id), "ok"),
        };
        ChatView {
            chat: chat.clone(),
            standing,
            cards: cards.into_iter().map(|card| CardView::new(&card, ledger)).collect(),
        }
    }

    /// Wakes whoever shows the state.
    pub fn changes(&self) -> Changes {
        Changes {
            cluster: self.cluster.changes(),
            tenant: self.tenant.changes(),
            daemon: self.daemon.subscribe(),
            mode: self.shared.mode.subscribe(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for anything to happen.
pub struct Changes {
    cluster: watch::Receiver<u64>,
    tenant: watch::Receiver<u64>,
    daemon: watch::Receiver<u64>,
    mode: watch::Receiver<Mode>,
}

impl Changes {
    /// Returns when something has happened since the last call.
    pub async fn next(&mut self) -> anyhow::Result<()> {
        let changed = tokio::select! {
            changed = self.cluster.changed() => changed,
            changed = self.tenant.changed() => changed,
            changed = self.daemon.changed() => changed,
            changed = self.mode.changed() => changed,
        };
        changed.context("the sandbox has ended")
    }
}
