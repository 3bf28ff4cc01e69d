//! The gRPC services of the pretend cluster.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tonic::Request;
use tonic::Response;
use tonic::Status;

use crate::cluster::Cluster;
use crate::cluster::Moment;
use crate::cluster::listener::Peer;
use crate::cluster::state::ACCESS_LIST;
use crate::proto::auth_service_server;
use crate::{proto, types};

/// Default number of requests per page.
const PAGE: usize = 100;

/// The pause before each request of an endless stream.
const ITEM_EVERY: Duration = Duration::from_millis(10);

/// The kinds that this cluster can watch.
const KINDS: [&str; 2] = ["access_request", "access_monitoring_rule"];

#[derive(Clone)]
pub(super) struct AuthService {
    cluster: Cluster,
}

impl AuthService {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Runs the common start of every call: counts it, adds latency, authenticates the caller, and applies faults.
    pub(super) async fn begin<T>(&self, call: &str, request: Request<T>) -> Result<T, Status> {
        let (latency, failing, gate) = self.cluster.change(|state| {
            *state.calls.entry(call.to_owned()).or_default() += 1;
            let failing = state.faults.fail_calls > 0;
            if failing {
                state.faults.fail_calls -= 1;
                state.meet("fail_calls");
            }
            (state.faults.latency, failing, state.gate(call, Moment::Before))
        });
        sleep(latency).await;
        if let Some(gate) = gate {
            gate.pass().await;
        }
        if failing {
            return Err(Status::unavailable("pretended outage"));
        }
        let (deleted, locked) = {
            let faults = &self.cluster.state().faults;
            (faults.user_deleted, faults.user_locked)
        };
        if deleted {
            return Err(Status::not_found(
                "[10] access denied\n\tuser \"teleport-msteams\" is not found",
            ));
        }
        if locked {
            return Err(Status::permission_denied(
                "[10] access denied\n\tlock targeting User is in force",
            ));
        }
        // Teleport rejects clients with an unsupported version; the daemon must not send one.
        if request.metadata().contains_key("version") {
            return Err(Status::permission_denied("client version is unsupported"));
        }
        let peer = request.extensions().get::<Peer>();
        match peer.map(|peer| peer.certificates) {
            Some(1) => Ok(request.into_inner()),
            Some(0) | None => Err(Status::permission_denied("access denied")),
            Some(_) => Err(Status::permission_denied("intermediaries are not supported")),
        }
    }

    /// Returns whether lists are endless, and records the effect.
    pub(super) fn endless(&self, list: &'static str) -> bool {
        let mut state = self.cluster.state();
        if state.faults.endless_lists {
            state.meet(list);
        }
        state.faults.endless_lists
    }

    /// Returns the first matching requests, by name, starting at `from`.
    fn matching(&self, filter: &types::AccessRequestFilter, from: &str, most: usize) -> Vec<types::AccessRequestV3> {
        let mut state = self.cluster.state();
        if state.faults.hide_requests {
            state.meet("hide_requests");
            return Vec::new();
        }
        let hidden = &state.faults.hide_ids;
        let fits = |request: &&types::AccessRequestV3| {
            let name = request.metadata.as_ref().map(|metadata| metadata.name.as_str());
            let spec = request.spec.as_ref();
            !hidden.iter().any(|id| name == Some(id))
                && (filter.id.is_empty() || name == Some(filter.id.as_str()))
                && (filter.user.is_empty() || spec.is_some_and(|spec| spec.user == filter.user))
                && (filter.state == 0 || spec.is_some_and(|spec| spec.state == filter.state))
        };
        let rest = state.requests.range(from.to_owned()..).map(|(_, request)| request);
        rest.filter(fits).take(most).cloned().collect()
    }

    /// Returns the matching requests, from the cache if reads lag.
    fn read(&self, filter: &types::AccessRequestFilter) -> Vec<types::AccessRequestV3> {
        let found = self.matching(filter, "", usize::MAX);
        let mut state = self.cluster.state();
        let Some(cache) = state.read_cache.clone() else {
            return found;
        };
        state.meet("read_cache");
        let cached = |request: &types::AccessRequestV3| cache.get(name(request)).cloned();
        found.iter().filter_map(cached).collect()
    }
}

#[tonic::async_trait]
impl auth_service_server::AuthService for AuthService {
    async fn ping(&self, request: Request<proto::PingRequest>) -> Result<Response<proto::PingResponse>, Status> {
        self.begin("Ping", request).await?;
        let options = &self.cluster.0.options;
        let version = self.cluster.state().version.clone();
        Ok(Response::new(proto::PingResponse {
            cluster_name: options.name.clone(),
            server_version: version.unwrap_or_else(|| options.version.clone()),
            server_features: Some(proto::Features {
                advanced_access_workflows: options.advanced_workflows,
            }),
            proxy_public_addr: options.proxy_public_addr.clone(),
        }))
    }

