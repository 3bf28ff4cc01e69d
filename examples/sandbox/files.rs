//! The files that the daemon starts with: an identity and a configuration, as an operator would write them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use toml::Value;

use crate::company::Company;
use world::cluster::Cluster;
use world::identity::Validity;
use world::tenant::Tenant;

/// When reminders of pending requests are sent, and when requests are escalated.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Within two minutes, so that a person can watch it.
    Quick,
    /// Later than a story ends.
    Late,
}

/// Writes the files to `folder`, and returns the path of the configuration.
///
/// The daemon listens at `listen` for what Teams sends.
pub fn write(
    folder: &Path,
    cluster: &Cluster,
    tenant: &Tenant,
    company: &Company,
    listen: &str,
    pace: Pace,
) -> anyhow::Result<PathBuf> {
    let identity = folder.join("identity");
    let authority = cluster.authority();
    let user = authority.user("access-plugin", &["access-plugin"], Validity::ONE_DAY);
    put(&identity, &authority.identity_file(&user))?;
    let config = folder.join("teleport-msteams.toml");
    let text = configuration(&identity, cluster, tenant, company, listen);
    put(&config, &(text + &notifications(company, pace)))?;
    Ok(config)
}

fn configuration(identity: &Path, cluster: &Cluster, tenant: &Tenant, company: &Company, listen: &str) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let options = tenant.options();
    let mut text = format!(
        "preload = true\n\n\
         [teleport]\naddr = {}\nidentity = {}\n\n\
         [msapi]\napp_id = {}\napp_secret = {}\ntenant_id = {}\nteams_app_id = {}\n\n\
         [msapi.endpoints]\nlogin = {}\ngraph = {}\nbot = {}\nopenid = {}\n\n\
         [review]\nenabled = true\nlisten = {}\n\n\
         [log]\noutput = \"stderr\"\nseverity = \"INFO\"\n\n\
         [role_to_recipients]\n",
        quoted(&cluster.address()),
        quoted(&identity.display().to_string()),
        quoted(&options.app_id),
        quoted(&options.app_secret),
        quoted(&options.tenant_id),
        quoted(&options.teams_app_id),
        quoted(&tenant.login()),
        quoted(&tenant.graph()),
        quoted(&tenant.bot()),
        quoted(&tenant.openid()),
        quoted(listen),
    );
    for (role, chats) in company.routes() {
        let recipients = Value::Array(chats.into_iter().map(|chat| Value::from(chat.id.as_str())).collect());
        writeln!(text, "{} = {recipients}", quoted(role)).expect("writing to a string never fails");
    }
    text
}

/// Returns the tables of the notifications besides the cards of reviewers.
fn notifications(company: &Company, pace: Pace) -> String {
    let (remind_after, escalate_after, access_ends, access_lists) = match pace {
        Pace::Quick => ("[\"20s\", \"2m\"]", "1m", "7m", true),
        Pace::Late => ("[\"1h\"]", "2h", "1s", false),
    };
    let escalated_to = Value::from(company.escalated_to());
    format!(
        "\n[notify]\nrequester = true\nremind_after = {remind_after}\naccess_ends = \"{access_ends}\"\n\
         access_lists = {access_lists}\n\n[escalation]\nafter = \"{escalate_after}\"\nmanager = true\n\n\
         [escalation.role_to_recipients]\n\"*\" = {escalated_to}\n"
    )
}

fn put(path: &Path, content: &str) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("could not write {}", path.display()))
}
