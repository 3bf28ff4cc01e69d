//! A failure of one recipient affects no other recipient.

use std::collections::BTreeMap;
use std::time::Duration;

use teleport_msteams::config::Limits;

use crate::support::{ALICE, BOB, Left, Town};
use crate::world::cluster::{ClusterState, Draft, State, Verdict};
use crate::world::tenant::{Fault, Rule};

const CAROL: &str = "carol@example.com";

/// The connector's error code for an unknown message.
const GONE: Fault = Fault::Error(404, "ActivityNotFoundInConversation");

/// A town whose requests go to these recipients, with other limits.
async fn town_for(recipients: &[&str], limits: impl FnOnce(&mut Limits)) -> Town {
    let mut town = Town::build().await;
    let mut settings = town.settings(&town.config_for(&format!("\"*\" = {recipients:?}")));
    limits(&mut settings.limits);
    town.start_daemon_on(settings).await;
    town
}

/// Returns the part of the connector's paths that only calls for this recipient have.
fn chat(town: &Town, name: &str) -> String {
    format!("{}_", town.people[name].id)
}

fn posts_to(town: &Town, path: &str) -> usize {
    let calls = town.tenant.calls().into_iter();
    calls
        .filter(|call| call.method == "POST" && call.path.contains(path))
        .count()
}

