//! The message that reminds recipients of a pending request.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::card::drawing::Drawing;
use crate::domain::card::elements::{heading, line, shown_id};
use crate::domain::card::message::wording_of;
use crate::domain::card::schema::Action;
use crate::domain::card::{Card, Message, View, time};
use crate::domain::request::AccessRequest;

/// Why recipients are reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReminderKind {
    /// The request was announced this long ago.
    StillPending { since: Duration },
    /// The request expires soon.
    ExpiresSoon,
}

/// Draws a reminder. `card` is a link to the message with the card, where there is one.
pub fn reminder(view: View<'_>, request: &AccessRequest, kind: ReminderKind, card: Option<&str>) -> Message {
    let wording = wording_of(view);
    let user = wording.name(&request.user);
    let summary = format!("Reminder: {user} requests {}", wording.subject(request));
    Message::fitting(&summary, |detail| {
        Drawing::of(view, request, detail).reminder(request, kind, card)
    })
}

impl Drawing<'_> {
    fn reminder(&self, request: &AccessRequest, kind: ReminderKind, card: Option<&str>) -> Card {
        let (user, subject) = (self.wording.name(&request.user), self.wording.subject(request));
        let reviews = match request.reviews.len() {
            0 => "No reviews yet.".to_owned(),
            1 => "1 review so far.".to_owned(),
            more => format!("{more} reviews so far."),
        };
        let mut body = vec![
            heading(format!("⏰ Reminder: {user} requests {subject}")).into(),
            line(format!("{} {reviews}", self.urgency(request, kind))),
        ];
        body.extend(self.foot(Vec::new()));
        let card = card.map(|url| Action::OpenUrl {
            title: "Show card",
            url: url.to_owned(),
        });
        let id = shown_id(self.id);
        let fallback = format!("Reminder: {user} requests {subject}. Review the Access Request {id} in Teleport.");
        Card::new(body, self.link().into_iter().chain(card).collect(), fallback)
    }

    /// Returns how long the request has been pending, and how long it will be.
    fn urgency(&self, request: &AccessRequest, kind: ReminderKind) -> String {
        match kind {
            ReminderKind::StillPending { since } => {
                let since = time::length_of(since);
                match self.review_by(request) {
                    end if end.is_empty() => format!("Pending for {since}."),
                    end => format!("Pending for {since}. Review by {end}."),
                }
            }
            ReminderKind::ExpiresSoon => {
                let left = request.expires.map(|end| end.duration_since(self.view.now));
                match left.filter(SignedDuration::is_positive) {
                    Some(left) => format!("Expires in {} without a decision.", time::length(left)),
                    None => "Expires soon without a decision.".to_owned(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::card::{CardCluster, Reader};
    use crate::domain::request::{RequestId, ResourceNames, Review, Verdict};
    use crate::domain::review::ReasonRule;

    #[test]
    fn a_reminder_says_how_long_the_request_has_been_and_will_be_pending() {
        let cluster = CardCluster {
            name: "teleport.example.com".to_owned(),
            web: Some("https://teleport.example.com".to_owned()),
            plugin: String::new(),
        };
        let view = View {
            cluster: &cluster,
            names: &ResourceNames::default(),
            reader: &Reader::default(),
            now: Timestamp::UNIX_EPOCH,
            reviews: Some(ReasonRule::Optional),
        };
        let request = |minutes: Option<i64>, reviews| AccessRequest {
            roles: vec!["dba".to_owned()],
            expires: minutes.map(|minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)),
            reviews: vec![Review::new("carol", Verdict::Approve); reviews],
            ..AccessRequest::new(RequestId::new("42"), "bob")
        };
        let since = Duration::from_hours(1);
        let pending = ReminderKind::StillPending { since };
        for (kind, minutes, reviews, expected) in [
            (
                pending,
                Some(180),
                0,
                "Pending for 1 hour. Review by 1 Jan 1970 03:00 UTC (in 3 hours). No reviews yet.",
            ),
            (pending, None, 1, "Pending for 1 hour. 1 review so far."),
            (
                ReminderKind::ExpiresSoon,
                Some(30),
                2,
                "Expires in 30 minutes without a decision. 2 reviews so far.",
            ),
            (
                ReminderKind::ExpiresSoon,
                Some(0),
                0,
                "Expires soon without a decision. No reviews yet.",
            ),
        ] {
            let message = reminder(view, &request(minutes, reviews), kind, None);
            assert_eq!(message.summary, "Reminder: bob requests dba");
            let card = serde_json::to_string(&message.card).unwrap();
            assert!(card.contains(expected), "{expected}: {card}");
            assert!(card.contains("Review in Teleport") && !card.contains("Action.Execute"));
            assert!(!card.contains("Show card"));
        }
        let url = "https://teams.microsoft.com/l/message/19%3Ax/1";
        let card = reminder(view, &request(None, 0), pending, Some(url)).card;
        let card = serde_json::to_string(&card).unwrap();
        assert!(card.contains("Show card") && card.contains(url));
    }
}
