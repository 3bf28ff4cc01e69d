//! The life of a request's cards: what we told whom, and what is to be told next.
//!
//! Architecture Invariant: decides and does nothing. A plan lists single deliveries, each of which succeeds or fails
//! alone; a record only ever says what was really done.

mod account;
mod claim;
mod known;
mod notice;
mod plan;
mod record;
mod run;
mod stored;

pub use account::{Account, Entry};
pub use claim::{Claim, Foreign, Lease};
pub use known::{Known, Stored, Write};
pub use notice::{Audience, Change, Due, Recipient, Target, due};
pub use plan::{Facts, Messages, Observed, Plan, Step, Why, Work, plan};
pub use record::{Outcome, Posted, Record, Refusal, RefusalPauses, RoutedBy, Shown};
pub use run::{Aim, Landed, Run};
