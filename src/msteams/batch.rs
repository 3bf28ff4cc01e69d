//! Look-ups that are made at the same time share one request to Graph's `$batch`.
//!
//! A batch saves exchanges and nothing else: each look-up has its own permit, attempts and error, as if it were sent
//! alone. A look-up that is the only one goes alone immediately, and so does each of a batch that is not answered in time or
//! not as documented.
//!
//! Architecture Invariant: only look-ups; a batch changes nothing. A slow batch delays no look-up for long.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::RETRY_AFTER;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::msteams::answer::{Answer, Expects};
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::http::{Effect, Http, JSON, Request};
use crate::msteams::paths::join;

/// The documented number of requests in a batch (`concepts/json-batching.md` in microsoft-graph-docs-contrib).
const MOST: usize = 20;

/// How long a look-up waits for others while another one is in flight. Microsoft's limits space look-ups out, so that a
/// shorter time would collect few.
const COLLECTED_FOR: Duration = Duration::from_millis(40);

/// How long a batch may take before its look-ups go alone: one that does not end delays the answers to all.
const PATIENCE: Duration = Duration::from_secs(2);

/// The statuses that say that Graph is down or slow. Look-ups that go alone would fail like their batch, twenty at a time.
const UNAVAILABLE: [u16; 4] = [408, 502, 503, 504];

/// Collects look-ups.
pub(crate) struct Batches {
    /// `…/v1.0`, to which the URLs in a batch are relative.
    root: Url,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    /// The batch that is being collected.
    open: Option<Arc<Open>>,
}

/// The look-ups of a batch besides the one that sends it.
#[derive(Default)]
struct Open {
    others: Mutex<Vec<LookUp>>,
    full: Notify,
}

struct LookUp {
    operation: Operation,
    expects: Expects,
    url: String,
    /// Dropped if the look-up is to go alone.
    answer: oneshot::Sender<Result<Answer, Error>>,
}

/// The part of a look-up in its batch.
enum Part<'a> {
    Alone(InFlight<'a>),
    Sends(Collecting<'a>),
    IsSent(oneshot::Receiver<Result<Answer, Error>>),
}

/// Counts an exchange until it is dropped.
struct InFlight<'a>(&'a Batches);

/// A batch that is being collected. If its sender gives up, its look-ups go alone.
struct Collecting<'a> {
    batches: &'a Batches,
    open: Arc<Open>,
}

#[derive(Deserialize)]
struct Responses {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
}

impl Batches {
    /// Creates the batches of the Graph below a base URL.
    pub(crate) fn new(base: &Url) -> Self {
        Self {
            root: join(base, &["v1.0"], None),
            state: Mutex::default(),
        }
    }

    /// Sends a look-up once, alone or with others.
    pub(crate) async fn exchange(&self, http: &Http, request: &Request, token: &str) -> Result<Answer, Error> {
        let part = match self.relative(request) {
            Some(url) => self.join(request, url),
            None => Part::Alone(self.begin()),
        };
        let (answer, _counted) = match part {
            Part::Alone(counted) => (None, Some(counted)),
            Part::Sends(collecting) => {
                let others = collecting.others().await;
                let counted = self.begin();
                (self.send(http, request, token, others).await, Some(counted))
            }
            Part::IsSent(answer) => match answer.await {
                Ok(answer) => (Some(answer), None),
                Err(_) => (None, Some(self.begin())),
            },
        };
        match answer {
            Some(answer) => answer,
            None => http.exchange(request, Some(token)).await,
        }
    }

    /// Returns the URL of a look-up as a batch contains it.
    fn relative(&self, request: &Request) -> Option<String> {
        let url = request.url.as_str().strip_prefix(self.root.as_str())?;
        Some(url.to_owned()).filter(|url| request.method == Method::GET && url.starts_with('/'))
    }

