//! The fake cluster, the fake tenant, and the real daemon between them.

use std::fs::Permissions;
use std::net::TcpListener;
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
use crate::files::Pace;
use crate::ledger::Ledger;
use crate::log_lines::LogLines;
use crate::view;
use crate::view::{
    CardView, ChatView, ClusterView, DaemonView, MicrosoftView, Person, RoleView, TextView, Verdict, View,
};
use world::cluster::{Cluster, ClusterOptions};
use world::tenant::{Card, Fault, Repeat, Rule, Tenant, TenantOptions};

/// The delay in slow mode: visible on the page, and shorter than the daemon's time limits.
const SLOW: Duration = Duration::from_secs(3);

/// A cloneable handle to all parts.
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
    microsoft: watch::Sender<Microsoft>,
    /// Deleted with all its files when the sandbox ends.
    folder: TempDir,
}

/// The faults of Microsoft.
#[derive(Clone, Copy, Default)]
struct Microsoft {
    mode: Mode,
    repeats_presses: bool,
    keys_are_down: bool,
}

/// The resources that have another name than their ID, by the kind under which they are listed.
const RESOURCES: [(&str, &str, &str); 4] = [
    ("node", "8f6e2a54-5f0c-4b44-9b7c-6f1f8d7e2a11", "db-01"),
    ("db_server", "orders", "PostgreSQL 17, production"),
    ("db_server", "orders-replica", "PostgreSQL 17, read-only"),
    ("app_server", "grafana", "Dashboards"),
];

