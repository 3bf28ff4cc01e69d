//! Lookups for rule conditions and cards: traits of users, and labels and names of the requested resources.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join_all, try_join_all};
use prost::Message as _;

use crate::domain::request::{Resource, ResourceName};
use crate::teleport::convert::Details;
use crate::teleport::damaged::Kind;
use crate::teleport::pages::Pages;
use crate::teleport::wire::proto;
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

const READ_DETAILS: &str = "read the details of resources";

/// Number of names per query; a long list of resources is split.
const NAMES: usize = 100;

/// The kinds whose IDs say little: those of nodes are UUIDs, and apps, databases and groups have descriptions.
const NAMED_KINDS: [&str; 4] = ["node", "app", "db", "user_group"];

/// The labels of resources, and the names of those that have one.
#[derive(Debug, Default)]
pub struct ListedResources {
    pub labels: Vec<BTreeMap<String, String>>,
    pub names: Vec<NamedResource>,
}

/// A resource by kind and ID, and what it is called.
pub type NamedResource = ((String, String), ResourceName);

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

    /// Reads the labels of resources of our own cluster, each resource once, and what they are called. Resources that our
    /// role cannot see, even as a reviewer, are missing from the result.
    ///
    /// # Errors
    /// `Denied` if the role cannot see any resource of a kind.
    pub async fn resource_labels(&self, resources: &[Resource]) -> Result<ListedResources, Error> {
        let kinds = by_kind(resources, |_| true);
        let lists = kinds.iter().map(|(kind, names)| self.list_details(kind, names));
        let lists = try_join_all(lists).await?;
        let mut listed = ListedResources::default();
        for (kind, found) in kinds.keys().zip(lists) {
            for mut details in found.into_values() {
                listed.labels.push(std::mem::take(&mut details.labels));
                listed.names.extend(named_resource(kind, details));
            }
        }
        Ok(listed)
    }

    /// Reads what resources of our own cluster are called, with one call for each kind. Resources that our role cannot see,
    /// or that have no other name, are missing from the result.
    ///
    /// The kinds that failed are returned as errors: `Denied` if the role cannot see any of the resources.
    pub async fn resource_names(&self, resources: &[Resource]) -> (Vec<NamedResource>, Vec<Error>) {
        let kinds = by_kind(resources, |resource| NAMED_KINDS.contains(&resource.kind.as_str()));
        let lists = kinds.iter().map(|(kind, names)| self.list_details(kind, names));
        let (mut named, mut errors) = (Vec::new(), Vec::new());
        for (kind, found) in kinds.keys().zip(join_all(lists).await) {
            match found {
                // Without the permission, Teleport usually answers with an empty list.
                Ok(found) if found.is_empty() => errors.push(invisible(kind)),
                Ok(found) => named.extend(found.into_values().filter_map(|details| named_resource(kind, details))),
                Err(error) => errors.push(error),
            }
        }
        (named, errors)
    }

    /// Lists resources of one kind by name. Several servers may serve the same app or database; the first one counts.
    async fn list_details(&self, kind: &str, names: &BTreeSet<&str>) -> Result<BTreeMap<String, Details>, Error> {
        let mut found = BTreeMap::new();
        let names: Vec<_> = names.iter().copied().collect();
        for names in names.chunks(NAMES) {
            self.list_some_details(kind, names, &mut found).await?;
        }
        Ok(found)
    }

    async fn list_some_details(
        &self,
        kind: &str,
        names: &[&str],
        found: &mut BTreeMap<String, Details>,
    ) -> Result<(), Error> {
        let doing = READ_DETAILS;
        let is_name = |name: &&str| format!("resource.metadata.name == {}", quoted(name));
        let expression = names.iter().map(is_name).collect::<Vec<_>>().join(" || ");
        let mut pages = Pages::new(doing);
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
                Meaning::Denied => error.or_hint(grant(kind)),
                _ => error,
            })?;
            for bytes in &page.resources {
                let details = self.damaged().take(Kind::Resource, bytes, convert::details(bytes));
                if let Some(details) = details.filter(|details| names.contains(&details.id.as_str())) {
                    found.entry(details.id.clone()).or_insert(details);
                }
            }
            if !pages.advance(page.encoded_len(), page.next_key)? {
                return Ok(());
            }
        }
    }
}

fn invisible(kind: &str) -> Error {
    let detail = format!("no requested {kind} exists, or is visible to the role");
    Error::new(Meaning::Denied, READ_DETAILS, detail).or_hint(grant(kind))
}

fn grant(kind: &str) -> String {
    hint_with!("Grant the role list and read on {kind} with matching labels, or review_requests.preview_as_roles")
}

/// Groups the names of resources by the kind under which Teleport lists them.
fn by_kind(resources: &[Resource], wanted: impl Fn(&Resource) -> bool) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for resource in resources.iter().filter(|resource| wanted(resource)) {
        kinds.entry(listed_as(resource)).or_default().insert(&resource.name);
    }
    kinds
}

/// Returns what a resource is called, if it has another name than its ID.
fn named_resource(listed_as: &str, details: Details) -> Option<NamedResource> {
    let Details {
        id,
        description,
        host_name,
        ..
    } = details;
    let kind = NAMED_KINDS.into_iter().find(|kind| listed_kind(kind) == listed_as)?;
    let name = if kind == "node" {
        ResourceName::Name(host_name)
    } else {
        ResourceName::Description(description)
    };
    let is_known = match &name {
        ResourceName::Name(text) | ResourceName::Description(text) => !text.is_empty(),
    };
    is_known.then(|| ((kind.to_owned(), id), name))
}

/// Returns the kind under which Teleport lists the labels of a resource.
fn listed_as(resource: &Resource) -> &str {
    match listed_kind(&resource.kind) {
        // A part of a Kubernetes cluster, identified by the name of the cluster.
        kind if kind == resource.kind && !resource.sub_resource.is_empty() => "kube_server",
        kind => kind,
    }
}

fn listed_kind(kind: &str) -> &str {
    match kind {
        "app" => "app_server",
        "db" => "db_server",
        "kube_cluster" => "kube_server",
        kind => kind,
    }
}

/// Quotes a name for Teleport's expression language.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
