//! Which recipients of a request are not asked again to review it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::daemon::context::Context;
use crate::daemon::people::addresses_of;
use crate::daemon::upkeep::InForce;
use crate::domain::recipients::{Address, Person};
use crate::domain::request::AccessRequest;
use crate::msteams::{self, Meaning, Priority};
use crate::teleport;

/// Maximum number of users that are looked up; a request that is still pending has a few reviews.
const MOST_USERS: usize = 50;

/// How long one look-up may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The people who have reviewed a request, and its requester, under the names that Teleport knows.
#[derive(Debug)]
pub(super) struct Exempt {
    users: Vec<String>,
    addresses: Vec<Address>,
}

/// Why it is not known who these people are.
#[derive(Debug)]
pub(super) enum Unknown {
    Teleport(teleport::Error),
    Microsoft(msteams::Error),
    TimedOut,
}

impl From<msteams::Error> for Unknown {
    fn from(error: msteams::Error) -> Self {
        Self::Microsoft(error)
    }
}

impl Exempt {
    /// Looks up the addresses of these people. A person without a known address is not recognized as a recipient, unless the user
    /// name is the address; if the role may not read users, that holds for all users.
    ///
    /// # Errors
    /// A look-up failed; a retry may help.
    pub(super) async fn find(context: &Context, live: &InForce, request: &AccessRequest) -> Result<Self, Unknown> {
        let (known, unknown) = Self::look_up(context, live, request).await;
        unknown.map_or(Ok(known), Err)
    }

    /// Looks up the addresses of these people. A person whose look-up fails is not recognized, unless the user name is the address.
    pub(super) async fn find_known(context: &Context, live: &InForce, request: &AccessRequest) -> Self {
        Self::look_up(context, live, request).await.0
    }

    /// Returns what is known, and why not everything is.
    async fn look_up(context: &Context, live: &InForce, request: &AccessRequest) -> (Self, Option<Unknown>) {
        let authors = request.reviews.iter().map(|review| &review.author);
        let users = [&request.user].into_iter().chain(authors).take(MOST_USERS).cloned();
        let users: Vec<String> = users.collect();
        let look_ups = users.iter().map(|user| {
            let found = addresses_of(&context.lookups, user, &live.review.user_id_trait);
            timeout(PATIENCE, found)
        });
        let (mut addresses, mut unknown) = (Vec::new(), None);
        for found in join_all(look_ups).await {
            match found {
                Ok(Ok(found)) => addresses.extend(found),
                Ok(Err(error)) if error.meaning() == teleport::Meaning::Denied => {}
                Ok(Err(error)) => unknown = Some(Unknown::Teleport(error)),
                Err(_) => unknown = Some(Unknown::TimedOut),
            }
        }
        (Self { users, addresses }, unknown)
    }

    /// Returns whether a recipient is one of these people, under whatever name. A channel or a chat is not.
    pub(super) async fn contains(&self, context: &Context, recipient: &Address, priority: &Priority) -> bool {
        if !recipient.is_person() {
            return false;
        }
        if self.names(recipient) {
            return true;
        }
        let Ok(Some(recipient)) = person(context, recipient, priority).await else {
            return false;
        };
        let others = self.addresses.iter().map(|address| person(context, address, priority));
        let mut others = join_all(others).await.into_iter().filter_map(|other| other.ok()?);
        others.any(|other| other.id.eq_ignore_ascii_case(&recipient.id))
    }

    /// Returns whether Teleport knows one of these people under an address.
    pub(super) fn names(&self, address: &Address) -> bool {
        self.users.iter().any(|user| address.is_user_name(user)) || self.addresses.contains(address)
    }

    /// Returns these people, as far as Microsoft knows their addresses.
    ///
    /// # Errors
    /// Microsoft did not answer, or refused.
    pub(super) async fn people(&self, context: &Context, priority: &Priority) -> Result<Vec<Person>, Unknown> {
        let people = self.addresses.iter().map(|address| person(context, address, priority));
        let people: Result<Vec<_>, Unknown> = join_all(people).await.into_iter().collect();
        Ok(people?.into_iter().flatten().collect())
    }
}

async fn person(context: &Context, address: &Address, priority: &Priority) -> Result<Option<Person>, Unknown> {
    match timeout(PATIENCE, context.teams.person(address, priority)).await {
        Ok(Err(error)) if matches!(error.meaning(), Meaning::Ambiguous | Meaning::Rejected) => Ok(None),
        Ok(found) => Ok(found?),
        Err(_) => Err(Unknown::TimedOut),
    }
}
