//! The lifecycle of a request's cards: which cards were delivered, and which deliveries come next.
//!
//! Architecture Invariant: computes plans without I/O. A plan lists single deliveries, each of which succeeds or fails
//! independently; a record contains only completed deliveries.

mod audiences;
mod claim;
mod fingerprint;
mod notice;
mod plan;
mod reasons;
mod record;
mod run;
mod run_log;
mod shown;
mod snapshot;
mod stored;
mod stored_cards;
mod stored_map;

pub use audiences::{Audiences, targets};
pub use claim::{Claim, Lease, OthersClaim};
pub use fingerprint::Fingerprint;
pub use notice::{Audience, Change, Due, Recipient, Target, due};
pub use plan::{Facts, Observed, Plan, Step, Why, Work, plan};
pub use reasons::{Tables, known_recipients, reason};
pub use record::{MOST_DELEGATES, NamedByRule, Outcome, Posted, Record, Refusal, RefusalPauses, RoutedBy};
pub use run::{Aim, Landed, Run};
pub use run_log::{Entry, RunLog};
pub use shown::Shown;
pub use snapshot::{RecordState, Snapshot, Write};
pub use stored_map::StoredMap;
