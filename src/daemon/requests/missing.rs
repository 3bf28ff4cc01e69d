//! Decides when a request that is missing from the lists has ended.
//!
//! Absence from one list proves nothing: a role without permission sees a shorter list, often an empty one, and caches
//! lag. Two lists some time apart are a proof if each followed a new grant to watch requests and shows that the role
//! can list.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::request::RequestId;

/// Requests with open cards that were not listed, and since when.
#[derive(Debug, Default)]
pub(super) struct Missing {
    since: HashMap<RequestId, Instant>,
}

/// What the absence from a list proves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// It began after a server granted a watch of requests, and after every earlier list.
    pub(super) fresh: bool,
    /// The number of requests. A role that may not list sees none.
    pub(super) requests: usize,
    /// Some items had no readable ID; each could be the missing request.
    pub(super) nameless: usize,
    /// It lacks a request that an event of the same connection has shown, so the role does not see every request.
    pub(super) contradicted: bool,
}

impl Missing {
    /// Records the requests that were not listed. Returns those that have ended.
    pub(super) fn take(
        &mut self,
        missing: Vec<RequestId>,
        evidence: Evidence,
        now: Instant,
        absent_for: Duration,
    ) -> Vec<RequestId> {
        let mut since = std::mem::take(&mut self.since);
        let mut over = Vec::new();
        for id in missing {
            match since.remove(&id) {
                Some(first) if evidence.counts() && now >= first + absent_for => over.push(id),
                Some(first) => drop(self.since.insert(id, first)),
                None if evidence.counts() => drop(self.since.insert(id, now)),
                None => {}
            }
        }
        over
    }
}

impl Evidence {
    fn counts(self) -> bool {
        self.fresh && self.requests > 0 && self.nameless == 0 && !self.contradicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT_FOR: Duration = Duration::from_mins(5);

    const GOOD: Evidence = Evidence {
        fresh: true,
        requests: 1,
        nameless: 0,
        contradicted: false,
    };

    /// Judges lists that are this many minutes apart; returns the number of ended requests at each.
    fn over(lists: &[(u64, bool, Evidence)]) -> Vec<usize> {
        let (mut missing, start) = (Missing::default(), Instant::now());
        let take = |(minute, lacks, evidence): &(u64, bool, Evidence)| {
            let ids = lacks.then(|| RequestId::new("a")).into_iter().collect();
            let now = start + Duration::from_mins(*minute);
            missing.take(ids, *evidence, now, ABSENT_FOR).len()
        };
        lists.iter().map(take).collect()
    }

    #[test]
    fn two_lists_that_are_far_enough_apart_prove_an_end() {
        assert_eq!(over(&[(0, true, GOOD), (4, true, GOOD), (5, true, GOOD)]), [0, 0, 1]);
        assert_eq!(over(&[(0, true, GOOD), (3, false, GOOD), (6, true, GOOD)]), [0, 0, 0]);
    }

    #[test]
    fn a_list_that_may_be_filtered_or_incomplete_proves_nothing() {
        for bad in [
            Evidence { fresh: false, ..GOOD },
            Evidence { requests: 0, ..GOOD },
            Evidence { nameless: 1, ..GOOD },
            Evidence {
                contradicted: true,
                ..GOOD
            },
        ] {
            assert_eq!(
                over(&[(0, true, bad), (9, true, bad), (18, true, bad)]),
                [0, 0, 0],
                "{bad:?}"
            );
            assert_eq!(
                over(&[(0, true, GOOD), (9, true, bad), (18, true, GOOD)]),
                [0, 0, 1],
                "{bad:?}"
            );
            assert_eq!(over(&[(0, true, bad), (9, true, GOOD)]), [0, 0], "{bad:?}");
        }
    }
}