    fn join(&self, request: &Request, url: String) -> Part<'_> {
        let mut state = self.lock();
        if state.in_flight == 0 && state.open.is_none() {
            drop(state);
            return Part::Alone(self.begin());
        }
        let Some(open) = state.open.clone() else {
            let open = Arc::<Open>::default();
            state.open = Some(Arc::clone(&open));
            return Part::Sends(Collecting { batches: self, open });
        };
        let (answer, receiver) = oneshot::channel();
        let mut others = open.lock();
        others.push(LookUp {
            operation: request.operation,
            expects: request.expects,
            url,
            answer,
        });
        if others.len() + 1 == MOST {
            state.open = None;
            open.full.notify_one();
        }
        Part::IsSent(receiver)
    }

    fn begin(&self) -> InFlight<'_> {
        self.lock().in_flight += 1;
        InFlight(self)
    }

    /// Sends a batch, and returns the answer to its first look-up; `None` if that is to go alone.
    async fn send(
        &self,
        http: &Http,
        first: &Request,
        token: &str,
        others: Vec<LookUp>,
    ) -> Option<Result<Answer, Error>> {
        if others.is_empty() {
            return None;
        }
        let url = self.relative(first)?;
        let urls = [url.as_str()]
            .into_iter()
            .chain(others.iter().map(|other| other.url.as_str()));
        let get = |(id, url): (usize, &str)| json!({"id": id.to_string(), "method": "GET", "url": url});
        let body = json!({"requests": urls.enumerate().map(get).collect::<Vec<_>>()});
        let mut url = self.root.clone();
        // The documented spelling, with a bare dollar sign.
        url.set_path(&format!("{}/$batch", self.root.path()));
        let request = Request {
            operation: first.operation,
            method: Method::POST,
            url,
            body: Some((JSON, Bytes::from(body.to_string()))),
            effect: Effect::Idempotent,
            expects: Expects::Object,
        };
        let answer = timeout(PATIENCE, http.exchange(&request, Some(token))).await.ok()?;
        let responses = match answer.and_then(|answer| answer.json::<Responses>()) {
            Ok(Responses { responses }) => responses,
            // What concerns the whole batch concerns each look-up.
            Err(error) if concerns_each(&error) => {
                for other in others {
                    let error = error.clone().with_operation(other.operation);
                    other.answer.send(Err(error)).ok();
                }
                return Some(Err(error));
            }
            Err(_) => return None,
        };
        let mut others: Vec<_> = others.into_iter().map(Some).collect();
        let mut answer_to_first = None;
        for response in responses {
            let Ok(id) = response.id.parse::<usize>() else { continue };
            if id == 0 {
                answer_to_first = Some(response.judged(http, first.operation, first.expects));
            } else if let Some(other) = others.get_mut(id - 1).and_then(Option::take) {
                let answer = response.judged(http, other.operation, other.expects);
                other.answer.send(answer).ok();
            }
        }
        answer_to_first
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the failure of a batch is that of each of its look-ups.
fn concerns_each(error: &Error) -> bool {
    let is_known = |status| status == 401 || UNAVAILABLE.contains(&status);
    error.meaning() == Meaning::Throttled || error.status().is_some_and(is_known)
}

impl Collecting<'_> {
    /// Waits for other look-ups, and returns them.
    async fn others(self) -> Vec<LookUp> {
        tokio::select! {
            () = sleep(COLLECTED_FOR) => {}
            () = self.open.full.notified() => {}
        }
        self.close()
    }

    fn close(&self) -> Vec<LookUp> {
        let mut state = self.batches.lock();
        if state.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &self.open)) {
            state.open = None;
        }
        drop(state);
        mem::take(&mut *self.open.lock())
    }
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, Vec<LookUp>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Response {
    /// Judges the answer to one look-up as if it had come alone.
    fn judged(self, http: &Http, operation: Operation, expects: Expects) -> Result<Answer, Error> {
        let mut headers = HeaderMap::new();
        let pause = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(RETRY_AFTER.as_str()));
        let pause = pause.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        if let Some(pause) = pause.and_then(|pause| pause.parse().ok()) {
            headers.insert(RETRY_AFTER, pause);
        }
        let body = Bytes::from(self.body.to_string());
        http.judge(operation, expects, self.status, &headers, Ok(body))
    }
}
