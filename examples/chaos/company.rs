//! The recipients of a run, and the configuration of the daemons.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use world::cluster::Cluster;
use world::identity::Validity;
use world::tenant::{Tenant, TenantOptions, User};

/// The number of recipients: enough to stay below Microsoft's limit for one conversation.
const PEOPLE: usize = 40;

/// The number of users who create requests.
pub(crate) const REQUESTERS: usize = 20;

/// The number of roles, each with one recipient of its escalated requests.
const LEADS: usize = 10;

/// The number of managers who are not recipients themselves.
const MANAGERS: usize = 8;

/// A user without the right to review.
pub(crate) const BARRED: &str = "barred@example.com";

/// The reviewers whose reviews are no presses.
pub(crate) const SCRIPT_AUTHORS: [&str; 2] = ["reviewer", "owner"];

/// The Teams user ID of each Teleport user is in this trait.
const TRAIT: &str = "teams_user_id";

/// When recipients are reminded, since the announcement.
pub(crate) const REMIND_AFTER: [Duration; 2] = [Duration::from_secs(6), Duration::from_secs(20)];

/// When requests are escalated, since the announcement.
pub(crate) const ESCALATE_AFTER: Duration = Duration::from_secs(12);

/// How long after the creation of a request its access ends soon.
pub(crate) const ENDS_SOON_AFTER: Duration = Duration::from_secs(25);

/// How long access lasts, from the creation of the request.
pub(crate) const ACCESS: Duration = Duration::from_hours(8);

pub(crate) struct Company {
    pub(crate) people: Vec<User>,
    pub(crate) requesters: Vec<User>,
    pub(crate) barred: User,
    /// A person without a Teleport user.
    pub(crate) outsider: User,
    leads: Vec<User>,
    managers: Vec<User>,
    /// The email address of the manager of each person.
    manager_of: BTreeMap<String, String>,
    /// Email addresses by object ID.
    mails: BTreeMap<String, String>,
}

impl Company {
    pub(crate) fn create(cluster: &Cluster, tenant: &Tenant) -> Self {
        let add = |mail: String| tenant.add_user(&mail, Some(&mail), &mail);
        let link = |name: String, user: &User| {
            let traits = [(TRAIT.to_owned(), vec![user.id.clone()])].into();
            cluster.state().users.insert(name, traits);
        };
        let mut company = Self {
            people: (0..PEOPLE).map(mail).map(add).collect(),
            requesters: (0..REQUESTERS)
                .map(|number| add(format!("requester-{number}@example.com")))
                .collect(),
            barred: add(BARRED.to_owned()),
            outsider: add("outsider@example.com".to_owned()),
            leads: (0..LEADS).map(lead).map(add).collect(),
            managers: (0..MANAGERS)
                .map(|number| add(format!("manager-{number}@example.com")))
                .collect(),
            manager_of: BTreeMap::new(),
            mails: BTreeMap::new(),
        };
        for user in &company.people {
            link(teleport_user(mail_of(user)), user);
        }
        for (number, user) in company.requesters.iter().enumerate() {
            link(requester(number), user);
        }
        link(BARRED.to_owned(), &company.barred);
        cluster.bar_reviewer(BARRED);
        for (number, person) in company.people.iter().enumerate() {
            let manager = match number % 10 {
                // A manager makes requests, too; another one is a recipient.
                0 => &company.requesters[number / 10],
                1 => continue,
                2 => &company.people[number + 1],
                _ => &company.managers[number % MANAGERS],
            };
            tenant.set_manager(person, manager);
            let pair = (mail_of(person).to_owned(), mail_of(manager).to_owned());
            company.manager_of.insert(pair.0, pair.1);
        }
        let mails = company
            .everyone()
            .map(|user| (user.id.clone(), mail_of(user).to_owned()));
        company.mails = mails.collect();
        company
    }

    /// Returns everyone who can get a message.
    pub(crate) fn everyone(&self) -> impl Iterator<Item = &User> {
        let groups = [&self.people, &self.requesters, &self.leads, &self.managers];
        groups.into_iter().flatten()
    }

    /// Returns the person with this email address.
    pub(crate) fn person(&self, mail: &str) -> Option<&User> {
        self.people.iter().find(|user| user.mail.as_deref() == Some(mail))
    }

    pub(crate) fn manager_of(&self, mail: &str) -> Option<&str> {
        self.manager_of.get(mail).map(String::as_str)
    }

    /// Returns the email address of a recipient, who may be recorded by the object ID.
    pub(crate) fn mail_of<'a>(&'a self, recipient: &'a str) -> &'a str {
        self.mails.get(recipient).map_or(recipient, String::as_str)
    }
}

/// Returns the options of a tenant that shows who the managers are.
pub(crate) fn tenant_options() -> TenantOptions {
    let mut options = TenantOptions::default();
    options.roles.push("User.Read.All");
    options
}

pub(crate) fn mail_of(user: &User) -> &str {
    user.mail.as_deref().unwrap_or_default()
}

pub(crate) fn mail(number: usize) -> String {
    format!("person-{}@example.com", number % PEOPLE)
}

/// Returns the name of a person's Teleport user, which is no email address: only the trait links them.
pub(crate) fn teleport_user(mail: &str) -> String {
    let (name, _) = mail.split_once('@').unwrap_or((mail, ""));
    name.replace('-', "")
}

/// Returns the name of a requester's Teleport user; every other one is no email address.
pub(crate) fn requester(number: usize) -> String {
    let mail = format!("requester-{}@example.com", number % REQUESTERS);
    if number.is_multiple_of(2) {
        mail
    } else {
        teleport_user(&mail)
    }
}

/// Returns the role that the requests of this number are for.
pub(crate) fn role(number: usize) -> String {
    format!("team-{}", number % LEADS)
}

/// Returns the email address of the recipient of escalated requests for a role.
pub(crate) fn lead(number: usize) -> String {
    format!("lead-{}@example.com", number % LEADS)
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
    let mut config = format!(
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
    let after = REMIND_AFTER.map(|after| format!("{}s", after.as_secs()));
    let ends = ACCESS.saturating_sub(ENDS_SOON_AFTER).as_secs();
    write!(
        config,
        "[notify]\nrequester = true\nremind_after = {after:?}\naccess_ends = \"{ends}s\"\n\
         [escalation]\nafter = \"{}s\"\nmanager = true\n[escalation.role_to_recipients]\n",
        ESCALATE_AFTER.as_secs()
    )?;
    for number in 0..LEADS {
        writeln!(config, "{} = {:?}", role(number), lead(number))?;
    }
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
