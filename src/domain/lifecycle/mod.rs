//! The life of a request's cards: what we told whom, and what is to be told next.
//!
//! Architecture Invariant: decides and does nothing. A plan lists single deliveries, each of which succeeds or fails
//! alone; a record only ever says what was really done.

mod claim;
mod notice;
mod plan;
mod record;
mod run;
mod run_log;
mod snapshot;
mod stored;

pub use claim::{Claim, Lease, OthersClaim};
pub use notice::{Audience, Change, Due, Recipient, Target, due};
pub use plan::{Facts, Messages, Observed, Plan, Step, Why, Work, plan};
pub use record::{Outcome, Posted, Record, Refusal, RefusalPauses, RoutedBy, Shown};
pub use run::{Aim, Landed, Run};
pub use run_log::{Entry, RunLog};
pub use snapshot::{RecordState, Snapshot, Write};
