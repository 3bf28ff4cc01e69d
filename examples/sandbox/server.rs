//! Serves the page, a stream of states, and the endpoint for actions.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use axum::response::sse::Sse;
use axum::routing::get;
use axum::routing::post;
use futures_util::Stream;
use futures_util::stream;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::action::Action;
use crate::assets::ASSETS;
use crate::guard::guard;
use crate::log_lines::LogLines;
use crate::sandbox::Sandbox;

/// The minimum time between two states: short enough to look live, long enough for a burst of a thousand cards.
const PAINT_EVERY: Duration = Duration::from_millis(80);

/// Large enough for a reason of 64 KB in JSON.
const LARGEST_BODY: usize = 1 << 20;

#[derive(Clone)]
struct Server {
    sandbox: Sandbox,
    /// The newest state as JSON, shared by all open pages.
    newest: watch::Receiver<Arc<str>>,
}

/// Binds the requested port, or any free one if it is in use.
pub async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("could not open a port on 127.0.0.1"),
    }
}

/// Serves the page until the listener fails.
pub async fn serve(listener: TcpListener, sandbox: Sandbox) -> anyhow::Result<()> {
    let port = listener
        .local_addr()
        .context("could not read the address of the page")?
        .port();
    let (sender, newest) = watch::channel(Arc::from(sandbox.view().to_json()));
    let painting = paint(sandbox.clone(), sender);
    let mut router = Router::new()
        .route("/api/state", get(state))
        .route("/api/events", get(events))
        .route("/api/do", post(act));
    for (path, media_type, content) in ASSETS {
        router = router.route(
            path,
            get(|| async { ([(header::CONTENT_TYPE, *media_type)], *content) }),
        );
    }
    let router = router
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(port, guard))
        .with_state(Server { sandbox, newest });
    let serving = async move { axum::serve(listener, router).await };
    tokio::select! {
        served = serving => served.context("could not serve the page"),
        painted = painting => painted,
    }
}

/// Publishes the newest state whenever something has changed.
async fn paint(sandbox: Sandbox, sender: watch::Sender<Arc<str>>) -> anyhow::Result<()> {
    let mut changes = sandbox.changes();
    loop {
        changes.next().await?;
        sender.send_replace(Arc::from(sandbox.view().to_json()));
        tokio::time::sleep(PAINT_EVERY).await;
    }
}

async fn state(State(server): State<Server>) -> Response {
    let state = server.newest.borrow().to_string();
    ([(header::CONTENT_TYPE, "application/json")], state).into_response()
}

async fn act(State(server): State<Server>, action: Result<Json<Action>, JsonRejection>) -> Response {
    let Json(action) = match action {
        Ok(action) => action,
        Err(rejection) => {
            let error = json!({ "error": rejection.body_text() });
            return (rejection.status(), Json(error)).into_response();
        }
    };
    match action.perform(&server.sandbox).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            let error = json!({ "error": format!("{error:#}") });
            (StatusCode::CONFLICT, Json(error)).into_response()
        }
    }
}

async fn events(State(server): State<Server>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let log = server.sandbox.log.clone();
    let mut states = server.newest;
    // A new page needs the current state first.
    states.mark_changed();
    let feed = Feed {
        written: log.subscribe(),
        seen: 0,
        states,
        log,
    };
    let stream = stream::unfold(feed, |mut feed| async { Some((Ok(feed.next().await?), feed)) });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// The updates that one open page has not received yet.
struct Feed {
    states: watch::Receiver<Arc<str>>,
    log: LogLines,
    written: watch::Receiver<u64>,
    seen: u64,
}

impl Feed {
    /// Returns the next event, or `None` when the sandbox ends.
    async fn next(&mut self) -> Option<Event> {
        let seen = self.seen;
        tokio::select! {
            biased;
            changed = self.states.changed() => {
                changed.ok()?;
                let state = self.states.borrow_and_update().to_string();
                Some(Event::default().event("state").data(state))
            }
            changed = self.written.wait_for(|written| *written > seen) => {
                changed.ok()?;
                let (lines, seen) = self.log.since(self.seen);
                self.seen = seen;
                Event::default().event("log").json_data(lines).ok()
            }
        }
    }
}
