//! Keeps the cards of access requests up to date: events and lists, one lane for each request, and the five steps of a
//! reconcile.
//!
//! Architecture Invariant: the only module that writes records and holds claims. All decisions are made in `domain`.

mod claiming;
mod delegating;
mod deliver;
mod delivery;
mod digests;
mod drawing;
mod escalating;
mod in_flight;
mod job;
mod lane;
mod lane_state;
mod lanes;
mod listing;
mod lookups;
mod missing;
mod names;
mod news;
mod people;
mod planning;
mod reconcile;
mod report;
mod requester;
mod resync;
mod routing;
mod rulebook;
mod run_end;
mod settling;
mod taken;
mod turns;
mod waiting;

pub(super) use claiming::routed_by;
pub(super) use digests::{Digests, keep_current};
pub(super) use lane::LaneTable;
pub(super) use lanes::Lanes;
pub(super) use lookups::{Lookups, Traits};
pub(super) use names::Names;
pub(super) use resync::Resync;
pub(super) use routing::subject;
pub(super) use rulebook::RuleBook;
pub use rulebook::{FIX_RULE, GRANT_RULES};
pub(super) use turns::Turns;
