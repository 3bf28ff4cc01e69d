//! From Teleport's messages to our own types, and nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::request::{AccessList, AccessRequest, RequestId, Resource, Review, Stage, Verdict};
use crate::domain::rules::{Rule, Schedule, Shift};
use crate::teleport::wire::{proto, types};

/// Go's zero time, 0001-01-01T00:00:00Z, which stands for "not set" in fields that are always sent.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

/// Reads a request; `None` if it has no name or no content.
pub(super) fn access_request(message: types::AccessRequestV3) -> Option<AccessRequest> {
    let metadata = message.metadata?;
    let spec = message.spec?;
    if metadata.name.is_empty() {
        return None;
    }
    let stage = stage(spec.state());
    let access_until = time(spec.max_duration).or_else(|| time(spec.expires));
    let resources = resources(&spec);
    Some(AccessRequest {
        id: RequestId::new(metadata.name),
        user: spec.user,
        roles: spec.roles,
        stage,
        reason: spec.request_reason,
        resolve_reason: spec.resolve_reason,
        reviews: spec.reviews.into_iter().map(review).collect(),
        suggested_reviewers: spec.suggested_reviewers,
        resources,
        system_annotations: lists(spec.system_annotations),
        created: time(spec.created),
        access_until,
        access_from: time(spec.assume_start_time),
        expires: time(spec.resource_expiry).or_else(|| time(metadata.expires)),
        promoted_to: spec.access_list.map(|list| AccessList {
            name: list.name,
            title: list.title,
        }),
    })
}

/// Reads lists of texts by key, such as annotations or traits.
pub(super) fn lists(message: Option<types::LabelValues>) -> BTreeMap<String, Vec<String>> {
    let lists = message.unwrap_or_default().values.into_iter();
    lists.map(|(key, list)| (key, list.values)).collect()
}

/// Reads the newer list of resources, which wins where it is not empty, or the older one.
fn resources(spec: &types::AccessRequestSpecV3) -> Vec<Resource> {
    let newer = spec
        .requested_resource_access_ids
        .iter()
        .filter_map(|access| access.id.as_ref());
    let resource = |id: &types::ResourceId| Resource {
        cluster: id.cluster_name.clone(),
        kind: id.kind.clone(),
        name: id.name.clone(),
        sub_resource: id.sub_resource_name.clone(),
    };
    if spec.requested_resource_access_ids.is_empty() {
        spec.requested_resource_ids.iter().map(resource).collect()
    } else {
        newer.map(resource).collect()
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

fn review(message: types::AccessReview) -> Review {
    let verdict = match message.proposed_state() {
        types::RequestState::Approved => Verdict::Approve,
        types::RequestState::Denied => Verdict::Deny,
        types::RequestState::Promoted => Verdict::Promote,
        types::RequestState::None | types::RequestState::Pending => Verdict::Other,
    };
    Review {
        author: message.author,
        verdict,
        reason: message.reason,
        created: time(message.created),
    }
}

/// Reads a rule; `None` if it has no name.
pub(super) fn rule(message: types::AccessMonitoringRule) -> Option<Rule> {
    let name = message.metadata?.name;
    let spec = message.spec.unwrap_or_default();
    let notification = spec.notification.unwrap_or_default();
    let schedules = spec.schedules.into_iter();
    (!name.is_empty()).then(|| Rule {
        name,
        subjects: spec.subjects,
        condition: spec.condition,
        plugin: notification.name,
        recipients: notification.recipients,
        schedules: schedules.map(|(name, written)| (name, schedule(written))).collect(),
    })
}

fn schedule(message: types::RuleSchedule) -> Schedule {
    let time = message.time.unwrap_or_default();
    let shifts = time.shifts.into_iter().map(|shift| Shift {
        weekday: shift.weekday,
        start: shift.start,
        end: shift.end,
    });
    Schedule {
        timezone: time.timezone,
        shifts: shifts.collect(),
    }
}

/// Reads the name of a resource and all its labels; what a command prints wins over what is written.
pub(super) fn labels(message: proto::PaginatedResource) -> Option<(String, BTreeMap<String, String>)> {
    use proto::paginated_resource::Resource;

    let mut printed = Vec::new();
    let metadata = match message.resource? {
        Resource::Node(node) => {
            let commands = node.spec.unwrap_or_default().cmd_labels;
            printed.extend(commands.into_iter().map(|(key, command)| (key, command.result)));
            node.metadata
        }
        // Labels belong to what is served; the server has its own.
        Resource::AppServer(server) => server.spec?.app?.metadata,
        Resource::DatabaseServer(server) => server.spec?.database?.metadata,
        Resource::KubernetesServer(server) => server.spec?.cluster?.metadata,
        Resource::WindowsDesktop(other)
        | Resource::KubeCluster(other)
        | Resource::UserGroup(other)
        | Resource::SamlIdpServiceProvider(other) => other.metadata,
    };
    let metadata = metadata?;
    let labels = metadata.labels.into_iter().chain(printed);
    Some((metadata.name, labels.collect()))
}

/// Reads a time; absent, year 1 and times that cannot be are all "not set".
fn time(timestamp: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let timestamp = timestamp?;
    if timestamp.seconds <= GO_ZERO_SECONDS {
        return None;
    }
    Timestamp::new(timestamp.seconds, timestamp.nanos).ok()
}
