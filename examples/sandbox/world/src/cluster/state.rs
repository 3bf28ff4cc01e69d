//! The state of the pretend cluster, and its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::{Code, Status};

use crate::cluster::{Hello, Lists};
use crate::gate::Gate;
use crate::proto::Event;
use crate::types::{AccessList, AccessMonitoringRule, AccessRequestV3, PluginDataUpdateParams};

/// The data of one plugin for one request.
pub type PluginData = BTreeMap<String, String>;

/// The daemon's plugin name.
pub(super) const PLUGIN: &str = "msteams";

/// The kind of Access Lists in calls about plugin data.
pub(super) const ACCESS_LIST: &str = "access_list";

/// Number of events that a slow watcher may have pending before its stream is cut.
const BUFFER: usize = 1_024;

/// Largest object of plugin data, in bytes.
const LARGEST_DATA: usize = 1_000_000;

/// The whole state of the cluster.
#[derive(Default)]
pub struct ClusterState {
    pub requests: BTreeMap<String, AccessRequestV3>,
    /// By request, then by plugin.
    pub plugin_data: BTreeMap<String, BTreeMap<String, PluginData>>,
    /// Every accepted write of the daemon, in order.
    pub writes: Vec<Write>,
    /// Calls by the name of their method.
    pub calls: BTreeMap<String, usize>,
    pub rules: BTreeMap<String, AccessMonitoringRule>,
    /// Traits of the last login, by user.
    pub login_states: BTreeMap<String, Lists>,
    /// Traits of the users themselves.
    pub users: BTreeMap<String, Lists>,
    /// Labels, by the kind under which a resource is listed and its name.
    pub resources: BTreeMap<(String, String), BTreeMap<String, String>>,
    /// Host names of nodes and descriptions of other resources, by kind and name as above.
    pub resource_names: BTreeMap<(String, String), String>,
    /// Users that are bots.
    pub bots: BTreeSet<String>,
    /// The users on behalf of which the daemon's role may submit reviews; all of them if it is `None`.
    pub submit_for_users: Option<Vec<String>>,
    /// Users whose roles do not let them review.
    pub barred_reviewers: BTreeSet<String>,
    /// The server's version, if it is not that of the options.
    pub version: Option<String>,
    /// What `GetAccessRequestsV2` answers from instead of `requests`: a cache that lags.
    pub read_cache: Option<BTreeMap<String, AccessRequestV3>>,
    pub access_lists: BTreeMap<String, AccessList>,
    /// The users that own an Access List as members of other lists, by its name.
    pub inherited_owners: BTreeMap<String, Vec<String>>,
    /// Plugin data of Access Lists, as those of requests.
    pub list_data: BTreeMap<String, BTreeMap<String, PluginData>>,
    pub hellos: Vec<Hello>,
    pub faults: ClusterFaults,
    /// How often each fault had an effect, by its name.
    pub met: BTreeMap<&'static str, usize>,
    /// Pings of clients.
    pub pings: usize,
    /// Connections that were cut because a certificate expired.
    pub cut: usize,
    /// The authority of the services was replaced by the next one.
    pub rotated: bool,
    /// Events that are held back.
    pub(super) held: Vec<Event>,
    pub(super) watchers: Vec<mpsc::Sender<Result<Event, Status>>>,
}

/// A write of plugin data.
#[derive(Clone, Debug)]
pub struct Write {
    pub id: String,
    pub set: PluginData,
    pub expect: PluginData,
}

/// Calls that are held at a gate.
#[derive(Clone, Debug)]
pub struct Held {
    /// The name of the method.
    pub call: &'static str,
    pub moment: Moment,
    /// Number of calls to let through first.
    pub skip: usize,
    pub gate: Gate,
}

/// When a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anything is done.
    Before,
    /// After everything but the answer; only writes of plugin data and reviews can be held here.
    After,
}

