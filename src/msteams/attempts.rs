//! The number of attempts of one request, and the pauses between them.
//!
//! A request is repeated only if that is harmless: the answer said so, the request certainly did not arrive, or sending
//! it twice has the same effect as once. The error says which of these applies.
//!
//! Architecture Invariant: a value; the caller waits. There is no pause after the last attempt.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::msteams::error::{Error, InPlaceRetry, Retry};

/// The attempts that one request has left.
pub(crate) struct Attempts {
    left: u32,
    cautious: u32,
    pauses: Backoff,
    longest: Duration,
}

impl Attempts {
    /// Allows this many attempts, including the first. The pauses between them grow from `first` to `longest`.
    pub(crate) fn new(attempts: u32, first: Duration, longest: Duration) -> Self {
        Self {
            left: attempts.saturating_sub(1),
            cautious: 1,
            pauses: Backoff::new(first, longest),
            longest,
        }
    }

    /// Reports whether another attempt follows this failure.
    pub(crate) fn has_more(&self, error: &Error) -> bool {
        let allowed = match error.in_place_retry() {
            InPlaceRetry::No => 0,
            InPlaceRetry::Once => self.cautious.min(self.left),
            InPlaceRetry::Yes => self.left,
        };
        allowed > 0 && requested_pause(error).is_none_or(|pause| pause <= self.longest)
    }

    /// Returns how long to wait before the next attempt, or the error if there is none.
    pub(crate) fn after(&mut self, error: Error) -> Result<Duration, Error> {
        if !self.has_more(&error) {
            return Err(error);
        }
        if error.in_place_retry() == InPlaceRetry::Once {
            self.cautious -= 1;
        }
        self.left -= 1;
        Ok(self.pauses.pause().max(requested_pause(&error).unwrap_or_default()))
    }
}

/// Returns the pause that the answer requested.
pub(crate) fn requested_pause(error: &Error) -> Option<Duration> {
    match error.retry() {
        Retry::Later(pause) => pause,
        Retry::Never | Retry::FateUnknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msteams::error::Operation;
    use crate::msteams::verdict;

    fn attempts() -> Attempts {
        Attempts::new(3, Duration::from_millis(500), Duration::from_secs(30))
    }

    #[test]
    fn a_temporary_failure_is_retried_a_limited_number_of_times() {
        let mut attempts = attempts();
        let busy = || verdict::judge(Operation::Post, 503, None, b"");
        assert!(attempts.after(busy()).is_ok());
        assert!(attempts.after(busy()).is_ok());
        assert!(attempts.after(busy()).is_err());
    }

    #[test]
    fn a_server_error_is_retried_once_and_a_refusal_never() {
        let mut attempts = attempts();
        assert!(
            attempts
                .after(verdict::judge(Operation::Update, 500, None, b""))
                .is_ok()
        );
        assert!(
            attempts
                .after(verdict::judge(Operation::Update, 500, None, b""))
                .is_err()
        );
        let wrong = br#"{"error":{"code":"BadSyntax"}}"#;
        assert!(
            attempts
                .after(verdict::judge(Operation::Post, 400, None, wrong))
                .is_err()
        );
    }

    #[test]
    fn the_requested_pause_is_obeyed_unless_it_is_too_long() {
        let throttled = |seconds| verdict::judge(Operation::Post, 429, Some(Duration::from_secs(seconds)), b"");
        let mut attempts = attempts();
        assert!(attempts.after(throttled(20)).unwrap() >= Duration::from_secs(20));
        let refused = attempts.after(throttled(31)).unwrap_err();
        assert_eq!(refused.retry(), Retry::Later(Some(Duration::from_secs(31))));
    }
}
