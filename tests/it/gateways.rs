//! What proxies, filters and gateways answer in Microsoft's place is not Microsoft's answer.

use std::time::Duration;

use crate::support::{ALICE, BOB, Left, Town, for_alice};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{Fault, Rule};

const PAGE: &str = "<!DOCTYPE html><html><body><h1>Blocked by policy</h1></body></html>";

const HTML: &str = "text/html; charset=utf-8";

/// A page of a filter with this status.
fn page(status: u16) -> Fault {
    Fault::Page(status, HTML, PAGE)
}

fn spoil(town: &Town, times: u32, method: &'static str, path: &str, fault: &Fault) {
    let rule = Rule::some(times, method, path, fault.clone());
    town.tenant.faults(|faults| faults.rules = vec![rule]);
}

#[tokio::test]
async fn a_page_in_place_of_any_answer_of_graph_skips_no_recipient() {
    for (method, path, status) in [
        ("GET", "/v1.0/users", 404),
        ("GET", "/v1.0/users", 403),
        ("GET", "/v1.0/users", 200),
        ("GET", "/installedApps", 404),
        ("POST", "/installedApps", 403),
        ("POST", "/installedApps", 409),
        ("GET", "/chat", 404),
        ("GET", "/chat", 421),
    ] {
        let town = Town::start().await;
        let fault = page(status);
        spoil(&town, 1, method, path, &fault);
        town.tenant.faults(|faults| faults.no_chats_by_bots = path == "/chat");
        let id = town.cluster.create(Draft {
            suggested_reviewers: vec!["carol@example.com".to_owned()],
            ..for_alice()
        });
        town.sees("carol@example.com", &["PENDING"]).await;
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&id).await;
        assert_eq!(town.tenant.met(&fault), 1, "{method} {path} {status}");
        let skipped = town.cluster.plugin_data(&id).get("x_skipped").cloned();
        assert!(
            skipped.is_none_or(|skipped| !skipped.contains("carol")),
            "{path} {status}"
        );
        town.finish().await;
    }
}

