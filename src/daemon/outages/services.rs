//! Sets of services: those that a request waits for, and those that recovered.

use crate::msteams::Endpoint;

/// A set of services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Services(u8);

impl Services {
    pub(in crate::daemon) const NONE: Self = Self(0);
    pub(in crate::daemon) const TELEPORT: Self = Self(1);

    pub(in crate::daemon) fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Login => Self(2),
            Endpoint::Graph => Self(4),
            Endpoint::Bot => Self(8),
        }
    }

    #[must_use]
    pub(in crate::daemon) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether the sets have a service in common.
    pub(in crate::daemon) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
