//! Access Monitoring Rules, and the data for their conditions: traits of users and labels of resources.

use std::collections::BTreeMap;

use tonic::Request;
use tonic::Response;
use tonic::Status;

use crate::cluster::Cluster;
use crate::cluster::service::AuthService;
use crate::teleport::accessmonitoringrules::v1::access_monitoring_rules_service_server::AccessMonitoringRulesService;
use crate::teleport::userloginstate::v1::user_login_state_service_server::UserLoginStateService;
use crate::{proto, types};

/// Traits or labels with several values.
pub type Lists = BTreeMap<String, Vec<String>>;

/// Returns a rule for the daemon, with usual values for the other fields.
pub fn rule(name: &str, condition: &str, recipients: &[&str]) -> types::AccessMonitoringRule {
    types::AccessMonitoringRule {
        metadata: Some(types::HeaderMetadata { name: name.to_owned() }),
        kind: "access_monitoring_rule".to_owned(),
        sub_kind: String::new(),
        version: "v1".to_owned(),
        spec: Some(types::AccessMonitoringRuleSpec {
            subjects: vec!["access_request".to_owned()],
            condition: condition.to_owned(),
            notification: Some(types::RuleNotification {
                name: "msteams".to_owned(),
                recipients: recipients.iter().map(|text| (*text).to_owned()).collect(),
            }),
            schedules: std::collections::HashMap::new(),
        }),
    }
}

impl Cluster {
    /// Creates or changes a rule, and notifies the watchers.
    pub fn put_rule(&self, rule: types::AccessMonitoringRule) {
        let name = rule.metadata.clone().unwrap_or_default().name;
        let event = proto::Event {
            r#type: proto::Operation::Put.into(),
            resource: Some(proto::event::Resource::AccessMonitoringRule(rule.clone())),
        };
        self.change(|state| {
            state.rules.insert(name, rule);
            state.publish(&event);
        });
    }

    /// Deletes a rule; the event contains only its name.
    pub fn delete_rule(&self, name: &str) {
        let header = types::ResourceHeader {
            kind: "access_monitoring_rule".to_owned(),
            sub_kind: String::new(),
            version: "v1".to_owned(),
            metadata: Some(types::Metadata {
                name: name.to_owned(),
                ..types::Metadata::default()
            }),
        };
        let event = proto::Event {
            r#type: proto::Operation::Delete.into(),
            resource: Some(proto::event::Resource::ResourceHeader(header)),
        };
        self.change(|state| {
            state.rules.remove(name);
            state.publish(&event);
        });
    }

    /// Sets the traits of a user, in the state of the last login or only in the user's record.
    pub fn set_traits(&self, user: &str, logged_in: bool, traits: &[(&str, &[&str])]) {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let traits: Lists = traits
            .iter()
            .map(|(key, values)| ((*key).to_owned(), list(values)))
            .collect();
        self.change(|state| {
            let all = if logged_in {
                &mut state.login_states
            } else {
                &mut state.users
            };
            all.insert(user.to_owned(), traits);
        });
    }

    /// Adds a resource with its labels; `kind` is the kind under which it is listed, such as `node` or `db_server`.
    pub fn add_resource(&self, kind: &str, name: &str, labels: &[(&str, &str)]) {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let labels = labels.collect();
        self.change(|state| state.resources.insert((kind.to_owned(), name.to_owned()), labels));
    }

    /// Gives a resource a host name, if it is a node, or a description. `kind` is the kind under which it is listed.
    pub fn name_resource(&self, kind: &str, name: &str, shown: &str) {
        let key = (kind.to_owned(), name.to_owned());
        self.change(|state| {
            state.resources.entry(key.clone()).or_default();
            state.resource_names.insert(key, shown.to_owned())
        });
    }
}

pub(super) fn denied(action: &str) -> Status {
    Status::permission_denied(format!("access denied to perform action {action}"))
}

#[tonic::async_trait]
impl AccessMonitoringRulesService for AuthService {
    async fn list_access_monitoring_rules(
        &self,
        request: Request<types::ListRulesRequest>,
    ) -> Result<Response<types::ListRulesResponse>, Status> {
        let query = self.begin("ListAccessMonitoringRules", request).await?;
        self.page_of_rules(&query.page_token, |_| true)
    }

    async fn list_access_monitoring_rules_with_filter(
        &self,
        request: Request<types::ListRulesWithFilterRequest>,
    ) -> Result<Response<types::ListRulesResponse>, Status> {
        let query = self.begin("ListAccessMonitoringRulesWithFilter", request).await?;
        if self.cluster().state().faults.no_rule_filter {
            return Err(Status::unimplemented(
                "unknown method ListAccessMonitoringRulesWithFilter",
            ));
        }
        self.page_of_rules(&query.page_token, |spec| {
            let notification = spec.notification.as_ref().map_or("", |notification| &notification.name);
            query.subjects.iter().all(|subject| spec.subjects.contains(subject))
                && (query.notification_name.is_empty() || query.notification_name == notification)
        })
    }
}

