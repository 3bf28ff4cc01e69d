//! The faults of a run, chosen by the seed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use fastrand::Rng;
use tonic::Code;

use crate::company::{self, Company};
use world::cluster::{CUT_SHORT, Cluster, Draft, NOT_UTF8, WRONG_TYPE};
use world::proto::Event;
use world::proto::event::Resource;
use world::tenant::{Fault, Rule, Tenant, User};

/// A fault on one side, which lasts until it is cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RandomFault {
    StreamCut,
    EventsRepeated,
    EventsTwice,
    EventsMixed,
    TeleportAway,
    TeleportSlow,
    SwapsLost,
    AnswersLost,
    CallsFail,
    ListsEmpty,
    PluginDataDenied,
    /// Other plugins have used up most or all of the space.
    RecordsFull,
    SmallPages,
    /// A request without a readable ID, and invalid records of other plugins.
    Undecodable,
    Throttled,
    ThrottledUntil,
    ThrottledSilently,
    Status(u16),
    ResetBefore,
    ResetAfter,
    Hang,
    HalfAnswer,
    WrongContentType,
    /// A middlebox answers with an HTML page.
    Page(u16),
    /// A middlebox answers with an HTML page after Microsoft has processed the call.
    PageBehind(u16),
    /// One chat is throttled, for longer than the other faults last.
    OneThrottled,
    /// Calls to half of the chats get no response.
    CrowdHangs,
    MicrosoftSlow,
    /// Answers to reviews are lost after the review was stored.
    ReviewAnswersLost,
    ReviewsFail,
    /// The keys that verify requests from Teams cannot be fetched.
    KeysAway,
    TokensRevoked,
    SecretRefused,
    AppRemoved,
}

use RandomFault::{
    AnswersLost, AppRemoved, CallsFail, CrowdHangs, EventsMixed, EventsRepeated, EventsTwice, HalfAnswer, Hang,
    KeysAway, ListsEmpty, MicrosoftSlow, OneThrottled, Page, PageBehind, PluginDataDenied, RecordsFull, ResetAfter,
    ResetBefore, ReviewAnswersLost, ReviewsFail, SecretRefused, SmallPages, Status, StreamCut, SwapsLost, TeleportAway,
    TeleportSlow, Throttled, ThrottledSilently, ThrottledUntil, TokensRevoked, Undecodable, WrongContentType,
};

const ALL: [RandomFault; 43] = [
    StreamCut,
    EventsRepeated,
    EventsTwice,
    EventsMixed,
    TeleportAway,
    TeleportSlow,
    SwapsLost,
    AnswersLost,
    CallsFail,
    ListsEmpty,
    PluginDataDenied,
    RecordsFull,
    SmallPages,
    Undecodable,
    Throttled,
    ThrottledUntil,
    ThrottledSilently,
    Status(412),
    Status(500),
    Status(502),
    Status(503),
    Status(504),
    ResetBefore,
    ResetAfter,
    Hang,
    HalfAnswer,
    WrongContentType,
    Page(403),
    Page(404),
    Page(200),
    Page(407),
    Page(502),
    PageBehind(502),
    PageBehind(504),
    OneThrottled,
    CrowdHangs,
    MicrosoftSlow,
    ReviewAnswersLost,
    ReviewsFail,
    KeysAway,
    TokensRevoked,
    SecretRefused,
    AppRemoved,
];

pub(crate) fn any(rng: &mut Rng) -> RandomFault {
    ALL[rng.usize(..ALL.len())]
}

