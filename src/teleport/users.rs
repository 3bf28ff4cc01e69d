//! Users, and the users for which a role may submit reviews.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use crate::teleport::damaged::Kind;
use crate::teleport::pages::Pages;
use crate::teleport::wire::{proto, types};
use crate::teleport::{Client, Error, Meaning, convert};

/// Number of users per page.
const PAGE: i32 = 100;

impl Client {
    /// Finds the users with this value of a trait. Stops after the second one, because only a single user counts.
    ///
    /// # Errors
    /// `Denied` if the role may not list users; `Unsupported` if the server does not select users by their traits.
    pub async fn users_with_trait(&self, name: &str, value: &str) -> Result<Vec<String>, Error> {
        let doing = "find a user by a trait";
        let mut pages = Pages::new(doing);
        let mut users = Vec::new();
        loop {
            let values = types::TraitValues {
                values: vec![value.to_owned()],
            };
            let filter = types::UserFilter {
                traits: Some(types::UserTraits {
                    values: [(name.to_owned(), values)].into(),
                }),
            };
            let page = self.list_users(doing, &pages, Some(filter)).await?;
            for bytes in &page.users {
                let listed = self.damaged().take(Kind::User, bytes, convert::listed_user(bytes));
                // Another user with the same value must not stay unnoticed.
                let Some((user, traits)) = listed else {
                    return Err(Error::new(Meaning::Undecodable, doing, "a user could not be decoded"));
                };
                let values = traits.get(name).map(Vec::as_slice).unwrap_or_default();
                if !values.iter().any(|held| held.eq_ignore_ascii_case(value)) {
                    let detail = "the server does not select users by their traits";
                    return Err(Error::new(Meaning::Unsupported, doing, detail).or_hint(hint!("Upgrade the cluster")));
                }
                users.push(user);
                if users.len() > 1 {
                    return Ok(users);
                }
            }
            if !pages.advance(page.encoded_len(), page.next_page_token)? {
                return Ok(users);
            }
        }
    }

    /// Lists the users that have a trait, by its values.
    ///
    /// # Errors
    /// `Denied` if the role may not list users.
    pub async fn users_by_trait(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let doing = "list users";
        let mut pages = Pages::new(doing);
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        loop {
            let page = self.list_users(doing, &pages, None).await?;
            for bytes in &page.users {
                let listed = self.damaged().take(Kind::User, bytes, convert::listed_user(bytes));
                let Some((user, mut traits)) = listed else { continue };
                let values: BTreeSet<_> = traits.remove(name).unwrap_or_default().into_iter().collect();
                for value in values {
                    users.entry(value).or_default().push(user.clone());
                }
            }
            if !pages.advance(page.encoded_len(), page.next_page_token)? {
                return Ok(users);
            }
        }
    }

    async fn list_users(
        &self,
        doing: &'static str,
        pages: &Pages,
        filter: Option<types::UserFilter>,
    ) -> Result<types::ListUsersResponse, Error> {
        let query = types::ListUsersRequest {
            page_size: PAGE,
            page_token: pages.key(),
            filter,
        };
        let page = self
            .ask(doing, "/teleport.users.v1.UsersService/ListUsers", query)
            .await;
        page.map_err(|error: Error| match error.meaning() {
            Meaning::Denied => error.or_hint(hint!("Grant the role list and read on user")),
            _ => error,
        })
    }

    /// Returns the users for which a role may submit reviews.
    ///
    /// # Errors
    /// `Denied` if our role may not read roles, `NotFound` if the role does not exist.
    pub async fn submit_for_users(&self, role: &str) -> Result<Vec<String>, Error> {
        let query = proto::GetRoleRequest { name: role.to_owned() };
        let bytes = self.ask_raw("read a role", "/proto.AuthService/GetRole", query).await?;
        let read = convert::submit_for_users(role, bytes.clone());
        Ok(self.damaged().take(Kind::Role, &bytes, read).unwrap_or_default())
    }

    /// Returns the values of a trait of the user with this name; `None` if there is no such user.
    ///
    /// # Errors
    /// `Denied` if the role may not read users; `Undecodable` if the answer is.
    pub async fn trait_of_user(&self, user: &str, name: &str) -> Result<Option<Vec<String>>, Error> {
        let doing = "read a user";
        let query = types::GetUserRequest { name: user.to_owned() };
        let answer = self
            .ask_raw(doing, "/teleport.users.v1.UsersService/GetUser", query)
            .await;
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
            Err(error) if error.meaning() == Meaning::Denied => {
                return Err(error.or_hint(hint!("Grant the role read on user")));
            }
            Err(error) => return Err(error),
        };
        let read = convert::user(user, bytes.clone());
        // Without the damaged part, a user that has the trait would look like one without it.
        let is_whole = read.flaw.is_none();
        match self.damaged().take(Kind::User, &bytes, read).filter(|_| is_whole) {
            Some(mut traits) => Ok(Some(traits.remove(name).unwrap_or_default())),
            None => Err(Error::new(Meaning::Undecodable, doing, "the user could not be decoded")),
        }
    }
}
