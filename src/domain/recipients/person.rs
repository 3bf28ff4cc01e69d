//! A person in the organization's directory.

/// A person, as Microsoft knows them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The object ID.
    pub id: String,
    /// The display name; empty if it is unknown.
    pub name: String,
}
