//! The recipients of a run, and the configuration of the daemons.

use std::fs;
use std::path::{Path, PathBuf};

use crate::presses::PLUGIN;
use world::cluster::Cluster;
use world::identity::Validity;
use world::tenant::{Tenant, User};

/// The number of recipients: enough to stay below Microsoft's limit for one conversation.
const PEOPLE: usize = 40;

pub(crate) struct Company {
    pub(crate) people: Vec<User>,
}

impl Company {
    pub(crate) fn create(cluster: &Cluster, tenant: &Tenant) -> Self {
        let people = mails().map(|mail| tenant.add_user(&mail, Some(&mail), &mail));
        let people: Vec<_> = people.collect();
        for person in &people {
            cluster.set_traits(&person.upn, false, &[("teams_user_id", &[&person.id])]);
        }
        // One of them may not review.
        cluster.bar_reviewer(&mail(0));
        Self { people }
    }
}

/// Returns the email address of each person.
pub(crate) fn mails() -> impl Iterator<Item = String> {
    (0..PEOPLE).map(mail)
}

pub(crate) fn mail(number: usize) -> String {
    format!("person-{}@example.com", number % PEOPLE)
}

/// The number of email addresses that the tenant does not have.
pub(crate) const STRANGERS: usize = 100;

pub(crate) fn stranger(number: usize) -> String {
    format!("stranger-{}@example.com", number % STRANGERS)
}

/// Writes the identity and the configuration. Each request names its own recipients as suggested reviewers.
///
/// Each daemon has its own port for presses.
pub(crate) fn write_files(cluster: &Cluster, tenant: &Tenant, folder: &Path, ports: &[u16]) -> anyhow::Result<()> {
    let user = cluster.authority().user(PLUGIN, &[], Validity::ONE_DAY);
    let (identity, secret) = (folder.join("identity"), secret_file(folder));
    fs::write(&identity, cluster.authority().identity_file(&user))?;
    let options = tenant.options();
    fs::write(&secret, &options.app_secret)?;
    let config = format!(
        "[teleport]\naddr = {:?}\nidentity = {:?}\n[msapi]\napp_id = {:?}\napp_secret = {:?}\ntenant_id = {:?}\n\
         teams_app_id = {:?}\n[msapi.endpoints]\nlogin = {:?}\ngraph = {:?}\nbot = {:?}\nopenid = {:?}\n\
         [role_to_recipients]\n\"*\" = []\n",
        cluster.address(),
        identity.to_string_lossy(),
        options.app_id,
        secret.to_string_lossy(),
        options.tenant_id,
        options.teams_app_id,
        tenant.login(),
        tenant.graph(),
        tenant.bot(),
        tenant.openid(),
    );
    for (number, port) in ports.iter().enumerate() {
        let review = format!("[review]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n");
        fs::write(configuration(folder, number), format!("{config}{review}"))?;
    }
    Ok(())
}

/// Returns the file with the configuration of a daemon.
pub(crate) fn configuration(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("replica-{number}.toml"))
}

fn secret_file(folder: &Path) -> std::path::PathBuf {
    folder.join("secret")
}
