//! Answers the HTTP requests that Teams sends to the bot.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::debug;

use crate::clock;
use crate::daemon::actions::chats::{Chats, Recent};
use crate::daemon::actions::presses::Presses;
use crate::daemon::context::Context;
use crate::daemon::tasks::Tasks;
use crate::listener::{BodyError, Place, read_body};
use crate::msteams::inbound::{
    Audience, ChatKind, Event, Installation, InvokeAnswer, KeyCache, Reply, Submit, Trigger,
};
use crate::telemetry::Inbound;

/// The time for an answer, without the way to Microsoft: Teams expects it within five seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);

/// The largest body in bytes. A press has a few KB.
const LARGEST_BODY: usize = 256 << 10;

/// The longest wait for a body, whose head has been verified.
const BODY_PATIENCE: Duration = Duration::from_millis(1_500);

/// What a client sees that refreshes a card. Our cards do not ask for it.
const NO_REFRESH: &str = "This card is not refreshed. Use the link on the card to open the request.";

/// The messaging endpoint of the bot.
pub(super) struct Endpoint {
    pub(super) context: Arc<Context>,
    pub(super) tasks: Tasks,
    pub(super) path: String,
    pub(super) audience: Audience,
    pub(super) keys: Arc<KeyCache>,
    pub(super) presses: Presses,
    pub(super) chats: Arc<Chats>,
    pub(super) installations: Recent,
}

impl Endpoint {
    /// Answers a request. Nothing of the body is read before the token is verified.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>, place: Place) -> Response<String> {
        let arrived = Instant::now();
        if let Err(status) = self.check(&request) {
            self.context.metrics.inbound(Inbound::Malformed);
            return last(status);
        }
        let verified = match self.keys.verify(request.headers(), &self.audience, clock::now()).await {
            Ok(verified) => verified,
            Err(refusal) => {
                let outcome = match refusal.status() {
                    503 => Inbound::Unavailable,
                    _ => Inbound::Unverified,
                };
                self.context.metrics.inbound(outcome);
                debug!(error = %refusal, "Request rejected, because its token is not from Teams");
                return last(status(refusal.status()));
            }
        };
        let _kept = place.keep();
        let body = match read_body(request.into_body(), LARGEST_BODY, BODY_PATIENCE).await {
            Ok(body) => body,
            Err(error) => {
                self.context.metrics.inbound(Inbound::Malformed);
                return empty(match error {
                    BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                    BodyError::Incomplete => StatusCode::REQUEST_TIMEOUT,
                });
            }
        };
        let (event, service) = match Event::read_with_service(&body, verified, &self.audience) {
            Ok(read) => read,
            Err(refusal) => {
                self.context.metrics.inbound(Inbound::Foreign);
                debug!(error = %refusal, "Request from Teams rejected");
                return empty(status(refusal.status()));
            }
        };
        drop(body);
        if let Some(service) = service {
            self.context
                .teams
                .learn_service_url(&service.conversation, &service.url);
        }
        let is_press = matches!(event, Event::Press(_));
        self.context
            .metrics
            .inbound(if is_press { Inbound::Press } else { Inbound::Other });
        let reply = self.reply(event, arrived + ANSWER_WITHIN).await;
        if is_press {
            self.context.metrics.press_answered(arrived.elapsed());
        }
        let mut response = empty(status(reply.status()));
        let body = reply.body();
        if !body.is_empty() {
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/json; charset=utf-8"),
            );
            *response.body_mut() = String::from_utf8_lossy(&body).into_owned();
        }
        response
    }

    /// Checks what needs neither the token nor the body.
    fn check(&self, request: &Request<Incoming>) -> Result<(), StatusCode> {
        if request.uri().path() != self.path {
            return Err(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !is_json(request.headers()) {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > LARGEST_BODY) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(())
    }

    async fn reply(&self, event: Event, deadline: Instant) -> Reply {
        let standard = event.standard_reply();
        match event {
            Event::Press(press) if press.trigger == Trigger::Automatic => {
                return Reply::Invoke(InvokeAnswer::not_supported(NO_REFRESH));
            }
            Event::Press(press) => return Reply::Invoke(self.presses.answer(press, deadline).await),
            Event::BadPress { problem, .. } => debug!(error = %problem, "A button cannot be understood"),
            Event::Installed(installation) => self.installed(&installation),
            Event::Uninstalled(installation) => self.uninstalled(&installation),
            Event::Text(chat) => self.introduce(chat.conversation),
            // The older kind of button, which no card of this version has.
            Event::Submit(Submit {
                press,
                is_message: true,
            }) => self.introduce(press.conversation),
            Event::OtherInvoke(name) => debug!(name, "Teams asks for an answer that this bot does not give"),
            Event::Submit(_) | Event::Other => {}
        }
        standard.unwrap_or(Reply::Empty)
    }

    /// Recipients that were rejected may be reachable now. The chat itself is looked up in Graph, because Teams reports it
    /// under another ID, and people with two addresses are recognized by the ID.
    fn installed(&self, installation: &Installation) {
        // A person who installs the app again and again does not cause look-ups each time.
        if self.installations.is_first(&installation.chat.conversation) {
            self.context.teams.forget_refusals();
        }
    }

    fn uninstalled(&self, installation: &Installation) {
        let chat = &installation.chat;
        if let (Some(ChatKind::Personal), Some(person)) = (chat.kind, &chat.person) {
            debug!(person = person.object_id, "The app was uninstalled for a person");
            self.context.teams.forget_chat(&person.object_id);
        }
    }

    /// Answers a person who writes to the bot. The request does not wait for it.
    fn introduce(&self, conversation: String) {
        let (chats, context) = (Arc::clone(&self.chats), Arc::clone(&self.context));
        let introduce = async move { chats.introduce(conversation, context).await };
        self.tasks.background("introduction", introduce);
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns an answer that closes the connection, so that a flood without tokens does not occupy it.
fn last(status: StatusCode) -> Response<String> {
    let mut response = empty(status);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn empty(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}