/// The faults of the cluster; all are off by default.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug, Default)]
pub struct ClusterFaults {
    /// Added to every call.
    pub latency: Duration,
    /// Number of writes to reject, as if another writer had been first.
    pub lose_swaps: u32,
    /// Number of writes to apply without an answer.
    pub lose_answers: u32,
    /// Number of calls to answer with UNAVAILABLE.
    pub fail_calls: u32,
    /// Kinds that the role may not watch.
    pub deny_kinds: Vec<&'static str>,
    /// Lists are empty, as without permission.
    pub hide_requests: bool,
    pub deny_plugin_data: bool,
    /// Limit on the plugin data of one request, in bytes.
    pub plugin_data_limit: Option<usize>,
    /// Number of lists of rules, and of requests, to answer with UNAVAILABLE.
    pub fail_rules: u32,
    pub fail_lists: u32,
    /// Requests that are missing from lists, although events show them.
    pub hide_ids: Vec<String>,
    /// Reading the records of all requests together fails with this code.
    pub fail_records: Option<Code>,
    /// Reading them succeeds, with more than 64 MiB.
    pub huge_records: bool,
    /// Number of reviews to answer with this code, without storing them.
    pub fail_reviews: Option<(u32, Code)>,
    /// Number of reviews to store without an answer.
    pub lose_review_answers: u32,
    /// A second review by the same author is answered with `ALREADY_EXISTS`, as by newer servers.
    pub reviews_already_exist: bool,
    /// Servers before 18.11 do not know reviews on behalf of their author.
    pub old_server: bool,
    /// Users cannot be read or listed.
    pub deny_users: bool,
    /// The daemon's role may not read roles.
    pub deny_roles: bool,
    /// Older servers list all users, whatever their traits.
    pub ignore_user_filter: bool,
    pub deny_rules: bool,
    /// Access Lists cannot be read or listed.
    pub deny_access_lists: bool,
    /// Older servers do not know Access Lists at all, or cannot list inherited owners.
    pub no_access_lists: bool,
    pub no_list_owners: bool,
    pub deny_traits: bool,
    pub deny_resources: bool,
    /// Older servers do not know rules at all, or cannot filter them.
    pub no_rules: bool,
    pub no_rule_filter: bool,
    /// Older servers cannot watch rules, and reject the whole watch because of them.
    pub old_watch: bool,
    /// Older servers grant all kinds of a watch or none.
    pub no_partial_success: bool,
    /// The daemon's user was deleted: every call answers `NOT_FOUND`.
    pub user_deleted: bool,
    /// The daemon's user is locked: every call is denied.
    pub user_locked: bool,
    /// A gateway in front that does not know gRPC answers with this status.
    pub gateway: Option<u16>,
    /// The first event of a watch never arrives.
    pub hold_init: bool,
    /// Older servers do not know `ListAccessRequests`.
    pub no_list_call: bool,
    /// Connections are cut this long after the handshake.
    pub cut_after: Option<Duration>,
    /// Connections are cut when the client's certificate expires.
    pub cut_at_expiry: bool,
    /// Connections are cut if their pings arrive at shorter intervals.
    pub ping_minimum: Duration,
    /// Number of requests per page.
    pub page: Option<usize>,
    /// Limit on the size of a page of requests, in bytes; a larger page is an error.
    pub page_bytes: Option<usize>,
    /// Every page of every list names itself as the next one, and a stream of requests repeats them slowly.
    pub endless_lists: bool,
    /// Every event is sent twice.
    pub events_twice: bool,
    /// Events are held until they are released.
    pub hold_events: bool,
    /// Number of events that a slow watcher may have pending, instead of the default.
    pub buffer: Option<usize>,
    /// Held calls, in the order of their gates.
    pub gates: Vec<Held>,
    /// How far the cluster's clock is ahead of the real time, or behind it.
    pub clock_ahead: Duration,
    pub clock_behind: Duration,
}

impl ClusterState {
    pub fn watches(&self) -> usize {
        self.watchers.iter().filter(|watcher| !watcher.is_closed()).count()
    }

