//! The kinds of cards with buttons to review the request in Teams.

use std::sync::Arc;

use teleport_msteams::domain::card::{Content, Message, Place, Reader};
use teleport_msteams::domain::request::{AccessRequest, Review, Stage, Verdict};
use teleport_msteams::domain::review::ReasonRule;

use super::{Kind, PLUGIN, channel, draw_with, reader, request, review};

/// Returns the kinds with buttons.
pub(crate) fn kinds() -> Vec<Kind> {
    let pending = request(Stage::Pending);
    let kind = |name, title, rule| Kind {
        name,
        title,
        message: drawn_with_buttons(&pending, rule),
    };
    let approved_once = AccessRequest {
        reviews: vec![Review {
            submitted_by: PLUGIN.to_owned(),
            ..review("carol@example.com", Verdict::Approve, "")
        }],
        ..request(Stage::Pending)
    };
    vec![
        kind(
            "buttons",
            "A request with buttons to review it in Teams; a reason is optional.",
            ReasonRule::Optional,
        ),
        kind(
            "buttons-opened",
            "The same card after a press of “Add reason”.",
            ReasonRule::Optional,
        ),
        kind(
            "buttons-deny",
            "A request that can only be denied with a reason.",
            ReasonRule::Deny,
        ),
        kind(
            "buttons-deny-opened",
            "The same card after a press of “Deny…”.",
            ReasonRule::Deny,
        ),
        kind(
            "buttons-always",
            "A request whose reviews all need a reason.",
            ReasonRule::Always,
        ),
        kind(
            "buttons-always-opened",
            "The same card after a press of “Review here”.",
            ReasonRule::Always,
        ),
        Kind {
            name: "buttons-channel",
            title: "A request with buttons in a channel.",
            message: draw(&pending, &channel(), ReasonRule::Optional),
        },
        Kind {
            name: "buttons-answer",
            title: "What a reviewer in a channel sees after an approval, while another one is missing.",
            message: draw_with(
                &Content::Request(Arc::new(approved_once)),
                true,
                &Reader {
                    place: Place::Channel,
                    ..Reader::default()
                },
                None,
            ),
        },
    ]
}

/// Draws a request with buttons for a recipient in a personal chat.
pub(crate) fn drawn_with_buttons(request: &AccessRequest, rule: ReasonRule) -> Message {
    draw(request, &reader(), rule)
}

fn draw(request: &AccessRequest, reader: &Reader, rule: ReasonRule) -> Message {
    draw_with(&Content::Request(Arc::new(request.clone())), true, reader, Some(rule))
}
