//! The users of the organization's directory, under every name that they have.
//!
//! Architecture Invariant: one call finds a user, whichever kind of name is known. Of several users with a name, none is
//! chosen at random.

use crate::domain::recipients::Person;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{Entry, Graph, failure, literal, no_key};
use crate::msteams::paths::encode;
use crate::msteams::permissions::FIND_BY_ALIAS;

/// A user of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) person: Person,
    /// Whether the user cannot sign in; false if Graph does not show it.
    pub(crate) is_disabled: bool,
    /// Whether it is a guest, or was one; without the permission `User.Read.All` only the user principal name shows it.
    pub(crate) is_guest: bool,
}

/// The fields of a user that we read; the permission `User.ReadBasic.All` includes them.
const FIELDS: &str = "$select=id,displayName,mail,userPrincipalName";

/// The fields that need the permission `User.Read.All`.
const STATE: &str = ",accountEnabled,userType";

impl From<Entry> for User {
    fn from(entry: Entry) -> Self {
        let name = entry.user_principal_name.as_deref().unwrap_or_default();
        Self {
            is_guest: is_guest(name, entry.user_type.as_deref()),
            person: Person {
                id: entry.id,
                name: entry.display_name.unwrap_or_default(),
            },
            is_disabled: entry.account_enabled == Some(false),
        }
    }
}

/// Returns whether a user is a guest, or was one and still has the name of a guest. An unknown type says nothing.
pub(super) fn is_guest(principal_name: &str, user_type: Option<&str>) -> bool {
    let is_foreign = principal_name.to_ascii_uppercase().contains("#EXT#");
    is_foreign || user_type.is_some_and(|kind| kind != "Member")
}

impl Graph {
    /// Finds the user with an email address, a user principal name or, with the permission `User.Read.All`, another
    /// address of the mailbox. Of several users, the one whose primary address it is.
    pub(crate) async fn user_by_email(&self, mail: &str, priority: &Priority) -> Result<User, Error> {
        let names = named(mail, self.service().token().has(&FIND_BY_ALIAS));
        let found = match self.users_with(&names, priority).await {
            // In case a directory does not combine conditions on these properties.
            Err(error) if error.meaning() == Meaning::Rejected && error.status() == Some(400) => {
                let mailbox = format!("mail eq {}", literal(mail));
                let found = self.users_with(&mailbox, priority).await?;
                if found.is_empty() {
                    return self.user(mail, priority).await;
                }
                found
            }
            found => found?,
        };
        let best = best(found, mail).map_err(|meaning| failure(Operation::FindUser, meaning, Retry::Never))?;
        Ok(best.into())
    }

    async fn users_with(&self, filter: &str, priority: &Priority) -> Result<Vec<Entry>, Error> {
        let query = format!("$filter={}&{}", encode(filter), self.fields());
        let url = self.service().url(&["v1.0", "users"], Some(&query));
        self.all(Operation::FindUser, url, &no_key(), priority).await
    }

    /// Finds the user with an id or a user principal name.
    pub(crate) async fn user(&self, id_or_name: &str, priority: &Priority) -> Result<User, Error> {
        let fields = self.fields();
        let path = path(id_or_name);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let url = self.service().url(&path, Some(&fields));
        let user: Entry = self.get(Operation::FindUser, url, &no_key(), priority).await?;
        Ok(user.into())
    }

    fn fields(&self) -> String {
        let state = Some(STATE).filter(|_| self.service().token().has(&FIND_BY_ALIAS));
        format!("{FIELDS}{}", state.unwrap_or_default())
    }
}

/// Writes the condition that a user has a name: an email address, a user principal name or, if it can be read, an alias.
pub(super) fn named(mail: &str, reads_aliases: bool) -> String {
    let text = literal(mail);
    let mut names = format!("mail eq {text} or userPrincipalName eq {text}");
    if reads_aliases {
        let alias = literal(&format!("smtp:{mail}"));
        names = format!("{names} or proxyAddresses/any(p:p eq {alias})");
    }
    names
}

/// Returns the path of a user by the ID or the user principal name. In a path segment, a name that begins with a dollar sign
/// would be parsed as a keyword.
pub(super) fn path(id_or_name: &str) -> Vec<String> {
    let root = "v1.0".to_owned();
    if id_or_name.starts_with('$') {
        vec![root, format!("users({})", literal(id_or_name))]
    } else {
        vec![root, "users".to_owned(), id_or_name.to_owned()]
    }
}

/// Returns the user whose email address it is, or else the one whose principal name it is, or else the one with the alias.
fn best(mut found: Vec<Entry>, mail: &str) -> Result<Entry, Meaning> {
    let rank = |entry: &Entry| {
        let is = |name: &Option<String>| {
            name.as_ref()
                .is_some_and(|name| name.to_lowercase() == mail.to_lowercase())
        };
        match (is(&entry.mail), is(&entry.user_principal_name)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    };
    found.sort_by_key(rank);
    let mut ranks = found.iter().map(rank);
    let is_ambiguous = ranks.next().is_some_and(|first| ranks.next() == Some(first));
    match found.into_iter().next() {
        None => Err(Meaning::NotFound),
        Some(_) if is_ambiguous => Err(Meaning::Ambiguous),
        Some(user) => Ok(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, mail: Option<&str>, name: &str) -> Entry {
        serde_json::from_value(serde_json::json!({"id": id, "mail": mail, "userPrincipalName": name})).unwrap()
    }

    #[test]
    fn a_primary_address_comes_before_a_principal_name_and_an_alias() {
        let (mail, name) = (entry("1", Some("A@b.c"), "x@b.c"), entry("2", None, "a@B.c"));
        let alias = entry("3", Some("d@b.c"), "d@b.c");
        let found = |entries: &[&Entry]| {
            let found = best(entries.iter().copied().cloned().collect(), "a@b.c");
            found.map(|entry| entry.id)
        };
        assert_eq!(found(&[&alias, &name, &mail]).as_deref(), Ok("1"));
        assert_eq!(found(&[&alias, &name]).as_deref(), Ok("2"));
        assert_eq!(found(&[&alias]).as_deref(), Ok("3"));
        assert_eq!(found(&[]), Err(Meaning::NotFound));
        assert_eq!(found(&[&mail, &name, &mail]), Err(Meaning::Ambiguous));
        assert_eq!(found(&[&alias, &alias]), Err(Meaning::Ambiguous));
    }
}