#[tokio::test]
async fn an_installation_that_is_answered_with_another_success_is_sent_again_immediately() {
    for fault in [
        Fault::Page(200, "", ""),
        Fault::Page(200, "application/json", "{}"),
        Fault::Page(200, "text/plain", "OK"),
    ] {
        let town = Town::start().await;
        spoil(&town, 1, "POST", "/installedApps", &fault);
        town.cluster.create(Draft {
            suggested_reviewers: vec!["carol@example.com".to_owned()],
            ..for_alice()
        });
        town.sees("carol@example.com", &["PENDING"]).await;
        town.sees(ALICE, &["PENDING"]).await;
        let calls = town.tenant.calls();
        let installs = calls
            .iter()
            .filter(|call| call.method == "POST" && call.path.ends_with("/installedApps"));
        let statuses: Vec<_> = installs.map(|call| call.status).collect();
        assert_eq!(statuses, [200, 201], "{fault:?}");
        // It did not count as an installation whose chat is missing.
        let log = town.daemon().log();
        assert!(!log.contains("its chat has not appeared yet"), "{log}");
        town.finish().await;
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_token_does_not_count_as_a_rejected_secret() {
    let town = Town::start().await;
    town.tenant.revoke_tokens();
    let fault = page(403);
    spoil(&town, 2, "POST", "/token", &fault);
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    assert!(town.tenant.met(&fault) > 0);
    let log = town.daemon().log();
    assert!(!log.contains("Microsoft rejected the credentials"), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn a_page_that_rejects_a_post_does_not_count_as_the_connectors_refusal() {
    for fault in [
        page(403),
        page(404),
        page(400),
        page(413),
        page(421),
        Fault::Page(403, "", ""),
        Fault::Page(403, "text/plain", "Forbidden"),
        Fault::Page(403, "application/json", r#"{"message":"Forbidden"}"#),
        Fault::Page(407, HTML, PAGE),
    ] {
        let town = Town::start().await;
        spoil(&town, 1, "POST", "/activities", &fault);
        let id = town.cluster.create(for_alice());
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&id).await;
        assert_eq!(town.tenant.met(&fault), 1);
        assert!(!town.cluster.plugin_data(&id).contains_key("x_skipped"), "{fault:?}");
        town.finish().await;
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_edit_neither_duplicates_the_card_nor_leaves_it_stale() {
    for status in [200, 403, 404] {
        let town = Town::start().await;
        let id = town.cluster.create(Draft {
            approvals: 2,
            ..for_alice()
        });
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&id).await;
        let fault = page(status);
        spoil(&town, 1, "PUT", "/activities", &fault);
        town.cluster.review(&id, "carol", Verdict::Approve, "one of two");
        town.reads(ALICE, "one of two").await;
        town.settled(&id).await;
        spoil(&town, 1, "PUT", "/activities", &fault);
        town.cluster.review(&id, "dan", Verdict::Deny, "no");
        town.sees(ALICE, &["DENIED"]).await;
        assert_eq!(town.tenant.met(&fault), 2);
        town.finish().await;
    }
}

#[tokio::test]
async fn continuing_pages_are_reported_as_pages() {
    let town = Town::start().await;
    let rule = Rule::every("POST", "/activities", page(403));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let id = town.cluster.create(for_alice());
    let said = "a proxy, firewall or gateway answered instead of Microsoft (403)";
    town.daemon().says(said).await;
    town.daemon()
        .says("Find the proxy, firewall or gateway on the path to 127.0.0.1")
        .await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.allows_warnings(&["Delivery failed, will retry"]);
    town.finish().await;
}

#[tokio::test]
async fn a_success_that_is_not_the_connectors_does_not_count_as_a_card() {
    for fault in [
        Fault::Page(200, "text/plain", "OK"),
        Fault::Page(200, HTML, PAGE),
        Fault::Page(200, "", ""),
        Fault::Page(200, "application/json", r#"{"status":"ok"}"#),
    ] {
        let town = Town::start().await;
        spoil(&town, 1, "POST", "/activities", &fault);
        let id = town.cluster.create(for_alice());
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&id).await;
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        town.sees(ALICE, &["APPROVED"]).await;
        assert_eq!(town.tenant.met(&fault), 1);
        town.expects_warnings(&[
            "Service fails, retrying service=\"Bot connector\"",
            "Microsoft did not confirm a card",
        ]);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_post_that_may_have_arrived_is_not_sent_again_in_place() {
    for status in [408, 502, 504] {
        let mut town = Town::build().await;
        let mut settings = town.settings(&town.config());
        // Only retries in place come within this test.
        settings.limits.refused_first_pause = Duration::from_mins(10);
        town.start_daemon_on(settings).await;
        let fault = Fault::PageBehind(status);
        let rule = Rule::every("POST", "/activities", fault.clone());
        town.tenant.faults(|faults| faults.rules = vec![rule]);
        let id = town.cluster.create(for_alice());
        town.sees(ALICE, &["PENDING"]).await;
        town.daemon().says("Microsoft did not confirm a card").await;
        town.settled(&id).await;
        assert_eq!(town.tenant.met(&fault), 1, "{status}");
        town.leaves(Left::Unrecorded(1), "its answer was lost");
        town.expects_warnings(&["Service fails, retrying service=\"Bot connector\""]);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_refusal_with_a_code_that_is_not_documented_is_not_final() {
    for (method, path, fault) in [
        ("POST", "/activities", Fault::Error(403, "SomethingNew")),
        ("POST", "/activities", Fault::Error(404, "SomethingNew")),
        ("POST", "/activities", Fault::Error(400, "SomethingNew")),
        ("GET", "/v1.0/users", Fault::Error(404, "SomethingNew")),
    ] {
        let town = Town::start().await;
        spoil(&town, 1, method, path, &fault);
        let id = town.cluster.create(Draft {
            // Not an email address, so that the directory is asked for recipients only.
            user: "robin".to_owned(),
            suggested_reviewers: vec!["carol@example.com".to_owned()],
            ..for_alice()
        });
        town.sees(ALICE, &["PENDING"]).await;
        town.sees("carol@example.com", &["PENDING"]).await;
        town.settled(&id).await;
        assert_eq!(town.tenant.met(&fault), 1);
        town.expects_warnings(&["Delivery failed, will retry"]);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_recipient_whose_conversation_is_temporarily_unknown_is_notified() {
    let town = Town::start().await;
    let unknown = Fault::Error(404, "ConversationNotFound");
    spoil(&town, 7, "POST", "/activities", &unknown);
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.tenant.met(&unknown), 7);
    assert!(!town.cluster.plugin_data(&id).contains_key("x_skipped"));
    town.expects_warnings(&["Delivery failed, will retry"]);
    town.finish().await;
}

#[tokio::test]
async fn one_answer_that_a_message_is_gone_does_not_cost_its_card() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let gone = Fault::Error(404, "ActivityNotFoundInConversation");
    let bob = town.people["Bob"].id.clone();
    spoil(&town, 1, "PUT", &bob, &gone);
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(BOB, &["APPROVED"]).await;
    town.sees(ALICE, &["APPROVED"]).await;
    assert_eq!(town.tenant.met(&gone), 1);
    town.finish().await;
}
