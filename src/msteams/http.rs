//! One HTTP exchange with Microsoft, and the error if there is no answer.
//!
//! Architecture Invariant: the only place that builds an HTTP client. Bodies are read up to a limit and never logged.
//! URLs are not logged either, because they may hold an email address.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Proxy, RequestBuilder, StatusCode};
use url::Url;

use crate::clock;
use crate::config::{Limits, Proxies};
use crate::msteams::answer::{Answer, Expects, Unread, is_page, read, request_id, retry_after};
use crate::msteams::attempts::{Attempts, requested_pause};
use crate::msteams::call_event::{CallEvent, Endpoint, Observer};
use crate::msteams::error::{Error, InPlaceRetry, Meaning, Operation, Retry, Wait};
use crate::msteams::{cause, trust, verdict};

/// Sends requests. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    timeout: Duration,
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
    proxies: Arc<Proxies>,
    observer: Observer,
}

/// A request that can be sent more than once.
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The content type and the body.
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) effect: Effect,
    pub(crate) expects: Expects,
}

/// The effect of sending a request twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The same as sending it once.
    Idempotent,
    /// A second message.
    CreatesMessage,
}

/// Timeout of a connection. A dead network usually shows while connecting, and a short timeout leaves time for the
/// other addresses of a host.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Timeout of a connection to this machine or its host.
const LOCAL_CONNECT: Duration = Duration::from_secs(2);

/// Timeout of a query. A message has the whole time, because after a timeout it is unknown whether it arrived.
const LONGEST_QUERY: Duration = Duration::from_secs(10);

/// A call with a longer pause between two attempts is reported before its last attempt.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

pub(crate) const JSON: &str = "application/json; charset=utf-8";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

impl Http {
    pub(crate) fn new(limits: &Limits, proxies: &Proxies, observer: Observer) -> Result<Self, Error> {
        let proxies = Arc::new(proxies.clone());
        let known = Arc::clone(&proxies);
        let connect = LONGEST_CONNECT.min(limits.microsoft_timeout / 2);
        let client = built(|client| {
            client
                .proxy(Proxy::custom(move |url| known.of(url).cloned()))
                .timeout(limits.microsoft_timeout)
                .connect_timeout(connect)
        })?;
        Ok(Self {
            client,
            timeout: limits.microsoft_timeout,
            attempts: limits.microsoft_attempts,
            first_pause: limits.microsoft_first_pause,
            longest_pause: limits.microsoft_longest_pause,
            proxies,
            observer,
        })
    }

    /// Returns a client for this machine and its host: it uses no proxy, and gives up soon, because an address that is in use here
    /// answers immediately.
    pub(crate) fn for_this_machine(&self) -> Result<Self, Error> {
        let timeout = self.timeout;
        let client = built(|client| client.timeout(timeout).connect_timeout(LOCAL_CONNECT.min(timeout)))?;
        Ok(Self {
            client,
            proxies: Arc::default(),
            ..self.clone()
        })
    }

    /// Returns the attempts of one request.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.attempts, self.first_pause, self.longest_pause)
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Counts a repeated request.
    pub(crate) fn count_retry(&self, request: &Request) {
        self.observer.notify(CallEvent::Retried(request.operation.endpoint()));
    }

    /// Reports a failed attempt that took long, or that is followed by a long pause. With all its attempts a call may
    /// be silent for minutes, which is too long for the operator. Throttling has its own log line.
    pub(crate) fn report_early(&self, error: &Error, attempts: &Attempts) {
        let long_pause = error.meaning() != Meaning::Throttled && requested_pause(error) > Some(LONGEST_SILENCE);
        if (error.was_slow() || long_pause) && attempts.has_more(error) {
            self.observer.notify(CallEvent::Retrying(error.endpoint(), error));
        }
    }

    /// Sends the request once.
    pub(crate) async fn exchange(&self, request: &Request, bearer: Option<&str>) -> Result<Answer, Error> {
        let builder = self.client.request(request.method.clone(), request.url.clone());
        let builder = match bearer {
            Some(bearer) => builder.bearer_auth(bearer),
            None => builder,
        };
        self.send(request, builder).await
    }

