//! A fake cluster and a fake tenant with the latency and the limits that a figure needs.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use world::cluster::{Cluster, ClusterOptions, Draft};
use world::identity::Validity;
use world::tenant::{Tenant, TenantOptions, User};

pub(crate) struct Servers {
    pub(crate) cluster: Cluster,
    pub(crate) tenant: Tenant,
    pub(crate) people: Vec<User>,
    folder: TempDir,
}

pub(crate) fn recipient(number: usize) -> String {
    format!("person-{number}@example.com")
}

pub(crate) fn requester(number: usize) -> String {
    format!("requester-{number}@example.com")
}

/// Returns a request that only these recipients receive.
pub(crate) fn request(recipients: impl IntoIterator<Item = usize>) -> Draft {
    Draft {
        roles: vec!["any".to_owned()],
        suggested_reviewers: recipients.into_iter().map(recipient).collect(),
        ..Draft::default()
    }
}

impl Servers {
    /// Starts both with this number of recipients, who all have the app, and writes a configuration for them.
    pub(crate) async fn start(recipients: usize, round_trip: Duration) -> anyhow::Result<Self> {
        Self::with_strangers(recipients, 0, round_trip).await
    }

    /// Does the same, and adds people who have the app and are not in the configuration.
    pub(crate) async fn with_strangers(
        recipients: usize,
        strangers: usize,
        round_trip: Duration,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions::default()).await;
        let mut options = TenantOptions::default();
        // Managers can be read.
        options.roles.push("User.Read.All");
        let tenant = Tenant::start(options).await;
        let mails: Vec<_> = (0..recipients + strangers).map(recipient).collect();
        let people = mails.iter().map(|mail| tenant.add_user(mail, Some(mail), mail));
        let people = people.collect();
        let folder = tempfile::tempdir()?;
        let servers = Self {
            cluster,
            tenant,
            people,
            folder,
        };
        servers.move_away(round_trip);
        servers.tenant.faults(|faults| faults.enforce_limits = true);
        servers.write_config(&mails[..recipients])?;
        Ok(servers)
    }

    /// Turns on reviews, with a Teleport user for each person, before the daemon starts. Returns the address at
    /// which the daemon will receive presses.
    pub(crate) fn turn_on_reviews(&self) -> anyhow::Result<String> {
        // The port is free again when the listener is dropped.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = std::fs::read_to_string(self.config())?;
        let config = format!("{config}[review]\nenabled = true\nlisten = {listen:?}\n");
        std::fs::write(self.config(), config)?;
        for (number, user) in self.people.iter().enumerate() {
            let traits = [("teams_user_id".to_owned(), vec![user.id.clone()])].into();
            self.cluster.state().users.insert(format!("user-{number}"), traits);
        }
        self.tenant
            .set_messaging_endpoint(&format!("http://{listen}/api/messages"));
        Ok(listen)
    }

    /// Notifies this number of requesters, who all have the app, and configures reminders, escalations and ends of access, later
    /// than a bench ends.
    pub(crate) fn turn_on_notifications(&self, requesters: usize) -> anyhow::Result<()> {
        for mail in (0..requesters).map(requester) {
            self.tenant.add_user(&mail, Some(&mail), &mail);
        }
        let config = std::fs::read_to_string(self.config())?;
        let tables = format!(
            "[notify]\nrequester = true\nremind_after = [\"24h\", \"48h\"]\nremind_before_expiry = \"1h\"\n\
             access_ends = \"1h\"\n[escalation]\nafter = \"36h\"\nmanager = true\n[escalation.role_to_recipients]\n\"*\" = {:?}\n",
            recipient(0)
        );
        std::fs::write(self.config(), config + &tables)?;
        Ok(())
    }

    /// Sets the latency of both.
    pub(crate) fn move_away(&self, round_trip: Duration) {
        self.cluster.faults(|faults| faults.latency = round_trip);
        self.tenant.faults(|faults| faults.latency = round_trip);
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("teleport-msteams.toml")
    }

    fn write_config(&self, mails: &[String]) -> anyhow::Result<()> {
        let (cluster, tenant) = (&self.cluster, &self.tenant);
        let identity = self.folder.path().join("identity");
        let user = cluster.authority().user("bench", &[], Validity::ONE_DAY);
        std::fs::write(&identity, cluster.authority().identity_file(&user))?;
        let options = tenant.options();
        // All recipients are preloaded; each request names its own as suggested reviewers.
        let config = format!(
            "preload = true\n[teleport]\naddr = {:?}\nidentity = {:?}\n[msapi]\napp_id = {:?}\napp_secret = {:?}\n\
             tenant_id = {:?}\nteams_app_id = {:?}\n[msapi.endpoints]\nlogin = {:?}\ngraph = {:?}\nbot = {:?}\n\
             openid = {:?}\n[role_to_recipients]\n\"*\" = []\neverybody = {mails:?}\n",
            cluster.address(),
            identity.to_string_lossy(),
            options.app_id,
            options.app_secret,
            options.tenant_id,
            options.teams_app_id,
            tenant.login(),
            tenant.graph(),
            tenant.bot(),
            tenant.openid(),
        );
        std::fs::write(self.config(), config)?;
        Ok(())
    }
}