impl AuthService {
    fn page_of_rules(
        &self,
        token: &str,
        fits: impl Fn(&types::AccessMonitoringRuleSpec) -> bool,
    ) -> Result<Response<types::ListRulesResponse>, Status> {
        let endless = self.endless("ListAccessMonitoringRules");
        let mut state = self.cluster().state();
        if state.faults.fail_rules > 0 {
            state.faults.fail_rules -= 1;
            return Err(Status::unavailable("pretended outage"));
        }
        if state.faults.deny_rules {
            state.meet("deny_rules");
            return Err(denied("\"list\" on \"access_monitoring_rule\""));
        }
        if state.faults.no_rules {
            return Err(Status::unimplemented("unknown service"));
        }
        let most = state.faults.page.unwrap_or(1_000);
        let mut rest = state
            .rules
            .iter()
            .filter(|(name, rule)| name.as_str() >= token && rule.spec.as_ref().is_some_and(&fits));
        let rules = rest.by_ref().take(most).map(|(_, rule)| rule.clone()).collect();
        let next = rest.next().map(|(name, _)| name.clone()).unwrap_or_default();
        let next_page_token = if endless { "again".to_owned() } else { next };
        Ok(Response::new(types::ListRulesResponse { rules, next_page_token }))
    }

    /// Lists the resources that an expression of names selects.
    pub(super) fn resources(
        &self,
        query: &proto::ListResourcesRequest,
    ) -> Result<proto::ListResourcesResponse, Status> {
        let endless = self.endless("ListResources");
        let state = self.cluster().state();
        if state.faults.deny_resources {
            return Err(denied(&format!("\"list\" on \"{}\"", query.resource_type)));
        }
        if !query.use_preview_as_roles || !query.use_search_as_roles {
            return Ok(proto::ListResourcesResponse::default());
        }
        let asked = |name: &str| {
            let wanted = format!("resource.metadata.name == \"{name}\"");
            query.predicate_expression.split(" || ").any(|part| part == wanted)
        };
        let found = state
            .resources
            .iter()
            .filter(|((kind, name), _)| *kind == query.resource_type && asked(name));
        let resources = found.map(|(key, labels)| {
            let shown = state.resource_names.get(key).cloned().unwrap_or_default();
            resource(&key.0, &key.1, labels, shown)
        });
        Ok(proto::ListResourcesResponse {
            resources: resources.collect(),
            next_key: if endless { "again".to_owned() } else { String::new() },
        })
    }
}

/// Wraps labels in the form of the resource kind: the labels of a server are not those of what it serves.
fn resource(kind: &str, name: &str, labels: &BTreeMap<String, String>, shown: String) -> proto::PaginatedResource {
    use proto::paginated_resource::Resource;

    let metadata = types::Metadata {
        name: name.to_owned(),
        description: if kind == "node" { String::new() } else { shown.clone() },
        labels: labels.clone().into_iter().collect(),
        ..types::Metadata::default()
    };
    let agent = Some(types::Metadata {
        name: "a-host".to_owned(),
        labels: [("env".to_owned(), "of the agent".to_owned())].into(),
        ..types::Metadata::default()
    });
    let served = Some(types::Labelled {
        metadata: Some(metadata.clone()),
    });
    let resource = match kind {
        "app_server" => Resource::AppServer(types::AppServerV3 {
            metadata: agent,
            spec: Some(types::AppServerSpecV3 { app: served }),
        }),
        "db_server" => Resource::DatabaseServer(types::DatabaseServerV3 {
            metadata: agent,
            spec: Some(types::DatabaseServerSpecV3 { database: served }),
        }),
        "kube_server" => Resource::KubernetesServer(types::KubernetesServerV3 {
            metadata: agent,
            spec: Some(types::KubernetesServerSpecV3 { cluster: served }),
        }),
        _ => Resource::Node(types::ServerV2 {
            metadata: Some(metadata),
            spec: Some(types::ServerSpecV2 {
                hostname: shown,
                ..types::ServerSpecV2::default()
            }),
        }),
    };
    proto::PaginatedResource {
        resource: Some(resource),
    }
}

#[tonic::async_trait]
impl UserLoginStateService for AuthService {
    async fn get_user_login_state(
        &self,
        request: Request<types::GetUserLoginStateRequest>,
    ) -> Result<Response<types::UserLoginState>, Status> {
        let query = self.begin("GetUserLoginState", request).await?;
        let state = self.cluster().state();
        if state.faults.deny_traits {
            return Err(denied("\"read\" on \"user_login_state\""));
        }
        let traits = state.login_states.get(&query.name);
        let traits = traits.ok_or_else(|| Status::not_found("user login state not found"))?;
        let traits = traits.iter().map(|(key, values)| types::Trait {
            key: key.clone(),
            values: values.clone(),
        });
        Ok(Response::new(types::UserLoginState {
            spec: Some(types::UserLoginStateSpec {
                traits: traits.collect(),
            }),
        }))
    }
}