    /// Sends the request once, with a header.
    pub(crate) async fn exchange_with(&self, request: &Request, (name, value): (&str, &str)) -> Result<Answer, Error> {
        let builder = self.client.request(request.method.clone(), request.url.clone());
        self.send(request, builder.header(name, value)).await
    }

    async fn send(&self, request: &Request, mut builder: RequestBuilder) -> Result<Answer, Error> {
        if let Some((content_type, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        if request.operation.endpoint() != Endpoint::Bot {
            builder = builder.timeout(self.timeout.min(LONGEST_QUERY));
        }
        let response = builder.send().await.map_err(|error| self.unanswered(request, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await;
        let outcome = self.judge(request.operation, request.expects, status.as_u16(), &headers, body);
        outcome.map_err(|error| self.explained(request, error))
    }

    /// Judges an answer, and reports that the service throttles requests.
    pub(crate) fn judge(
        &self,
        operation: Operation,
        expects: Expects,
        status: u16,
        headers: &HeaderMap,
        body: Result<Bytes, Unread>,
    ) -> Result<Answer, Error> {
        let endpoint = operation.endpoint();
        let retry_after = retry_after(headers, endpoint, clock::now());
        if status == StatusCode::TOO_MANY_REQUESTS.as_u16() {
            self.observer.notify(CallEvent::Throttled(endpoint, retry_after));
        }
        let outcome = if (200..300).contains(&status) {
            Answer::check(operation, expects, status, is_page(headers), body)
        } else {
            // An error whose body is lost may not come from Microsoft.
            let body = body.unwrap_or_default();
            Err(verdict::judge(operation, status, retry_after, &body))
        };
        outcome.map_err(|error| error.with_request_id(request_id(headers)))
    }

    /// Classifies an exchange without an answer.
    fn unanswered(&self, request: &Request, error: reqwest::Error) -> Error {
        // A request without a connection, or one that could not be written, was not sent. Any other may have arrived.
        let unsent = error.is_connect() || error.is_builder();
        let unknown = request.effect == Effect::CreatesMessage && !unsent;
        let retry = if unknown {
            Retry::FateUnknown
        } else {
            Retry::Later(None)
        };
        let host = request.url.host_str().unwrap_or_default();
        let proxy = self.proxies.shown(&request.url);
        let cause = cause::of(&error, host, proxy.as_deref());
        let waited_for = match (error.is_timeout(), error.is_connect()) {
            (true, true) => Some(Wait::Connection),
            (true, false) => Some(Wait::Answer),
            (false, _) => None,
        };
        let unanswered = Error::new(request.operation, Meaning::Unreachable, retry)
            .detail(cause.detail)
            .with_in_place_retry(InPlaceRetry::Yes)
            .with_hint(Some(cause.hint))
            .with_wait(waited_for);
        if cause.is_known {
            unanswered
        } else {
            unanswered.with_source(error)
        }
    }

    /// Adds a hint about the path when something on it answered instead of the service.
    fn explained(&self, request: &Request, error: Error) -> Error {
        if error.meaning() != Meaning::Protocol || error.has_hint() {
            return error;
        }
        let host = request.url.host_str().unwrap_or_default();
        let hint = match (error.status(), self.proxies.shown(&request.url)) {
            (Some(407), _) => cause::PROXY_LOGIN.to_owned(),
            (_, Some(proxy)) => hint_with!("Allow requests to {host} through the proxy {proxy} unchanged"),
            (_, None) => hint_with!(
                "Find the proxy, firewall or gateway on the path to {host}, and let it forward these requests unchanged"
            ),
        };
        error.with_hint(Some(hint))
    }
}

/// Builds a client that trusts the authorities of this machine and follows no redirect.
fn built(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Error> {
    // An error means that a provider is already installed, which works as well.
    rustls::crypto::ring::default_provider().install_default().ok();
    let unprepared = || {
        Error::new(Operation::Prepare, Meaning::Unreachable, Retry::Never)
            .detail("there are no usable root certificates, or the proxy settings are wrong")
            .with_hint(Some(hint!("Install the package ca-certificates, or set SSL_CERT_FILE")))
    };
    let client = Client::builder()
        .tls_backend_preconfigured(trust::config().ok_or_else(unprepared)?)
        .no_proxy()
        .user_agent(concat!("teleport-msteams/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .pool_idle_timeout(Duration::from_secs(90))
        // Detects that a shared connection is dead before every request on it has timed out.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    let client = configure(client).build();
    client.map_err(|error| unprepared().with_source(error))
}

impl Request {
    pub(crate) fn get(operation: Operation, url: Url) -> Self {
        Self {
            operation,
            method: Method::GET,
            url,
            body: None,
            effect: Effect::Idempotent,
            expects: Expects::Object,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// Posts a message to a server that handles the connection with `serve`, and returns the error.
    async fn post_to(serve: impl AsyncFnOnce(TcpListener)) -> Error {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/?mail=alice", listener.local_addr().unwrap());
        let request = Request {
            method: Method::POST,
            body: Some((JSON, Bytes::from("{}"))),
            effect: Effect::CreatesMessage,
            expects: Expects::Message,
            ..Request::get(Operation::Post, url.parse().unwrap())
        };
        let limits = Limits {
            microsoft_timeout: Duration::from_millis(200),
            ..Limits::default()
        };
        let http = Http::new(&limits, &Proxies::default(), Observer::ignore()).unwrap();
        let (outcome, ()) = tokio::join!(http.exchange(&request, None), serve(listener));
        outcome.err().unwrap()
    }

    #[tokio::test]
    async fn a_post_without_an_answer_may_have_arrived_unless_there_was_no_connection() {
        let retries = |error: &Error| (error.retry(), error.in_place_retry());
        let refused = post_to(async |listener| drop(listener)).await;
        assert_eq!(
            retries(&refused),
            (Retry::Later(None), InPlaceRetry::Yes),
            "{refused:?}"
        );
        let broken = post_to(async |listener| {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 16]).await.unwrap();
        });
        let broken = broken.await;
        assert_eq!(retries(&broken), (Retry::FateUnknown, InPlaceRetry::No), "{broken:?}");
        let silent = post_to(async |listener| {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Silent until the client gives up.
            stream.read_to_end(&mut Vec::new()).await.ok();
        });
        let silent = silent.await;
        assert_eq!(retries(&silent), (Retry::FateUnknown, InPlaceRetry::No), "{silent:?}");
        let expected = "could not post the card: no answer from 127.0.0.1 in time";
        assert_eq!(silent.to_string(), expected);
        assert!(silent.hint().unwrap().contains("127.0.0.1"));
        assert!(!format!("{silent:?}").contains("alice"));
    }

    #[tokio::test]
    async fn an_unreachable_host_is_named_with_the_cause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let http = Http::new(&Limits::default(), &Proxies::default(), Observer::ignore()).unwrap();
        for (url, expected) in [
            (closed.as_str(), "127.0.0.1 refused the connection"),
            (
                "http://no-such-host.invalid/",
                "could not resolve the name of no-such-host.invalid",
            ),
        ] {
            let request = Request::get(Operation::FindUser, url.parse().unwrap());
            let error = http.exchange(&request, None).await.err().unwrap();
            assert_eq!(error.to_string(), format!("could not find the user: {expected}"));
        }
    }

    #[tokio::test]
    async fn a_request_that_could_not_be_written_has_not_arrived() {
        let request = Request {
            effect: Effect::CreatesMessage,
            ..Request::get(Operation::Post, "http://127.0.0.1:1/".parse().unwrap())
        };
        let http = Http::new(&Limits::default(), &Proxies::default(), Observer::ignore()).unwrap();
        let error = http.exchange(&request, Some("two\r\nlines")).await.err().unwrap();
        assert_eq!(error.retry(), Retry::Later(None));
    }
}
