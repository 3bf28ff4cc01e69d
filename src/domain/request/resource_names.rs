//! The names of resources and access lists, which requests contain by ID only.

use std::collections::BTreeMap;

use crate::domain::request::Resource;

/// What the resources and access lists of one cluster are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceNames {
    /// The cluster of the resources; those of other clusters keep their IDs.
    pub cluster: String,
    /// By kind and ID.
    pub names: BTreeMap<(String, String), ResourceName>,
    /// The titles of access lists, by name.
    pub lists: BTreeMap<String, String>,
}

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourceName {
    /// Replaces the ID, such as the host name of a node.
    Name(String),
    /// Explains the ID, such as the description of an app.
    Description(String),
}

impl ResourceNames {
    /// Returns what the resource is called.
    pub fn of(&self, resource: &Resource) -> Option<&ResourceName> {
        if resource.cluster != self.cluster {
            return None;
        }
        self.names.get(&(resource.kind.clone(), resource.name.clone()))
    }
}
