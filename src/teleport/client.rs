//! The client of the Auth Service, with one method for each call.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};
use tower::service_fn;

use crate::clock;
use crate::config::{Limits, TeleportSettings};
use crate::domain::request::{AccessRequest, RequestId};
use crate::teleport::call;
use crate::teleport::caller::Caller;
use crate::teleport::cluster::{self, Cluster};
use crate::teleport::connect::{Connector, Route, Routes};
use crate::teleport::damaged::{Damaged, Kind, Read};
use crate::teleport::identity::credentials_error;
use crate::teleport::lossy::{Reading, text};
use crate::teleport::pages::{PageSize, Pages};
use crate::teleport::wire::{proto, types};
use crate::teleport::{Error, Keyring, Meaning, convert};

/// Largest message we accept, in bytes. The plugin data of all open requests arrive as one message, with up to a few
/// hundred bytes per recipient; gRPC's default of 4 MiB would limit that to some thousand requests.
pub(super) const LARGEST_MESSAGE: usize = 64 << 20;

/// Number of requests per page. Answers must stay below gRPC's 4 MiB limit on the server.
const PAGE: i32 = 100;

/// Limit for the stream of all requests, as a multiple of the call timeout. Each item also has that timeout.
const LONGEST_STREAM: u32 = 10;

const USER_AGENT: &str = concat!("teleport-msteams/", env!("CARGO_PKG_VERSION"));

const PING_PATIENCE: Duration = Duration::from_secs(20);

/// A connection is replaced by one with newer credentials this long before its certificate expires, or a fifth of its
/// lifetime if that is longer.
const REPLACE_BEFORE_END: Duration = Duration::from_mins(5);

const RECHECK: Duration = Duration::from_mins(1);

pub(super) const REFUSED_SILENTLY: &str = hint!(
    "If this continues, issue a new identity: Teleport most likely rejects this one (expired, of another cluster, or older than the user CA)"
);

const SILENT: &str =
    hint!("Check the load of the Auth Service, and that `[teleport] addr` is the Auth Service or the Proxy");

/// A client of the Auth Service. Clones share one connection, which is reopened when it breaks.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Arc<RwLock<Channel>>,
    connector: Connector,
    patience: Duration,
    ping_every: Duration,
    damaged: Damaged,
    caller: Caller,
}

/// The result of listing requests, apart from the requests themselves.
#[derive(Debug, Default)]
pub struct Listed {
    /// Number of requests in the list, decodable or not.
    pub requests: usize,
    /// Requests that exist but could not be decoded.
    pub unreadable: Vec<RequestId>,
    /// Number of those whose id could not be decoded either.
    pub nameless: usize,
}

impl Client {
    /// Loads the credentials and prepares a client. Does not connect before the first call.
    ///
    /// # Errors
    /// The credentials are invalid.
    pub async fn new(settings: &TeleportSettings, limits: &Limits) -> Result<Self, Error> {
        let keyring = Keyring::load(settings).await;
        let keyring = keyring.map_err(|error| credentials_error(&error))?;
        let routes = Routes::new(settings, limits.teleport_dial_timeout);
        let connector = Connector::new(keyring, routes);
        Ok(Self {
            channel: Arc::new(RwLock::new(channel(&connector, limits.teleport_ping_every))),
            connector,
            patience: limits.teleport_timeout,
            ping_every: limits.teleport_ping_every,
            damaged: Damaged::default(),
            caller: Caller::default(),
        })
    }

    pub fn keyring(&self) -> &Keyring {
        self.connector.keyring()
    }

    /// Returns the route of the last connection.
    pub fn route(&self) -> Option<Route> {
        self.connector.last().map(|connection| connection.route)
    }

    /// Waits until the connection is due to be replaced by one with newer credentials, well before its own certificate
    /// expires.
    pub(super) async fn replacement_due(&self) {
        let mut renewals = self.keyring().renewals();
        loop {
            let newest = Arc::clone(&renewals.borrow_and_update());
            let wait = match self.connector.last() {
                Some(used) if !Arc::ptr_eq(&used.identity, &newest) => {
                    let spare = REPLACE_BEFORE_END.max(used.identity.life() / 5);
                    used.identity.left(clock::now()).saturating_sub(spare)
                }
                Some(_) | None => Duration::MAX,
            };
            if wait.is_zero() {
                return;
            }
            // The wall clock may jump, so the time is checked regularly.
            let _ = timeout(wait.min(RECHECK), renewals.changed()).await;
        }
    }

