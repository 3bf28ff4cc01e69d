//! The recipients of a run, and the configuration of the daemons.

use std::fs;
use std::path::Path;

use world::cluster::Cluster;
use world::identity::Validity;
use world::tenant::{Tenant, User};

/// The number of recipients: enough to stay below Microsoft's limit for one conversation.
const PEOPLE: usize = 40;

/// The user who creates all requests.
pub(crate) const REQUESTER: &str = "robin@example.com";

/// A user without the right to review.
pub(crate) const BARRED: &str = "barred@example.com";

/// The reviewers whose reviews are no presses.
pub(crate) const SCRIPT_AUTHORS: [&str; 2] = ["reviewer", "owner"];

/// The Teams user ID of each Teleport user is in this trait.
const TRAIT: &str = "teams_user_id";

pub(crate) struct Company {
    pub(crate) people: Vec<User>,
    pub(crate) requester: User,
    pub(crate) barred: User,
    /// A person without a Teleport user.
    pub(crate) outsider: User,
}

impl Company {
    pub(crate) fn create(cluster: &Cluster, tenant: &Tenant) -> Self {
        let add = |mail: &str| tenant.add_user(mail, Some(mail), mail);
        let link = |name: String, user: &User| {
            let traits = [(TRAIT.to_owned(), vec![user.id.clone()])].into();
            cluster.state().users.insert(name, traits);
        };
        let company = Self {
            people: mails().map(|mail| add(&mail)).collect(),
            requester: add(REQUESTER),
            barred: add(BARRED),
            outsider: add("outsider@example.com"),
        };
        for (mail, user) in mails().zip(&company.people) {
            link(teleport_user(&mail), user);
        }
        link(REQUESTER.to_owned(), &company.requester);
        link(BARRED.to_owned(), &company.barred);
        cluster.bar_reviewer(BARRED);
        company
    }

    /// Returns the person with this email address.
    pub(crate) fn person(&self, mail: &str) -> Option<&User> {
        self.people.iter().find(|user| user.mail.as_deref() == Some(mail))
    }
}

/// Returns the email address of each person.
pub(crate) fn mails() -> impl Iterator<Item = String> {
    (0..PEOPLE).map(mail)
}

pub(crate) fn mail(number: usize) -> String {
    format!("person-{}@example.com", number % PEOPLE)
}

/// Returns the name of a person's Teleport user, which is no email address: only the trait links them.
pub(crate) fn teleport_user(mail: &str) -> String {
    let (name, _) = mail.split_once('@').unwrap_or((mail, ""));
    name.replace('-', "")
}

/// The number of email addresses that the tenant does not have.
pub(crate) const STRANGERS: usize = 100;

pub(crate) fn stranger(number: usize) -> String {
    format!("stranger-{}@example.com", number % STRANGERS)
}

/// Writes the identity and a configuration for each replica. Presses of buttons arrive at these addresses. Each request names its own recipients as suggested reviewers.
pub(crate) fn write_files(cluster: &Cluster, tenant: &Tenant, folder: &Path, listens: &[String]) -> anyhow::Result<()> {
    let user = cluster.authority().user("chaos", &[], Validity::ONE_DAY);
    let (identity, secret) = (folder.join("identity"), secret_file(folder));
    fs::write(&identity, cluster.authority().identity_file(&user))?;
    let options = tenant.options();
    fs::write(&secret, &options.app_secret)?;
    let config = format!(
        "[teleport]\naddr = {:?}\nidentity = {:?}\n[msapi]\napp_id = {:?}\napp_secret = {:?}\ntenant_id = {:?}\n\
         teams_app_id = {:?}\n[msapi.endpoints]\nlogin = {:?}\ngraph = {:?}\nbot = {:?}\nopenid = {:?}\n[role_to_recipients]\n\"*\" = []\n",
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
    for (number, listen) in listens.iter().enumerate() {
        let review = format!("[review]\nenabled = true\nlisten = {listen:?}\nteams_user_id_trait = {TRAIT:?}\n");
        fs::write(config_file(folder, number), config.clone() + &review)?;
    }
    Ok(())
}

/// Returns the configuration of a replica.
pub(crate) fn config_file(folder: &Path, number: usize) -> std::path::PathBuf {
    folder.join(format!("replica-{number}.toml"))
}

fn secret_file(folder: &Path) -> std::path::PathBuf {
    folder.join("secret")
}
