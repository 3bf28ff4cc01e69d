//! The description of a cluster, and what its version can do.

/// The oldest server version that the Go plugin supports.
pub(super) const OLDEST_SERVER: (u64, u64) = (8, 0);

/// The first server version that accepts reviews on behalf of a person (tentative in Teleport's own plugins).
const FIRST_WITH_DELEGATED_REVIEWS: (u64, u64) = (18, 11);

/// The description of the cluster in the answer to a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub name: String,
    pub version: String,
    /// Host and port of the Web UI; empty if the cluster does not report it.
    pub proxy_public_addr: String,
    /// Whether requests can be reviewed in the Web UI.
    pub advanced_workflows: bool,
}

impl Cluster {
    /// Returns whether the server is older than every one that the program supports.
    pub(super) fn is_too_old(&self) -> bool {
        is_older(&self.version, OLDEST_SERVER)
    }

    /// Returns whether the server accepts reviews on behalf of a person.
    pub fn knows_delegated_reviews(&self) -> bool {
        !is_older(&self.version, FIRST_WITH_DELEGATED_REVIEWS)
    }
}

/// Compares the first two numbers of a version such as `18.2.0-dev`. A version that cannot be parsed counts as new.
fn is_older(version: &str, than: (u64, u64)) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split(['.', '-', '+'])
        .map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_first_two_numbers() {
        for (version, expected) in [
            ("7.3.26", true),
            ("8.0.0", false),
            ("18.2.0-dev.1", false),
            ("6.1.0-beta.1", true),
            ("v17.0.0-aa", false),
            ("odd", false),
        ] {
            assert_eq!(is_older(version, OLDEST_SERVER), expected, "{version}");
        }
        for (version, expected) in [
            ("18.10.9", true),
            ("18.11.0-dev", false),
            ("19.0.0", false),
            ("17.99.0", true),
        ] {
            assert_eq!(is_older(version, FIRST_WITH_DELEGATED_REVIEWS), expected, "{version}");
        }
    }
}
