//! A cluster, a tenant with users, and the daemon between them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use teleport_msteams::config;
use teleport_msteams::config::Limits;
use teleport_msteams::config::{Loaded, Problems, Settings};
use teleport_msteams::daemon::ReviewPortError;
use teleport_msteams::msteams;
use teleport_msteams::teleport;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::process::run;
use crate::support::daemon::Heard;
use crate::support::records::Differences;
use crate::support::sight::Seen;
use crate::support::warnings::Warnings;
use crate::support::{Daemon, secrets};
use crate::world::cluster::{Cluster, ClusterOptions, Draft};
use crate::world::identity::Validity;
use crate::world::tenant::{Tenant, TenantOptions, User};

/// How long a test waits for something that must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The log lines about the permission to write plugin data, one of which follows each start.
const CHECKED: [&str; 3] = [
    "Plugin data can be written",
    "The role lacks a permission",
    "Could not check the permission",
];

/// Everything a feature test needs. Roles go to recipients like this: `dba` to Alice and Bob, every other role to Alice.
pub(crate) struct Town {
    pub(crate) cluster: Cluster,
    pub(crate) tenant: Tenant,
    pub(crate) folder: TempDir,
    pub(crate) people: BTreeMap<&'static str, User>,
    /// The link of the channel "Approvals".
    pub(crate) channel: String,
    pub(super) seen: Seen,
    pub(super) daemons: Vec<Daemon>,
    pub(super) differences: Differences,
    pub(super) warnings: Warnings,
    /// The log of each daemon, running or not.
    pub(super) heard: Vec<Heard>,
}

/// Names, email addresses, and whether the app is installed.
const PEOPLE: [(&str, &str, bool); 5] = [
    ("Alice", "alice@example.com", true),
    ("Bob", "bob@example.com", true),
    ("Carol", "carol@example.com", false),
    ("Dan", "dan.o'dell@example.com", false),
    ("Eve", "eve@example.com", true),
];

pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";

/// Returns a request for `dev`, which notifies only Alice.
pub(crate) fn for_alice() -> Draft {
    Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    }
}

