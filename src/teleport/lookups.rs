//! Lookups for rule conditions: the requester's traits, and the labels of the requested resources.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use crate::domain::request::Resource;
use crate::teleport::convert::Labelled;
use crate::teleport::damaged::Kind;
use crate::teleport::pages::Pages;
use crate::teleport::wire::proto;
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

/// Number of names per query; a long list of resources is split.
const NAMES: usize = 100;

impl Client {
    /// Reads a user's traits: those of the last login, which include what access lists grant, or else the user's own.
    ///
    /// # Errors
    /// `Denied` if the role may not read them, `NotFound` if the user does not exist.
    pub async fn user_traits(&self, user: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let doing = "read a user's traits";
        let hint = |error: Error| match error.meaning() {
            Meaning::Denied => error.or_hint(hint!("Grant the role read on user_login_state and user")),
            _ => error,
        };
        let query = types::GetUserLoginStateRequest { name: user.to_owned() };
        let method = "/teleport.userloginstate.v1.UserLoginStateService/GetUserLoginState";
        match self.ask_raw(doing, method, query).await {
            Ok(bytes) => {
                let read = convert::login_state(user, bytes.clone());
                return Ok(self.damaged().take(Kind::User, &bytes, read).unwrap_or_default());
            }
            // The user has never logged in, or the server is older than login states.
            Err(error) if matches!(error.meaning(), Meaning::NotFound | Meaning::Unsupported) => {}
            Err(error) => return Err(hint(error)),
        }
        let query = types::GetUserRequest { name: user.to_owned() };
        let method = "/teleport.users.v1.UsersService/GetUser";
        let bytes = self.ask_raw(doing, method, query).await.map_err(hint)?;
        let read = convert::user(user, bytes.clone());
        Ok(self.damaged().take(Kind::User, &bytes, read).unwrap_or_default())
    }

    /// Reads the labels of resources of our own cluster, each resource once. Resources that our role cannot see, even
    /// as a reviewer, are missing from the result.
    ///
    /// # Errors
    /// `Denied` if the role cannot see any resource of a kind.
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

    async fn list_labels(&self, kind: &str, names: &[&str]) -> Result<Vec<Labelled>, Error> {
        let doing = "read the labels of resources";
        let is_name = |name: &&str| format!("resource.metadata.name == {}", quoted(name));
        let expression = names.iter().map(is_name).collect::<Vec<_>>().join(" || ");
        let (mut found, mut pages) = (Vec::new(), Pages::new(doing));
        loop {
            let query = proto::ListResourcesRequest {
                resource_type: kind.to_owned(),
                namespace: "default".to_owned(),
                limit: i32::try_from(NAMES).unwrap_or(i32::MAX),
                start_key: pages.key(),
                predicate_expression: expression.clone(),
                use_search_as_roles: true,
                use_preview_as_roles: true,
            };
            let page = self.ask(doing, "/proto.AuthService/ListResources", query).await;
            let page: proto::ListResourcesResponse = page.map_err(|error| match error.meaning() {
                Meaning::Denied => error.or_hint(hint_with!(
                    "Grant the role list and read on {kind} with matching labels, or review_requests.preview_as_roles"
                )),
                _ => error,
            })?;
            let read = |bytes| self.damaged().take(Kind::Resource, bytes, convert::labels(bytes));
            found.extend(page.resources.iter().filter_map(read));
            if !pages.advance(page.encoded_len(), page.next_key)? {
                found.retain(|(name, _)| names.contains(&name.as_str()));
                return Ok(found);
            }
        }
    }
}

/// Returns the kind under which Teleport lists the labels of a resource.
fn listed_as(resource: &Resource) -> &str {
    match resource.kind.as_str() {
        "app" => "app_server",
        "db" => "db_server",
        "kube_cluster" => "kube_server",
        // A part of a Kubernetes cluster, identified by the name of the cluster.
        _ if !resource.sub_resource.is_empty() => "kube_server",
        kind => kind,
    }
}

/// Quotes a name for Teleport's expression language.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
