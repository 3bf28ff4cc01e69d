//! The handle with which tests and the sandbox control the pretend cluster.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cluster::listener::{self, Reserved};
use crate::cluster::state::{ClusterFaults, ClusterState, PLUGIN, PluginData};
use crate::cluster::{Draft, Held, Moment, State, Verdict, access_requests};
use crate::gate::Gate;
use crate::identity::{Authority, HostCertificate};
use crate::{proto, types};

/// How long a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pretend cluster. Clones share it.
#[derive(Clone)]
pub struct Cluster(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) options: ClusterOptions,
    pub(super) authority: Authority,
    pub(super) port: Reserved,
    pub(super) state: Mutex<ClusterState>,
    /// The number of approvals that each request needs.
    approvals: Mutex<HashMap<String, usize>>,
    version: watch::Sender<u64>,
    /// Created once for each authority, so that sessions could be resumed.
    pub(super) tls: Mutex<Option<Arc<ServerConfig>>>,
    /// Cancelled to close every connection; `None` while the cluster is down.
    running: Mutex<Option<CancellationToken>>,
}

/// The properties of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub name: String,
    pub version: String,
    pub proxy_public_addr: String,
    pub advanced_workflows: bool,
    pub certificate: HostCertificate,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            name: "sandbox.example.com".to_owned(),
            version: "18.11.0".to_owned(),
            proxy_public_addr: "teleport.sandbox.example.com:443".to_owned(),
            advanced_workflows: true,
            certificate: HostCertificate::default(),
        }
    }
}

