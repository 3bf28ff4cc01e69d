//! Fetches the keys of the Bot connector.
//!
//! Architecture Invariant: the keys come from the configured address. The metadata may name another path there, but no
//! other host, and redirects are not followed.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::config::{Limits, Proxies};
use crate::msteams::call_event::Observer;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::http::{Http, Request};
use crate::msteams::inbound::keys::KeySet;
use crate::msteams::paths::join;

/// The published keys of one cloud.
pub struct KeySource {
    http: Http,
    metadata: Url,
}

/// The metadata in the form of `OpenID` Connect (Bot Connector authentication, step 2).
#[derive(Deserialize)]
struct Metadata {
    jwks_uri: String,
}

/// The time for both documents together.
const LONGEST_FETCH: Duration = Duration::from_secs(10);

impl KeySource {
    /// Creates the source below a base address, without sending anything.
    ///
    /// # Errors
    /// There are no usable root certificates.
    pub fn new(openid: &Url, proxies: &Proxies, limits: &Limits) -> Result<Self, Error> {
        Ok(Self {
            // The outages of the other services say nothing about this one, nor the reverse.
            http: Http::new(limits, proxies, Observer::ignore())?,
            metadata: join(openid, &["v1", ".well-known", "openidconfiguration"], None),
        })
    }

    /// Fetches the current keys, once. It takes ten seconds at most.
    ///
    /// # Errors
    /// There is no answer, or it contains no keys for Teams.
    pub async fn fetch(&self) -> Result<KeySet, Error> {
        let Ok(outcome) = timeout(LONGEST_FETCH, self.documents()).await else {
            let next = self.metadata.host_str().unwrap_or_default();
            let hint = hint_with!("Check that this machine can reach {next}: firewall, HTTPS_PROXY and NO_PROXY");
            return Err(Error::new(Operation::Keys, Meaning::Unreachable, Retry::Later(None))
                .detail(format!("no answer from {next} in time"))
                .with_hint(Some(hint)));
        };
        outcome
    }

    async fn documents(&self) -> Result<KeySet, Error> {
        let request = Request::get(Operation::Keys, self.metadata.clone());
        let metadata: Metadata = self.http.exchange(&request, None).await?.json()?;
        let own = |url: &Url| url.origin() == self.metadata.origin();
        let Some(url) = Url::parse(&metadata.jwks_uri).ok().filter(own) else {
            return Err(self.invalid("the metadata refers to keys on another host".to_owned()));
        };
        let request = Request::get(Operation::Keys, url);
        let document: Value = self.http.exchange(&request, None).await?.json()?;
        KeySet::read(&document).map_err(|invalid| self.invalid(invalid.to_string()))
    }

    fn invalid(&self, detail: String) -> Error {
        let host = self.metadata.host_str().unwrap_or_default();
        let hint = hint_with!("Check what answers at {host}: a proxy or a gateway on the path may change answers");
        Error::new(Operation::Keys, Meaning::Protocol, Retry::Later(None))
            .detail(detail)
            .with_hint(Some(hint))
    }
}
