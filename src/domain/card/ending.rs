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
    Message::fitting(summary, |detail| Drawing::of(view, request, detail).ending(request))
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
