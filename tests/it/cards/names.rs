//! Names of the requested resources, and what a card shows without them.

use crate::cards::{asking_for, card};
use crate::support::{ALICE, Town};

#[tokio::test]
async fn resources_have_names_which_are_looked_up_once() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "8f6e2a54", "db-01");
    town.cluster
        .name_resource("db_server", "orders", "PostgreSQL, production");
    town.cluster.name_resource("app_server", "grafana", "");
    let resources = [
        ("node", "8f6e2a54"),
        ("db", "orders"),
        ("app", "grafana"),
        ("kube_cluster", "k"),
    ];
    town.cluster.create(asking_for(&resources));
    town.reads(ALICE, "\"node db-01\"").await;
    let shown = card(&town, ALICE);
    for part in [
        "database orders – PostgreSQL, production",
        "\"app grafana\"",
        "\"Kubernetes cluster k\"",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("8f6e2a54"), "{shown}");
    assert!(
        town.chat(ALICE)[0].history[0]["summary"]
            .as_str()
            .unwrap()
            .contains("access to 4 resources")
    );
    let calls = town.cluster.calls()["ListResources"];
    assert_eq!(calls, 3, "one call for each kind that has names");
    town.cluster.create(asking_for(&resources));
    town.sees(ALICE, &["PENDING"; 2]).await;
    assert_eq!(town.cluster.calls()["ListResources"], calls);
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_see_resources_cards_show_ids_and_one_warning_names_it() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "n1", "db-01");
    town.cluster.faults(|faults| faults.deny_resources = true);
    for so_far in 1..=2 {
        town.cluster
            .create(asking_for(&[("node", "n1"), ("node", &format!("n{so_far}0"))]));
        town.sees(ALICE, &vec!["PENDING"; so_far]).await;
    }
    town.reads(ALICE, "\"node n1\"").await;
    let log = town.daemon().log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(
        matches!(warnings[..], [one] if one.contains("Grant the role list and read on node")),
        "{warnings:?}"
    );
    town.expects_warnings(&["Could not read the names of requested resources; cards show their IDs"]);
    town.finish().await;
}

#[tokio::test]
async fn resources_that_the_role_cannot_see_are_reported_once_too() {
    let town = Town::start().await;
    // Without the permission, Teleport answers with an empty list.
    for so_far in 1..=2 {
        town.cluster.create(asking_for(&[("node", &format!("n{so_far}"))]));
        town.sees(ALICE, &vec!["PENDING"; so_far]).await;
    }
    let log = town.daemon().log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    let parts = [
        "no requested node exists, or is visible to the role",
        "Grant the role list and read on node",
    ];
    assert!(
        matches!(warnings[..], [one] if parts.iter().all(|part| one.contains(part))),
        "{warnings:?}"
    );
    town.expects_warnings(&["Could not read the names of requested resources; cards show their IDs"]);
    town.finish().await;
}

#[tokio::test]
async fn a_slow_lookup_of_names_does_not_delay_a_card() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "n1", "db-01");
    let gate = town
        .cluster
        .hold("ListResources", crate::world::cluster::Moment::Before, 0);
    town.cluster.create(asking_for(&[("node", "n1")]));
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(ALICE, "\"node n1\"").await;
    drop(gate);
    town.finish().await;
}

#[tokio::test]
async fn resources_of_leaf_clusters_keep_their_ids_and_name_the_cluster() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "n1", "db-01");
    let mut request = town.cluster.create_quietly(asking_for(&[("node", "n1")]));
    let spec = request.spec.as_mut().unwrap();
    spec.requested_resource_ids[0].cluster_name = "leaf.example.com".to_owned();
    town.cluster.put_request(request);
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(ALICE, "\"node n1 on leaf.example.com\"").await;
    assert!(!town.cluster.calls().contains_key("ListResources"));
    town.finish().await;
}
