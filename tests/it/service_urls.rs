//! The addresses of the Bot connector: with any path, regional and bound to a tenant, configured and learned.

use crate::support::{ALICE, Town, for_alice};
use crate::world::cluster::Verdict;
use crate::world::tenant::{Fault, Rule};

/// Returns the number of calls to the Bot connector below a path, and that of those elsewhere.
fn calls(town: &Town, path: &str) -> (usize, usize) {
    let calls = town.tenant.calls().into_iter();
    let calls = calls.filter(|call| call.path.contains("/activities"));
    let (there, elsewhere): (Vec<_>, Vec<_>) =
        calls.partition(|call| call.path.starts_with(&format!("/bot/{path}/v3/conversations/")));
    (there.len(), elsewhere.len())
}

/// Creates a request, waits for its card, and approves the request.
async fn announces_and_updates(town: &Town) {
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&id).await;
}

#[tokio::test]
async fn a_configured_address_can_have_any_path() {
    let tenant_bound = format!("apac/{}/", Town::build().await.tenant.options().tenant_id);
    for path in [
        "emea",
        "emea/",
        tenant_bound.trim_end_matches('/'),
        &tenant_bound,
        "a/b/c/d",
    ] {
        let mut town = Town::build().await;
        let url = town.tenant.serve_bot_at(path);
        let config = town.config().replace(&town.tenant.bot(), &url);
        town.start_daemon_with(&config).await;
        announces_and_updates(&town).await;
        assert_eq!(calls(&town, path.trim_end_matches('/')), (2, 0));
        town.finish().await;
    }
}

#[tokio::test]
async fn the_address_in_the_answer_to_an_opened_chat_is_used() {
    let mut town = Town::build().await;
    let path = format!("apac/{}", town.tenant.options().tenant_id);
    let url = town.tenant.serve_bot_at(&format!("{path}/"));
    town.tenant.set_service_url(Some(&url));
    town.start_daemon().await;
    announces_and_updates(&town).await;
    assert_eq!(calls(&town, &path), (2, 0));
    town.finish().await;
}

#[tokio::test]
async fn an_address_on_another_host_never_gets_the_token() {
    for url in [
        "https://evil.example/teams/",
        "http://127.0.0.1:1/bot/teams/",
        "https://smba.trafficmanager.net/teams/",
        "not an address",
    ] {
        let mut town = Town::build().await;
        town.tenant.set_service_url(Some(url));
        town.start_daemon().await;
        announces_and_updates(&town).await;
        assert_eq!(calls(&town, "teams"), (2, 0));
        town.daemon().says("Address of the Bot connector ignored").await;
        town.finish().await;
    }
}

#[tokio::test]
async fn a_learnt_address_that_fails_is_given_up_for_the_configured_one() {
    let mut town = Town::build().await;
    let gone = town.tenant.bot().replace("/teams", "/gone");
    town.tenant.set_service_url(Some(&gone));
    town.start_daemon().await;
    town.expects_warnings(&["Delivery failed, will retry"]);
    announces_and_updates(&town).await;
    let (there, _) = calls(&town, "gone");
    assert!(there > 0);
    town.finish().await;
}

#[tokio::test]
async fn a_learnt_address_that_does_not_know_the_message_or_the_app_is_not_believed() {
    for (method, fault) in [
        ("PUT", Fault::Error(403, "ServiceError")),
        ("PUT", Fault::Error(404, "ActivityNotFoundInConversation")),
        ("PUT", Fault::Error(403, "BotNotInConversationRoster")),
        ("POST", Fault::Error(403, "BotNotInConversationRoster")),
    ] {
        let mut town = Town::build().await;
        let url = town.tenant.serve_bot_at("emea");
        town.tenant.set_service_url(Some(&url));
        let rule = Rule::every(method, "/bot/emea/", fault);
        town.tenant.faults(|faults| faults.rules.push(rule));
        town.start_daemon().await;
        announces_and_updates(&town).await;
        let sends = town.tenant.calls().into_iter();
        let sends = sends.filter(|call| call.path.contains("/activities"));
        let (refused, accepted): (Vec<_>, Vec<_>) = sends.partition(|call| call.status >= 400);
        assert!(
            refused
                .iter()
                .all(|call| call.method == method && call.path.starts_with("/bot/emea/"))
        );
        assert!(!refused.is_empty());
        let accepted: Vec<_> = accepted.into_iter().map(|call| call.method).collect();
        assert_eq!(accepted, ["POST", "PUT"]);
        town.finish().await;
    }
}
