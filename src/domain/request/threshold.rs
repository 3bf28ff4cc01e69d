//! The numbers of approvals and denials that decide a request.

use crate::domain::request::{AccessRequest, Verdict};

/// A number of reviews that approves a request, and a number that denies it. Which reviews count is Teleport's decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    /// As the role names it; `default` for Teleport's own threshold, and often empty.
    pub name: String,
    /// Zero if it cannot approve.
    pub approve: u32,
    /// Zero if it cannot deny.
    pub deny: u32,
}

/// How many of the needed reviews a threshold has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    pub threshold: &'a Threshold,
    pub done: u32,
    pub needed: u32,
}

impl AccessRequest {
    /// Returns the approvals that the request needs: every group must reach one of its thresholds.
    ///
    /// Groups are the sets of all roles, each once (`role_threshold_mapping` in `proto/types.proto`).
    pub fn approvals(&self) -> Vec<Vec<Progress<'_>>> {
        let all: Vec<usize> = (0..self.thresholds.len()).collect();
        let groups = if self.threshold_sets.is_empty() {
            std::slice::from_ref(&all)
        } else {
            &self.threshold_sets
        };
        let progress = |index: &usize| self.progress(*index, Verdict::Approve);
        let groups = groups.iter().map(|group| group.iter().filter_map(progress).collect());
        groups.filter(|group: &Vec<_>| !group.is_empty()).collect()
    }

    /// Returns the denials of every threshold: one that is reached denies the request.
    pub fn denials(&self) -> Vec<Progress<'_>> {
        let indexes = 0..self.thresholds.len();
        indexes
            .filter_map(|index| self.progress(index, Verdict::Deny))
            .collect()
    }

    fn progress(&self, index: usize, verdict: Verdict) -> Option<Progress<'_>> {
        let threshold = self.thresholds.get(index)?;
        let needed = match verdict {
            Verdict::Approve => threshold.approve,
            _ => threshold.deny,
        };
        let counts = self
            .reviews
            .iter()
            .filter(|review| review.verdict == verdict && review.thresholds.contains(&index));
        let done = u32::try_from(counts.count()).unwrap_or(u32::MAX);
        (needed > 0).then_some(Progress {
            threshold,
            done,
            needed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::{RequestId, Review};

    fn threshold(name: &str, approve: u32, deny: u32) -> Threshold {
        Threshold {
            name: name.to_owned(),
            approve,
            deny,
        }
    }

    fn review(verdict: Verdict, thresholds: &[usize]) -> Review {
        Review {
            thresholds: thresholds.to_vec(),
            ..Review::new("alice", verdict)
        }
    }

    fn counts(progress: &[Progress<'_>]) -> Vec<(String, u32, u32)> {
        let count = |one: &Progress<'_>| (one.threshold.name.clone(), one.done, one.needed);
        progress.iter().map(count).collect()
    }

    #[test]
    fn reviews_count_for_the_thresholds_that_they_name() {
        let request = AccessRequest {
            thresholds: vec![
                threshold("security", 2, 1),
                threshold("managers", 1, 0),
                threshold("", 0, 2),
            ],
            threshold_sets: vec![vec![0, 1], vec![2], vec![7]],
            reviews: vec![
                review(Verdict::Approve, &[0]),
                review(Verdict::Deny, &[2]),
                review(Verdict::Approve, &[]),
                review(Verdict::Promote, &[0, 1]),
            ],
            ..AccessRequest::new(RequestId::new("r"), "bob")
        };
        let groups: Vec<_> = request.approvals().iter().map(|group| counts(group)).collect();
        let expected = vec![("security".to_owned(), 1, 2), ("managers".to_owned(), 0, 1)];
        // A group without a threshold that can approve is never reached, and says nothing to a reviewer.
        assert_eq!(groups, [expected]);
        let denials = vec![("security".to_owned(), 0, 1), (String::new(), 1, 2)];
        assert_eq!(counts(&request.denials()), denials);
    }

    #[test]
    fn without_a_mapping_any_threshold_approves() {
        let mut request = AccessRequest::new(RequestId::new("r"), "bob");
        assert!(request.approvals().is_empty());
        request.thresholds = vec![threshold("a", 1, 1), threshold("b", 2, 1)];
        assert_eq!(request.approvals().len(), 1);
        assert_eq!(request.approvals()[0].len(), 2);
    }
}