    type WatchEventsStream = Events;

    async fn watch_events(&self, request: Request<proto::Watch>) -> Result<Response<Events>, Status> {
        let watch = self.begin("WatchEvents", request).await?;
        let opened = self.cluster.change(|state| {
            let (sender, receiver) = mpsc::channel(state.buffer());
            if state.faults.old_watch {
                state.meet("old_watch");
                if let Some(kind) = watch.kinds.iter().find(|kind| kind.kind != KINDS[0]) {
                    let text = format!("cache \"auth\" does not support watching resource {:?}", kind.kind);
                    return Err(Status::invalid_argument(text));
                }
                let _ = sender.try_send(Ok(proto::Event::default()));
                state.watchers.push(sender);
                return Ok(receiver);
            }
            let partially = watch.allow_partial_success && !state.faults.no_partial_success;
            let denied = &state.faults.deny_kinds;
            let granted =
                |kind: &types::WatchKind| KINDS.contains(&kind.kind.as_str()) && !denied.contains(&kind.kind.as_str());
            let (granted, refused): (Vec<_>, Vec<_>) = watch.kinds.into_iter().partition(granted);
            if granted.is_empty() && partially {
                state.meet("deny_kinds");
                return Err(Status::invalid_argument("none of the requested kinds can be watched"));
            }
            if !refused.is_empty() {
                state.meet("deny_kinds");
            }
            if !refused.is_empty() && !partially {
                return Err(Status::permission_denied("access denied to perform action \"read\""));
            }
            if !state.faults.hold_init {
                // The channel is new and has room.
                let _ = sender.try_send(Ok(init(granted)));
            }
            state.watchers.push(sender);
            Ok(receiver)
        });
        Ok(Response::new(Events {
            receiver: opened?,
            cluster: self.cluster.clone(),
        }))
    }

    type GetAccessRequestsV2Stream = Pin<Box<dyn Stream<Item = Result<types::AccessRequestV3, Status>> + Send>>;

    async fn get_access_requests_v2(
        &self,
        request: Request<types::AccessRequestFilter>,
    ) -> Result<Response<Self::GetAccessRequestsV2Stream>, Status> {
        let filter = self.begin("GetAccessRequestsV2", request).await?;
        let all = self.read(&filter).into_iter();
        if self.endless("GetAccessRequestsV2") {
            let slowly = stream::unfold(all.cycle(), |mut all| async {
                sleep(ITEM_EVERY).await;
                all.next().map(|request| (Ok(request), all))
            });
            return Ok(Response::new(Box::pin(slowly)));
        }
        Ok(Response::new(Box::pin(stream::iter(all.map(Ok)))))
    }

    async fn submit_access_review(
        &self,
        request: Request<types::AccessReviewSubmission>,
    ) -> Result<Response<types::AccessRequestV3>, Status> {
        self.review(request).await
    }

    async fn get_role(&self, request: Request<proto::GetRoleRequest>) -> Result<Response<types::RoleV6>, Status> {
        self.begin("GetRole", request).await?;
        self.own_role().map(Response::new)
    }

    async fn list_access_requests(
        &self,
        request: Request<proto::ListAccessRequestsRequest>,
    ) -> Result<Response<proto::ListAccessRequestsResponse>, Status> {
        let query = self.begin("ListAccessRequests", request).await?;
        let (unknown, page, fails) = {
            let faults = &mut self.cluster.state().faults;
            let fails = faults.fail_lists > 0;
            faults.fail_lists = faults.fail_lists.saturating_sub(1);
            (faults.no_list_call, faults.page, fails)
        };
        if fails {
            return Err(Status::unavailable("the server is starting"));
        }
        if unknown {
            return Err(Status::unimplemented("unknown method ListAccessRequests"));
        }
        let wanted = usize::try_from(query.limit).unwrap_or_default();
        let most = page.unwrap_or(if wanted == 0 { PAGE } else { wanted.min(PAGE) });
        let mut rest = self.matching(&query.filter.unwrap_or_default(), &query.start_key, most + 1);
        let mut next_key = rest.get(most).map(|request| name(request).to_owned());
        rest.truncate(most);
        let size: usize = rest.iter().map(prost::Message::encoded_len).sum();
        let limit = self.cluster.state().faults.page_bytes;
        if limit.is_some_and(|limit| size > limit) {
            self.cluster.change(|state| state.meet("page_bytes"));
            return Err(Status::resource_exhausted("trying to send message larger than max"));
        }
        if self.endless("ListAccessRequests") {
            next_key = Some("again".to_owned());
        }
        Ok(Response::new(proto::ListAccessRequestsResponse {
            access_requests: rest,
            next_key: next_key.unwrap_or_default(),
        }))
    }

