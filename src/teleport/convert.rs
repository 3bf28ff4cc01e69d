//! Converts Teleport's messages to our own types.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prost::bytes::Bytes;

use crate::domain::request::{
    AccessList, AccessRequest, Constraints, RequestId, RequestKind, Resource, Review, Stage, Verdict,
};
use crate::domain::rules::{Rule, Schedule, Shift};
use crate::teleport::damaged::Read;
use crate::teleport::lossy::{Reading, id, text, texts};
use crate::teleport::thresholds::{indexes, threshold, threshold_sets};
use crate::teleport::wire::{proto, types};

/// Go's zero time, 0001-01-01T00:00:00Z, which means "not set" in fields that Go always sends.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

/// Decodes a request, as far as possible. A request without an id is of no use.
pub(super) fn access_request(bytes: &Bytes) -> Read<AccessRequest> {
    let mut reading = Reading::default();
    let message: types::AccessRequestV3 = reading.message(bytes.clone());
    let metadata: types::Metadata = reading.or_default(message.metadata);
    let id = id(&metadata.name);
    if id.is_none() {
        reading.add_flaw("it has no readable id");
    }
    let spec: Option<types::AccessRequestSpecV3> = reading.optional(message.spec);
    if spec.is_none() {
        reading.add_flaw("it has no content");
    }
    let item = id.clone().zip(spec).map(|(id, spec)| {
        let access_until = time(&mut reading, spec.max_duration.clone());
        let access_until = access_until.or_else(|| time(&mut reading, spec.expires.clone()));
        let expires = time(&mut reading, spec.resource_expiry.clone());
        let kind = request_kind(spec.request_kind);
        let grouping: types::LongTermResourceGrouping = reading.or_default(spec.long_term_grouping.clone());
        let thresholds: Vec<types::AccessReviewThreshold> = reading.list(spec.thresholds.clone());
        AccessRequest {
            id: RequestId::new(id),
            user: text(&spec.user),
            roles: texts(&spec.roles),
            stage: stage(spec.state()),
            reason: text(&spec.request_reason),
            resolve_reason: text(&spec.resolve_reason),
            resources: resources(&mut reading, &spec),
            reviews: reading
                .list(spec.reviews)
                .into_iter()
                .map(|each| review(&mut reading, each))
                .collect(),
            suggested_reviewers: texts(&spec.suggested_reviewers),
            system_annotations: lists(&mut reading, spec.system_annotations),
            created: time(&mut reading, spec.created),
            access_until,
            access_from: time(&mut reading, spec.assume_start_time),
            expires: expires.or_else(|| time(&mut reading, metadata.expires)),
            promoted_to: reading.optional(spec.access_list).as_ref().map(access_list),
            kind,
            recommended_list: text(&grouping.recommended_access_list),
            thresholds: thresholds.iter().map(threshold).collect(),
            threshold_sets: threshold_sets(&mut reading, spec.role_threshold_mapping),
        }
    });
    let flaw = reading.flaw().map(str::to_owned);
    Read { item, id, flaw }
}

fn access_list(message: &types::PromotedAccessList) -> AccessList {
    AccessList {
        name: text(&message.name),
        title: text(&message.title),
    }
}

/// Decodes lists of texts by key, such as annotations or traits.
fn lists(reading: &mut Reading, message: Option<Bytes>) -> BTreeMap<String, Vec<String>> {
    let message: types::LabelValues = reading.or_default(message);
    let entries: Vec<types::label_values::ValuesEntry> = reading.list(message.values);
    let list = |entry: types::label_values::ValuesEntry| {
        let list: types::StringValues = reading.or_default(entry.value);
        (text(&entry.key), texts(&list.values))
    };
    entries.into_iter().map(list).collect()
}

