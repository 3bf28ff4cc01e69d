//! Finds the address of a Teleport user, for every room that notifies people by their user name.
//!
//! Architecture Invariant: looks up users only; what an address is used for is decided elsewhere.

use std::sync::Arc;

use crate::daemon::requests::{Lookups, Traits};
use crate::domain::recipients::Address;
use crate::teleport::{Error, Meaning};

/// Traits that identity providers use for an email address, in order of preference.
const EMAIL_TRAITS: [&str; 2] = ["email", "mail"];

/// Returns the address in the traits of a user: the object ID, or an email address.
pub(super) fn address_in(traits: &Traits, user_id_trait: &str) -> Option<Address> {
    let id = only(traits, user_id_trait).filter(Address::is_person);
    id.or_else(|| email_in(traits))
}

/// Finds the address of a user: the object ID in the trait, otherwise a user name that is an email address or an object
/// ID, otherwise an email address in the traits. `None` if the user has none of these.
///
/// # Errors
/// Teleport did not answer, or the role may not read users and the name is no address.
pub(super) async fn address_of(lookups: &Lookups, user: &str, user_id_trait: &str) -> Result<Option<Address>, Error> {
    let addresses = addresses_of(lookups, user, user_id_trait).await?;
    Ok(addresses.into_iter().next())
}

/// Finds every address of a user, in the order in which [`address_of`] prefers them.
///
/// # Errors
/// Teleport did not answer, or the role may not read users and the name is no address.
pub(super) async fn addresses_of(lookups: &Lookups, user: &str, user_id_trait: &str) -> Result<Vec<Address>, Error> {
    let name = named(user);
    let traits = match (lookups.traits_of(user).await, &name) {
        (Ok(traits), _) => traits,
        // The user of an expired single sign-on does not exist until the next login.
        (Err(error), _) if error.meaning() == Meaning::NotFound => Arc::default(),
        (Err(error), Some(_)) if error.meaning() == Meaning::Denied => Arc::default(),
        (Err(error), _) => return Err(error),
    };
    let mut addresses: Vec<Address> = Vec::new();
    let found = [only(&traits, user_id_trait), name, email_in(&traits)];
    for address in found.into_iter().flatten().filter(Address::is_person) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// Returns the address that a user name is.
fn named(user: &str) -> Option<Address> {
    Address::parse(user).ok().filter(Address::is_person)
}

fn email_in(traits: &Traits) -> Option<Address> {
    EMAIL_TRAITS
        .into_iter()
        .find_map(|name| only(traits, name).filter(Address::is_email))
}

/// Returns the address in a trait that has exactly one value.
fn only(traits: &Traits, name: &str) -> Option<Address> {
    match traits.get(name).map(Vec::as_slice) {
        Some([value]) => Address::parse(value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(pairs: &[(&str, &[&str])]) -> Traits {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        pairs
            .iter()
            .map(|(name, values)| ((*name).to_owned(), list(values)))
            .collect()
    }

    #[test]
    fn the_object_id_comes_before_an_email_address() {
        let id = "a36aec2e-f11c-4219-b79a-19ffff57de70";
        let found = |pairs: &[(&str, &[&str])]| {
            address_in(&traits(pairs), "teams_user_id").map(|address| address.as_str().to_owned())
        };
        assert_eq!(
            found(&[("teams_user_id", &[id]), ("email", &["a@b.c"])]).as_deref(),
            Some(id)
        );
        assert_eq!(
            found(&[("email", &["a@b.c"]), ("mail", &["d@b.c"])]).as_deref(),
            Some("a@b.c")
        );
        assert_eq!(
            found(&[("teams_user_id", &[id, id]), ("mail", &["d@b.c"])]).as_deref(),
            Some("d@b.c")
        );
        assert_eq!(found(&[("email", &["alice"]), ("teams_user_id", &["https://x"])]), None);
    }
}
