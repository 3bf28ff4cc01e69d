//! Where a requester is notified of the request.

use tokio::time::timeout;
use tracing::{debug, info};

use crate::daemon::context::Context;
use crate::daemon::people::address_of;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::lookups::defers_request;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Audience, Observed};
use crate::domain::recipients::Address;
use crate::domain::request::AccessRequest;

/// What is known of the address of a requester.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Requester {
    #[default]
    Unknown,
    /// The user has no address, as bots do not.
    Nowhere,
    At(Box<Address>),
}

impl Requester {
    pub(super) fn address(&self) -> Option<&Address> {
        match self {
            Self::At(address) => Some(address),
            Self::Unknown | Self::Nowhere => None,
        }
    }
}

/// Returns the request whose requester is to be found, if there is one.
pub(super) fn to_find<'a>(live: &InForce, observed: &'a Observed, memory: &LaneState) -> Option<&'a AccessRequest> {
    let Observed::Request(request) = observed else {
        return None;
    };
    let mut cards = memory.record().into_iter().flat_map(|record| &record.cards);
    let has_card = cards.any(|card| card.recipient.audience == Audience::Requester);
    let is_wanted = live.notify.requester && request.stage.is_open() && !has_card;
    (is_wanted && memory.requester == Requester::Unknown).then_some(request)
}

/// Finds the address of a requester; `Unknown` if Teleport did not answer in time, so that a retry may help.
pub(super) async fn find(context: &Context, live: &InForce, request: &AccessRequest, failures: u32) -> Requester {
    let look_up = address_of(&context.lookups, &request.user, &live.review.user_id_trait);
    let address = match timeout(context.limits.look_up_patience, look_up).await {
        Ok(Ok(address)) => address,
        Ok(Err(error)) if defers_request(&error, failures) => return Requester::Unknown,
        Ok(Err(error)) => {
            debug!(request.id = %request.id, %error, "Could not read the traits of the requester");
            None
        }
        Err(_) => return Requester::Unknown,
    };
    if address.is_none() {
        info!(request.id = %request.id, "Requester has no address in Microsoft Teams and is not notified");
    }
    address.map_or(Requester::Nowhere, |address| Requester::At(Box::new(address)))
}
