//! The recipients of a run, and the configuration of the daemons.

use std::fs;
use std::path::Path;

use world::cluster::Cluster;
use world::identity::Validity;
use world::tenant::{Tenant, User};

/// The number of recipients: enough to stay below Microsoft's limit for one conversation.
const PEOPLE: usize = 40;

pub(crate) struct Company {
    pub(crate) people: Vec<User>,
}

impl Company {
    pub(crate) fn create(tenant: &Tenant) -> Self {
        let people = mails().map(|mail| tenant.add_user(&mail, Some(&mail), &mail));
        Self {
            people: people.collect(),
        }
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
pub(crate) fn write_files(cluster: &Cluster, tenant: &Tenant, folder: &Path) -> anyhow::Result<()> {
    let user = cluster.authority().user("chaos", &[], Validity::ONE_DAY);
    let (identity, secret) = (folder.join("identity"), secret_file(folder));
    fs::write(&identity, cluster.authority().identity_file(&user))?;
    let options = tenant.options();
    fs::write(&secret, &options.app_secret)?;
    let config = format!(
        "[teleport]\naddr = {:?}\nidentity = {:?}\n[msapi]\napp_id = {:?}\napp_secret = {:?}\ntenant_id = {:?}\n\
         teams_app_id = {:?}\n[msapi.endpoints]\nlogin = {:?}\ngraph = {:?}\nbot = {:?}\n[role_to_recipients]\n\"*\" = []\n",
        cluster.address(),
        identity.to_string_lossy(),
        options.app_id,
        secret.to_string_lossy(),
        options.tenant_id,
        options.teams_app_id,
        tenant.login(),
        tenant.graph(),
        tenant.bot(),
    );
    fs::write(folder.join("teleport-msteams.toml"), config)?;
    Ok(())
}

fn secret_file(folder: &Path) -> std::path::PathBuf {
    folder.join("secret")
}