/// Creates a directory that other users cannot enter, so that its files cause no warning.
pub(crate) fn private_folder() -> tempfile::TempDir {
    let mode = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

impl Town {
    /// Builds everything but the daemon.
    pub(crate) async fn build() -> Self {
        Self::build_with(ClusterOptions::default(), TenantOptions::default()).await
    }

    pub(crate) async fn build_with(cluster: ClusterOptions, tenant: TenantOptions) -> Self {
        let cluster = Cluster::start(cluster).await;
        let tenant = Tenant::start(tenant).await;
        let mut people = BTreeMap::new();
        for (name, mail, installed) in PEOPLE {
            let user = tenant.add_user(name, Some(mail), mail);
            if !installed {
                tenant.uninstall(&user);
            }
            people.insert(name, user);
        }
        let folder = private_folder();
        let authority = cluster.authority();
        let user = authority.user("teleport-msteams", &["access-plugin"], Validity::ONE_DAY);
        fs::write(folder.path().join("identity"), authority.identity_file(&user)).unwrap();
        Self {
            channel: tenant.add_channel("Security", "Approvals"),
            cluster,
            tenant,
            folder,
            people,
            seen: Seen::default(),
            daemons: Vec::new(),
            differences: Differences::default(),
            warnings: Warnings::default(),
            heard: Vec::new(),
        }
    }

    /// Builds everything and starts one daemon.
    pub(crate) async fn start() -> Self {
        let mut town = Self::build().await;
        town.start_daemon().await;
        town
    }

    /// Builds everything and starts one daemon that waits for Microsoft's answers for as long as a story holds them.
    pub(crate) async fn start_patient() -> Self {
        let mut town = Self::build().await;
        let mut settings = town.settings(&town.config());
        settings.limits.microsoft_timeout = Duration::from_mins(1);
        town.start_daemon_on(settings).await;
        town
    }

    /// Returns the text of a configuration with these recipients.
    pub(crate) fn config_for(&self, recipients: &str) -> String {
        let options = self.tenant.options();
        format!(
            r#"
            [teleport]
            addr = "{}"
            identity = "{}"
            [msapi]
            app_id = "{}"
            app_secret = "{}"
            tenant_id = "{}"
            teams_app_id = "{}"
            [msapi.endpoints]
            login = "{}"
            graph = "{}"
            bot = "{}"
            openid = "{}"
            [role_to_recipients]
            {recipients}
            "#,
            self.cluster.address(),
            self.folder.path().join("identity").display(),
            options.app_id,
            options.app_secret,
            options.tenant_id,
            options.teams_app_id,
            self.tenant.login(),
            self.tenant.graph(),
            self.tenant.bot(),
            self.tenant.openid(),
        )
    }

    pub(crate) fn config(&self) -> String {
        self.config_for(&format!("\"*\" = \"{ALICE}\"\ndba = [\"{ALICE}\", \"{BOB}\"]"))
    }

    /// Runs a command with this configuration, and returns its status, its output and its errors.
    pub(crate) async fn run(&self, config: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let file = self.folder.path().join("teleport-msteams.toml");
        fs::write(&file, config).unwrap();
        run(&[arguments, &["-c", file.to_str().unwrap()]].concat()).await
    }

    /// Reads a configuration as `start` does, with pauses that suit a test.
    pub(crate) fn settings(&self, config: &str) -> Settings {
        self.load(config).unwrap().settings
    }

    /// Reads a configuration that may be wrong.
    pub(crate) fn load(&self, config: &str) -> Result<Loaded, Problems> {
        self.load_in(config, &|_| None)
    }

    /// Reads a configuration that may be wrong, in an environment.
    pub(crate) fn load_in(
        &self,
        config: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, Problems> {
        let file = self.folder.path().join("teleport-msteams.toml");
        fs::write(&file, config).unwrap();
        let Loaded { settings, warnings } = config::load(&file, environment)?;
        let milliseconds = Duration::from_millis;
        let settings = Settings {
            limits: Limits {
                microsoft_timeout: milliseconds(3_000),
                microsoft_first_pause: milliseconds(10),
                microsoft_longest_pause: milliseconds(2_000),
                chat_appears_within: milliseconds(2_000),
                teleport_dial_timeout: milliseconds(1_000),
                teleport_timeout: milliseconds(3_000),
                teleport_first_pause: milliseconds(10),
                teleport_longest_pause: milliseconds(100),
                claim_term: milliseconds(1_500),
                claim_stale: milliseconds(2_500),
                again_first_pause: milliseconds(20),
                again_longest_pause: milliseconds(200),
                outage_pause: milliseconds(200),
                refused_first_pause: milliseconds(50),
                channel_names_for: Duration::ZERO,
                credential_every: milliseconds(20),
                reload_every: milliseconds(10),
                groups_every: milliseconds(100),
                resync_first_pause: milliseconds(10),
                access_lists_first: milliseconds(20),
                access_lists_every: milliseconds(100),
                drain: milliseconds(5_000),
                ..Limits::default()
            },
            ..settings
        };
        Ok(Loaded { settings, warnings })
    }

    /// Starts a daemon with the usual configuration, and waits until it is ready.
    pub(crate) async fn start_daemon(&mut self) {
        let config = self.config();
        self.start_daemon_with(&config).await;
    }

    pub(crate) async fn start_daemon_with(&mut self, config: &str) {
        self.start_daemon_on(self.settings(config)).await;
    }

    pub(crate) async fn start_daemon_on(&mut self, settings: Settings) {
        let daemon = self.start_one(settings);
        daemon.says("Plugin is ready").await;
        // The permission check is a write too, and must not disturb tests that count or hold writes.
        if self.cluster.state().faults.gates.is_empty() {
            let checked = |log: &str| CHECKED.iter().any(|line| log.contains(line));
            daemon.until("whether it may write", checked).await;
        }
        daemon.skip();
        self.daemons.push(daemon);
    }

    /// Starts a daemon that may fail to start, and waits until it logs this.
    pub(crate) async fn start_daemon_until(&mut self, settings: Settings, text: &str) {
        let daemon = self.start_one(settings);
        daemon.says(text).await;
        self.daemons.push(daemon);
    }

    fn start_one(&mut self, settings: Settings) -> Daemon {
        let daemon = Daemon::start(settings);
        self.heard.push(daemon.heard());
        daemon
    }

    /// Starts a daemon that may not come up.
    pub(crate) async fn fails_to_start(&self, settings: Settings) -> anyhow::Error {
        let mut daemon = Daemon::start(settings);
        let ended = timeout(PATIENCE, daemon.ended()).await;
        ended.expect("a daemon that cannot start ends").unwrap_err()
    }

    /// Returns the newest daemon.
    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemons.last().unwrap()
    }

    pub(crate) fn kill_daemon(&mut self) {
        self.daemons.pop().unwrap().kill();
    }

    /// Kills the daemon that was started first.
    pub(crate) fn kill_first_daemon(&mut self) {
        self.daemons.remove(0).kill();
    }

    /// Waits until the request's deliveries are finished: its claim is released.
    pub(crate) async fn settled(&self, id: &str) {
        self.until_claim(id, "done").await;
    }

    /// Waits until a daemon works on a request.
    pub(crate) async fn claimed(&self, id: &str) {
        self.until_claim(id, "held").await;
    }

    async fn until_claim(&self, id: &str, begin: &str) {
        let what = format!("the claim of {id} is {begin}");
        let is_it = |claim: String| claim.starts_with(begin);
        self.cluster
            .until(&what, |state| claim_of(state, id).is_some_and(is_it))
            .await;
    }

    /// Stops every daemon, which must end well, and checks that the test knows of everything that was shown, recorded and
    /// warned of.
    pub(crate) async fn finish(mut self) {
        for daemon in self.daemons.drain(..) {
            assert!(!daemon.has_ended(), "the daemon ended early:\n{}", daemon.log());
            daemon.stop().await.unwrap();
        }
        self.check_unread();
        self.check_records();
        self.check_warnings();
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let cards = self.tenant.cards().into_iter().map(|(_, card)| card);
        let messages = cards.chain(self.tenant.all_replies());
        for text in messages
            .flat_map(|message| message.history)
            .map(|body| body.to_string())
        {
            secrets::check("a card", &text);
        }
        secrets::check("the records", &format!("{:?}", self.cluster.state().plugin_data));
        for file in fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with("log") {
                let text = fs::read_to_string(file.path()).unwrap_or_default();
                secrets::check_log("a log file", &text);
            }
        }
    }
}