    /// Opens another connection and, once it works, uses it for all new calls. Calls on the old connection continue.
    pub(super) async fn replace_connection(&self) -> Result<(), Error> {
        let successor = channel(&self.connector, self.ping_every);
        self.ping_with(successor.clone()).await?;
        *self.channel.write().unwrap_or_else(PoisonError::into_inner) = successor;
        Ok(())
    }

    /// Returns the description of the cluster, and rejects a server that is too old.
    ///
    /// # Errors
    /// Teleport did not answer or refused, or the server is too old.
    pub async fn ping(&self) -> Result<Cluster, Error> {
        self.ping_with(self.channel()).await
    }

    async fn ping_with(&self, channel: Channel) -> Result<Cluster, Error> {
        let doing = "ping Teleport";
        let too_old = |version: &str| {
            let (major, minor) = cluster::OLDEST_SERVER;
            let detail = format!("the server's version {version} is older than {major}.{minor}.0");
            Error::new(Meaning::Unsupported, doing, detail).with_hint(hint!("Upgrade the cluster"))
        };
        let call = call::unary(channel, "/proto.AuthService/Ping", proto::PingRequest {});
        let bytes = match self.within(doing, call).await {
            Err(error) if error.meaning() == Meaning::Unsupported => return Err(too_old("(unknown)")),
            Err(error) if error.is_cut() => return Err(error.with_hint(REFUSED_SILENTLY)),
            answer => answer.map_err(|error| self.about_our_user(error))?,
        };
        let mut reading = Reading::default();
        let answer: proto::PingResponse = reading.message(bytes.clone());
        let features: proto::Features = reading.or_default(answer.server_features);
        let cluster = Cluster {
            name: text(&answer.cluster_name),
            version: text(&answer.server_version),
            proxy_public_addr: text(&answer.proxy_public_addr),
            advanced_workflows: features.advanced_access_workflows,
        };
        if cluster.is_too_old() {
            return Err(too_old(&cluster.version));
        }
        let read = Read {
            id: Some(cluster.name.clone()),
            item: Some(cluster.clone()),
            flaw: reading.flaw().map(str::to_owned),
        };
        self.damaged.take(Kind::Cluster, &bytes, read);
        Ok(cluster)
    }

    /// Lists every Access Request that our role can see, and passes each to `each`.
    ///
    /// A missing permission makes the list shorter and is not an error, so absence proves nothing.
    ///
    /// # Errors
    /// Teleport did not answer or refused, or the list does not end.
    pub async fn list_requests(&self, mut each: impl FnMut(AccessRequest)) -> Result<Listed, Error> {
        let doing = "list access requests";
        let (mut listed, mut pages) = (Listed::default(), Pages::new(doing));
        let mut size = PageSize::new(PAGE);
        loop {
            let query = proto::ListAccessRequestsRequest {
                limit: size.get(),
                start_key: pages.key(),
                ..proto::ListAccessRequestsRequest::default()
            };
            let page = self.ask(doing, "/proto.AuthService/ListAccessRequests", query).await;
            let page: proto::ListAccessRequestsResponse = match page {
                Err(error) if error.meaning() == Meaning::Unsupported => return self.stream_requests(each).await,
                // A few requests with long texts may together exceed a limit.
                Err(error) if error.meaning() == Meaning::Exhausted && size.shrink() => {
                    let limit = size.get();
                    tracing::debug!(%error, limit, "Page of access requests exceeds the message limit, using smaller pages");
                    continue;
                }
                page => page?,
            };
            size.succeeded();
            for bytes in &page.access_requests {
                self.take_request(bytes, &mut listed).map(&mut each);
            }
            if !pages.advance(page.encoded_len(), page.next_key)? {
                return Ok(listed);
            }
        }
    }

