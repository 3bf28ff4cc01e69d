//! Users: read by name, and found by their traits.

use tonic::Request;
use tonic::Response;
use tonic::Status;

use crate::cluster::rules::denied;
use crate::cluster::service::AuthService;
use crate::cluster::{Cluster, Lists};
use crate::teleport::users::v1::users_service_server::UsersService;
use crate::types;

/// Largest number of users per page.
const PAGE: usize = 1_000;

impl Cluster {
    /// Deletes a user, as Teleport deletes those of an expired single sign-on.
    pub fn delete_user(&self, name: &str) {
        self.change(|state| state.users.remove(name));
    }
}

#[tonic::async_trait]
impl UsersService for AuthService {
    async fn get_user(
        &self,
        request: Request<types::GetUserRequest>,
    ) -> Result<Response<types::GetUserResponse>, Status> {
        let query = self.begin("GetUser", request).await?;
        let mut state = self.cluster().state();
        if state.faults.deny_users {
            state.meet("deny_users");
            return Err(denied("\"read\" on \"user\""));
        }
        let traits = state.users.get(&query.name);
        let traits = traits.ok_or_else(|| Status::not_found(format!("user {:?} is not found", query.name)))?;
        Ok(Response::new(types::GetUserResponse {
            user: Some(user(&query.name, traits)),
        }))
    }

    async fn list_users(
        &self,
        request: Request<types::ListUsersRequest>,
    ) -> Result<Response<types::ListUsersResponse>, Status> {
        let query = self.begin("ListUsers", request).await?;
        let endless = self.endless("ListUsers");
        let mut state = self.cluster().state();
        if state.faults.deny_users {
            state.meet("deny_users");
            return Err(denied("\"list\" on \"user\""));
        }
        let wanted = query.filter.and_then(|filter| filter.traits).unwrap_or_default();
        let ignored = state.faults.ignore_user_filter;
        if ignored {
            state.meet("ignore_user_filter");
        }
        // A user must have every value of every trait.
        let fits = |traits: &Lists| {
            ignored
                || wanted.values.iter().all(|(name, wanted)| {
                    let held = traits.get(name).map_or(&[][..], Vec::as_slice);
                    wanted.values.iter().all(|value| held.contains(value))
                })
        };
        let size = usize::try_from(query.page_size).ok().filter(|size| *size > 0);
        let most = state.faults.page.or(size).map_or(PAGE, |size| size.min(PAGE));
        let mut rest = state.users.range(query.page_token..).filter(|(_, traits)| fits(traits));
        let users = rest.by_ref().take(most).map(|(name, traits)| user(name, traits));
        let users = users.collect();
        let next = rest.next().map(|(name, _)| name.clone()).unwrap_or_default();
        Ok(Response::new(types::ListUsersResponse {
            users,
            next_page_token: if endless { "again".to_owned() } else { next },
        }))
    }
}

fn user(name: &str, traits: &Lists) -> types::UserV2 {
    let values = traits.iter().map(|(key, values)| {
        let values = types::StringValues { values: values.clone() };
        (key.clone(), values)
    });
    let traits = types::LabelValues {
        values: values.collect(),
    };
    types::UserV2 {
        metadata: Some(types::Metadata {
            name: name.to_owned(),
            ..types::Metadata::default()
        }),
        spec: Some(types::UserSpecV2 { traits: Some(traits) }),
    }
}
