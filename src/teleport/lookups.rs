//! What rules ask beyond the request: the requester's traits, and the labels of the requested resources.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::request::Resource;
use crate::teleport::client::LARGEST_MESSAGE;
use crate::teleport::wire::proto;
use crate::teleport::wire::teleport::userloginstate::v1::user_login_state_service_client::UserLoginStateServiceClient;
use crate::teleport::wire::teleport::users::v1::users_service_client::UsersServiceClient;
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

/// Names in one question; a long list of resources is asked for in parts.
const NAMES: usize = 100;

impl Client {
    /// Reads a user's traits: those of the last login, which have what access lists grant, or else the user's own.
    ///
    /// # Errors
    /// `Denied` if the role may not read them, `NotFound` if there is no such user.
    pub async fn user_traits(&self, user: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let doing = "read a user's traits";
        let hint = |error: Error| match error.meaning() {
            Meaning::Denied => error.with_hint("the role needs read on user_login_state and user"),
            _ => error,
        };
        let query = types::GetUserLoginStateRequest { name: user.to_owned() };
        let mut states = UserLoginStateServiceClient::new(self.channel());
        match self.call(doing, states.get_user_login_state(query)).await {
            Ok(state) => {
                let traits = state.spec.unwrap_or_default().traits.into_iter();
                return Ok(traits.map(|each| (each.key, each.values)).collect());
            }
            // Nobody has logged in yet, or the server is older than login states.
            Err(error) if matches!(error.meaning(), Meaning::NotFound | Meaning::Unsupported) => {}
            Err(error) => return Err(hint(error)),
        }
        let query = types::GetUserRequest { name: user.to_owned() };
        let mut users = UsersServiceClient::new(self.channel());
        let answer = self.call(doing, users.get_user(query)).await.map_err(hint)?;
        let spec = answer.user.unwrap_or_default().spec.unwrap_or_default();
        Ok(convert::lists(spec.traits))
    }

    /// Reads the labels of resources of our own cluster, each resource once. Those that our role cannot see, even as a
    /// reviewer, are not among them.
    ///
    /// # Errors
    /// `Denied` if the role may see none of a kind.
    pub async fn resource_labels(&self, resources: &[Resource]) -> Result<Vec<BTreeMap<String, String>>, Error> {
        let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for resource in resources {
            kinds.entry(listed_as(resource)).or_default().insert(&resource.name);
        }
        let mut found = BTreeMap::new();
        for (kind, names) in kinds {
            let names: Vec<_> = names.into_iter().collect();
            for names in names.chunks(NAMES) {
                for (name, labels) in self.list_labels(kind, names).await? {
                    // Several servers may serve the same app or database.
                    found.entry((kind, name)).or_insert(labels);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    async fn list_labels(&self, kind: &str, names: &[&str]) -> Result<Vec<(String, BTreeMap<String, String>)>, Error> {
        let doing = "read the labels of resources";
        let is_name = |name: &&str| format!("resource.metadata.name == {}", quoted(name));
        let expression = names.iter().map(is_name).collect::<Vec<_>>().join(" || ");
        let (mut found, mut start_key) = (Vec::new(), String::new());
        loop {
            let query = proto::ListResourcesRequest {
                resource_type: kind.to_owned(),
                namespace: "default".to_owned(),
                limit: i32::try_from(NAMES).unwrap_or(i32::MAX),
                start_key,
                predicate_expression: expression.clone(),
                use_search_as_roles: true,
                use_preview_as_roles: true,
            };
            let mut service = self.service().max_decoding_message_size(LARGEST_MESSAGE);
            let page = self.call(doing, service.list_resources(query)).await;
            let page = page.map_err(|error| match error.meaning() {
                Meaning::Denied => error.with_hint(format!(
                    "the role needs list and read on {kind} and labels that match, or review_requests.preview_as_roles"
                )),
                _ => error,
            })?;
            found.extend(page.resources.into_iter().filter_map(convert::labels));
            if page.next_key.is_empty() {
                found.retain(|(name, _)| names.contains(&name.as_str()));
                return Ok(found);
            }
            start_key = page.next_key;
        }
    }
}

/// Returns the kind under which the labels of a resource are listed.
fn listed_as(resource: &Resource) -> &str {
    match resource.kind.as_str() {
        "app" => "app_server",
        "db" => "db_server",
        "kube_cluster" => "kube_server",
        // A part of a Kubernetes cluster, named by the cluster.
        _ if !resource.sub_resource.is_empty() => "kube_server",
        kind => kind,
    }
}

/// Writes a name so that Teleport's expression reads it back.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
