//! A fingerprint of what a card shows besides the stage and the number of reviews, so that a change of any of it updates
//! the card.
//!
//! Architecture Invariant: covers facts of the request only. What replicas may know differently, such as names from
//! look-ups, the other recipients and the time, would make them update each other's cards forever. The buttons are not
//! covered: besides the kind and the stage, they follow from the settings, and replicas reload those at different times.

use std::fmt;

use jiff::Timestamp;

use crate::domain::request::{AccessRequest, Constraints, RequestKind, Stage, Verdict};

/// A fingerprint of the facts of a request, as cards show them.
///
/// Fingerprints of another version of this program are unknown: an upgrade updates no card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// Not recorded, or recorded by a program that shows other facts. Counts as up to date.
    #[default]
    Unknown,
    Of(u64),
    /// Two replicas updated the card in unknown order. Counts as stale.
    Mixed,
}

/// The facts that a fingerprint covers; to be changed with [`Fingerprint::of`].
const VERSION: &str = "1";

impl Fingerprint {
    /// Returns the fingerprint of a request.
    pub fn of(request: &AccessRequest) -> Self {
        let mut hash = Hash::new();
        hash.text(&request.user);
        hash.texts(&request.roles);
        hash.text(&request.reason);
        hash.number(request.resources.len());
        for resource in &request.resources {
            for text in [
                &resource.cluster,
                &resource.kind,
                &resource.name,
                &resource.sub_resource,
            ] {
                hash.text(text);
            }
            let (kind, values) = match &resource.constraints {
                None => (0, &[][..]),
                Some(Constraints::Logins(logins)) => (1, &logins[..]),
                Some(Constraints::AwsRoles(roles)) => (2, &roles[..]),
                Some(Constraints::Other) => (3, &[][..]),
            };
            hash.number(kind);
            hash.texts(values);
        }
        if !matches!(request.stage, Stage::Denied | Stage::Expired) {
            for time in [request.created, request.access_from, request.access_until] {
                hash.time(time);
            }
        }
        hash.number(match request.kind {
            RequestKind::ShortTerm => 0,
            RequestKind::LongTerm => 1,
            RequestKind::Other => 2,
        });
        hash.text(&request.recommended_list);
        if request.stage.is_open() {
            hash.time(request.expires);
            hash.number(request.thresholds.len());
            for threshold in &request.thresholds {
                hash.text(&threshold.name);
                hash.bytes(&threshold.approve.to_le_bytes());
                hash.bytes(&threshold.deny.to_le_bytes());
            }
            hash.number(request.threshold_sets.len());
            for set in &request.threshold_sets {
                hash.numbers(set);
            }
        }
        if request.stage.is_resolved() && request.stage != Stage::Expired {
            hash.text(&request.resolve_reason);
        }
        if let Some(list) = request
            .promoted_to
            .as_ref()
            .filter(|_| request.stage == Stage::Promoted)
        {
            hash.text(&list.name);
            hash.text(&list.title);
        }
        for review in &request.reviews {
            for text in [&review.author, &review.reason, &review.submitted_by] {
                hash.text(text);
            }
            hash.number(match review.verdict {
                Verdict::Approve => 0,
                Verdict::Deny => 1,
                Verdict::Promote => 2,
                Verdict::Other => 3,
            });
            hash.time(review.created);
            if request.stage.is_open() {
                hash.numbers(&review.thresholds);
            }
        }
        Self::Of(hash.0)
    }

    /// Returns whether a card with this fingerprint needs no update to show `wanted`.
    pub(super) fn satisfies(self, wanted: Self) -> bool {
        match (self, wanted) {
            (Self::Mixed, _) | (_, Self::Mixed) => false,
            (Self::Unknown, _) | (_, Self::Unknown) => true,
            (Self::Of(shown), Self::Of(wanted)) => shown == wanted,
        }
    }

    /// Parses what `Display` writes. Any other text is unknown.
    pub(super) fn parse(text: &str) -> Self {
        match text.split_once('-') {
            Some((VERSION, "mixed")) => Self::Mixed,
            Some((VERSION, hash)) => u64::from_str_radix(hash, 16).map_or(Self::Unknown, Self::Of),
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Of(hash) => write!(f, "{VERSION}-{hash:016x}"),
            Self::Mixed => write!(f, "{VERSION}-mixed"),
        }
    }
}

