//! One exchange with Microsoft, and what it means if no answer comes.
//!
//! Architecture Invariant: the only place that builds an HTTP client. Bodies are read up to a bound and never logged; URLs
//! neither, for they may hold a mail address.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use url::Url;

use crate::clock;
use crate::config::Limits;
use crate::msteams::attempts::Attempts;
use crate::msteams::envelope;
use crate::msteams::error::{Again, Error, Meaning, Operation, Retry};
use crate::msteams::happening::{Happening, Observer};
use crate::msteams::verdict;

/// Sends requests; cheap to clone, and all clones share their connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
    observer: Observer,
}

/// One request, which can be sent more than once.
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The content type and the body.
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) effect: Effect,
    /// Whether a success without JSON is none.
    pub(crate) wants_json: bool,
}

/// What sending a request twice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The same as sending it once.
    Idempotent,
    /// A second message.
    CreatesMessage,
}

/// The body of a success.
pub(crate) struct Answer {
    operation: Operation,
    body: Bytes,
}

/// Answers of Graph and the connector are a few kilobytes; more is a mistake, and must not fill the memory.
const LONGEST_BODY: usize = 1024 * 1024;

/// Most of a dead network shows while connecting; a short bound leaves time for the other addresses of a host.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Nobody means more; a value without a bound could not be added to a point in time.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

pub(crate) const JSON: &str = "application/json; charset=utf-8";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

impl Http {
    pub(crate) fn new(limits: &Limits, observer: Observer) -> Result<Self, Error> {
        // An error says that a provider is installed already, which serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder()
            .user_agent(concat!("teleport-msteams/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(limits.microsoft_timeout)
            .connect_timeout(LONGEST_CONNECT.min(limits.microsoft_timeout / 2))
            .pool_idle_timeout(Duration::from_secs(90))
            // Finds out that a shared connection is dead before every request on it has run into its timeout.
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| {
                Error::new(Operation::Prepare, Meaning::Unreachable, Retry::Never)
                    .detail("there are no usable root certificates, or the proxy settings are wrong")
                    .with_hint(Some("install the package ca-certificates, or set SSL_CERT_FILE"))
                    .with_source(error)
            })?;
        Ok(Self {
            client,
            attempts: limits.microsoft_attempts,
            first_pause: limits.microsoft_first_pause,
            longest_pause: limits.microsoft_longest_pause,
            observer,
        })
    }

    /// Returns the attempts that one request has.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.attempts, self.first_pause, self.longest_pause)
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Notes that the request is sent once more.
    pub(crate) fn again(&self, request: &Request) {
        self.observer.hear(Happening::Retried(request.operation.endpoint()));
    }

    /// Sends the request once.
    pub(crate) async fn exchange(&self, request: &Request, bearer: Option<&str>) -> Result<Answer, Error> {
        let mut builder = self.client.request(request.method.clone(), request.url.clone());
        if let Some(bearer) = bearer {
            builder = builder.bearer_auth(bearer);
        }
        if let Some((content_type, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        let response = builder.send().await.map_err(|error| request.unanswered(error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), clock::now());
        let request_id = request_id(response.headers());
        let is_page = is_page(response.headers());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let endpoint = request.operation.endpoint();
            self.observer.hear(Happening::Throttled(endpoint, retry_after));
        }
        let body = read(response).await;
        if !status.is_success() {
            // A refusal whose text is lost is still a refusal.
            let body = body.unwrap_or_default();
            let error = verdict::judge(request.operation, status.as_u16(), retry_after, &body);
            return Err(error.with_request_id(request_id));
        }
        if is_page {
            return Err(request.nonsense().with_answer(status.as_u16(), None));
        }
        match body {
            Ok(body) if request.wants_json && serde_json::from_slice::<IgnoredAny>(&body).is_err() => {
                Err(request.nonsense().with_answer(status.as_u16(), None))
            }
            Ok(body) => Ok(Answer {
                operation: request.operation,
                body,
            }),
            Err(_) if !request.wants_json => Ok(Answer {
                operation: request.operation,
                body: Bytes::new(),
            }),
            Err(Some(error)) => Err(request.nonsense().with_source(error)),
            Err(None) => Err(request
                .nonsense()
                .detail("the answer is too long")
                .with_again(Again::No)),
        }
    }
}

impl Request {
    pub(crate) fn get(operation: Operation, url: Url) -> Self {
        Self {
            operation,
            method: Method::GET,
            url,
            body: None,
            effect: Effect::Idempotent,
            wants_json: true,
        }
    }

    /// Judges an exchange that brought no answer.
    fn unanswered(&self, error: reqwest::Error) -> Error {
        let detail = match (error.is_connect(), error.is_timeout()) {
            (true, true) => "no connection in time",
            (true, false) => "no connection",
            (false, true) => "no answer in time",
            (false, false) => "the connection broke",
        };
        // A request that found no connection was not sent. Any other may have arrived.
        let unknown = self.effect == Effect::CreatesMessage && !error.is_connect();
        let (retry, again) = if unknown {
            (Retry::FateUnknown, Again::No)
        } else {
            (Retry::Later(None), Again::Yes)
        };
        let host = self.url.host_str().unwrap_or_default();
        Error::new(self.operation, Meaning::Unreachable, retry)
            .detail(detail)
            .with_again(again)
            .with_hint(Some(format!(
                "check that {host} can be reached: name service, firewall, HTTPS_PROXY and NO_PROXY"
            )))
            .with_source(error)
    }

    /// Judges a success whose body is not what it should be.
    fn nonsense(&self) -> Error {
        Error::new(self.operation, Meaning::Protocol, Retry::Later(None))
            .detail("the answer is not whole, or not JSON")
            .with_hint(Some("a proxy on the way may answer in Microsoft's place"))
            .with_again(Again::Yes)
    }
}

impl Answer {
    /// Reads the body; what is missing in it is for the type to say.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // The parser's own message may quote the body, so it is left out.
        serde_json::from_slice(&self.body).map_err(|_| {
            Error::new(self.operation, Meaning::Protocol, Retry::Later(None))
                .detail("the answer lacks what it should hold")
        })
    }
}

/// Reads a body to its end; without a cause, it was too long.
async fn read(mut response: Response) -> Result<Bytes, Option<reqwest::Error>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Some)? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(body))
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    let pause = Duration::try_from(date.duration_since(now)).unwrap_or_default();
    Some(pause.min(LONGEST_RETRY_AFTER))
}