/// Decodes the traits that a user had at the last login.
pub(super) fn login_state(user: &str, bytes: Bytes) -> Read<BTreeMap<String, Vec<String>>> {
    let mut reading = Reading::default();
    let message: types::UserLoginState = reading.message(bytes);
    let spec: types::UserLoginStateSpec = reading.or_default(message.spec);
    let traits: Vec<types::Trait> = reading.list(spec.traits);
    let traits = traits.iter().map(|each| (text(&each.key), texts(&each.values)));
    Read {
        item: Some(traits.collect()),
        id: Some(user.to_owned()),
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes a user's own traits.
pub(super) fn user(name: &str, bytes: Bytes) -> Read<BTreeMap<String, Vec<String>>> {
    let mut reading = Reading::default();
    let message: types::GetUserResponse = reading.message(bytes);
    let user: types::UserV2 = reading.or_default(message.user);
    let spec: types::UserSpecV2 = reading.or_default(user.spec);
    let traits = lists(&mut reading, spec.traits);
    Read {
        item: Some(traits),
        id: Some(name.to_owned()),
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes the name and the traits of a listed user.
pub(super) fn listed_user(bytes: &Bytes) -> Read<(String, BTreeMap<String, Vec<String>>)> {
    let mut reading = Reading::default();
    let user: types::UserV2 = reading.message(bytes.clone());
    let metadata: types::Metadata = reading.or_default(user.metadata);
    let spec: types::UserSpecV2 = reading.or_default(user.spec);
    let traits = lists(&mut reading, spec.traits);
    let name = id(&metadata.name);
    Read {
        item: name.clone().map(|name| (name, traits)),
        id: name,
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes the users for which a role may submit reviews.
pub(super) fn submit_for_users(role: &str, bytes: Bytes) -> Read<Vec<String>> {
    let mut reading = Reading::default();
    let message: types::RoleV6 = reading.message(bytes);
    let spec: types::RoleSpecV6 = reading.or_default(message.spec);
    let allow: types::RoleConditions = reading.or_default(spec.allow);
    let conditions: types::AccessReviewConditions = reading.or_default(allow.review_requests);
    Read {
        item: Some(texts(&conditions.submit_for_users)),
        id: Some(role.to_owned()),
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes the data of one plugin for one request. Damage in the data of other plugins is ignored. Our own data is all
/// or nothing: a record that is missing from it would be delivered a second time.
pub(super) fn plugin_data(bytes: &Bytes, plugin: &str) -> Read<Option<BTreeMap<String, String>>> {
    let mut reading = Reading::default();
    let message: types::PluginDataV3 = reading.message(bytes.clone());
    let metadata: types::Metadata = reading.or_default(message.metadata);
    let id = id(&metadata.name);
    let spec: types::PluginDataSpecV3 = reading.or_default(message.spec);
    let mut others = Reading::default();
    let entries: Vec<types::plugin_data_spec_v3::EntriesEntry> = others.list(spec.entries);
    if others.is_cut() {
        reading.add_flaw("an entry of a plugin has no end");
    }
    let ours = entries.into_iter().rfind(|entry| entry.key == plugin.as_bytes());
    let data = ours.map(|entry| {
        let entry: types::PluginDataEntry = reading.or_default(entry.value);
        let data: Vec<types::plugin_data_entry::DataEntry> = reading.list(entry.data);
        data.iter().map(|each| (text(&each.key), text(&each.value))).collect()
    });
    let flaw = reading.flaw().map(str::to_owned);
    let item = flaw.is_none().then_some(data);
    Read { item, id, flaw }
}

/// Decodes the newer list of resources, or the older one if the newer is empty.
fn resources(reading: &mut Reading, spec: &types::AccessRequestSpecV3) -> Vec<Resource> {
    let newer: Vec<types::ResourceAccessId> = reading.list(spec.requested_resource_access_ids.clone());
    if newer.is_empty() {
        let ids: Vec<types::ResourceId> = reading.list(spec.requested_resource_ids.clone());
        return ids.iter().map(|id| resource(id, None)).collect();
    }
    let resource = |access: types::ResourceAccessId| {
        let id: types::ResourceId = reading.message(access.id?);
        Some(resource(&id, constraints(reading, access.constraints)))
    };
    newer.into_iter().filter_map(resource).collect()
}

fn resource(id: &types::ResourceId, constraints: Option<Constraints>) -> Resource {
    Resource {
        sub_resource: text(&id.sub_resource_name),
        constraints,
        ..Resource::new(text(&id.cluster_name), text(&id.kind), text(&id.name))
    }
}

/// Decodes the constraints of a resource. Content that this version cannot decode still restricts the resource.
fn constraints(reading: &mut Reading, bytes: Option<Bytes>) -> Option<Constraints> {
    let bytes = bytes.filter(|bytes| !bytes.is_empty())?;
    let message: types::ResourceConstraints = reading.message(bytes);
    if let Some(logins) = message.ssh.or(message.windows_desktop) {
        let logins: types::LoginConstraints = reading.message(logins);
        return Some(Constraints::Logins(texts(&logins.logins)));
    }
    let roles: Option<types::AwsConsoleConstraints> = reading.optional(message.aws_console);
    let roles = roles.map(|roles| Constraints::AwsRoles(texts(&roles.role_arns)));
    Some(roles.unwrap_or(Constraints::Other))
}

fn request_kind(number: i32) -> RequestKind {
    match types::AccessRequestKind::try_from(number) {
        Ok(types::AccessRequestKind::Undefined | types::AccessRequestKind::ShortTerm) => RequestKind::ShortTerm,
        Ok(types::AccessRequestKind::LongTerm) => RequestKind::LongTerm,
        Err(_) => RequestKind::Other,
    }
}

fn stage(state: types::RequestState) -> Stage {
    match state {
        types::RequestState::Pending => Stage::Pending,
        types::RequestState::Approved => Stage::Approved,
        types::RequestState::Denied => Stage::Denied,
        types::RequestState::Promoted => Stage::Promoted,
        types::RequestState::None => Stage::Unknown,
    }
}

fn review(reading: &mut Reading, message: types::AccessReview) -> Review {
    let verdict = match message.proposed_state() {
        types::RequestState::Approved => Verdict::Approve,
        types::RequestState::Denied => Verdict::Deny,
        types::RequestState::Promoted => Verdict::Promote,
        types::RequestState::None | types::RequestState::Pending => Verdict::Other,
    };
    Review {
        author: text(&message.author),
        verdict,
        reason: text(&message.reason),
        created: time(reading, message.created),
        thresholds: indexes(&message.threshold_indexes),
        submitted_by: text(&message.submitted_by),
    }
}

/// Decodes a rule. A part of a rule would name other recipients than the whole, so an incomplete rule is skipped.
pub(super) fn rule(bytes: &Bytes) -> Read<Rule> {
    let mut reading = Reading::default();
    let message: types::AccessMonitoringRule = reading.message(bytes.clone());
    let metadata: types::HeaderMetadata = reading.or_default(message.metadata);
    let id = id(&metadata.name);
    if id.is_none() {
        reading.add_flaw("it has no readable name");
    }
    let spec: types::AccessMonitoringRuleSpec = reading.or_default(message.spec);
    let notification: types::RuleNotification = reading.or_default(spec.notification);
    let schedules: Vec<types::access_monitoring_rule_spec::SchedulesEntry> = reading.list(spec.schedules);
    let schedules = schedules
        .into_iter()
        .map(|entry| (text(&entry.key), schedule(&mut reading, entry.value)))
        .collect();
    let flaw = reading.flaw().map(str::to_owned);
    let item = id.clone().filter(|_| flaw.is_none()).map(|name| Rule {
        name,
        subjects: texts(&spec.subjects),
        condition: text(&spec.condition),
        plugin: text(&notification.name),
        recipients: texts(&notification.recipients),
        schedules,
    });
    Read { item, id, flaw }
}

fn schedule(reading: &mut Reading, bytes: Option<Bytes>) -> Schedule {
    let message: types::RuleSchedule = reading.or_default(bytes);
    let time: types::TimeSchedule = reading.or_default(message.time);
    let shifts: Vec<types::Shift> = reading.list(time.shifts);
    let shifts = shifts.iter().map(|shift| Shift {
        weekday: text(&shift.weekday),
        start: text(&shift.start),
        end: text(&shift.end),
    });
    Schedule {
        timezone: text(&time.timezone),
        shifts: shifts.collect(),
    }
}

/// Decodes the kind and the name of a deleted resource.
pub(super) fn deleted(bytes: &Bytes) -> Read<(String, String)> {
    let mut reading = Reading::default();
    let message: types::ResourceHeader = reading.message(bytes.clone());
    let metadata: types::Metadata = reading.or_default(message.metadata);
    let id = id(&metadata.name);
    if id.is_none() {
        reading.add_flaw("it has no readable name");
    }
    Read {
        item: id.clone().map(|name| (text(&message.kind), name)),
        id,
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes which kinds the server granted to a watch.
pub(super) fn granted(bytes: Bytes) -> Vec<String> {
    let mut reading = Reading::default();
    let message: types::WatchStatusV1 = reading.message(bytes);
    let spec: types::WatchStatusSpecV1 = reading.or_default(message.spec);
    let kinds: Vec<types::WatchKind> = reading.list(spec.kinds);
    kinds.into_iter().map(|kind| kind.kind).collect()
}

/// What requests do not contain of a resource.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) id: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) description: String,
    /// Only nodes have one.
    pub(super) host_name: String,
}

/// Decodes the details of a resource. The result of a command replaces a static label with the same key.
pub(super) fn details(bytes: &Bytes) -> Read<Details> {
    use proto::paginated_resource::Resource;

    let mut reading = Reading::default();
    let message: proto::PaginatedResource = reading.message(bytes.clone());
    let mut printed = Vec::new();
    let mut host_name = String::new();
    let metadata = match message.resource {
        None => None,
        Some(Resource::Node(node)) => {
            let node: types::ServerV2 = reading.message(node);
            let spec: types::ServerSpecV2 = reading.or_default(node.spec);
            host_name = text(&spec.hostname);
            let commands: Vec<types::server_spec_v2::CmdLabelsEntry> = reading.list(spec.cmd_labels);
            for entry in commands {
                let command: types::CommandLabelV2 = reading.or_default(entry.value);
                printed.push((text(&entry.key), text(&command.result)));
            }
            node.metadata
        }
        // The labels of the app, database or cluster count, not those of the server in front of it.
        Some(Resource::AppServer(server)) => {
            let server: types::AppServerV3 = reading.message(server);
            let spec: types::AppServerSpecV3 = reading.or_default(server.spec);
            reading.or_default::<types::Labelled>(spec.app).metadata
        }
        Some(Resource::DatabaseServer(server)) => {
            let server: types::DatabaseServerV3 = reading.message(server);
            let spec: types::DatabaseServerSpecV3 = reading.or_default(server.spec);
            reading.or_default::<types::Labelled>(spec.database).metadata
        }
        Some(Resource::KubernetesServer(server)) => {
            let server: types::KubernetesServerV3 = reading.message(server);
            let spec: types::KubernetesServerSpecV3 = reading.or_default(server.spec);
            reading.or_default::<types::Labelled>(spec.cluster).metadata
        }
        Some(
            Resource::WindowsDesktop(other)
            | Resource::KubeCluster(other)
            | Resource::UserGroup(other)
            | Resource::SamlIdpServiceProvider(other),
        ) => reading.message::<types::Labelled>(other).metadata,
    };
    let metadata: Option<types::Metadata> = reading.optional(metadata);
    let name = metadata.as_ref().and_then(|metadata| id(&metadata.name));
    let item = name.clone().zip(metadata).map(|(name, metadata)| {
        let labels: Vec<types::metadata::LabelsEntry> = reading.list(metadata.labels);
        let written = labels.iter().map(|label| (text(&label.key), text(&label.value)));
        Details {
            id: name,
            labels: written.chain(printed).collect(),
            description: text(&metadata.description),
            host_name,
        }
    });
    Read {
        item,
        id: name,
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes a time. An absent time, year 1 and an invalid time all mean "not set".
pub(super) fn time(reading: &mut Reading, timestamp: Option<Bytes>) -> Option<Timestamp> {
    let timestamp: prost_types::Timestamp = reading.optional(timestamp)?;
    if timestamp.seconds <= GO_ZERO_SECONDS {
        return None;
    }
    Timestamp::new(timestamp.seconds, timestamp.nanos).ok()
}