/// FNV-1a with 64 bits: the record outlives the process, and the standard library's hash may change.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a number in the same form on every platform.
    fn number(&mut self, number: usize) {
        self.bytes(&u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes());
    }

    fn numbers(&mut self, numbers: &[usize]) {
        self.number(numbers.len());
        for number in numbers {
            self.number(*number);
        }
    }

    /// Adds a text with its length, so that two texts never equal two others.
    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.bytes(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// Adds a time in minutes, as cards show it.
    fn time(&mut self, time: Option<Timestamp>) {
        let minutes = time.map_or(i64::MIN, |time| time.as_second().div_euclid(60));
        self.bytes(&minutes.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::{AccessList, RequestId, Resource, Review, Threshold};

    fn request() -> AccessRequest {
        AccessRequest {
            roles: vec!["dba".to_owned()],
            resources: vec![Resource::new("c", "node", "n")],
            reviews: vec![Review::new("alice", Verdict::Approve)],
            thresholds: vec![Threshold {
                name: "default".to_owned(),
                approve: 1,
                deny: 1,
            }],
            ..AccessRequest::new(RequestId::new("r"), "bob")
        }
    }

    #[test]
    fn every_shown_fact_changes_the_fingerprint() {
        let changes: [fn(&mut AccessRequest); 26] = [
            |request| request.user.push('x'),
            |request| request.roles.push("dev".to_owned()),
            |request| request.reason.push('x'),
            |request| request.resources[0].cluster.push('x'),
            |request| request.resources[0].kind.push('x'),
            |request| request.resources[0].name.push('x'),
            |request| request.resources[0].sub_resource.push('x'),
            |request| request.resources[0].constraints = Some(Constraints::Logins(vec!["root".to_owned()])),
            |request| request.resources[0].constraints = Some(Constraints::AwsRoles(vec!["root".to_owned()])),
            |request| request.resources[0].constraints = Some(Constraints::Other),
            |request| request.access_until = Some(Timestamp::UNIX_EPOCH),
            |request| request.access_from = Some(Timestamp::UNIX_EPOCH),
            |request| request.expires = Some(Timestamp::UNIX_EPOCH),
            |request| request.kind = RequestKind::LongTerm,
            |request| request.recommended_list.push('x'),
            |request| request.created = Some(Timestamp::UNIX_EPOCH),
            |request| request.thresholds[0].name.push('x'),
            |request| request.thresholds[0].approve = 2,
            |request| request.thresholds[0].deny = 2,
            |request| request.threshold_sets.push(vec![0]),
            |request| request.reviews[0].author.push('x'),
            |request| request.reviews[0].created = Some(Timestamp::UNIX_EPOCH),
            |request| request.reviews[0].verdict = Verdict::Deny,
            |request| request.reviews[0].reason.push('x'),
            |request| request.reviews[0].submitted_by.push('x'),
            |request| request.reviews[0].thresholds.push(0),
        ];
        let mut seen = vec![Fingerprint::of(&request())];
        for change in changes {
            let mut request = request();
            change(&mut request);
            let fingerprint = Fingerprint::of(&request);
            assert!(!seen.contains(&fingerprint), "{request:?}");
            seen.push(fingerprint);
        }
        let mut promoted = AccessRequest {
            stage: Stage::Promoted,
            ..request()
        };
        let before = Fingerprint::of(&promoted);
        promoted.promoted_to = Some(AccessList {
            name: "l".to_owned(),
            title: "List".to_owned(),
        });
        assert_ne!(Fingerprint::of(&promoted), before);
    }

    #[test]
    fn facts_that_no_card_shows_do_not_count() {
        let mut request = request();
        let before = Fingerprint::of(&request);
        request.suggested_reviewers.push("carol".to_owned());
        request.system_annotations.insert("k".to_owned(), Vec::new());
        assert_eq!(Fingerprint::of(&request), before);
        request.stage = Stage::Approved;
        let before = Fingerprint::of(&request);
        request.expires = Some(Timestamp::UNIX_EPOCH);
        request.thresholds.clear();
        assert_eq!(Fingerprint::of(&request), before);
    }

    #[test]
    fn fingerprints_stay_the_same_in_later_versions() {
        // The value is in records; if it changes, `VERSION` must change too.
        assert_eq!(Fingerprint::of(&request()).to_string(), "1-0a512eb1f3349c24");
    }

    #[test]
    fn what_another_version_wrote_is_unknown_and_up_to_date() {
        let this = Fingerprint::of(&request());
        assert_eq!(Fingerprint::parse(&this.to_string()), this);
        assert_eq!(Fingerprint::parse("1-mixed"), Fingerprint::Mixed);
        for text in ["", "2-00ff", "1-xyz", "00ff"] {
            assert_eq!(Fingerprint::parse(text), Fingerprint::Unknown, "{text}");
        }
        assert!(Fingerprint::Unknown.satisfies(this) && this.satisfies(Fingerprint::Unknown));
        assert!(!Fingerprint::Mixed.satisfies(this) && !this.satisfies(Fingerprint::Of(7)));
    }
}
