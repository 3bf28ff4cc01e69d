//! What the person who pressed a button sees.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::daemon::actions::review::Reviewed;
use crate::daemon::context::Context;
use crate::domain::card::{Content, Place, Reader, View};
use crate::domain::request::{AccessRequest, RequestId};
use crate::domain::review::{Naming, Outcome, Verb};
use crate::msteams::inbound::{InvokeAnswer, Press};

/// How long a card waits for names that are not known yet.
const NAMES_PATIENCE: Duration = Duration::from_millis(300);

/// The beginning of the ID of every conversation that is not a chat with one person.
const SHARED: &str = "19:";

/// Shown while Teleport has not confirmed the review.
pub(super) const PROCESSING: &str = "Your review is being processed. You receive a message with the result.";

/// Returns the answer to a press: the card with the review, or a sentence under the card.
pub(super) async fn to_press(press: &Press, reviewed: &Reviewed, context: &Context) -> InvokeAnswer {
    match &reviewed.request {
        Some(request) if reviewed.outcome.is_success() => card(press, request, context).await,
        _ => InvokeAnswer::message(&sentence(press, reviewed.outcome, context)),
    }
}

/// Returns the message to a person whose press took too long to answer.
pub(super) fn follow_up(press: &Press, reviewed: &Reviewed, context: &Context) -> String {
    let sentence = sentence(press, reviewed.outcome, context);
    format!("Access Request {}: {sentence}", press.request)
}

/// Draws the card for a person who has reviewed the request, so it has no buttons. The update of the message, which follows
/// the event, replaces it.
async fn card(press: &Press, request: &Arc<AccessRequest>, context: &Context) -> InvokeAnswer {
    let cluster = &context.cluster;
    let names = context.names.of(request, &cluster.name, NAMES_PATIENCE).await;
    let reader = Reader {
        place: if is_shared(press) {
            Place::Channel
        } else {
            Place::Personal
        },
        ..Reader::default()
    };
    let message = Content::Request(Arc::clone(request)).draw(View {
        cluster,
        names: &names,
        reader: &reader,
        now: clock::now(),
        reviews: None,
    });
    InvokeAnswer::card(&message.card)
}

/// Returns whether others see the conversation of the card.
fn is_shared(press: &Press) -> bool {
    press.conversation.starts_with(SHARED)
}

fn sentence(press: &Press, outcome: Outcome, context: &Context) -> String {
    let verb = match press.verb {
        Verb::Approve => "approval",
        Verb::Deny => "denial",
    };
    match outcome {
        Outcome::Submitted | Outcome::Repeated => format!("Your {verb} was submitted."),
        Outcome::Refused(refusal) => {
            let live = context.live.current();
            let link = context.cluster.link(&RequestId::new(&press.request));
            refusal.sentence(Naming {
                person: &press.person.object_id,
                user_id_trait: &live.review.user_id_trait,
                link: link.as_deref(),
            })
        }
    }
}
