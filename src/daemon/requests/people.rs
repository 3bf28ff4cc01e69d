//! Finds people: suggested reviewers that are Teleport users, the requester, and the people that a card mentions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::daemon::context::Context;
use crate::daemon::people::{address_in, addresses_of};
use crate::daemon::requests::lookups::{Lookups, defers_request};
use crate::daemon::upkeep::InForce;
use crate::domain::recipients::{Address, Person, SuggestedReviewers};
use crate::domain::request::AccessRequest;
use crate::msteams::{Priority, Urgency};
use crate::teleport::{Error, Meaning};

impl Lookups {
    /// Looks up the suggested reviewers of a request that are Teleport user names. `user_id_trait` is the trait with a
    /// person's object ID, and `failures` is the number of earlier runs that failed.
    ///
    /// # Errors
    /// Teleport did not answer; a retry may help.
    pub(in crate::daemon) async fn suggested(
        &self,
        request: &AccessRequest,
        user_id_trait: &str,
        failures: u32,
        known: &mut SuggestedReviewers,
    ) -> Result<(), Error> {
        let users: Vec<String> = known.to_look_up(request).map(str::to_owned).collect();
        let look_ups = users.iter().map(|user| self.traits_of(user));
        for (user, found) in users.iter().zip(join_all(look_ups).await) {
            let address = match found {
                Ok(traits) => address_in(&traits, user_id_trait),
                Err(error) if defers_request(&error, failures) => return Err(error),
                Err(error) => {
                    self.report_reviewer(request, user, &error);
                    None
                }
            };
            known.put(user, address);
        }
        Ok(())
    }

    fn report_reviewer(&self, request: &AccessRequest, user: &str, error: &Error) {
        let hint = error.hint();
        if error.meaning() == Meaning::Denied && !self.reviewers_reported.swap(true, Ordering::Relaxed) {
            info!(
                request.id = %request.id, %error, hint,
                "Could not read users; suggested reviewers that are Teleport user names are not notified"
            );
        } else {
            debug!(request.id = %request.id, reviewer = user, %error, "Could not read a suggested reviewer");
        }
    }
}

/// Finds the requester in Microsoft's directory, under every address of the user, if Teleport and Microsoft answer within
/// `patience`. Teleport rejects reviews by the requester in any case.
///
/// Traits cost a call to Teleport, so the user name alone counts unless it is no address, or other settings need the traits.
pub(super) async fn requester(
    context: &Context,
    live: &InForce,
    request: &AccessRequest,
    patience: Duration,
) -> Vec<Person> {
    let addresses = match Address::parse(&request.user) {
        Ok(address) if address.is_person() && !live.notify.requester && live.escalation.is_none() => vec![address],
        _ => {
            let found = addresses_of(&context.lookups, &request.user, &live.review.user_id_trait);
            timeout(patience, found)
                .await
                .ok()
                .and_then(Result::ok)
                .unwrap_or_default()
        }
    };
    let people = addresses
        .iter()
        .map(|address| person(context, request, address, patience));
    join_all(people).await.into_iter().flatten().collect()
}

/// Finds the people that a card mentions, as far as Microsoft answers within `patience`.
pub(super) async fn mentioned(
    context: &Context,
    request: &AccessRequest,
    people: &[Address],
    requester: &[Person],
    patience: Duration,
) -> Vec<Person> {
    let found = people.iter().map(|address| person(context, request, address, patience));
    let mut mentioned: Vec<Person> = Vec::new();
    let is_other = |person: &Person| requester.iter().all(|requester| requester.id != person.id);
    let found = join_all(found).await.into_iter().flatten().filter(is_other);
    for person in found.filter_map(mentionable) {
        // A text mentions one person, and two people may have the same name.
        if mentioned.iter().all(|other| other.name != person.name) {
            mentioned.push(person);
        }
    }
    mentioned
}

async fn person(context: &Context, request: &AccessRequest, address: &Address, patience: Duration) -> Option<Person> {
    if !address.is_person() {
        return None;
    }
    let priority = Priority::new(Urgency::Announcement, request.id.as_str());
    let found = timeout(patience, context.teams.person(address, &priority)).await;
    match found {
        Ok(Ok(person)) => person,
        Ok(Err(error)) => {
            debug!(request.id = %request.id, %error, "Could not find a person in the directory");
            None
        }
        Err(_) => {
            debug!(request.id = %request.id, "Microsoft does not answer a look-up of a person in time");
            None
        }
    }
}

/// Keeps what a mention can contain of a name: Teams matches the texts of mentions exactly, so nothing in them may need
/// an escape.
fn mentionable(person: Person) -> Option<Person> {
    let is_plain = |c: &char| c.is_alphanumeric() || " .'’".contains(*c);
    let name: String = person.name.chars().filter(is_plain).take(100).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(Person { id: person.id, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_contains_nothing_that_needs_an_escape() {
        let name = |name: &str| {
            let person = Person {
                id: "1".to_owned(),
                name: name.to_owned(),
            };
            mentionable(person).map(|person| person.name)
        };
        assert_eq!(name("Dan O'Dell Jr.").as_deref(), Some("Dan O'Dell Jr."));
        assert_eq!(name("<at>[x](y)  **Zoë**</at>").as_deref(), Some("atxy Zoëat"));
        assert_eq!(name("[]()"), None);
    }
}