    async fn list_resources(
        &self,
        request: Request<proto::ListResourcesRequest>,
    ) -> Result<Response<proto::ListResourcesResponse>, Status> {
        let query = self.begin("ListResources", request).await?;
        self.resources(&query).map(Response::new)
    }

    async fn get_plugin_data(
        &self,
        request: Request<types::PluginDataFilter>,
    ) -> Result<Response<proto::PluginDataSeq>, Status> {
        let filter = self.begin("GetPluginData", request).await?;
        let mut state = self.cluster.state();
        if state.faults.deny_plugin_data {
            state.meet("deny_plugin_data");
            return Err(Status::permission_denied(
                "access denied to perform action \"list\" on \"access_plugin_data\"",
            ));
        }
        let is_list = filter.kind == ACCESS_LIST;
        if !is_list && filter.kind != "access_request" {
            return Err(Status::invalid_argument("unsupported resource kind"));
        }
        if let Some(code) = state.faults.fail_records.filter(|_| filter.resource.is_empty()) {
            state.meet("fail_records");
            return Err(Status::new(code, "trying to send message larger than max"));
        }
        let huge = state.faults.huge_records && filter.resource.is_empty();
        if huge {
            state.meet("huge_records");
        }
        let huge = huge.then(|| types::PluginDataV3 {
            kind: "x".repeat(65 << 20),
            ..types::PluginDataV3::default()
        });
        let all_data = if is_list { &state.list_data } else { &state.plugin_data };
        let all = all_data.iter().filter(|(id, entries)| {
            (filter.resource.is_empty() || **id == filter.resource)
                && (filter.plugin.is_empty() || entries.contains_key(&filter.plugin))
        });
        let plugin_data = all.map(|(id, entries)| {
            let entries = entries.iter().map(|(plugin, data)| {
                let data = data.clone().into_iter().collect();
                (plugin.clone(), types::PluginDataEntry { data })
            });
            types::PluginDataV3 {
                kind: "plugin_data".to_owned(),
                sub_kind: filter.kind.clone(),
                version: "v3".to_owned(),
                metadata: Some(types::Metadata {
                    name: id.clone(),
                    ..types::Metadata::default()
                }),
                spec: Some(types::PluginDataSpecV3 {
                    entries: entries.collect(),
                }),
            }
        });
        Ok(Response::new(proto::PluginDataSeq {
            plugin_data: plugin_data.chain(huge).collect(),
        }))
    }

    async fn update_plugin_data(
        &self,
        request: Request<types::PluginDataUpdateParams>,
    ) -> Result<Response<()>, Status> {
        let params = self.begin("UpdatePluginData", request).await?;
        if params.kind != "access_request" && params.kind != ACCESS_LIST {
            return Err(Status::invalid_argument("unsupported resource kind"));
        }
        let (result, gate) = self.cluster.change(|state| {
            let gate = state.gate("UpdatePluginData", Moment::After);
            if state.faults.deny_plugin_data {
                state.meet("deny_plugin_data");
                let text = "access denied to perform action \"update\" on \"access_plugin_data\"";
                return (Err(Status::permission_denied(text)), gate);
            }
            (state.swap(params), gate)
        });
        if let Some(gate) = gate {
            gate.pass().await;
        }
        result.map(Response::new)
    }
}

fn name(request: &types::AccessRequestV3) -> &str {
    request.metadata.as_ref().map_or("", |metadata| metadata.name.as_str())
}

fn init(kinds: Vec<types::WatchKind>) -> proto::Event {
    let status = types::WatchStatusV1 {
        kind: "watch_status".to_owned(),
        version: "v1".to_owned(),
        metadata: None,
        spec: Some(types::WatchStatusSpecV1 { kinds }),
    };
    proto::Event {
        r#type: proto::Operation::Init.into(),
        resource: Some(proto::event::Resource::WatchStatus(status)),
    }
}

/// The events of one watcher. The cluster notices when the watcher goes away.
pub(super) struct Events {
    receiver: mpsc::Receiver<Result<proto::Event, Status>>,
    cluster: Cluster,
}

impl Stream for Events {
    type Item = Result<proto::Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.receiver.close();
        self.cluster
            .change(|state| state.watchers.retain(|watcher| !watcher.is_closed()));
    }
}
