//! Opens the port for requests from Teams, and serves it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::config::{Limits, MicrosoftSettings, ReviewSettings, TlsFiles};
use crate::daemon::actions::certificate;
use crate::daemon::actions::chats::Recent;
use crate::daemon::actions::endpoint::Endpoint;
use crate::daemon::actions::error::Error;
use crate::daemon::actions::keys;
use crate::daemon::actions::presses::Presses;
use crate::daemon::context::Context;
use crate::daemon::tasks::Tasks;
use crate::listener::{Bounds, Certificate, Connection, Listener};
use crate::msteams::inbound::{Audience, KeyCache, KeySource};
use crate::telemetry::Health;

/// Microsoft needs one connection for each press, for three seconds at most. Connections without a verified request make
/// room for others, oldest first.
const BOUNDS: Bounds = Bounds {
    connections: 384,
    head: Duration::from_secs(5),
    connection: Duration::from_mins(5),
    // A token of 16 KiB, and the other headers.
    head_bytes: 20 << 10,
    keep_alive: true,
};

/// The open port, before the daemon is ready to answer.
pub(in crate::daemon) struct Opened {
    listener: Listener,
    certificate: Option<(TlsFiles, Certificate)>,
    audience: Audience,
    source: KeySource,
    keys: Arc<KeyCache>,
    path: String,
}

/// Opens the port, so that a mistake in its settings ends the start; `None` if reviews are not enabled.
///
/// # Errors
/// The port cannot be opened, the certificate cannot be used, or there are no root certificates.
pub(in crate::daemon) async fn open(
    settings: &ReviewSettings,
    microsoft: &MicrosoftSettings,
    limits: &Limits,
) -> anyhow::Result<Option<Opened>> {
    if !settings.enabled {
        return Ok(None);
    }
    let (listener, certificate) = bind(settings).await?;
    let endpoints = &microsoft.endpoints;
    let source = KeySource::new(&endpoints.openid, &microsoft.proxies, limits)?;
    Ok(Some(Opened {
        listener,
        certificate,
        audience: Audience::new(&endpoints.issuer, &microsoft.app_id, &microsoft.tenant_id),
        source,
        keys: Arc::new(KeyCache::new(limits.unknown_key_every)),
        path: settings.path.clone(),
    }))
}

/// Checks whether the port can be opened and the certificate can be used.
///
/// # Errors
/// The port cannot be opened, or the certificate cannot be used.
pub async fn review_port(settings: &ReviewSettings) -> Result<(), Error> {
    bind(settings).await.map(|_| ())
}

/// The certificate of the port, with its files.
type Followed = (TlsFiles, Certificate);

async fn bind(settings: &ReviewSettings) -> Result<(Listener, Option<Followed>), Error> {
    let address = &settings.listen;
    let certificate = match &settings.tls {
        Some(files) => {
            let certificate = certificate::read(files).await;
            let certificate = certificate.map_err(|cause| Error::certificate(address, &cause))?;
            Some((files.clone(), certificate))
        }
        None => None,
    };
    let listener = Listener::bind(&address.host, address.port, BOUNDS).await;
    let mut listener = listener.map_err(|cause| Error::port(address, &cause))?;
    if let Some((_, certificate)) = &certificate {
        listener = listener.with_certificate(certificate);
    }
    Ok((listener, certificate))
}

impl Opened {
    /// Returns the keys that verify requests.
    pub(in crate::daemon) fn keys(&self) -> Arc<KeyCache> {
        Arc::clone(&self.keys)
    }

    /// Serves the port until the daemon stops.
    pub(in crate::daemon) fn serve(self, context: &Arc<Context>, tasks: &Tasks, health: &Health) {
        let Self {
            listener,
            certificate,
            audience,
            source,
            keys,
            path,
        } = self;
        let address = listener
            .address()
            .map(|address| address.to_string())
            .unwrap_or_default();
        let tls = certificate.is_some();
        info!(address, path, tls, "Serving button presses from Teams");
        if !context.knows_reviews {
            let hint = hint!(
                "Upgrade the cluster to 18.11 or newer and restart this program, or set `[review] enabled` to false"
            );
            warn!(
                hint,
                "The cluster does not accept reviews from Teams; cards have no buttons"
            );
        }
        if let Some((files, certificate)) = certificate {
            let heartbeat = health.register("review-certificate");
            let every = context.limits.credential_every;
            tasks.service(
                "review-certificate",
                certificate::follow(files, certificate, every, heartbeat),
            );
        }
        tasks.service("keys", keys::keep(Arc::clone(&keys), source, health.register("keys")));
        let endpoint = Arc::new(Endpoint {
            context: Arc::clone(context),
            tasks: tasks.clone(),
            path,
            audience,
            keys,
            presses: Presses::new(Arc::clone(context), tasks.clone()),
            chats: Arc::default(),
            installations: Recent::default(),
        });
        let connections = tasks.clone();
        let spawn = move |connection: Connection| connections.background("review-connection", connection);
        let answer = move |request, place| Arc::clone(&endpoint).answer(request, place);
        tasks.service("review", listener.serve(spawn, answer));
    }
}
