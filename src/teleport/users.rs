//! Finds users by a trait.

use prost::Message as _;

use crate::teleport::damaged::Kind;
use crate::teleport::pages::Pages;
use crate::teleport::wire::types;
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
            let query = types::ListUsersRequest {
                page_size: PAGE,
                page_token: pages.key(),
                filter: Some(types::UserFilter {
                    traits: Some(types::UserTraits {
                        values: [(name.to_owned(), values)].into(),
                    }),
                }),
            };
            let page = self
                .ask(doing, "/teleport.users.v1.UsersService/ListUsers", query)
                .await;
            let page: types::ListUsersResponse = page.map_err(|error| match error.meaning() {
                Meaning::Denied => error.or_hint(hint!("Grant the role list and read on user")),
                _ => error,
            })?;
            for bytes in &page.users {
                let Some((user, traits)) = self.damaged().take(Kind::User, bytes, convert::listed_user(bytes)) else {
                    continue;
                };
                if !traits
                    .get(name)
                    .is_some_and(|values| values.iter().any(|held| held == value))
                {
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

    /// Returns whether there is a user with this name.
    ///
    /// # Errors
    /// `Denied` if the role may not read users.
    pub async fn has_user(&self, name: &str) -> Result<bool, Error> {
        let query = types::GetUserRequest { name: name.to_owned() };
        let answer = self
            .ask_raw("read a user", "/teleport.users.v1.UsersService/GetUser", query)
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.meaning() == Meaning::NotFound => Ok(false),
            Err(error) if error.meaning() == Meaning::Denied => {
                Err(error.or_hint(hint!("Grant the role read on user")))
            }
            Err(error) => Err(error),
        }
    }
}
