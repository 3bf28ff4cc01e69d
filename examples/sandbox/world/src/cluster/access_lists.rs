//! Access Lists: read by name, listed, and their owners.

use std::time::{Duration, SystemTime};

use prost_types::{Duration as WireDuration, Timestamp};
use tonic::{Request, Response, Status};

use crate::cluster::rules::denied;
use crate::cluster::service::AuthService;
use crate::cluster::state::PLUGIN;
use crate::cluster::{Cluster, PluginData};
use crate::teleport::accesslist::v1::access_list_service_server::AccessListService;
use crate::types;

/// Default number of lists per page.
const PAGE: usize = 100;

/// An Access List to create.
#[derive(Clone, Debug)]
pub struct ListDraft {
    pub name: String,
    pub title: String,
    /// Users that the list itself names.
    pub owners: Vec<String>,
    /// Lists whose members own it too, and these members.
    pub nested: Vec<(String, Vec<String>)>,
    /// When the next review is due; `None` for lists without reviews, such as those of SCIM.
    pub due: Option<SystemTime>,
    /// How long before that the owners are reminded.
    pub notice: Duration,
    pub members: Option<u32>,
}

impl ListDraft {
    /// Returns a list whose review is due in a day.
    pub fn new(name: &str, title: &str, owners: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
            nested: Vec::new(),
            due: Some(crate::now() + Duration::from_hours(24)),
            notice: Duration::from_hours(14 * 24),
            members: Some(3),
        }
    }

    fn into_list(self) -> types::AccessList {
        let user = (types::MembershipKind::User, self.owners);
        let nested = self.nested.into_iter().map(|(list, _)| list).collect();
        let owners = [user, (types::MembershipKind::List, nested)];
        let owners = owners.into_iter().flat_map(|(kind, names)| {
            names.into_iter().map(move |name| types::AccessListOwner {
                name,
                membership_kind: kind.into(),
            })
        });
        types::AccessList {
            header: Some(types::AccessListHeader {
                metadata: Some(types::HeaderMetadata { name: self.name }),
            }),
            spec: Some(types::AccessListSpec {
                owners: owners.collect(),
                audit: self.due.map(|due| types::AccessListAudit {
                    next_audit_date: Some(Timestamp::from(due)),
                    notifications: Some(types::AuditNotifications {
                        start: WireDuration::try_from(self.notice).ok(),
                    }),
                }),
                title: self.title,
            }),
            status: Some(types::AccessListStatus {
                member_count: self.members,
            }),
        }
    }
}

impl Cluster {
    /// Creates an Access List without reviews.
    pub fn add_access_list(&self, name: &str, title: &str) {
        self.put_access_list(ListDraft {
            due: None,
            ..ListDraft::new(name, title, &[])
        });
    }

    /// Creates or replaces an Access List.
    pub fn put_access_list(&self, draft: ListDraft) {
        let name = draft.name.clone();
        let inherited = draft.nested.iter().flat_map(|(_, members)| members.clone()).collect();
        self.change(|state| {
            state.inherited_owners.insert(name.clone(), inherited);
            state.access_lists.insert(name, draft.into_list())
        });
    }

    /// Stores data of the daemon's plugin, as if another program had written them.
    pub fn set_list_data(&self, name: &str, data: PluginData) {
        self.change(|state| {
            let entries = state.list_data.entry(name.to_owned()).or_default();
            entries.insert(PLUGIN.to_owned(), data)
        });
    }

    /// Returns the daemon's plugin data of an Access List.
    pub fn list_data(&self, name: &str) -> PluginData {
        self.state().list_data(name)
    }
}

impl AuthService {
    /// Starts a call to the service of Access Lists.
    async fn begin_lists<T>(&self, call: &'static str, request: Request<T>) -> Result<T, Status> {
        let query = self.begin(call, request).await?;
        let mut state = self.cluster().state();
        if state.faults.no_access_lists {
            state.meet("no_access_lists");
            return Err(Status::unimplemented(
                "unknown service teleport.accesslist.v1.AccessListService",
            ));
        }
        if state.faults.deny_access_lists {
            state.meet("deny_access_lists");
            return Err(denied("\"list\" on \"access_list\""));
        }
        Ok(query)
    }
}

#[tonic::async_trait]
impl AccessListService for AuthService {
    async fn get_access_list(
        &self,
        request: Request<types::GetAccessListRequest>,
    ) -> Result<Response<types::AccessList>, Status> {
        let query = self.begin_lists("GetAccessList", request).await?;
        let list = self.cluster().state().access_lists.get(&query.name).cloned();
        list.map(Response::new).ok_or_else(|| not_found(&query.name))
    }

    async fn list_access_lists(
        &self,
        request: Request<types::ListAccessListsRequest>,
    ) -> Result<Response<types::ListAccessListsResponse>, Status> {
        let query = self.begin_lists("ListAccessLists", request).await?;
        let endless = self.endless("ListAccessLists");
        let state = self.cluster().state();
        let wanted = usize::try_from(query.page_size).unwrap_or_default();
        let usual = if wanted == 0 { PAGE } else { wanted.min(PAGE) };
        let most = state.faults.page.unwrap_or(usual);
        let mut rest = state.access_lists.range(query.next_token..);
        let access_lists = rest.by_ref().take(most).map(|(_, list)| list.clone()).collect();
        let next = rest.next().map(|(name, _)| name.clone()).unwrap_or_default();
        Ok(Response::new(types::ListAccessListsResponse {
            access_lists,
            next_token: if endless { "again".to_owned() } else { next },
        }))
    }

    async fn get_access_list_owners(
        &self,
        request: Request<types::GetAccessListOwnersRequest>,
    ) -> Result<Response<types::GetAccessListOwnersResponse>, Status> {
        let query = self.begin_lists("GetAccessListOwners", request).await?;
        let mut state = self.cluster().state();
        if state.faults.no_list_owners {
            state.meet("no_list_owners");
            return Err(Status::unimplemented("unknown method GetAccessListOwners"));
        }
        let name = &query.access_list;
        let list = state.access_lists.get(name).cloned().ok_or_else(|| not_found(name))?;
        let mut owners = list.spec.unwrap_or_default().owners;
        let inherited = state.inherited_owners.get(name).cloned().unwrap_or_default();
        owners.extend(inherited.into_iter().map(|name| types::AccessListOwner {
            name,
            membership_kind: types::MembershipKind::User.into(),
        }));
        Ok(Response::new(types::GetAccessListOwnersResponse { owners }))
    }
}

fn not_found(name: &str) -> Status {
    Status::not_found(format!("access list {name:?} is not found"))
}
