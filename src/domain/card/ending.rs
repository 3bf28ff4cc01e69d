//! The message that notifies the requester that access is about to end.

use crate::domain::card::drawing::{Drawing, quotation};
use crate::domain::card::elements::{Facts, copied, heading, shown_id, title};
use crate::domain::card::long::LongList;
use crate::domain::card::message::wording_of;
use crate::domain::card::schema::Action;
use crate::domain::card::{Card, Message, View, time};
use crate::domain::request::AccessRequest;

const AGAIN: &str = "Request again";

/// The longest list of roles in a command, in characters.
const LONGEST_ROLES: usize = 400;

/// Draws the message that granted access ends soon. It is drawn for the requester.
pub fn access_ends(view: View<'_>, request: &AccessRequest) -> Message {
    let summary = sentence(view, request, &wording_of(view).access(request));
    Message::fitting(&summary, |detail| Drawing::of(view, request, detail).ending(request))
}

/// Returns when the access ends: `Your access to dba ends in 1 hour`.
fn sentence(view: View<'_>, request: &AccessRequest, access: &str) -> String {
    let left = request.access_until.map(|end| end.duration_since(view.now));
    match left {
        None => format!("Your {access} ends soon"),
        Some(left) if left.is_positive() => format!("Your {access} ends in {}", time::length(left)),
        Some(_) => format!("Your {access} has ended"),
    }
}

impl Drawing<'_> {
    fn ending(&self, request: &AccessRequest) -> Card {
        let sentence = sentence(self.view, request, &self.wording.access(request));
        let mut body = vec![heading(format!("⌛ {sentence}")).into()];
        let mut facts = Facts::default();
        let roles = self.roles(request);
        facts.add("Roles", roles.as_ref().map(LongList::short).unwrap_or_default());
        facts.add(
            "Access until",
            request.access_until.map(time::written).unwrap_or_default(),
        );
        body.extend(facts.into_element());
        let link = self.view.cluster.link_to_request();
        if let (None, Some(command)) = (&link, command(request)) {
            body.extend([title(AGAIN), quotation(vec![copied(&command)])]);
        }
        body.extend(self.foot(Vec::new()));
        let id = shown_id(self.id);
        let fallback = format!("{sentence}. It was granted with the Access Request {id}.");
        let link = link.map(|url| Action::OpenUrl { title: AGAIN, url });
        Card::new(body, link.into_iter().collect(), fallback)
    }
}

/// Returns the command that requests the same roles; `None` if a shell might read something else in it.
fn command(request: &AccessRequest) -> Option<String> {
    let roles = request.roles.join(",");
    let clean = |role: &String| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !role.is_empty() && role.bytes().all(allowed)
    };
    let is_usable = request.resources.is_empty() && !roles.is_empty() && roles.len() <= LONGEST_ROLES;
    (is_usable && request.roles.iter().all(clean)).then(|| format!("tsh request create --roles={roles}"))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::card::{CardCluster, Reader, Role};
    use crate::domain::request::{RequestId, Resource, ResourceNames, Stage};

    fn drawn(request: &AccessRequest, web: Option<&str>) -> (String, String) {
        let cluster = CardCluster {
            name: "teleport.example.com".to_owned(),
            web: web.map(str::to_owned),
            plugin: String::new(),
        };
        let reader = Reader {
            role: Role::Requester,
            ..Reader::default()
        };
        let view = View {
            cluster: &cluster,
            names: &ResourceNames::default(),
            reader: &reader,
            now: Timestamp::UNIX_EPOCH,
            reviews: None,
        };
        let message = access_ends(view, request);
        (serde_json::to_string(&message.card).unwrap(), message.summary)
    }

    fn approved(minutes: Option<i64>) -> AccessRequest {
        AccessRequest {
            roles: vec!["dba".to_owned()],
            stage: Stage::Approved,
            access_until: minutes.map(|minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)),
            ..AccessRequest::new(RequestId::new("42"), "bob")
        }
    }

    #[test]
    fn the_heading_says_which_access_ends_and_when() {
        for (minutes, expected) in [
            (Some(60), "Your access to dba ends in 1 hour"),
            (Some(90), "Your access to dba ends in 1 hour 30 minutes"),
            (Some(-1), "Your access to dba has ended"),
            (None, "Your access to dba ends soon"),
        ] {
            let (card, summary) = drawn(&approved(minutes), None);
            assert_eq!(summary, expected);
            assert!(card.contains(expected));
        }
        let node = AccessRequest {
            resources: vec![Resource::new("teleport.example.com", "node", "db-01")],
            ..approved(Some(60))
        };
        assert_eq!(drawn(&node, None).1, "Your access to node db-01 ends in 1 hour");
        let without_roles = AccessRequest {
            roles: Vec::new(),
            ..approved(Some(60))
        };
        assert_eq!(drawn(&without_roles, None).1, "Your access ends in 1 hour");
    }

    #[test]
    fn access_is_requested_again_with_the_web_ui_or_a_command() {
        let (card, _) = drawn(&approved(Some(60)), Some("https://teleport.example.com"));
        assert!(card.contains("\"https://teleport.example.com/web/requests/new\"") && !card.contains("tsh"));
        let command = |roles: &[&str]| {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            command(&AccessRequest {
                roles,
                ..approved(Some(60))
            })
        };
        let (card, _) = drawn(&approved(Some(60)), None);
        assert!(card.contains("tsh request create --roles=dba"));
        let expected = "tsh request create --roles=dba,db_admin.v2";
        assert_eq!(command(&["dba", "db_admin.v2"]).as_deref(), Some(expected));
        for unclean in [
            &[][..],
            &[""],
            &["dba", "$(id)"],
            &["a b"],
            &["a,b"],
            &["x".repeat(401).as_str()],
        ] {
            assert_eq!(command(unclean), None, "{unclean:?}");
        }
    }
}
