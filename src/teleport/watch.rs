//! The event stream, which is reopened until shutdown.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tonic::Streaming;

use crate::backoff::Backoff;
use crate::clock::readable;
use crate::config::Limits;
use crate::domain::request::{AccessRequest, RequestId};
use crate::domain::rules::{KIND as RULES, Rule};
use crate::heartbeat::Heartbeat;
use crate::teleport::client::REFUSED_SILENTLY;
use crate::teleport::damaged::{Kind, Read};
use crate::teleport::lossy::Reading;
use crate::teleport::wire::proto::Operation;
use crate::teleport::wire::proto::event::Resource;
use crate::teleport::wire::{proto, types};
use crate::teleport::{Client, Error, Meaning, Route, convert};

const REQUESTS: &str = "access_request";
const WATCHING: &str = "watch access requests";
const WATCH: &str = "/proto.AuthService/WatchEvents";

/// An event of the stream. Events of one connection arrive in the order in which the server sent them.
#[derive(Debug)]
pub enum WatchEvent {
    /// A stream is open. Earlier events may have been missed: list everything.
    Connected {
        /// Kinds that our role may not watch. Only the features that need them are missing.
        denied: Vec<&'static str>,
        /// The route of the connection.
        route: Option<Route>,
    },
    Request(Box<AccessRequest>),
    /// The request was deleted or has expired; the event does not say which.
    Gone(RequestId),
    /// A rule was created or changed; it may belong to another plugin.
    Rule(Box<Rule>),
    /// A rule was deleted.
    RuleGone(String),
    /// The stream ended for any reason; events may be lost. The next attempt follows after the pause.
    Disconnected {
        error: Error,
        pause: Duration,
    },
}

/// One open stream.
#[derive(Debug)]
pub struct Watch {
    stream: Streaming<Bytes>,
    denied: Vec<&'static str>,
}

impl Watch {
    /// Opens a stream and waits until the server reports which kinds it grants.
    ///
    /// # Errors
    /// Teleport did not answer or refused, or does not grant access requests.
    pub async fn open(client: &Client) -> Result<Self, Error> {
        let watch = match Self::begin(client, &[REQUESTS, RULES]).await {
            // A server that does not know rules, or cannot grant one kind of the two, rejects both. Listing the rules
            // shows whether they can be read.
            Err(error) if matches!(error.meaning(), Meaning::Invalid | Meaning::Denied) => {
                let watch = Self::begin(client, &[REQUESTS]).await?;
                tracing::debug!(%error, "This cluster does not support watching Access Monitoring Rules");
                watch
            }
            begun => begun?,
        };
        if watch.denied.contains(&REQUESTS) {
            let error = Error::new(Meaning::Denied, WATCHING, "our role may not watch access_request");
            return Err(refused(error));
        }
        Ok(watch)
    }

    async fn begin(client: &Client, kinds: &[&'static str]) -> Result<Self, Error> {
        let doing = WATCHING;
        let mut stream = client.stream(doing, WATCH, wanted(kinds)).await.map_err(refused)?;
        let first = match client.within(doing, stream.message()).await {
            Err(error) => return Err(refused(client.judge(error).await)),
            Ok(first) => first,
        };
        let Some(first) = first else {
            return Err(Error::new(
                Meaning::Unreachable,
                doing,
                "Teleport closed the stream before it began",
            ));
        };
        let mut reading = Reading::default();
        let first: proto::Event = reading.message(first);
        if first.r#type() != Operation::Init {
            return Err(Error::new(Meaning::Protocol, doing, "the first event is not INIT"));
        }
        // Very old servers send INIT without the granted kinds.
        let granted = match first.resource {
            Some(Resource::WatchStatus(status)) => Some(convert::granted(status)),
            _ => None,
        };
        let is_denied = |kind: &&str| match &granted {
            Some(granted) => !granted.iter().any(|granted| granted == *kind),
            None => false,
        };
        let denied: Vec<_> = kinds.iter().copied().filter(is_denied).collect();
        Ok(Self { stream, denied })
    }

    /// Returns the kinds that our role may not watch.
    pub fn denied(&self) -> &[&'static str] {
        &self.denied
    }

    /// Waits for the next relevant event. There is no timeout: a quiet cluster sends nothing, and pings detect a dead
    /// connection.
    async fn next(&mut self, client: &Client) -> Result<WatchEvent, Error> {
        let doing = WATCHING;
        loop {
            let message = match self.stream.message().await {
                Err(status) => return Err(client.judge(client.failed(doing, &status)).await),
                Ok(message) => message,
            };
            let Some(bytes) = message else {
                return Err(Error::new(Meaning::Unreachable, doing, "Teleport closed the stream"));
            };
            if let Some(event) = event(client, &bytes) {
                return Ok(event);
            }
        }
    }