    /// Sends an event to every watcher, or holds it back if that fault is on.
    pub(super) fn publish(&mut self, event: &Event) {
        if self.faults.hold_events {
            self.meet("hold_events");
            self.held.push(event.clone());
            return;
        }
        self.send(event);
        if self.faults.events_twice {
            self.meet("events_twice");
            self.send(event);
        }
    }

    /// Sends an event to every watcher, and cuts the stream of a watcher that reads too slowly.
    pub(super) fn send(&mut self, event: &Event) {
        let before = self.watchers.len();
        self.watchers
            .retain(|watcher| watcher.is_closed() || watcher.try_send(Ok(event.clone())).is_ok());
        for _ in self.watchers.len()..before {
            self.meet("buffer");
        }
    }

    /// Records that a fault had an effect.
    pub(super) fn meet(&mut self, switch: &'static str) {
        *self.met.entry(switch).or_default() += 1;
    }

    /// Returns the number of events that a slow watcher may have pending.
    pub(super) fn buffer(&self) -> usize {
        self.faults.buffer.unwrap_or(BUFFER)
    }

    /// Returns the gate that holds a call now, if any.
    pub(super) fn gate(&mut self, call: &str, moment: Moment) -> Option<Gate> {
        let fits = |held: &&mut Held| held.call == call && held.moment == moment;
        let held = self.faults.gates.iter_mut().find(fits)?;
        if held.skip > 0 {
            held.skip -= 1;
            return None;
        }
        Some(held.gate.clone())
    }

    pub(super) fn data(&self, id: &str) -> PluginData {
        let entries = self.plugin_data.get(id);
        entries
            .and_then(|entries| entries.get(PLUGIN))
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn list_data(&self, name: &str) -> PluginData {
        let entries = self.list_data.get(name);
        entries
            .and_then(|entries| entries.get(PLUGIN))
            .cloned()
            .unwrap_or_default()
    }

    /// Compares and swaps as Teleport does: an empty value in `expect` requires that the key is absent, one in `set`
    /// deletes it.
    pub(super) fn swap(&mut self, params: PluginDataUpdateParams) -> Result<(), Status> {
        let PluginDataUpdateParams {
            kind,
            resource: id,
            plugin,
            set,
            expect,
        } = params;
        let is_list = kind == ACCESS_LIST;
        if self.faults.lose_swaps > 0 {
            self.faults.lose_swaps -= 1;
            self.meet("lose_swaps");
            return Err(Status::failed_precondition("too many concurrent writes to plugin data"));
        }
        // Teleport does not check whether an Access List exists.
        if !is_list && !self.requests.contains_key(&id) && !self.plugin_data.contains_key(&id) {
            return Err(Status::not_found("no access request matching the id"));
        }
        let all_data = if is_list { &self.list_data } else { &self.plugin_data };
        let mut data = all_data
            .get(&id)
            .and_then(|all| all.get(&plugin))
            .cloned()
            .unwrap_or_default();
        for (key, value) in &expect {
            if data.get(key).map_or("", String::as_str) != value {
                let text = format!("expectations not met for field {key:?}");
                return Err(Status::failed_precondition(text));
            }
        }
        data.extend(set.clone());
        data.retain(|_, value| !value.is_empty());
        let size: usize = data.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
        if size > self.faults.plugin_data_limit.unwrap_or(LARGEST_DATA) {
            self.meet("plugin_data_limit");
            return Err(Status::invalid_argument("plugin data size limit exceeded"));
        }
        self.writes.push(Write {
            id: id.clone(),
            set: set.into_iter().collect(),
            expect: expect.into_iter().collect(),
        });
        let all_data = if is_list {
            &mut self.list_data
        } else {
            &mut self.plugin_data
        };
        let entries = all_data.entry(id).or_default();
        entries.insert(plugin, data);
        entries.retain(|_, data| !data.is_empty());
        if self.faults.lose_answers > 0 {
            self.faults.lose_answers -= 1;
            self.meet("lose_answers");
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(())
    }
}
