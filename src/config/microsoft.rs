//! The `[msapi]` table: the app in Microsoft's cloud.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Value;
use url::{Host, Url};

use crate::config::cloud::CLOUDS;
use crate::config::file::{Notes, Section};
use crate::config::proxy::proxies;
use crate::config::shown::{quoted, quoted_id};
use crate::config::{AppSecret, Endpoints, MicrosoftSettings};
use crate::secret::Secret;

/// Longest secret that is read from a file, in bytes; the Go plugin's bound.
const LONGEST_SECRET: usize = 2_000;

pub(super) fn microsoft(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<MicrosoftSettings> {
    let app_id = id(section, "app_id", "the application (client) id of the Azure bot", notes);
    let tenant_id = id(section, "tenant_id", "the directory (tenant) id", notes);
    let remedy = "the TeamsAppID that configure printed, which is the id in the app's manifest";
    let teams_app_id = id(section, "teams_app_id", remedy, notes);
    let app_secret = secret(section, environment, notes);
    let endpoints = endpoints(section, notes);
    Some(MicrosoftSettings {
        app_id: app_id?,
        app_secret: app_secret?,
        tenant_id: tenant_id?,
        teams_app_id: teams_app_id?,
        endpoints: endpoints?,
        proxies: proxies(environment, notes),
    })
}

/// Reads an id that becomes part of a URL.
fn id(section: &mut Section<'_>, key: &'static str, what: &str, notes: &mut Notes) -> Option<String> {
    let before = notes.problems.len();
    let Some(text) = section.string(key, notes) else {
        if notes.problems.len() == before {
            notes.problem(section.key(key), "is missing", format!("write {what}"));
        }
        return None;
    };
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if text.starts_with("xxxxxxxx") {
        notes.problem(section.key(key), "is still the example's", format!("write {what}"));
        return None;
    }
    if !text.bytes().all(clean) {
        notes.problem(
            section.key(key),
            format!("{} is not an id", quoted_id(text)),
            format!("write {what}"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// Reads the secret: a value, a file (`/…`) or a variable (`env:NAME`). It is never part of a message.
fn secret(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<AppSecret> {
    let key = section.key("app_secret");
    let remedy = "write the value of a client secret, the path of a file with it, or env:NAME";
    let text = match section.value("app_secret") {
        Some(Value::String(text)) => text.trim(),
        Some(_) => {
            notes.problem(key, "expected a string", remedy);
            return None;
        }
        None => "",
    };
    let file = text.starts_with('/').then(|| PathBuf::from(text));
    let found = if text.is_empty() {
        Err("is missing".to_owned())
    } else if let Some(name) = text.strip_prefix("env:") {
        let found = environment(name).ok_or_else(|| format!("the variable {name} is not set"));
        found.and_then(|text| usable(&text))
    } else if let Some(file) = &file {
        secret_in(file)
    } else {
        usable(text)
    };
    match found {
        Ok(value) => Some(AppSecret { value, file }),
        Err(problem) => {
            notes.problem(key, problem, remedy);
            None
        }
    }
}

impl AppSecret {
    /// Reads the file again; nothing if there is none, or if it says the same.
    ///
    /// # Errors
    /// Why the file cannot be used, which never tells what is in it.
    pub fn renewed(&self) -> Result<Option<Self>, String> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let value = secret_in(file)?;
        let renewed = Self {
            value,
            file: Some(file.clone()),
        };
        Ok(Some(renewed).filter(|renewed| renewed != self))
    }
}

fn secret_in(file: &Path) -> Result<Secret, String> {
    let shown = file.display();
    let bytes = fs::read(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    usable(&String::from_utf8(bytes).map_err(|_| format!("{shown} is not text"))?)
}

fn usable(text: &str) -> Result<Secret, String> {
    if text.len() > LONGEST_SECRET {
        Err(format!("is longer than {LONGEST_SECRET} bytes"))
    } else if text.trim().is_empty() {
        Err("is empty where it points to".to_owned())
    } else {
        Ok(Secret::new(text.trim()))
    }
}

fn endpoints(section: &mut Section<'_>, notes: &mut Notes) -> Option<Endpoints> {
    let name = section.string("cloud", notes).unwrap_or("public");
    let cloud = CLOUDS.iter().find(|cloud| cloud.name == name);
    if cloud.is_none() {
        let names = CLOUDS.map(|cloud| cloud.name).join(", ");
        notes.problem(
            section.key("cloud"),
            format!("{} is not a cloud", quoted(name)),
            format!("write one of {names}"),
        );
    }
    let region = section.string("region", notes);
    let clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let regional = match region {
        Some(region) if clean(region) => Some(format!("https://smba.trafficmanager.net/{region}")),
        Some(region) => {
            notes.problem(
                section.key("region"),
                format!("{} is not a region", quoted(region)),
                "write for example \"emea\"",
            );
            None
        }
        None => None,
    };
    let mut table = section.inner("endpoints", "msapi.endpoints", notes);
    let mut base = |key, default: Option<&str>| {
        let text = table.string(key, notes).or(default);
        let found = text.ok_or_else(|| "is missing, and this cloud has no documented one".to_owned());
        match found.and_then(base_url) {
            Ok(url) => Some(url),
            Err(problem) => {
                let remedy = "write a URL with https, or with http for this machine alone";
                notes.problem(table.key(key), problem, remedy);
                None
            }
        }
    };
    let login = base("login", cloud.map(|cloud| cloud.login));
    let graph = base("graph", cloud.map(|cloud| cloud.graph));
    let bot = base("bot", regional.as_deref().or(cloud.and_then(|cloud| cloud.bot)));
    table.finish(notes);
    let cloud = cloud?;
    Some(Endpoints {
        login: login?,
        graph: graph?,
        bot: bot?,
        graph_scope: format!("{}/.default", cloud.graph),
        bot_scope: cloud.bot_scope.to_owned(),
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