pub(crate) async fn inject(fault: RandomFault, cluster: &Cluster, tenant: &Tenant, company: &Company, rng: &mut Rng) {
    let times = rng.u32(1..30);
    let spoil = |fault| tenant.faults(|faults| faults.rules.push(Rule::some(times, "POST", "/activities", fault)));
    let spoil_all = |fault| {
        let rule = Rule {
            times: Some(times),
            ..Rule::always(fault)
        };
        tenant.faults(|faults| faults.rules.push(rule));
    };
    match fault {
        StreamCut => cluster.cut_streams(),
        EventsTwice => cluster.faults(|faults| faults.events_twice = true),
        EventsMixed => cluster.faults(|faults| faults.hold_events = true),
        EventsRepeated => {
            let ids: Vec<_> = cluster.state().requests.keys().cloned().collect();
            for id in ids {
                cluster.repeat(&id);
            }
        }
        TeleportAway => cluster.stop().await,
        TeleportSlow => cluster.faults(|faults| faults.latency = Duration::from_secs(5)),
        SwapsLost => cluster.faults(|faults| faults.lose_swaps += times),
        AnswersLost => cluster.faults(|faults| faults.lose_answers += times),
        CallsFail => cluster.faults(|faults| faults.fail_calls += times),
        ReviewAnswersLost => cluster.faults(|faults| faults.lose_review_answers += times),
        ReviewsFail => cluster.faults(|faults| faults.fail_reviews = Some((times, Code::Unavailable))),
        KeysAway => tenant.faults(|faults| {
            let rule = Rule::every("GET", "/openid/", Fault::Status(503, None));
            faults.rules.push(rule);
        }),
        ListsEmpty => cluster.faults(|faults| faults.hide_requests = true),
        PluginDataDenied => cluster.faults(|faults| faults.deny_plugin_data = true),
        RecordsFull => cluster.faults(|faults| faults.plugin_data_limit = Some(rng.usize(..2_000))),
        SmallPages => cluster.faults(|faults| faults.page = Some(3)),
        Undecodable => {
            cluster.create(Draft {
                id: Some(CUT_SHORT.to_owned()),
                suggested_reviewers: vec![company::mail(0)],
                ..Draft::default()
            });
            for entries in cluster.state().plugin_data.values_mut() {
                let copied = |text: &str| [("request_reason".to_owned(), text.to_owned())].into();
                entries.insert("slack".to_owned(), copied(NOT_UTF8));
                entries.insert("jira".to_owned(), copied(WRONG_TYPE));
            }
        }
        Throttled => spoil_all(Fault::Status(429, Some(2))),
        ThrottledUntil => spoil_all(Fault::StatusUntil(429, 3)),
        ThrottledSilently => spoil_all(Fault::Status(429, None)),
        Status(status) => spoil_all(Fault::Status(status, None)),
        ResetBefore => spoil_all(Fault::ResetBefore),
        ResetAfter => spoil(Fault::ResetAfter),
        Hang => spoil_all(Fault::Hang),
        HalfAnswer => spoil(Fault::HalfBody),
        WrongContentType => spoil_all(Fault::Html),
        Page(status) => {
            let page = Fault::Page(status, "text/html", "<html>Blocked by policy</html>");
            spoil_all(page.clone());
            // The login service is behind the same proxy.
            tenant.faults(|faults| faults.rules.push(Rule::some(1, "POST", "/oauth2/v2.0/token", page)));
        }
        PageBehind(status) => spoil(Fault::PageBehind(status)),
        OneThrottled => {
            let person = anyone(company, rng);
            let rule = Rule::some(1, "POST", &person.id, Fault::Status(429, Some(30)));
            tenant.faults(|faults| faults.rules.push(rule));
        }
        CrowdHangs => {
            let half = company.everyone().step_by(2);
            let chats: Vec<_> = half.map(|person| format!("{}_", person.id)).collect();
            let rules = Rule::crowd("POST", &chats, &Fault::Hang);
            tenant.faults(|faults| faults.rules.extend(rules));
        }
        MicrosoftSlow => tenant.faults(|faults| faults.latency = Duration::from_secs(2)),
        TokensRevoked => tenant.revoke_tokens(),
        SecretRefused => {
            tenant.revoke_tokens();
            tenant.faults(|faults| {
                let rule = Rule::every("POST", "/oauth2/v2.0/token", Fault::TokenError(7_000_222));
                faults.rules.push(rule);
            });
        }
        AppRemoved => tenant.uninstall(anyone(company, rng)),
    }
}

fn anyone<'a>(company: &'a Company, rng: &mut Rng) -> &'a User {
    let number = rng.usize(..company.everyone().count());
    company.everyone().nth(number).unwrap_or(&company.people[0])
}

/// Clears a fault on both sides; changes to chats remain.
pub(crate) async fn clear(fault: RandomFault, cluster: &Cluster, tenant: &Tenant) {
    match fault {
        EventsTwice => cluster.faults(|faults| faults.events_twice = false),
        // Events of the same request stay in order.
        EventsMixed => cluster.release_events(|events| events.sort_by_cached_key(|event| hash(&request_of(event)))),
        TeleportAway if !cluster.is_up() => cluster.start_again().await,
        TeleportSlow => cluster.faults(|faults| faults.latency = NEAR),
        ListsEmpty => cluster.faults(|faults| faults.hide_requests = false),
        PluginDataDenied => cluster.faults(|faults| faults.deny_plugin_data = false),
        RecordsFull => cluster.faults(|faults| faults.plugin_data_limit = None),
        SmallPages => cluster.faults(|faults| faults.page = None),
        Undecodable => {
            cluster.delete(CUT_SHORT);
            for entries in cluster.state().plugin_data.values_mut() {
                entries.retain(|plugin, _| plugin == "msteams");
            }
        }
        SwapsLost | AnswersLost | CallsFail => cluster.faults(|faults| {
            (faults.lose_swaps, faults.lose_answers, faults.fail_calls) = (0, 0, 0);
        }),
        ReviewAnswersLost | ReviewsFail => cluster.faults(|faults| {
            (faults.lose_review_answers, faults.fail_reviews) = (0, None);
        }),
        MicrosoftSlow => tenant.faults(|faults| faults.latency = NEAR),
        Throttled | ThrottledUntil | ThrottledSilently | Status(_) | ResetBefore | ResetAfter | Hang | HalfAnswer
        | WrongContentType | Page(_) | PageBehind(_) | OneThrottled | CrowdHangs | KeysAway | SecretRefused => {
            tenant.faults(|faults| faults.rules.clear());
        }
        StreamCut | EventsRepeated | TeleportAway | TokensRevoked | AppRemoved => {}
    }
}

/// Clears all faults, after which all cards must settle.
pub(crate) async fn clear_all(cluster: &Cluster, tenant: &Tenant) {
    for fault in ALL {
        clear(fault, cluster, tenant).await;
    }
}

/// The latency of both sides without faults.
pub(crate) const NEAR: Duration = Duration::from_millis(10);

fn request_of(event: &Event) -> String {
    let metadata = match &event.resource {
        Some(Resource::AccessRequest(request)) => request.metadata.as_ref(),
        Some(Resource::ResourceHeader(header)) => header.metadata.as_ref(),
        _ => None,
    };
    metadata.map(|metadata| metadata.name.clone()).unwrap_or_default()
}

/// Returns a sort key that is independent of the order of arrival.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
