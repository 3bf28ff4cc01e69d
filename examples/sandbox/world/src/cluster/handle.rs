//! What people and tests do to the pretend cluster.

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

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pretend cluster; clones are the same one.
#[derive(Clone)]
pub struct Cluster(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) options: ClusterOptions,
    pub(super) authority: Authority,
    pub(super) port: Reserved,
    pub(super) state: Mutex<ClusterState>,
    /// How many approvals each request takes.
    approvals: Mutex<HashMap<String, usize>>,
    version: watch::Sender<u64>,
    /// Made once for each authority, so that sessions could be resumed.
    pub(super) tls: Mutex<Option<Arc<ServerConfig>>>,
    /// Cancelled to close every connection; there is none while the cluster is down.
    running: Mutex<Option<CancellationToken>>,
}

/// What a cluster says of itself.
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
            version: "18.2.0".to_owned(),
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
    /// If no port can be had.
    #[expect(
        clippy::unused_async,
        reason = "it needs a runtime, and starting the tenant waits too"
    )]
    pub async fn start(options: ClusterOptions) -> Self {
        let port = Reserved::new().expect("a loopback port can be had");
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

    /// Closes the port and every connection; what is known stays known.
    pub async fn stop(&self) {
        let running = self.running().take();
        if let Some(running) = running {
            running.cancel();
        }
        self.change(|state| state.watchers.clear());
        // The port refuses connections once the task that accepts them has ended.
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

    /// Shows certificates of the next authority from now on.
    pub fn rotate(&self) {
        self.change(|state| state.rotated = true);
        *self.0.tls.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Uses this on the port from now on, in place of what the options say.
    pub fn show(&self, config: Arc<ServerConfig>) {
        *self.0.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    pub(super) fn tls(&self) -> Arc<ServerConfig> {
        let rotated = self.state().rotated;
        let mut tls = self.0.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || self.0.authority.server_config(&self.0.options.certificate, rotated);
        Arc::clone(tls.get_or_insert_with(new))
    }

    /// What the cluster takes for the time of day.
    fn now(&self) -> SystemTime {
        let faults = &self.state().faults;
        crate::now() + faults.clock_ahead - faults.clock_behind
    }

    /// Lets calls of this method wait, once so many were let through.
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

    /// Sends the events that were held back, in the order into which `sort` puts them.
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

    /// Returns how often a switch of the faults had an effect.
    pub fn met(&self, switch: &str) -> usize {
        self.state().met.get(switch).copied().unwrap_or_default()
    }

    /// Ends every watch, as a server does whose event system starts anew.
    pub fn cut_streams(&self) {
        self.change(|state| state.watchers.clear());
    }

    /// Makes a request, and tells the watchers.
    pub fn create(&self, draft: Draft) -> String {
        let id = draft.id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let approvals = usize::try_from(draft.approvals).unwrap_or(usize::MAX);
        self.approvals().insert(id.clone(), approvals);
        let request = draft.into_request(id.clone(), &self.0.options.name, self.now());
        self.change(|state| state.requests.insert(id.clone(), request));
        self.repeat(&id);
        id
    }

    /// Makes a request that is not there yet, for those who want to change it first.
    pub fn create_quietly(&self, draft: Draft) -> types::AccessRequestV3 {
        draft.into_request(Uuid::now_v7().to_string(), &self.0.options.name, self.now())
    }

    /// Takes a request as it is, and tells the watchers.
    pub fn put_request(&self, request: types::AccessRequestV3) {
        let id = request.metadata.clone().unwrap_or_default().name;
        self.change(|state| state.requests.insert(id.clone(), request));
        self.repeat(&id);
    }

    fn approvals(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.approvals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reviews a request; one denial decides it, and as many approvals as it takes.
    pub fn review(&self, id: &str, author: &str, verdict: Verdict, reason: &str) {
        let needed = self.approvals().get(id).copied().unwrap_or(1);
        let now = self.now();
        self.edit(id, |spec| {
            access_requests::review(spec, author, verdict, reason, needed, now);
        });
    }

    /// Decides a request without a review, as an administrator may.
    pub fn set_state(&self, id: &str, state: State, reason: &str) {
        self.edit(id, |spec| access_requests::resolve(spec, state, reason));
    }

    pub fn promote(&self, id: &str, author: &str, title: &str) {
        self.edit(id, |spec| access_requests::promote(spec, author, title));
    }

    /// Changes a request in any way, and tells the watchers.
    pub fn edit(&self, id: &str, edit: impl FnOnce(&mut types::AccessRequestSpecV3)) {
        self.change(|state| {
            if let Some(spec) = state.requests.get_mut(id).and_then(|request| request.spec.as_mut()) {
                edit(spec);
            }
        });
        self.repeat(id);
    }

    /// Ends a request, which says nothing but its name.
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
                state.tell(&event);
            }
        });
    }

    /// Sends the event of a request again.
    pub fn repeat(&self, id: &str) {
        self.change(|state| {
            if let Some(request) = state.requests.get(id).cloned() {
                state.tell(&put(request));
            }
        });
    }

    /// Sends any event.
    pub fn send_raw(&self, event: &proto::Event) {
        self.change(|state| state.tell(event));
    }

    /// Sends the event of a request that the cluster does not hold.
    pub fn send_request(&self, request: types::AccessRequestV3) {
        self.send_raw(&put(request));
    }

    pub fn request(&self, id: &str) -> Option<types::AccessRequestV3> {
        self.state().requests.get(id).cloned()
    }

    pub fn requests(&self) -> Vec<types::AccessRequestV3> {
        self.state().requests.values().cloned().collect()
    }

    /// Returns what the daemon noted of a request.
    pub fn plugin_data(&self, id: &str) -> PluginData {
        self.state().data(id)
    }

    /// Leaves data as another program would have.
    pub fn set_plugin_data(&self, id: &str, data: PluginData) {
        self.change(|state| {
            state
                .plugin_data
                .entry(id.to_owned())
                .or_default()
                .insert(PLUGIN.to_owned(), data)
        });
    }

    /// Forgets the data, as happens an hour after the access ended.
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

    /// Counts changes, for those who show the state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Waits until the state is as wanted.
    ///
    /// # Panics
    /// If that does not happen in time; `what` says what was waited for.
    pub async fn until(&self, what: &str, condition: impl Fn(&ClusterState) -> bool) {
        let mut changes = self.changes();
        let waiting = async {
            while !condition(&self.state()) {
                changes
                    .changed()
                    .await
                    .expect("the cluster lives as long as its handles");
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            let state = self.state();
            panic!(
                "the cluster never got to: {what}\nrequests {:?}\ndata {:#?}\ncalls {:?}",
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