    /// Reports this stream, and then every later one, until the receiver is dropped. Never gives up, because the
    /// program can do nothing without events.
    pub async fn run(
        self,
        client: Client,
        limits: Limits,
        events: mpsc::Sender<WatchEvent>,
        heartbeat: Heartbeat,
    ) -> Option<Infallible> {
        let mut backoff = Backoff::new(limits.teleport_first_pause, limits.teleport_longest_pause);
        let mut renewals = client.keyring().renewals();
        let mut watch = Some(self);
        loop {
            renewals.mark_unchanged();
            let opened = match watch.take() {
                Some(watch) => Ok(watch),
                None => heartbeat.while_waiting(Self::open(&client)).await,
            };
            let error = match opened {
                Ok(watch) => {
                    let opened = Instant::now();
                    let error = watch.report(&client, &limits, &events, &heartbeat).await?;
                    // A server that grants streams and ends them immediately must not be hammered.
                    if opened.elapsed() > limits.teleport_longest_pause {
                        backoff.reset();
                    }
                    error
                }
                Err(error) => error,
            };
            let pause = backoff.pause();
            events.send(WatchEvent::Disconnected { error, pause }).await.ok()?;
            // New credentials may fix the error, so they end the pause.
            if heartbeat
                .while_waiting(timeout(pause, renewals.changed()))
                .await
                .is_ok()
            {
                backoff.reset();
            }
        }
    }

    /// Reports the events of this stream, and of every stream that replaces it, until one breaks.
    async fn report(
        mut self,
        client: &Client,
        limits: &Limits,
        events: &mpsc::Sender<WatchEvent>,
        heartbeat: &Heartbeat,
    ) -> Option<Error> {
        events.send(self.connected(client)).await.ok()?;
        let mut successor = pin!(Self::successor(client, limits));
        loop {
            heartbeat.beat().await;
            let event = select! {
                // A quiet cluster may send nothing for days.
                () = heartbeat.pause() => continue,
                event = self.next(client) => match event {
                    Ok(event) => event,
                    Err(error) => return Some(error),
                },
                watch = &mut successor => {
                    // Events that the old stream still held are covered by the list that follows the start of the new
                    // one.
                    self = watch;
                    successor.set(Self::successor(client, limits));
                    self.connected(client)
                }
            };
            events.send(event).await.ok()?;
        }
    }

    fn connected(&self, client: &Client) -> WatchEvent {
        WatchEvent::Connected {
            denied: self.denied.clone(),
            route: client.route(),
        }
    }

    /// Waits until newer credentials should be used, and opens a stream with them beside the old one.
    async fn successor(client: &Client, limits: &Limits) -> Self {
        let mut backoff = Backoff::new(limits.teleport_first_pause, limits.teleport_longest_pause);
        client.replacement_due().await;
        let mut tries = 0_u32;
        loop {
            let opened = async {
                client.replace_connection().await?;
                Self::open(client).await
            };
            match opened.await {
                Ok(watch) => return watch,
                Err(error) => {
                    let (pause, hint) = (backoff.pause(), error.hint());
                    let retry_in = readable(pause);
                    tries = tries.saturating_add(1);
                    // Warns at growing intervals, because the old credentials still work.
                    warn_if!(
                        tries.is_power_of_two(),
                        %error, hint, tries, retry_in,
                        "Could not connect with the new identity, retrying"
                    );
                    sleep(pause).await;
                }
            }
        }
    }
}

/// Adds a hint to the error of a watch that was not granted.
fn refused(error: Error) -> Error {
    match error.meaning() {
        Meaning::Denied => error.or_hint(hint!("Grant the role list and read on access_request")),
        _ if error.is_cut() => error.or_hint(REFUSED_SILENTLY),
        _ => error,
    }
}

fn wanted(kinds: &[&str]) -> proto::Watch {
    let kinds = kinds.iter().map(|kind| types::WatchKind {
        kind: (*kind).to_owned(),
        ..types::WatchKind::default()
    });
    proto::Watch {
        allow_partial_success: kinds.len() > 1,
        kinds: kinds.collect(),
    }
}

/// Decodes a relevant event. An event that cannot be decoded is logged, and the stream continues.
fn event(client: &Client, bytes: &Bytes) -> Option<WatchEvent> {
    let damaged = client.damaged();
    let mut reading = Reading::default();
    let event: proto::Event = reading.message(bytes.clone());
    let read = Read {
        item: Some(()),
        id: None,
        flaw: reading.flaw().map(str::to_owned),
    };
    damaged.take(Kind::Event, bytes, read);
    match (event.resource, Operation::try_from(event.r#type)) {
        (Some(Resource::AccessRequest(request)), Ok(Operation::Put)) => {
            let request = damaged.take_request(&request, convert::access_request(&request));
            request.map(|request| WatchEvent::Request(Box::new(request)))
        }
        (Some(Resource::AccessMonitoringRule(rule)), Ok(Operation::Put)) => {
            let read = convert::rule(&rule);
            // The previous version of the rule is obsolete, even if the new one cannot be decoded.
            let name = read.id.clone();
            let rule = damaged.take(Kind::Rule, &rule, read);
            let broken = name.map(WatchEvent::RuleGone);
            rule.map(|rule| WatchEvent::Rule(Box::new(rule))).or(broken)
        }
        (Some(Resource::ResourceHeader(header)), Ok(Operation::Delete)) => {
            let (kind, name) = damaged.take(Kind::Event, &header, convert::deleted(&header))?;
            match kind.as_str() {
                REQUESTS => Some(WatchEvent::Gone(RequestId::new(name))),
                RULES => Some(WatchEvent::RuleGone(name)),
                _ => None,
            }
        }
        // Unknown kinds, operations and resources of other versions are ignored.
        _ => {
            tracing::debug!(event.operation = event.r#type, "Event ignored");
            None
        }
    }
}
