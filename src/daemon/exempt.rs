//! Which recipients of a request are not asked again to review it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::daemon::context::Context;
use crate::daemon::people::addresses_of;
use crate::daemon::upkeep::InForce;
use crate::domain::recipients::Address;
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
        if self.users.iter().any(|user| recipient.is_user_name(user)) || self.addresses.contains(recipient) {
            return true;
        }
        let person = |address: Address| async move {
            let found = timeout(PATIENCE, context.teams.person(&address, priority)).await;
            found.ok()?.ok()?
        };
        let Some(recipient) = person(recipient.clone()).await else {
            return false;
        };
        let others = join_all(self.addresses.iter().cloned().map(person)).await;
        let mut others = others.into_iter().flatten();
        others.any(|other| other.id.eq_ignore_ascii_case(&recipient.id))
    }
}
