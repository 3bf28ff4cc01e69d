//! The `[teleport]` table: where the cluster is and who we are there.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;
use url::{Host, Url};

use crate::config::file::{Notes, Section, described};
use crate::config::{Credentials, TeleportSettings};

pub(super) fn teleport(section: &mut Section<'_>, notes: &mut Notes) -> Option<TeleportSettings> {
    let addr = section.string("addr", notes);
    let auth_server = section.string("auth_server", notes);
    if addr.is_none() && auth_server.is_some() {
        notes.warning(section.key("auth_server"), "is deprecated", "call it addr");
    }
    let (key, text) = match (addr, auth_server) {
        (None, Some(text)) => ("auth_server", text),
        (Some(text), _) => ("addr", text),
        (None, None) => ("addr", "localhost:3025"),
    };
    let address = match host_and_port(text) {
        Ok(address) => Some(address),
        Err(reason) => {
            let remedy = "write host:port of the Auth Service or the Proxy Service";
            notes.problem(section.key(key), format!("{text:?}: {reason}"), remedy);
            None
        }
    };
    let credentials = credentials(section, notes);
    refresh(section, credentials.as_ref(), notes);
    let (host, port) = address?;
    Some(TeleportSettings {
        host,
        port,
        credentials: credentials?,
    })
}

fn credentials(section: &mut Section<'_>, notes: &mut Notes) -> Option<Credentials> {
    let identity = section.string("identity", notes).map(PathBuf::from);
    let trio = ["client_key", "client_crt", "root_cas"].map(|key| (key, section.string(key, notes).map(PathBuf::from)));
    let missing: Vec<_> = trio
        .iter()
        .filter(|(_, path)| path.is_none())
        .map(|(key, _)| *key)
        .collect();
    let [(_, key), (_, certificate), (_, authorities)] = trio;
    match (identity, key, certificate, authorities) {
        (Some(identity), None, None, None) => Some(Credentials::Identity(identity)),
        (None, Some(key), Some(certificate), Some(authorities)) => Some(Credentials::Tls {
            key,
            certificate,
            authorities,
        }),
        (Some(_), ..) => {
            let message = "stands beside client_key, client_crt or root_cas";
            notes.problem(section.key("identity"), message, "keep one or the other");
            None
        }
        (None, None, None, None) => {
            let remedy = "write the path of the identity file, or client_key, client_crt and root_cas";
            notes.problem(section.key("identity"), "there are no credentials", remedy);
            None
        }
        (None, ..) => {
            let message = format!("missing: {}", missing.join(", "));
            let remedy = "client_key, client_crt and root_cas are wanted together";
            notes.problem("teleport", message, remedy);
            None
        }
    }
}

/// Checks the keys of renewal; files are read again at every connect whatever they say.
fn refresh(section: &mut Section<'_>, credentials: Option<&Credentials>, notes: &mut Notes) {
    let refresh = section.boolean("refresh_identity", notes).unwrap_or(false);
    if refresh && matches!(credentials, Some(Credentials::Tls { .. })) {
        let message = "needs an identity file";
        notes.problem(
            section.key("refresh_identity"),
            message,
            "set identity, or leave it out",
        );
    }
    let problem = match section.value("refresh_identity_interval") {
        None => None,
        Some(Value::Integer(nanoseconds)) if *nanoseconds >= 0 => None,
        Some(Value::String(text)) if duration(text).is_some() => None,
        Some(other) => Some(format!("{} is not a duration", described(other))),
    };
    if let Some(problem) = problem {
        notes.problem(
            section.key("refresh_identity_interval"),
            problem,
            "write for example \"1m\"",
        );
    }
}

/// Reads a duration as Go writes it: `90s`, `1h30m`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_length = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len() - digits);
        let seconds = match &rest[digits..digits + unit_length] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        total += number * seconds;
        rest = &rest[digits + unit_length..];
    }
    Duration::try_from_secs_f64(total)
        .ok()
        .filter(|_| !text.trim().is_empty())
}

/// Reads `host:port`, `host`, `[v6]:port` and `https://host[:port]`; the port is 443 if none is given.
fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let bare = match text.split_once("://") {
        Some(("https" | "tcp", rest)) => rest.trim_end_matches('/'),
        Some((scheme, _)) => return Err(format!("{scheme}:// cannot be used")),
        None => text,
    };
    let url = Url::parse(&format!("tcp://{bare}")).map_err(|error| error.to_string())?;
    let extra = !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty();
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Domain(_)) | None => return Err("there is no host".to_owned()),
    };
    if extra {
        return Err("there is more than host and port".to_owned());
    }
    Ok((host, url.port().unwrap_or(443)))
}
