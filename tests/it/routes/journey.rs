//! Helpers for routes: settings for an address, and a request that must be announced.

use std::fs;
use std::time::Duration;

use teleport_msteams::config::{HostPort, Login, ProxyKind, Settings};
use teleport_msteams::secret::Secret;

use crate::support::{ALICE, Town};
use crate::world::cluster::{Draft, Verdict};
use crate::world::corporate::Corporate;
use crate::world::web::WebAuthority;

pub(crate) const PATIENT: Duration = Duration::from_mins(1);

pub(crate) const OURS: &str = "teleport-auth@73616e64626f782e6578616d706c652e636f6d.teleport.cluster.local";

pub(crate) fn host_and_port(address: &str) -> HostPort {
    let (host, port) = address.rsplit_once(':').unwrap();
    HostPort {
        host: host.to_owned(),
        port: port.parse().unwrap(),
    }
}

/// Settings for another address than the cluster's own, with the web's authority on file.
pub(crate) fn settings_for(town: &Town, address: &str, web: &WebAuthority) -> Settings {
    let file = town.folder.path().join("web-authorities.pem");
    fs::write(&file, web.pem()).unwrap();
    let mut settings = town.settings(&town.config());
    settings.teleport.address = host_and_port(address);
    settings.teleport.web_authorities = Some(file);
    settings
}

pub(crate) fn proxy_settings(
    kind: ProxyKind,
    corporate: &Corporate,
    login: Option<(&str, &str)>,
) -> teleport_msteams::config::Proxy {
    teleport_msteams::config::Proxy {
        kind,
        address: host_and_port(corporate.address()),
        login: login.map(|(user, password)| Login {
            user: user.to_owned(),
            password: Secret::new(password),
        }),
    }
}

/// Creates a request, and waits for its card and its resolution.
pub(crate) async fn delivers(town: &Town) {
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
}