#[tokio::test]
async fn the_pause_that_microsoft_wants_for_one_recipient_delays_no_other() {
    let town = town_for(&[ALICE, CAROL], |_| {}).await;
    let (alice, carol) = (chat(&town, "Alice"), chat(&town, "Carol"));
    town.tenant.faults(|faults| {
        faults.rules = vec![
            Rule::every("POST", &alice, Fault::Status(429, Some(300))),
            Rule::some(6, "POST", &carol, Fault::Error(503, "ServiceUnavailable")),
        ];
    });
    town.cluster.create(Draft::default());
    town.sees(CAROL, &["PENDING"]).await;
    assert!(town.tenant.throttled() > 0, "Alice was not throttled");
    town.expects_warnings(&[
        "Service throttles requests service=\"Bot connector\"",
        "Service fails, retrying service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn many_unresponsive_recipients_delay_no_healthy_recipient() {
    let mut town = Town::build().await;
    let mails: Vec<_> = (0..40).map(|number| format!("crowd-{number}@example.com")).collect();
    let crowd: Vec<_> = mails
        .iter()
        .map(|mail| town.tenant.add_user(mail, Some(mail), mail))
        .collect();
    let recipients = [&mails[..], &[ALICE.to_owned(), BOB.to_owned()]].concat();
    let mut settings = town.settings(&town.config_for(&format!("\"*\" = {recipients:?}")));
    // Nothing times out here.
    settings.limits.microsoft_timeout = Duration::from_mins(10);
    settings.limits.slow_delivery = Duration::from_millis(100);
    town.start_daemon_on(settings).await;
    town.tenant.faults(|faults| {
        let rules = crowd
            .iter()
            .map(|user| Rule::every("POST", &format!("{}_", user.id), Fault::Hang));
        faults.rules = rules.collect();
    });
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.cluster.set_state(&id, State::Denied, "no");
    town.both_see(&["DENIED"]).await;
    assert_eq!(town.tenant.met(&Fault::Hang), 40);
    town.kill_daemon();
}

#[tokio::test]
async fn an_unresponsive_post_does_not_delay_the_resolution_for_others() {
    let mut town = town_for(&[ALICE, BOB], |limits| {
        limits.microsoft_timeout = Duration::from_mins(10);
    })
    .await;
    let alice = chat(&town, "Alice");
    let held = town.tenant.hold_answers("POST", &alice);
    let id = town.cluster.create(Draft::default());
    held.reached(1).await;
    town.both_see(&["PENDING"]).await;
    town.cluster.review(&id, "bob", Verdict::Approve, "fine");
    town.sees(BOB, &["APPROVED"]).await;
    town.cluster
        .until("Bob's card is recorded while Alice's is on its way", |state| {
            shown(state, &id).contains("APPROVED/1")
        })
        .await;
    held.open();
    // The card that was posted meanwhile is brought up to date.
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&id).await;
    town.kill_daemon();
}

fn shown(state: &ClusterState, id: &str) -> String {
    let data = state.plugin_data.get(id).and_then(|plugins| plugins.get("msteams"));
    data.and_then(|data| data.get("x_cards")).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_recipient_whose_problem_is_fixed_is_notified_soon() {
    let town = Town::build().await;
    let channel = town.tenant.add_channel("Operations", "Night shift");
    let mut town = town;
    town.tenant.set_team_installed("Operations", false);
    let config = town.config_for(&format!("\"*\" = [\"{channel}\"]"));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.daemon().says("the app is not installed in the team").await;
    town.daemon().says("retry_in=").await;
    town.tenant.set_team_installed("Operations", true);
    town.sees(&channel, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(!town.cluster.plugin_data(&id).contains_key("x_skipped"));
    town.finish().await;
}

#[tokio::test]
async fn posts_that_are_never_confirmed_are_repeated_a_bounded_number_of_times() {
    let town = town_for(&[ALICE], |limits| limits.refused_first_pause = Duration::from_millis(4)).await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/activities", Fault::ResetAfter)]);
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"; 5]).await;
    let given_up = |state: &ClusterState| {
        let data = &state.plugin_data[&id]["msteams"];
        data.get("x_skipped").is_some_and(|text| text.contains("\"times\":5"))
    };
    town.cluster.until("the fifth post is recorded", given_up).await;
    town.settled(&id).await;
    // In every case it is not posted again.
    town.cluster.repeat(&id);
    town.cluster.review(&id, "bob", Verdict::Approve, "");
    let next = town.cluster.create(Draft {
        suggested_reviewers: vec![BOB.to_owned()],
        ..Draft::default()
    });
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&next).await;
    assert_eq!(
        posts_to(&town, &chat(&town, "Alice")),
        6,
        "five for the first request, one for the second"
    );
    assert_eq!(town.chat(ALICE).len(), 6);
}

#[tokio::test]
async fn one_answer_that_a_card_is_missing_does_not_abandon_it() {
    for end in [None, Some(State::Denied)] {
        let town = town_for(&[ALICE], |_| {}).await;
        let id = town.cluster.create(Draft {
            approvals: 2,
            ..Draft::default()
        });
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&id).await;
        town.tenant
            .faults(|faults| faults.rules = vec![Rule::some(1, "PUT", "/activities", GONE)]);
        match end {
            None => town.cluster.review(&id, "bob", Verdict::Approve, "one of two"),
            Some(state) => town.cluster.set_state(&id, state, "one of two"),
        }
        town.reads(ALICE, "one of two").await;
        town.settled(&id).await;
        assert_eq!(town.chat(ALICE).len(), 1, "no second card");
        town.finish().await;
    }
}

#[tokio::test]
async fn a_deleted_card_is_abandoned_with_a_warning() {
    let town = town_for(&[ALICE], |_| {}).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("PUT", "/activities", GONE)]);
    town.cluster.set_state(&id, State::Denied, "no");
    town.daemon().says("WARN").await;
    town.daemon()
        .says("Card was deleted; its last update was not delivered")
        .await;
    town.settled(&id).await;
    assert!(town.tenant.met(&GONE) >= 2, "it was tried again before it was given up");
    town.leaves(Left::Unrecorded(1), "the connector does not know it any more");
    town.finish().await;
}

#[tokio::test]
async fn a_resolution_reaches_the_cards_although_the_request_and_its_record_are_gone() {
    let town = town_for(&[ALICE], |_| {}).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.faults(|faults| faults.hold_events = true);
    town.cluster.set_state(&id, State::Approved, "yes");
    town.cluster.delete(&id);
    town.cluster.forget_plugin_data(&id);
    let mut deletion = None;
    town.cluster.release_events(|events| deletion = events.pop());
    town.sees(ALICE, &["APPROVED"]).await;
    town.cluster.send_raw(&deletion.unwrap());
    let next = town.cluster.create(Draft::default());
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.settled(&next).await;
    town.leaves(Left::Unrecorded(1), "the first record ended before");
    town.finish().await;
}

#[tokio::test]
async fn a_slow_teleport_does_not_end_a_claim_before_it_begins() {
    // Each call takes longer than a claim lasts.
    let town = town_for(&[ALICE], |limits| {
        limits.claim_term = Duration::from_millis(400);
        limits.claim_stale = Duration::from_secs(3);
    })
    .await;
    town.cluster
        .faults(|faults| faults.latency = Duration::from_millis(600));
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let claims = town
        .cluster
        .writes(&id)
        .iter()
        .filter(|(set, _)| set["x_claim"].starts_with("held"))
        .count();
    assert!(claims <= 2, "it was claimed {claims} times");
    town.finish().await;
}

