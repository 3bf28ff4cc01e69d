//! Converts the thresholds of a request, and which roles need which of them.

use prost::bytes::Bytes;

use crate::domain::request::Threshold;
use crate::teleport::lossy::{Reading, text};
use crate::teleport::wire::types;

/// Decodes one threshold.
pub(super) fn threshold(message: &types::AccessReviewThreshold) -> Threshold {
    Threshold {
        name: text(&message.name),
        approve: message.approve,
        deny: message.deny,
    }
}

/// Decodes the groups of thresholds of all roles, each group once.
pub(super) fn threshold_sets(reading: &mut Reading, mapping: Vec<Bytes>) -> Vec<Vec<usize>> {
    let roles: Vec<types::access_request_spec_v3::RoleThresholdMappingEntry> = reading.list(mapping);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for role in roles {
        let sets: types::ThresholdIndexSets = reading.or_default(role.value);
        let sets: Vec<types::ThresholdIndexSet> = reading.list(sets.sets);
        groups.extend(sets.iter().map(|set| indexes(&set.indexes)));
    }
    // Go sends the entries of a map in random order.
    for group in &mut groups {
        group.sort_unstable();
        group.dedup();
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Converts indexes; one that does not fit names no threshold.
pub(super) fn indexes(numbers: &[u32]) -> Vec<usize> {
    numbers
        .iter()
        .filter_map(|number| usize::try_from(*number).ok())
        .collect()
}
