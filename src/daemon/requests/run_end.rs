//! How a run of a lane ended.

use std::time::Duration;

use tokio::time::Instant;

/// How a run ended.
#[derive(Debug)]
pub(super) enum RunEnd {
    /// Every card is up to date, as far as Microsoft accepts it.
    Settled,
    /// Reconcile again after this pause.
    RetryAfter(Duration),
    /// The request changed, or the daemon stops.
    Interrupted,
}

impl RunEnd {
    /// Returns when the request is due again.
    fn retry_at(&self) -> Option<Instant> {
        match self {
            Self::RetryAfter(pause) => Some(Instant::now() + *pause),
            Self::Settled | Self::Interrupted => None,
        }
    }
}

/// How the cards were left.
pub(super) enum CardsEnd {
    /// They are up to date, as far as Microsoft accepts it, but for those that are due again then.
    Done(Option<Instant>),
    Ended(RunEnd),
}

impl From<RunEnd> for CardsEnd {
    fn from(end: RunEnd) -> Self {
        Self::Ended(end)
    }
}

impl CardsEnd {
    /// Returns when the request is due again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self {
            Self::Done(retry_at) => *retry_at,
            Self::Ended(end) => end.retry_at(),
        }
    }
}
