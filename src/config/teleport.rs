//! The `[teleport]` table: the cluster's address and the daemon's credentials.

use std::env::current_dir;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;
use url::Url;

use crate::config::duration::duration;
use crate::config::file::{Notes, Section};
use crate::config::proxy::proxy;
use crate::config::shown::{described, quoted};
use crate::config::upgrade;
use crate::config::upgrade::upgrade;
use crate::config::{Credentials, HostPort, TeleportSettings};

/// The default interval at which the credential files are checked; the Go plugin's default.
const REFRESH_EVERY: Duration = Duration::from_mins(1);

/// The address of an Auth Service on this machine; the Go plugin's default.
const DEFAULT_ADDRESS: &str = "localhost:3025";

const SET_ADDRESS: &str = hint!("Set it to host:port of the Auth Service or the Proxy Service");

/// OpenSSL's variable for a file of certificate authorities.
const AUTHORITIES: &str = "SSL_CERT_FILE";

pub(super) fn teleport(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<TeleportSettings> {
    let addr = section.string("addr", notes);
    let auth_server = section.string("auth_server", notes);
    if addr.is_none() && auth_server.is_some() {
        notes.warning(section.key("auth_server"), "is deprecated", hint!("Rename it to addr"));
    }
    let (key, text) = match (addr, auth_server) {
        (None, Some(text)) => ("auth_server", text),
        (Some(text), _) => ("addr", text),
        (None, None) => {
            let message = format!("is not set, using {DEFAULT_ADDRESS}");
            notes.warning(section.key("addr"), message, SET_ADDRESS);
            ("addr", DEFAULT_ADDRESS)
        }
    };
    let address = match host_and_port(text) {
        Ok(address) => Some(address),
        Err(reason) => {
            notes.problem(section.key(key), format!("{}: {reason}", quoted(text)), SET_ADDRESS);
            None
        }
    };
    let credentials = credentials(section, notes);
    let refresh = refresh(section, credentials.as_ref(), notes);
    let address = address?;
    let upgrade = upgrade(&environment(upgrade::VARIABLE).unwrap_or_default(), &address);
    let proxy = proxy(&address, environment, notes);
    let web_authorities = environment(AUTHORITIES).filter(|path| !path.is_empty());
    Some(TeleportSettings {
        address,
        credentials: credentials?,
        refresh,
        upgrade,
        proxy,
        web_authorities: web_authorities.map(PathBuf::from),
    })
}

fn credentials(section: &mut Section<'_>, notes: &mut Notes) -> Option<Credentials> {
    let mut path = |key| {
        let path = PathBuf::from(section.string(key, notes)?);
        examine(&section.key(key), &path, "identity", notes);
        Some(path)
    };
    let identity = path("identity");
    let trio = ["client_key", "client_crt", "root_cas"].map(|key| (key, path(key)));
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
            notes.problem(section.key("identity"), message, hint!("Keep one of them"));
            None
        }
        (None, None, None, None) => {
            let hint =
                hint!("Set identity to the path of the identity file, or set client_key, client_crt and root_cas");
            notes.problem(section.key("identity"), "there are no credentials", hint);
            None
        }
        (None, ..) => {
            let message = format!("missing: {}", missing.join(", "));
            let hint = hint!("Set client_key, client_crt and root_cas together");
            notes.problem("teleport", message, hint);
            None
        }
    }
}

/// Records a path that cannot be right; `example` is the name of a file in a hint. A file that does not exist (yet) is reported
/// when it is opened.
pub(super) fn examine(key: &str, path: &Path, example: &str, notes: &mut Notes) {
    let shown = path.display();
    if path.is_dir() {
        let hint = hint_with!(
            "Set it to the path of the file, such as {}",
            path.join(example).display()
        );
        notes.problem(key, format!("{shown} is a directory"), hint);
    } else if path.starts_with("~") && !path.exists() {
        notes.problem(
            key,
            format!("{shown}: ~ is not expanded"),
            hint!("Write the absolute path"),
        );
    } else if path.is_relative() && !path.exists() {
        let directory = current_dir().unwrap_or_default();
        let message = format!(
            "{shown} is not in {}, the working directory of this program",
            directory.display()
        );
        notes.warning(key, message, hint!("Write the absolute path, beginning with /"));
    }
}

/// Reads how credentials are renewed. Files are followed unless `refresh_identity` is `false`; the Go plugin does not follow them
/// by default, and stops when its certificate expires.
fn refresh(section: &mut Section<'_>, credentials: Option<&Credentials>, notes: &mut Notes) -> Option<Duration> {
    let refresh = section.boolean("refresh_identity", notes);
    if refresh == Some(true) && matches!(credentials, Some(Credentials::Tls { .. })) {
        let message = "needs an identity file";
        notes.problem(
            section.key("refresh_identity"),
            message,
            hint!("Set identity, or remove this key: the three files are followed without it"),
        );
    }
    let interval = match section.value("refresh_identity_interval") {
        None => Ok(REFRESH_EVERY),
        Some(Value::Integer(nanoseconds)) => u64::try_from(*nanoseconds)
            .map(Duration::from_nanos)
            .map_err(|_| format!("{nanoseconds} is negative")),
        Some(Value::String(text)) => duration(text).map_err(|what| format!("{} {what}", quoted(text))),
        Some(other) => Err(format!("{} is not a duration", described(other))),
    };
    let interval = interval.unwrap_or_else(|problem| {
        let key = section.key("refresh_identity_interval");
        let hint = hint!("Write numbers with the units h, m, s or ms, such as \"90s\" or \"1h30m\"");
        notes.problem(key, problem, hint);
        REFRESH_EVERY
    });
    // In the Go plugin, 0 means the default.
    let interval = Some(interval)
        .filter(|interval| !interval.is_zero())
        .unwrap_or(REFRESH_EVERY);
    (refresh != Some(false)).then_some(interval)
}

/// Reads `host:port`, `host`, `[v6]:port` and `https://host[:port]`; the default port is 443.
fn host_and_port(text: &str) -> Result<HostPort, String> {
    let bare = match text.split_once("://") {
        Some(("https" | "tcp", rest)) => rest.trim_end_matches('/'),
        Some((scheme, _)) => return Err(format!("{scheme}:// is not supported")),
        None => text,
    };
    let url = Url::parse(&format!("tcp://{bare}")).map_err(|error| error.to_string())?;
    let extra = !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty();
    let address = HostPort::of_url(&url, 443).ok_or("it contains no host")?;
    if extra {
        return Err("it contains more than host and port".to_owned());
    }
    Ok(address)
}
