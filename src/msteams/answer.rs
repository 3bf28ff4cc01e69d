//! The bodies of successful answers, and whether they come from Microsoft.
//!
//! Architecture Invariant: bodies are read up to a limit and never logged. A status alone proves nothing: captive
//! portals and filters answer `200 OK` too.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::msteams::call_event::Endpoint;
use crate::msteams::envelope;
use crate::msteams::error::{Error, InPlaceRetry, Meaning, Operation, Retry};

/// What a successful answer must contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    /// A JSON object.
    Object,
    /// The connector's answer to a new message: a JSON object with its id. The id may be missing with 201 or 202, which
    /// only the connector answers.
    Message,
    /// A JSON object, or nothing with 202 or 204.
    Edit,
    /// This status, which Graph documents for the operation, and not an HTML page. The body does not matter.
    Status(u16),
}

/// The body of a successful answer.
pub(crate) struct Answer {
    operation: Operation,
    body: Bytes,
}

/// Why a body was not read to its end.
pub(crate) enum Unread {
    Broken(reqwest::Error),
    TooLong,
}

/// Largest body to read, in bytes. Answers of Graph and the connector are a few kilobytes; a larger one is an error and
/// must not fill the memory.
const LONGEST_BODY: usize = 1024 * 1024;

/// Longest pauses that are obeyed. Longer ones are not documented: a `Retry-After` of years is an error, and must not
/// silence a service or a conversation indefinitely.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE_OF_A_CONVERSATION: Duration = Duration::from_mins(15);

impl Answer {
    /// Accepts a success in the form of the service, and classifies anything else as an error.
    pub(crate) fn check(
        operation: Operation,
        expects: Expects,
        status: u16,
        is_page: bool,
        body: Result<Bytes, Unread>,
    ) -> Result<Self, Error> {
        let text = body.as_ref().map(Bytes::as_ref).unwrap_or_default();
        let object = serde_json::from_slice::<Value>(text).ok().filter(Value::is_object);
        let is_empty = body.is_ok() && text.is_empty();
        // An empty body is not a page, whatever its content type.
        let is_page = is_page && !is_empty;
        let is_answer = match (expects, &object) {
            (Expects::Object | Expects::Edit, Some(_)) => true,
            (Expects::Object, None) => false,
            (Expects::Edit, None) => is_empty && matches!(status, 202 | 204),
            (Expects::Message, Some(object)) => {
                object.get("id").is_some() || object.as_object().is_some_and(serde_json::Map::is_empty)
            }
            (Expects::Message, None) => matches!(status, 201 | 202) && !is_page,
            (Expects::Status(expected), _) => status == expected && !is_page,
        };
        if is_answer {
            return Ok(Self {
                operation,
                body: body.unwrap_or_default(),
            });
        }
        let error = Error::intercepted(operation, status).with_answer(status, None);
        if expects == Expects::Message {
            let unknown = Error::new(operation, Meaning::Protocol, Retry::FateUnknown);
            let detail = "a proxy, firewall or gateway answered instead of Microsoft, and the card may have \
                          arrived";
            return Err(unknown.detail(detail).with_answer(status, None));
        }
        Err(match body {
            Ok(_) => error,
            Err(Unread::Broken(source)) => error.detail("the answer was cut off").with_source(source),
            Err(Unread::TooLong) => error
                .detail("the answer is too large")
                .with_in_place_retry(InPlaceRetry::No),
        })
    }

    /// Parses the body. The type decides which fields may be missing.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // The parser's message may quote the body, so it is left out.
        serde_json::from_slice(&self.body).map_err(|_| {
            Error::new(self.operation, Meaning::Protocol, Retry::Later(None))
                .detail("the answer lacks a required field")
        })
    }
}

/// Reads a body to its end.
pub(crate) async fn read(mut response: Response) -> Result<Bytes, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(body))
}