    /// Does the same with the call that older servers have.
    async fn stream_requests(&self, mut each: impl FnMut(AccessRequest)) -> Result<Listed, Error> {
        let doing = "list access requests";
        let (mut listed, mut items) = (
            Listed::default(),
            Pages::of_items(doing, self.patience * LONGEST_STREAM),
        );
        let filter = types::AccessRequestFilter::default();
        let mut stream = self
            .stream(doing, "/proto.AuthService/GetAccessRequestsV2", filter)
            .await?;
        while let Some(bytes) = self.within(doing, stream.message()).await? {
            items.take(bytes.len())?;
            self.take_request(&bytes, &mut listed).map(&mut each);
        }
        Ok(listed)
    }

    fn take_request(&self, bytes: &Bytes, listed: &mut Listed) -> Option<AccessRequest> {
        let read = convert::access_request(bytes);
        listed.requests += 1;
        if read.item.is_none() {
            match &read.id {
                Some(id) => listed.unreadable.push(RequestId::new(id)),
                None => listed.nameless += 1,
            }
        }
        self.damaged.take_request(bytes, read)
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn damaged(&self) -> &Damaged {
        &self.damaged
    }

    /// Returns the channel for new calls.
    pub(super) fn channel(&self) -> Channel {
        self.channel.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a call and decodes the envelope of its answer. The caller decodes the items.
    ///
    /// # Errors
    /// Also fails if the answer is truncated: items, or the key of the next page, may be missing then.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        doing: &'static str,
        method: &'static str,
        query: impl Message + 'static,
    ) -> Result<A, Error> {
        let bytes = self.ask_raw(doing, method, query).await?;
        let mut reading = Reading::default();
        let answer = reading.message(bytes);
        match reading.flaw() {
            Some(flaw) if reading.is_cut() => {
                let detail = format!("the answer could not be decoded: {flaw}");
                Err(Error::new(Meaning::Protocol, doing, detail))
            }
            flaw => {
                if let Some(flaw) = flaw {
                    tracing::debug!(error = flaw, "Part of an answer left out: could not {doing} completely");
                }
                Ok(answer)
            }
        }
    }

    /// Makes a call whose whole answer is one item.
    pub(super) async fn ask_raw(
        &self,
        doing: &'static str,
        method: &'static str,
        query: impl Message + 'static,
    ) -> Result<Bytes, Error> {
        match self.within(doing, call::unary(self.channel(), method, query)).await {
            Err(error) => Err(self.judge(error).await),
            answer => answer,
        }
    }

    pub(super) async fn stream(
        &self,
        doing: &'static str,
        method: &'static str,
        query: impl Message + 'static,
    ) -> Result<Streaming<Bytes>, Error> {
        match self.within(doing, call::streaming(self.channel(), method, query)).await {
            Err(error) => Err(self.judge(error).await),
            stream => stream,
        }
    }

    /// Applies the call timeout to a call.
    pub(super) async fn within<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Error> {
        let Ok(answer) = timeout(self.patience, call).await else {
            let detail = format!("no answer within {:?}", self.patience);
            return Err(Error::new(Meaning::Unreachable, doing, detail).with_hint(SILENT));
        };
        answer.map_err(|status| self.failed(doing, &status))
    }

    /// Classifies a failed call. The alert that closed the connection says more than the status of the call.
    pub(super) fn failed(&self, doing: &'static str, status: &Status) -> Error {
        match self.connector.alert().take() {
            Some(alert) => Error::refused(doing, alert),
            None => Error::of_status(doing, status),
        }
    }
}

fn channel(connector: &Connector, ping_every: Duration) -> Channel {
    let endpoint = Endpoint::from_static("http://teleport.cluster.local");
    // If the name is not a valid header, the library's default stays in place.
    let endpoint = endpoint.clone().user_agent(USER_AGENT).unwrap_or(endpoint);
    let connector = connector.clone();
    endpoint
        .origin(http::Uri::from_static("https://teleport.cluster.local"))
        .http2_keep_alive_interval(ping_every)
        .keep_alive_timeout(PING_PATIENCE)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(service_fn(move |_uri| connector.open()))
}
