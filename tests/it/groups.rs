//! Groups of the directory as recipients: their members are notified.

use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{ClusterOptions, Draft, Verdict, rule};
use crate::world::tenant::{Fault, Rule, TenantOptions};

const CAROL: &str = "carol@example.com";
const EVE: &str = "eve@example.com";

/// Builds a town whose tenant lets the app list the members of groups, a few on each page.
async fn town() -> Town {
    granting(&["GroupMember.Read.All"]).await
}

async fn granting(roles: &[&'static str]) -> Town {
    let mut options = TenantOptions::default();
    options.roles.extend(roles);
    let town = Town::build_with(ClusterOptions::default(), options).await;
    town.tenant.faults(|faults| faults.longest_page = 2);
    town
}

#[tokio::test]
async fn the_members_of_a_group_are_notified_once_each_and_new_ones_while_the_request_is_pending() {
    // Without the second one, Graph does not show which accounts are disabled.
    let mut town = granting(&["GroupMember.Read.All", "User.Read.All"]).await;
    let [alice, bob, carol, eve] = ["Alice", "Bob", "Carol", "Eve"].map(|name| town.people[name].clone());
    town.tenant.disable(&eve);
    let group = town.tenant.add_group(&[&alice, &bob, &carol, &eve]);
    // Bob is named twice, and Carol does not have the app yet.
    let config = town.config_for(&format!("\"*\" = [\"group:{group}\", \"{BOB}\"]"));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    for who in [ALICE, BOB, CAROL] {
        town.sees(who, &["PENDING"]).await;
    }
    town.reads(ALICE, "You are a default recipient.").await;
    town.settled(&id).await;
    let dan = town.people["Dan"].clone();
    town.tenant.add_member(&group, &dan);
    town.sees(&dan.id, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "bob", Verdict::Approve, "ok");
    for who in [ALICE, BOB, CAROL, &dan.id] {
        town.sees(who, &["APPROVED"]).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn a_rule_names_a_group_and_an_escalation_goes_to_another_one() {
    let mut town = town().await;
    let first = town.tenant.add_group(&[&town.people["Bob"]]);
    let further = town.tenant.add_group(&[&town.people["Eve"]]);
    town.cluster
        .put_rule(rule("to-a-group", "true", &[&format!("group:{first}")]));
    let escalation =
        format!("[escalation]\nafter = \"1s\"\n[escalation.role_to_recipients]\n\"*\" = \"group:{further}\"");
    let config = format!("{}{escalation}\n", town.config());
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(BOB, &["PENDING"]).await;
    town.reads(BOB, "You are a recipient of the Access Monitoring Rule to-a-group.")
        .await;
    town.sees(EVE, &["PENDING"]).await;
    town.reads(EVE, "You are a recipient of escalated requests.").await;
    town.settled(&id).await;
    town.cluster.review(&id, "eve", Verdict::Deny, "no");
    town.sees(BOB, &["DENIED"]).await;
    town.sees(EVE, &["DENIED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_outage_of_graph_keeps_the_known_members_and_delays_no_other_recipient() {
    let mut town = town().await;
    let group = town.tenant.add_group(&[&town.people["Bob"]]);
    let config = town.config_for(&format!("\"*\" = [\"group:{group}\", \"{ALICE}\"]"));
    let rules = || vec![Rule::every("GET", "transitiveMembers", Fault::Status(503, None))];
    town.tenant.faults(|faults| faults.rules = rules());
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.faults(|faults| faults.rules = rules());
    let failed = Fault::Status(503, None);
    let before = town.tenant.met(&failed);
    let mut changes = town.tenant.changes();
    while town.tenant.met(&failed) == before {
        changes.changed().await.unwrap();
    }
    let next = town.cluster.create(Draft::default());
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.settled(&next).await;
    town.allows_warnings(&["Service fails, retrying", "Could not list the members of a group"]);
    town.finish().await;
}

#[tokio::test]
async fn a_deleted_group_notifies_no_former_members() {
    let mut town = town().await;
    let group = town.tenant.add_group(&[&town.people["Bob"]]);
    let config = town.config_for(&format!("\"*\" = [\"group:{group}\", \"{ALICE}\"]"));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.delete_group(&group);
    town.daemon().says("Could not list the members of a group").await;
    let next = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.settled(&next).await;
    // The card of the first request stays current.
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(BOB, &["APPROVED"]).await;
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_reported_with_the_fix_and_delays_no_other_recipient() {
    let mut town = Town::build().await;
    let group = town.tenant.add_group(&[&town.people["Bob"]]);
    let config = town.config_for(&format!("\"*\" = [\"group:{group}\", \"{ALICE}\"]"));
    town.start_daemon_until(
        town.settings(&config),
        "Grant the application permission GroupMember.Read.All and give admin consent",
    )
    .await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.expects_warnings(&["Could not list the members of a group"]);
    town.finish().await;

    let mut town = self::town().await;
    let empty = town.tenant.add_group(&[]);
    let unknown = "a36aec2e-f11c-4219-b79a-19ffff57de70";
    let config = town.config_for(&format!(
        "\"*\" = [\"group:{empty}\", \"group:{unknown}\", \"{ALICE}\"]"
    ));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let expected = format!("could not list the members of the group for {unknown}: it does not exist");
    assert!(town.daemon().log().contains(&expected), "{}", town.daemon().log());
    town.expects_warnings(&[
        "Could not list the members of a group",
        "Group has no members to notify",
    ]);
    town.finish().await;
}
