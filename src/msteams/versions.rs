//! The version of the app in the catalog, and the order of versions.
//!
//! Architecture Invariant: changes nothing.

use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Operation};
use crate::msteams::graph::{AppDefinition, Graph, filter, no_key};

impl Graph {
    /// Returns the app's version in the catalog, if the catalog shows it: the newest that is published.
    pub(crate) async fn published_version(
        &self,
        external_id: &str,
        priority: &Priority,
    ) -> Result<Option<String>, Error> {
        let query = format!("{}&$expand=appDefinitions", filter("externalId", external_id));
        let url = self.service().url(&["v1.0", "appCatalogs", "teamsApps"], Some(&query));
        let app = self.only(Operation::FindApp, url, &no_key(), priority).await?;
        let definitions = app.map(|app| app.app_definitions).unwrap_or_default();
        let published = definitions.into_iter().filter(AppDefinition::is_published);
        let versions = published.filter_map(|definition| definition.version);
        Ok(versions.max_by_key(|version| numbers(version)))
    }
}

/// Returns whether a version of the app is older than another one. False if one of them is not made of numbers.
pub fn is_older(version: &str, than: &str) -> bool {
    match (numbers(version), numbers(than)) {
        (Some(version), Some(than)) => version < than,
        _ => false,
    }
}

/// Returns the numbers of a version, without zeros at the end.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let numbers: Result<Vec<u64>, _> = version.split('.').map(str::parse).collect();
    let mut numbers = numbers.ok()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (one, other) in [
            ("1.0.0", "1.0.1"),
            ("1.9.0", "1.10.0"),
            ("0.9", "1"),
            ("1.1.3", "1.2.0"),
        ] {
            assert!(is_older(one, other) && !is_older(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("1.0", "1.0.0"),
            ("1.2.0", "1.2.0"),
            ("", "1.0.0"),
            ("1.0.0-beta", "1.0.0"),
        ] {
            assert!(!is_older(one, other) && !is_older(other, one), "{one} {other}");
        }
    }
}
