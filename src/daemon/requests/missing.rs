//! When a request that no list has any more counts as over.
//!
//! Teleport does not say "gone": a role that may not list sees a shorter list, often an empty one, and caches lag. So one
//! list proves nothing. Two that are some time apart do, if each followed a fresh grant to watch requests and shows that
//! the role can list at all.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::request::RequestId;

/// Requests with open cards that were not in a list, since when.
#[derive(Debug, Default)]
pub(super) struct Missing {
    since: HashMap<RequestId, Instant>,
}

/// What a list can prove by what it does not have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// It was begun after a server granted a watch of requests, and after every list before it.
    pub(super) fresh: bool,
    /// How many requests it had. None at all is what a role sees that may not list.
    pub(super) requests: usize,
    /// Some of its items had no readable id; each may be the one that is missing.
    pub(super) nameless: usize,
    /// It lacks a request that an event of the same connection has shown, so that the role does not see everything.
    pub(super) contradicted: bool,
}

impl Missing {
    /// Takes the requests that a list did not have; returns those that are over.
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

    /// Lets lists follow each other by so many minutes; returns how many requests were over at each.
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
