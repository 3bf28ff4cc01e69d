//! The `[msapi]` table: the app in Microsoft's cloud.

use toml::Value;
use url::{Host, Url};

use crate::config::cloud::CLOUDS;
use crate::config::credential::credential;
use crate::config::federated_token::{WorkloadEnvironment, same_id};
use crate::config::file::{Notes, Section};
use crate::config::managed_identity::check_client;
use crate::config::proxy::proxies;
use crate::config::shown::{quoted, quoted_id};
use crate::config::{AppCredential, Endpoints, MicrosoftSettings};

pub(super) fn microsoft(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<MicrosoftSettings> {
    let workload = WorkloadEnvironment::read(section, environment);
    let hint = hint!("Set it to the application (client) ID of the Azure bot");
    let app_id = id(section, "app_id", workload.id("app_id"), hint, notes);
    let hint = hint!("Set it to the directory (tenant) ID");
    let tenant_id = id(section, "tenant_id", workload.id("tenant_id"), hint, notes);
    let hint = hint!("Set it to the TeamsAppID that `configure` printed, which is the ID in the app's manifest");
    let teams_app_id = id(section, "teams_app_id", None, hint, notes);
    let credential = credential(section, app_id.as_deref(), environment, &workload, notes);
    let endpoints = endpoints(section, notes);
    let upgrade_app = section.boolean("upgrade_app", notes).unwrap_or(false);
    let login = endpoints.as_ref().map(|endpoints| &endpoints.login);
    let cloud = section.value("cloud").map_or(Some("public"), Value::as_str);
    let cloud = CLOUDS.iter().find(|known| Some(known.name) == cloud);
    let key = section.key("cloud");
    workload.check_cloud(cloud.map(|cloud| cloud.login), login, key, notes);
    if let (Some(AppCredential::ManagedIdentity(identity)), Some(app_id)) = (&credential, &app_id) {
        check_client(identity, app_id, section.key("managed_identity"), notes);
    }
    different(
        section,
        [
            ("app_id", &app_id),
            ("tenant_id", &tenant_id),
            ("teams_app_id", &teams_app_id),
        ],
        notes,
    );
    Some(MicrosoftSettings {
        app_id: app_id?,
        credential: credential?,
        tenant_id: tenant_id?,
        teams_app_id: teams_app_id?,
        endpoints: endpoints?,
        upgrade_app,
        proxies: proxies(environment, notes),
    })
}

/// Reads an id that becomes part of a URL. `variable` is an environment variable and its value, which replaces the key.
fn id(
    section: &mut Section<'_>,
    key: &'static str,
    variable: Option<(&str, &str)>,
    hint: &'static str,
    notes: &mut Notes,
) -> Option<String> {
    let before = notes.problems.len();
    let written = section.string(key, notes);
    if let (Some(text), Some(variable)) = (written, variable) {
        same_id(section.key(key), text, variable, notes);
    }
    let Some(text) = written.or(variable.map(|(_, id)| id)) else {
        if notes.problems.len() == before {
            notes.problem(section.key(key), "missing", hint);
        }
        return None;
    };
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if is_placeholder(text) {
        notes.problem(section.key(key), "still has the placeholder value", hint);
        return None;
    }
    if !text.bytes().all(clean) {
        notes.problem(section.key(key), format!("{} is not an ID", quoted_id(text)), hint);
        return None;
    }
    Some(text.to_owned())
}

/// Warns if the tenant ID equals an app ID. The IDs of the Azure app and the Teams app may be equal.
fn different(section: &Section<'_>, ids: [(&str, &Option<String>); 3], notes: &mut Notes) {
    let [app, (key, tenant), teams_app] = ids;
    for (other, id) in [app, teams_app] {
        if tenant.is_some() && tenant == id {
            let hint = hint!("Set it to the directory (tenant) ID, which the overview of the app registration shows");
            notes.warning(section.key(key), format!("is the same as {other}"), hint);
        }
    }
}

/// Returns whether a value is a placeholder of guides and examples.
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.to_lowercase();
    let in_brackets = text.starts_with('<') && text.ends_with('>');
    in_brackets || text.starts_with("xxxxxxxx") || text.chars().all(|letter| "x*.…".contains(letter))
}

fn endpoints(section: &mut Section<'_>, notes: &mut Notes) -> Option<Endpoints> {
    let name = section.string("cloud", notes).unwrap_or("public");
    let cloud = CLOUDS.iter().find(|cloud| cloud.name == name);
    if cloud.is_none() {
        let names = CLOUDS.map(|cloud| cloud.name).join(", ");
        notes.problem(
            section.key("cloud"),
            format!("{} is not a cloud", quoted(name)),
            hint_with!("Set it to one of {names}"),
        );
    }
    let region = section.string("region", notes);
    if let (Some(_), Some(cloud)) = (region, cloud)
        && cloud.name != "public"
    {
        let hint = hint!("Remove it; only the public cloud has regions");
        let problem = format!("cannot be combined with the cloud {}", cloud.name);
        notes.problem(section.key("region"), problem, hint);
    }
    let clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let regional = match region {
        Some(region) if clean(region) => Some(format!("https://smba.trafficmanager.net/{region}")),
        Some(region) => {
            notes.problem(
                section.key("region"),
                format!("{} is not a region", quoted(region)),
                hint!("Set it to a region such as \"emea\", or remove it"),
            );
            None
        }
        None => None,
    };
    let mut table = section.inner("endpoints", "msapi.endpoints", notes);
    let mut base = |key, default: Option<&str>| {
        let text = table.string(key, notes).or(default);
        let Some(text) = text else {
            let hint = hint!(
                "Set it to the serviceUrl of any activity that Teams sends to the messaging endpoint of the bot; Microsoft documents no address for this cloud"
            );
            notes.problem(
                table.key(key),
                "missing, and this cloud has no documented address",
                hint,
            );
            return None;
        };
        match base_url(text) {
            Ok(url) => Some(url),
            Err(problem) => {
                let hint = hint!("Set it to an https URL; http is allowed for this machine only");
                notes.problem(table.key(key), problem, hint);
                None
            }
        }
    };
    let login = base("login", cloud.map(|cloud| cloud.login));
    let graph = base("graph", cloud.map(|cloud| cloud.graph));
    let bot = base("bot", regional.as_deref().or(cloud.and_then(|cloud| cloud.bot)));
    let openid = base("openid", cloud.map(|cloud| cloud.openid));
    table.finish(notes);
    let cloud = cloud?;
    Some(Endpoints {
        cloud: cloud.name,
        installations: cloud.installations,
        login: login?,
        graph: graph?,
        bot: bot?,
        openid: openid?,
        graph_scope: format!("{}/.default", cloud.graph),
        bot_scope: cloud.bot_scope.to_owned(),
        issuer: cloud.issuer.to_owned(),
        teams: cloud.teams.to_owned(),
    })
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{} is not a URL: {error}", quoted(text)))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        scheme => Err(format!("{} would send secrets over {scheme}", quoted(text))),
    }
}