fn claim_of(state: &crate::world::cluster::ClusterState, id: &str) -> Option<String> {
    state.plugin_data.get(id)?.get("msteams")?.get("x_claim").cloned()
}

/// Expects the start to fail with these parts in its one line, or in those of the tried routes, and these in its hint.
pub(crate) async fn fails(town: &Town, settings: Settings, parts: &[&str], expected_hint: &str) {
    let error = town.fails_to_start(settings).await;
    let line = format!("{error:#}");
    assert!(!line.contains('\n'), "{line}");
    let tried = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<teleport::Error>())
        .flat_map(teleport::Error::tried);
    let line = tried.fold(line, |text, way| format!("{text}\n{way}"));
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    let hint = error.chain().find_map(|cause| {
        let teleport = cause.downcast_ref::<teleport::Error>().and_then(teleport::Error::hint);
        let microsoft = || cause.downcast_ref::<msteams::Error>().and_then(msteams::Error::hint);
        let port = || cause.downcast_ref::<ReviewPortError>().map(ReviewPortError::hint);
        teleport.or_else(microsoft).or_else(port)
    });
    let hint = hint.unwrap_or_default();
    assert!(
        hint.contains(expected_hint),
        "{expected_hint:?} is not in {hint:?} of {line:?}"
    );
    secrets::check("the error of a start", &format!("{error:?}\n{line}\n{hint}"));
}
