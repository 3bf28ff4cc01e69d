//! Suggested reviewers, which requests contain as email addresses or as Teleport user names.

use std::collections::BTreeMap;

use crate::domain::recipients::Address;
use crate::domain::request::AccessRequest;

/// The addresses of suggested reviewers who are Teleport users, by user name; `None` for a user without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuggestedReviewers(BTreeMap<String, Option<Address>>);

impl SuggestedReviewers {
    /// Records the address of a user.
    pub fn put(&mut self, user: &str, address: Option<Address>) {
        self.0.insert(user.to_owned(), address);
    }

    /// Returns the suggested reviewers whose addresses must be looked up.
    pub fn to_look_up<'a>(&'a self, request: &'a AccessRequest) -> impl Iterator<Item = &'a str> {
        let reviewers = reviewers(request);
        // An email address, even an invalid one, is no name to look up.
        let names = reviewers.filter(|reviewer| !reviewer.contains('@') && written(reviewer).is_none());
        names.filter(|name| !self.0.contains_key(*name))
    }

    /// Returns whether addresses must be looked up.
    pub fn is_unknown(&self, request: &AccessRequest) -> bool {
        self.to_look_up(request).next().is_some()
    }

    /// Returns the address of a suggested reviewer: an email address as it is, and that of a user.
    pub fn address(&self, reviewer: &str) -> Option<Address> {
        match written(reviewer) {
            Some(address) => Some(address).filter(Address::is_email),
            None => self.0.get(reviewer).cloned().flatten(),
        }
    }

    /// Returns the addresses of all suggested reviewers of a request.
    pub fn addresses<'a>(&'a self, request: &'a AccessRequest) -> impl Iterator<Item = Address> + 'a {
        reviewers(request).filter_map(|reviewer| self.address(reviewer))
    }
}

/// Returns the address that a text is. The name of a user may look like that of a channel, and names no group.
fn written(reviewer: &str) -> Option<Address> {
    let address = Address::parse(reviewer).ok()?;
    Some(address).filter(|address| address.named_channel().is_none() && address.group().is_none())
}

/// Returns the suggested reviewers without the requester, who can be among them as the owner of an Access List.
pub(super) fn reviewers(request: &AccessRequest) -> impl Iterator<Item = &str> {
    let reviewers = request.suggested_reviewers.iter().map(String::as_str);
    reviewers.filter(|reviewer| *reviewer != request.user)
}
