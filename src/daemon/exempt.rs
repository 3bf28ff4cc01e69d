//! Which recipients of a request are not asked again to review it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::daemon::context::Context;
use crate::daemon::people::addresses_of;
use crate::daemon::upkeep::InForce;
use crate::domain::recipients::{Address, Person};
use crate::domain::request::AccessRequest;
use crate::msteams::Priority;

/// Maximum number of users that are looked up; a request that is still pending has a few reviews.
const MOST_USERS: usize = 50;

/// How long one look-up may take. Without its answer, a recipient counts as not having reviewed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The people who have reviewed a request, and its requester, under the names that Teleport knows.
#[derive(Debug)]
pub(super) struct Exempt {
    users: Vec<String>,
    addresses: Vec<Address>,
}

impl Exempt {
    /// Looks up the addresses of these people. A person without a known address is not recognized as a recipient, unless the user
    /// name is the address.
    pub(super) async fn find(context: &Context, live: &InForce, request: &AccessRequest) -> Self {
        let authors = request.reviews.iter().map(|review| &review.author);
        let users = [&request.user].into_iter().chain(authors).take(MOST_USERS).cloned();
        let users: Vec<String> = users.collect();
        let look_ups = users.iter().map(|user| {
            let found = addresses_of(&context.lookups, user, &live.review.user_id_trait);
            timeout(PATIENCE, found)
        });
        let found = join_all(look_ups).await.into_iter();
        let addresses = found.filter_map(|found| found.ok()?.ok()).flatten().collect();
        Self { users, addresses }
    }

    /// Returns whether a recipient is one of these people, under whatever name. A channel or a chat is not.
    pub(super) async fn contains(&self, context: &Context, recipient: &Address, priority: &Priority) -> bool {
        if !recipient.is_person() {
            return false;
        }
        if self.names(recipient) {
            return true;
        }
        let Some(recipient) = person(context, recipient, priority).await else {
            return false;
        };
        let mut others = self.people(context, priority).await.into_iter();
        others.any(|other| other.id.eq_ignore_ascii_case(&recipient.id))
    }

    /// Returns whether Teleport knows one of these people under an address.
    pub(super) fn names(&self, address: &Address) -> bool {
        self.users.iter().any(|user| address.is_user_name(user)) || self.addresses.contains(address)
    }

    /// Returns these people, as far as Microsoft knows their addresses.
    pub(super) async fn people(&self, context: &Context, priority: &Priority) -> Vec<Person> {
        let people = self.addresses.iter().map(|address| person(context, address, priority));
        join_all(people).await.into_iter().flatten().collect()
    }
}

async fn person(context: &Context, address: &Address, priority: &Priority) -> Option<Person> {
    let found = timeout(PATIENCE, context.teams.person(address, priority)).await;
    found.ok()?.ok()?
}