/// Tells whether the answer is a page for people. Microsoft's services send none, so something on the way answered in
/// their place, and nothing was done.
fn is_page(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.to_ascii_lowercase().starts_with("text/html"))
}

/// Returns the id under which Microsoft's support finds the request.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("request-id").or_else(|| headers.get("x-ms-request-id"))?;
    envelope::word(id.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    fn check(value: &str, expected: Option<u64>) {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("7", Some(7));
        check(" 0 ", Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(37));
        check("Sun, 06 Nov 1994 08:48:37 GMT", Some(0));
        check("18446744073709551615", Some(24 * 60 * 60));
        check("soon", None);
        check("-1", None);
    }

    /// Posts a message to a server that does so with the connection, and says what that means.
    async fn post_to(serve: impl AsyncFnOnce(TcpListener)) -> Error {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/?mail=alice", listener.local_addr().unwrap());
        let request = Request {
            method: Method::POST,
            body: Some((JSON, Bytes::from("{}"))),
            effect: Effect::CreatesMessage,
            ..Request::get(Operation::Post, url.parse().unwrap())
        };
        let limits = Limits {
            microsoft_timeout: Duration::from_millis(200),
            ..Limits::default()
        };
        let http = Http::new(&limits, Observer::nobody()).unwrap();
        let (outcome, ()) = tokio::join!(http.exchange(&request, None), serve(listener));
        outcome.err().unwrap()
    }

    #[tokio::test]
    async fn a_post_without_an_answer_may_have_arrived_unless_there_was_no_connection() {
        let fate = |error: &Error| (error.retry(), error.again());
        let refused = post_to(async |listener| drop(listener)).await;
        assert_eq!(fate(&refused), (Retry::Later(None), Again::Yes), "{refused:?}");
        let broken = post_to(async |listener| {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 16]).await.unwrap();
        });
        let broken = broken.await;
        assert_eq!(fate(&broken), (Retry::FateUnknown, Again::No), "{broken:?}");
        let hanging = post_to(async |listener| {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::time::sleep(Duration::from_millis(400)).await;
            drop(stream);
        });
        let hanging = hanging.await;
        assert_eq!(fate(&hanging), (Retry::FateUnknown, Again::No), "{hanging:?}");
        assert_eq!(hanging.to_string(), "could not post the card: no answer in time");
        assert!(hanging.hint().unwrap().contains("127.0.0.1"));
        assert!(!format!("{hanging:?}").contains("alice"));
    }
}
