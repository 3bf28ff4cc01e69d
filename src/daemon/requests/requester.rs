//! Where a requester is notified of the request.

use std::sync::atomic::Ordering;

use tokio::time::timeout;
use tracing::{debug, info};

use crate::daemon::context::Context;
use crate::daemon::people::address_of;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Audience, Observed};
use crate::domain::recipients::Address;
use crate::domain::request::AccessRequest;
use crate::teleport::Meaning;

/// What is known of the address of a requester.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Requester {
    #[default]
    Unknown,
    /// A look-up failed; a retry may help. If the request is resolved first, its requester still gets the decision.
    Missed,
    /// The user has no address, as bots do not.
    Nowhere,
    At(Box<Address>),
}

impl Requester {
    pub(super) fn address(&self) -> Option<&Address> {
        match self {
            Self::At(address) => Some(address),
            Self::Unknown | Self::Missed | Self::Nowhere => None,
        }
    }
}

/// Returns the request whose requester is to be found, if there is one.
pub(super) fn to_find<'a>(live: &InForce, observed: &'a Observed, memory: &LaneState) -> Option<&'a AccessRequest> {
    let Observed::Request(request) = observed else {
        return None;
    };
    let is_sought = match memory.requester {
        Requester::Unknown => request.stage.is_open(),
        Requester::Missed => true,
        Requester::Nowhere | Requester::At(_) => false,
    };
    let mut cards = memory.record().into_iter().flat_map(|record| &record.cards);
    let mut has_card = || cards.any(|card| card.recipient.audience == Audience::Requester);
    (live.notify.requester && is_sought && !has_card()).then_some(request)
}

/// Finds the address of a requester.
pub(super) async fn find(context: &Context, live: &InForce, request: &AccessRequest) -> Requester {
    let look_up = address_of(&context.lookups, &request.user, &live.review.user_id_trait);
    let address = match timeout(context.limits.look_up_patience, look_up).await {
        Ok(Ok(address)) => address,
        Ok(Err(error)) => {
            let hint = error.hint();
            let is_denied = error.meaning() == Meaning::Denied;
            if is_denied && !context.lookups.requesters_reported.swap(true, Ordering::Relaxed) {
                info!(
                    request.id = %request.id, %error, hint,
                    "Could not read users; requesters whose user name is no address are not notified"
                );
            } else {
                debug!(request.id = %request.id, %error, "Could not read the traits of the requester");
            }
            return Requester::Missed;
        }
        Err(_) => return Requester::Missed,
    };
    context.lookups.requesters_reported.store(false, Ordering::Relaxed);
    if address.is_none() {
        info!(request.id = %request.id, "Requester has no address in Microsoft Teams and is not notified");
    }
    address.map_or(Requester::Nowhere, |address| Requester::At(Box::new(address)))
}