impl Cluster {
    /// Starts a cluster on a free port.
    ///
    /// # Panics
    /// If no port is free.
    #[expect(
        clippy::unused_async,
        reason = "it needs a runtime, and starting the tenant waits too"
    )]
    pub async fn start(options: ClusterOptions) -> Self {
        let port = Reserved::new().expect("a loopback port is free");
        let listener = port.listen().expect("a reserved port can be opened");
        let cluster = Self(Arc::new(Inner {
            authority: Authority::new(&options.name),
            options,
            port,
            state: Mutex::default(),
            approvals: Mutex::default(),
            version: watch::Sender::new(0),
            tls: Mutex::default(),
            running: Mutex::default(),
        }));
        cluster.serve(listener);
        cluster
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port.number())
    }

    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// Closes the port and every connection, and keeps the state.
    pub async fn stop(&self) {
        let running = self.running().take();
        if let Some(running) = running {
            running.cancel();
        }
        self.change(|state| state.watchers.clear());
        // The port refuses connections after the task that accepts them has ended.
        while tokio::net::TcpStream::connect(self.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Opens the same port again.
    ///
    /// # Panics
    /// If the port cannot be opened.
    #[expect(clippy::unused_async, reason = "the counterpart of stop, which waits")]
    pub async fn start_again(&self) {
        let listener = self.0.port.listen().expect("a reserved port can be opened");
        self.serve(listener);
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let running = CancellationToken::new();
        *self.running() = Some(running.clone());
        listener::serve(self.clone(), listener, running);
        self.change(|_| ());
    }

    fn running(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_up(&self) -> bool {
        self.running().is_some()
    }

    /// Serves with certificates of the next authority from now on.
    pub fn rotate(&self) {
        self.change(|state| state.rotated = true);
        *self.0.tls.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Serves with this configuration from now on, instead of that of the options.
    pub fn show(&self, config: Arc<ServerConfig>) {
        *self.0.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    pub(super) fn tls(&self) -> Arc<ServerConfig> {
        let rotated = self.state().rotated;
        let mut tls = self.0.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || self.0.authority.server_config(&self.0.options.certificate, rotated);
        Arc::clone(tls.get_or_insert_with(new))
    }

    /// Returns the time of the cluster's clock.
    pub(super) fn now(&self) -> SystemTime {
        let faults = &self.state().faults;
        crate::now() + faults.clock_ahead - faults.clock_behind
    }

    /// Holds calls of this method at the returned gate, after letting `skip` of them through.
    pub fn hold(&self, call: &'static str, moment: Moment, skip: usize) -> Gate {
        let gate = Gate::default();
        let held = Held {
            call,
            moment,
            skip,
            gate: gate.clone(),
        };
        self.faults(|faults| faults.gates.push(held));
        gate
    }

    /// Sends the events that were held back, in the order of `sort`.
    pub fn release_events(&self, sort: impl FnOnce(&mut Vec<proto::Event>)) {
        self.change(|state| {
            state.faults.hold_events = false;
            let mut events = std::mem::take(&mut state.held);
            sort(&mut events);
            for event in &events {
                state.send(event);
            }
        });
    }

    /// Returns how often a fault had an effect.
    pub fn met(&self, switch: &str) -> usize {
        self.state().met.get(switch).copied().unwrap_or_default()
    }

    /// Ends every watch, like a server whose event system restarts.
    pub fn cut_streams(&self) {
        self.change(|state| state.watchers.clear());
    }

    /// Creates a request, and notifies the watchers.
    pub fn create(&self, draft: Draft) -> String {
        let id = draft.id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let approvals = usize::try_from(draft.approvals).unwrap_or(usize::MAX);
        self.approvals().insert(id.clone(), approvals);
        let request = draft.into_request(id.clone(), &self.0.options.name, self.now());
        self.change(|state| state.requests.insert(id.clone(), request));
        self.repeat(&id);
        id
    }

    /// Creates a request without storing it, so that the caller can change it first.
    pub fn create_quietly(&self, draft: Draft) -> types::AccessRequestV3 {
        draft.into_request(Uuid::now_v7().to_string(), &self.0.options.name, self.now())
    }

    /// Stores a request unchanged, and notifies the watchers.
    pub fn put_request(&self, request: types::AccessRequestV3) {
        let id = request.metadata.clone().unwrap_or_default().name;
        self.change(|state| state.requests.insert(id.clone(), request));
        self.repeat(&id);
    }

    pub(super) fn approvals_needed(&self, id: &str) -> usize {
        self.approvals().get(id).copied().unwrap_or(1)
    }

    fn approvals(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.approvals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reviews a request. One denial resolves it, and so does the required number of approvals.
    pub fn review(&self, id: &str, author: &str, verdict: Verdict, reason: &str) {
        let needed = self.approvals_needed(id);
        let now = self.now();
        self.edit(id, |spec| {
            access_requests::review(spec, author, verdict, reason, needed, now);
        });
    }

    /// Resolves a request without a review, as an administrator may.
    pub fn set_state(&self, id: &str, state: State, reason: &str) {
        self.edit(id, |spec| access_requests::resolve(spec, state, reason));
    }

    pub fn promote(&self, id: &str, author: &str, title: &str) {
        self.edit(id, |spec| access_requests::promote(spec, author, title));
    }

    /// Changes a request, and notifies the watchers.
    pub fn edit(&self, id: &str, edit: impl FnOnce(&mut types::AccessRequestSpecV3)) {
        self.change(|state| {
            if let Some(spec) = state.requests.get_mut(id).and_then(|request| request.spec.as_mut()) {
                edit(spec);
            }
        });
        self.repeat(id);
    }

    /// Deletes a request; the event contains only its name.
    pub fn delete(&self, id: &str) {
        let header = types::ResourceHeader {
            kind: "access_request".to_owned(),
            sub_kind: String::new(),
            version: "v3".to_owned(),
            metadata: Some(types::Metadata {
                name: id.to_owned(),
                namespace: "default".to_owned(),
                ..types::Metadata::default()
            }),
        };
        let event = proto::Event {
            r#type: proto::Operation::Delete.into(),
            resource: Some(proto::event::Resource::ResourceHeader(header)),
        };
        self.change(|state| {
            if state.requests.remove(id).is_some() {
                state.publish(&event);
            }
        });
    }

    /// Sends the event of a request again.
    pub fn repeat(&self, id: &str) {
        self.change(|state| {
            if let Some(request) = state.requests.get(id).cloned() {
                state.publish(&put(request));
            }
        });
    }

    /// Sends any event.
    pub fn send_raw(&self, event: &proto::Event) {
        self.change(|state| state.publish(event));
    }

    /// Sends the event of a request that the cluster does not store.
    pub fn send_request(&self, request: types::AccessRequestV3) {
        self.send_raw(&put(request));
    }

    pub fn request(&self, id: &str) -> Option<types::AccessRequestV3> {
        self.state().requests.get(id).cloned()
    }

    pub fn requests(&self) -> Vec<types::AccessRequestV3> {
        self.state().requests.values().cloned().collect()
    }

    /// Returns the daemon's plugin data of a request.
    pub fn plugin_data(&self, id: &str) -> PluginData {
        self.state().data(id)
    }

    /// Stores data of the daemon's plugin, as if another program had written them.
    pub fn set_plugin_data(&self, id: &str, data: PluginData) {
        self.change(|state| {
            state
                .plugin_data
                .entry(id.to_owned())
                .or_default()
                .insert(PLUGIN.to_owned(), data)
        });
    }

    /// Deletes the data, as Teleport does an hour after the access ends.
    pub fn forget_plugin_data(&self, id: &str) {
        self.change(|state| state.plugin_data.remove(id));
    }

    /// Returns the accepted writes of one request's data, in order.
    pub fn writes(&self, id: &str) -> Vec<(PluginData, PluginData)> {
        let state = self.state();
        let writes = state.writes.iter().filter(|write| write.id == id);
        writes.map(|write| (write.set.clone(), write.expect.clone())).collect()
    }

    pub fn faults(&self, change: impl FnOnce(&mut ClusterFaults)) {
        self.change(|state| change(&mut state.faults));
    }

    pub fn calls(&self) -> BTreeMap<String, usize> {
        self.state().calls.clone()
    }

    pub fn state(&self) -> MutexGuard<'_, ClusterState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut ClusterState) -> T) -> T {
        let result = change(&mut self.state());
        self.0.version.send_modify(|version| *version += 1);
        result
    }

    /// Returns a counter of changes, for observers of the state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Waits until the condition holds.
    ///
    /// # Panics
    /// If that takes too long; the message contains `what`.
    pub async fn until(&self, what: &str, condition: impl Fn(&ClusterState) -> bool) {
        let mut changes = self.changes();
        let condition_met = async {
            while !condition(&self.state()) {
                changes
                    .changed()
                    .await
                    .expect("the cluster lives as long as its handles");
            }
        };
        if timeout(PATIENCE, condition_met).await.is_err() {
            let state = self.state();
            panic!(
                "the cluster never reached: {what}\nrequests {:?}\ndata {:#?}\ncalls {:?}",
                state.requests.keys(),
                state.plugin_data,
                state.calls
            );
        }
    }
}

fn put(request: types::AccessRequestV3) -> proto::Event {
    proto::Event {
        r#type: proto::Operation::Put.into(),
        resource: Some(proto::event::Resource::AccessRequest(request)),
    }
}