/// Parses `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, endpoint: Endpoint, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = value.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = DateTimeParser::new().parse_timestamp(value).ok()?;
        Duration::try_from(date.duration_since(now)).unwrap_or_default()
    };
    Some(pause.min(match endpoint {
        Endpoint::Bot => LONGEST_PAUSE_OF_A_CONVERSATION,
        Endpoint::Login | Endpoint::Graph => LONGEST_PAUSE,
    }))
}

/// Returns whether the answer is an HTML or text page, which Microsoft's services do not send.
pub(crate) fn is_page(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| {
        let content_type = content_type.to_ascii_lowercase();
        content_type.starts_with("text/html") || content_type.starts_with("text/plain")
    })
}

/// Returns the id by which Microsoft's support finds the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("request-id").or_else(|| headers.get("x-ms-request-id"))?;
    envelope::word(id.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn pause(value: &str, expected: Option<u64>) {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        assert_eq!(
            retry_after(&headers, Endpoint::Bot, now),
            expected.map(Duration::from_secs),
            "{value}"
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        pause("7", Some(7));
        pause(" 0 ", Some(0));
        pause("Sun, 06 Nov 1994 08:49:37 GMT", Some(37));
        pause("Sun, 06 Nov 1994 08:48:37 GMT", Some(0));
        pause("18446744073709551615", Some(15 * 60));
        pause("Sat, 06 Nov 2094 08:48:37 GMT", Some(15 * 60));
        let years = HeaderMap::from_iter([(RETRY_AFTER, "315360000".parse().unwrap())]);
        let cut = retry_after(&years, Endpoint::Graph, Timestamp::UNIX_EPOCH);
        assert_eq!(cut, Some(Duration::from_mins(5)));
        pause("soon", None);
        pause("-1", None);
    }

    /// Returns how a success is classified: `None` if it is accepted, otherwise the retry of the error.
    fn taken(expects: Expects, status: u16, is_page: bool, body: &'static str) -> Option<Retry> {
        let body = Ok(Bytes::from_static(body.as_bytes()));
        let answer = Answer::check(Operation::Post, expects, status, is_page, body);
        answer.err().map(|error| error.retry())
    }

    #[test]
    fn a_success_must_be_in_the_form_of_the_service() {
        let (later, unknown) = (Some(Retry::Later(None)), Some(Retry::FateUnknown));
        let page = "<html>Welcome to the guest network</html>";
        for (expects, status, is_page, body, expected) in [
            (Expects::Object, 200, false, r#"{"value":[]}"#, None),
            (Expects::Object, 200, true, r#"{"value":[]}"#, None),
            (Expects::Object, 200, true, page, later),
            (Expects::Object, 200, false, "", later),
            (Expects::Object, 200, false, r#""ok""#, later),
            (Expects::Message, 201, false, r#"{"id":"1"}"#, None),
            (Expects::Message, 200, true, r#"{"id":"1"}"#, None),
            (Expects::Message, 200, false, "{}", None),
            (Expects::Message, 201, false, "", None),
            (Expects::Message, 202, false, "", None),
            (Expects::Message, 200, false, "", unknown),
            (Expects::Message, 200, true, "OK", unknown),
            (Expects::Message, 201, true, page, unknown),
            (Expects::Message, 200, false, r#"{"status":"ok"}"#, unknown),
            (Expects::Edit, 200, false, r#"{"id":"1"}"#, None),
            (Expects::Edit, 202, false, "", None),
            (Expects::Edit, 200, false, "", later),
            (Expects::Edit, 200, true, page, later),
            (Expects::Status(201), 201, false, "", None),
            (Expects::Status(201), 201, false, "{}", None),
            (Expects::Status(201), 201, true, page, later),
            (Expects::Status(201), 200, false, "", later),
            (Expects::Status(201), 200, false, "{}", later),
            (Expects::Status(204), 204, false, "", None),
            (Expects::Status(204), 200, false, "OK", later),
        ] {
            let taken = taken(expects, status, is_page, body);
            assert_eq!(taken, expected, "{expects:?} {status} {is_page} {body}");
        }
    }
}