impl Sandbox {
    /// Starts the fakes, and writes the files that the daemon starts with.
    pub async fn start(log: LogLines, pace: Pace) -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions::default()).await;
        let mut options = TenantOptions::default();
        // Managers can be read.
        options.roles.push("User.Read.All");
        let tenant = Tenant::start(options).await;
        let company = Company::create(&cluster, &tenant);
        let listen = free_address()?;
        tenant.set_messaging_endpoint(&format!("http://{listen}/api/messages"));
        let folder = tempfile::Builder::new()
            .prefix("teleport-msteams-sandbox-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.context("could not create a temporary directory")?;
        let config = files::write(folder.path(), &cluster, &tenant, &company, &listen, pace)?;
        for (kind, id, name) in RESOURCES {
            cluster.name_resource(kind, id, name);
        }
        Ok(Self {
            cluster,
            tenant,
            company: Arc::new(company),
            daemon: DaemonHost::new(config),
            log,
            shared: Arc::new(Shared {
                ledger: Mutex::default(),
                microsoft: watch::Sender::default(),
                folder,
            }),
        })
    }

    /// Creates a first request, so that the page is not empty.
    pub async fn welcome(&self) -> anyhow::Result<()> {
        let welcome = Action::Create(NewRequest {
            user: self.company.mail("bob"),
            roles: vec!["dba".to_owned()],
            reason: "The orders table is slow; I would like to check its locks.".to_owned(),
            reviewers: vec![self.company.mail("alice")],
            resources: vec!["db/orders".to_owned()],
            approvals: 1,
        });
        welcome.perform(self).await.map(drop)
    }

    /// Returns the directory of the daemon's files.
    pub fn folder(&self) -> &Path {
        self.shared.folder.path()
    }

    /// Changes how Microsoft answers.
    pub fn set_mode(&self, mode: Mode) {
        self.change_microsoft(|microsoft| microsoft.mode = mode);
    }

    /// Sets whether Teams sends every press twice.
    pub fn repeat_presses(&self, repeats: bool) {
        self.change_microsoft(|microsoft| microsoft.repeats_presses = repeats);
    }

    /// Sets whether the keys that verify presses cannot be fetched.
    pub fn take_keys_down(&self, down: bool) {
        self.change_microsoft(|microsoft| microsoft.keys_are_down = down);
    }

    fn change_microsoft(&self, change: impl FnOnce(&mut Microsoft)) {
        self.shared.microsoft.send_modify(change);
        let Microsoft {
            mode,
            repeats_presses,
            keys_are_down,
        } = *self.shared.microsoft.borrow();
        let keys = keys_are_down.then(|| Rule::every("GET", "/openid/", Fault::Status(503, None)));
        let all = match mode {
            Mode::Normal => None,
            Mode::Throttled => Some(Fault::Status(429, Some(1))),
            Mode::Broken => Some(Fault::Status(502, None)),
            Mode::Slow => Some(Fault::Slow(SLOW)),
        };
        self.tenant.faults(|faults| {
            faults.rules = keys.into_iter().chain(all.map(Rule::always)).collect();
            faults.repeat_presses = repeats_presses.then(Repeat::default);
        });
    }

    /// Returns a message in a chat, by the ID of its card.
    pub fn card(&self, chat: &str, card: &str) -> anyhow::Result<Card> {
        let mut cards = self.cards(chat).into_iter();
        cards.find(|known| known.id == card).context("there is no such card")
    }

    fn cards(&self, chat: &str) -> Vec<Card> {
        match self.company.user(chat) {
            Ok(_) => self.tenant.chat_of(chat),
            Err(_) => self.tenant.channel_cards(chat),
        }
    }

    /// Returns an error unless Teleport has the request.
    pub fn open_request(&self, id: &str) -> anyhow::Result<()> {
        // The ledger must have the request before it is deleted.
        self.ledger().observe(self.cluster.requests());
        ensure!(
            self.cluster.request(id).is_some(),
            "Teleport no longer has this request"
        );
        Ok(())
    }

    /// Returns the current state of both sides.
    pub fn view(&self) -> View {
        let mut ledger = self.ledger();
        ledger.observe(self.cluster.requests());
        let mut chats: Vec<_> = self.company.chats.iter().map(|chat| self.chat(chat, &ledger)).collect();
        let phase = self.daemon.phase();
        let microsoft = *self.shared.microsoft.borrow();
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
                mode: microsoft.mode.as_str(),
                repeats_presses: microsoft.repeats_presses,
                keys_are_down: microsoft.keys_are_down,
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
        let (texts, standing) = match self.company.user(&chat.id) {
            Ok(user) => (self.tenant.texts_of(user), self.tenant.standing(user)),
            Err(_) => (Vec::new(), "ok"),
        };
        let cards = self.cards(&chat.id);
        ChatView {
            chat: chat.clone(),
            standing,
            texts: texts.iter().map(TextView::new).collect(),
            cards: cards.iter().map(|card| self.view_of(card, ledger)).collect(),
        }
    }

    /// Returns a card with the replies below it.
    fn view_of(&self, card: &Card, ledger: &Ledger) -> CardView {
        let replies = self.tenant.replies(card);
        CardView {
            replies: replies.iter().map(|reply| CardView::new(reply, ledger)).collect(),
            ..CardView::new(card, ledger)
        }
    }

    /// Returns a handle that waits for changes.
    pub fn changes(&self) -> Changes {
        Changes {
            cluster: self.cluster.changes(),
            tenant: self.tenant.changes(),
            daemon: self.daemon.subscribe(),
            microsoft: self.shared.microsoft.subscribe(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a free loopback address for the daemon.
fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("could not open a port on 127.0.0.1")?;
    let address = listener.local_addr().context("could not read a free port")?;
    Ok(address.to_string())
}

/// Waits for changes on either side.
pub struct Changes {
    cluster: watch::Receiver<u64>,
    tenant: watch::Receiver<u64>,
    daemon: watch::Receiver<u64>,
    microsoft: watch::Receiver<Microsoft>,
}

impl Changes {
    /// Waits until something has changed since the last call.
    pub async fn next(&mut self) -> anyhow::Result<()> {
        let changed = tokio::select! {
            changed = self.cluster.changed() => changed,
            changed = self.tenant.changed() => changed,
            changed = self.daemon.changed() => changed,
            changed = self.microsoft.changed() => changed,
        };
        changed.context("the sandbox has ended")
    }
}