#[tokio::test]
async fn cards_of_the_go_plugin_are_looked_up_while_the_claim_is_renewed() {
    let mails: Vec<_> = (0..11).map(|number| format!("old-{number}@example.com")).collect();
    let mut town = Town::build().await;
    for mail in &mails {
        town.tenant.add_user(mail, Some(mail), mail);
    }
    let old = town.config_for(&format!("\"*\" = {mails:?}"));
    town.start_daemon_with(&old).await;
    let id = town.cluster.create(Draft::default());
    for mail in &mails {
        town.sees(mail, &["PENDING"]).await;
    }
    town.settled(&id).await;
    town.kill_daemon();
    let mut data: BTreeMap<_, _> = town.cluster.plugin_data(&id);
    data.retain(|key, _| !key.starts_with("x_"));
    town.cluster.set_plugin_data(&id, data);

    let mut settings =
        town.settings(&town.config_for(&format!("\"*\" = {:?}", [&mails[..], &[ALICE.to_owned()]].concat())));
    settings.limits.claim_term = Duration::from_millis(600);
    settings.limits.claim_stale = Duration::from_millis(1_200);
    settings.limits.microsoft_timeout = Duration::from_mins(1);
    let slow = town.tenant.hold("GET", "/users");
    town.start_daemon_on(settings).await;
    slow.reached(12).await;
    // The claim is renewed repeatedly while the lookups get no answer.
    town.cluster
        .until("the claim was renewed four times", |state| {
            let renewals = state
                .writes
                .iter()
                .filter(|write| write.id == id && !write.set.contains_key("messages"));
            renewals.count() >= 6
        })
        .await;
    slow.open();
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_is_made_smaller_and_the_cards_stay_current() {
    let town = town_for(&[ALICE], |_| {}).await;
    town.cluster.faults(|faults| faults.plugin_data_limit = Some(1_700));
    let id = town.cluster.create(Draft {
        reason: "r".repeat(1_500),
        approvals: 2,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon()
        .says("Plugin data of the Access Request is too large, storing less")
        .await;
    town.settled(&id).await;
    assert!(town.cluster.met("plugin_data_limit") > 0);
    // Another plugin fills the rest.
    town.cluster.faults(|faults| faults.plugin_data_limit = Some(10));
    town.cluster.review(&id, "bob", Verdict::Approve, "one");
    town.reads(ALICE, "one").await;
    town.cluster.set_state(&id, State::Denied, "no");
    town.sees(ALICE, &["DENIED"]).await;
    town.leaves(Left::Stale(1), "another plugin fills the record");
    town.finish().await;
}

#[tokio::test]
async fn channels_with_the_same_message_id_keep_their_cards_apart() {
    for restart in [false, true] {
        let mut town = Town::build().await;
        town.tenant.faults(|faults| faults.same_activity_ids = true);
        let channels = ["One", "Two"].map(|name| town.tenant.add_channel("Operations", name));
        let config = town.config_for(&format!("\"*\" = {channels:?}"));
        town.start_daemon_with(&config).await;
        let id = town.cluster.create(Draft {
            approvals: 2,
            ..Draft::default()
        });
        for channel in &channels {
            town.sees(channel, &["PENDING"]).await;
        }
        town.settled(&id).await;
        let cards = channels.each_ref().map(|channel| town.chat(channel)[0].id.clone());
        assert_eq!(cards[0], cards[1], "the ids are the same");
        if restart {
            town.kill_daemon();
            town.start_daemon_with(&config).await;
        }
        town.cluster.review(&id, "bob", Verdict::Approve, "one of two");
        for channel in &channels {
            town.reads(channel, "one of two").await;
        }
        town.cluster.set_state(&id, State::Denied, "no");
        for channel in &channels {
            town.sees(channel, &["DENIED"]).await;
        }
        town.settled(&id).await;
        town.finish().await;
    }
}

#[tokio::test]
async fn all_deferred_deliveries_resume_when_the_service_recovers() {
    let mails: Vec<_> = (0..30).map(|number| format!("person-{number}@example.com")).collect();
    let mut town = Town::build().await;
    for mail in &mails {
        town.tenant.add_user(mail, Some(mail), mail);
    }
    // No pause of any request ends within this test, so only the recovery can wake them; Alice finds it out.
    let config = town.config_for(&format!("\"*\" = []\nknown = {mails:?}"));
    let mut settings = town.settings(&format!("preload = true\n{config}"));
    settings.limits.again_first_pause = Duration::from_mins(10);
    settings.limits.again_longest_pause = Duration::from_mins(10);
    settings.limits.outage_pause = Duration::from_mins(10);
    town.start_daemon_on(settings).await;
    town.daemon().says("Recipient data preloaded and cached.").await;
    town.tenant.faults(|faults| {
        faults.rules = vec![Rule::every(
            "POST",
            "/activities",
            Fault::Error(503, "ServiceUnavailable"),
        )];
    });
    for mail in &mails {
        let id = town.cluster.create(Draft {
            roles: vec!["by-reviewers".to_owned()],
            suggested_reviewers: vec![mail.clone()],
            ..Draft::default()
        });
        town.cluster
            .until("the request waits", |state| {
                let data = state.plugin_data.get(&id).and_then(|plugins| plugins.get("msteams"));
                data.and_then(|data| data.get("x_claim"))
                    .is_some_and(|claim| claim.starts_with("done"))
            })
            .await;
    }
    town.tenant.faults(|faults| faults.rules.clear());
    for _ in 0..2 {
        town.cluster.create(Draft {
            roles: vec!["by-reviewers".to_owned()],
            suggested_reviewers: vec![ALICE.to_owned()],
            ..Draft::default()
        });
    }
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    for mail in &mails {
        town.sees(mail, &["PENDING"]).await;
    }
    town.expects_warnings(&[
        "Service fails, retrying service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn requests_deferred_by_teleport_resume_when_it_recovers() {
    // No pause ends within this test, so only the recovery can wake them.
    let town = town_for(&[ALICE], |limits| {
        limits.teleport_first_pause = Duration::from_mins(10);
        limits.again_longest_pause = Duration::from_mins(10);
        limits.outage_pause = Duration::from_mins(10);
    })
    .await;
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    let ids: Vec<_> = (0..6).map(|_| town.cluster.create(Draft::default())).collect();
    town.daemon().says_times(ids.len(), "Access Request deferred").await;
    town.cluster.faults(|faults| faults.deny_plugin_data = false);
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"; 7]).await;
    town.expects_warnings(&["Service fails, retrying service=\"Teleport\""]);
    town.finish().await;
}

#[tokio::test]
async fn the_same_refusal_and_the_same_unknown_state_are_logged_once() {
    let mut town = Town::build().await;
    town.tenant.block(&town.people["Eve"]);
    let mut settings = town.settings(&town.config_for("\"*\" = \"eve@example.com\""));
    settings.limits.resync_every = Duration::from_millis(50);
    town.start_daemon_on(settings).await;
    let id = town.cluster.create(Draft::default());
    let other = town.cluster.create(Draft::default());
    town.cluster.edit(&other, |spec| spec.state = 99);
    // Three retries of both requests, and three more lists.
    town.daemon().says_times(6, "Cannot notify recipient request.id=").await;
    town.daemon().says_times(4, "Access Requests listed").await;
    let log = town.daemon().log();
    let warnings = |text: &str| {
        log.lines()
            .filter(|line| line.contains(" WARN ") && line.contains(text))
            .count()
    };
    assert_eq!(
        warnings(&format!("Cannot notify recipient request.id={id}")),
        1,
        "{log}"
    );
    assert!(warnings("Access Request is in an unknown state") <= 1, "{log}");
    town.allows_warnings(&["Access Request is in an unknown state"]);
    town.finish().await;
}

#[tokio::test]
async fn a_resolution_does_not_wait_for_the_retry_of_an_older_state() {
    let town = town_for(&[ALICE], |limits| limits.again_first_pause = Duration::from_mins(10)).await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let busy = Fault::Error(412, "PreconditionFailed");
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("PUT", "/activities", busy)]);
    town.cluster.review(&id, "bob", Verdict::Approve, "one of two");
    town.daemon().says("retry_in=").await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.cluster.set_state(&id, State::Denied, "no");
    town.sees(ALICE, &["DENIED"]).await;
    town.finish().await;
}
