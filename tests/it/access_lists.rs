//! Reminders of Access Lists that are due for review.

use std::time::{Duration, SystemTime};

use crate::support::{ALICE, BOB, Daemon, Left, Town, for_alice, newest};
use crate::world;
use crate::world::cluster::{ListDraft, Moment};
use crate::world::tenant::{Fault, Rule};

const CAROL: &str = "carol@example.com";

const REMINDED: &str = "Owner reminded of Access Lists";

const HOUR: Duration = Duration::from_hours(1);

const DAY: Duration = Duration::from_hours(24);

fn config(town: &Town) -> String {
    format!("{}\n[notify]\naccess_lists = true", town.config())
}

/// Builds a town with the lists `0d7f` and `4b2e` of Alice, and the first of them also of Bob.
async fn with_lists() -> Town {
    let town = Town::build().await;
    town.cluster
        .put_access_list(ListDraft::new("0d7f", "Database people", &[ALICE, BOB]));
    town.cluster
        .put_access_list(ListDraft::new("4b2e", "On-call engineers", &[ALICE]));
    town
}

/// Waits until a daemon has finished so many further checks.
async fn checked(town: &Town, rounds: usize) {
    let calls = || town.cluster.calls().get("ListAccessLists").copied().unwrap_or_default();
    // The next check begins after the end of the last one.
    let wanted = calls() + rounds + 1;
    let enough = format!("{wanted} checks");
    town.cluster
        .until(&enough, |state| {
            state.calls.get("ListAccessLists").is_some_and(|calls| *calls >= wanted)
        })
        .await;
}

/// Expects one message for each person, with these texts.
async fn read(town: &Town, messages: &[(&str, &[&str])]) {
    for (who, texts) in messages {
        town.sees(who, &["?"]).await;
        let card = newest(&town.chat(who)[0]).to_string();
        for text in *texts {
            assert!(card.contains(text), "{text} is not in {card}");
        }
    }
    let reason = "a reminder is recorded with its Access List";
    town.leaves(Left::Unrecorded(messages.len()), reason);
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn each_owner_gets_one_message_with_all_lists_and_none_after_a_restart() {
    let mut town = with_lists().await;
    let id = town.people["Alice"].id.clone();
    town.cluster.set_traits("al", true, &[("teams_user_id", &[&id])]);
    town.cluster
        .put_access_list(ListDraft::new("4b2e", "On-call engineers", &["al"]));
    town.cluster
        .put_access_list(ListDraft::new("77aa", "Auditors", &["al"]));
    town.cluster
        .put_access_list(ListDraft::new("0d7f", "Database people", &[BOB]));
    town.cluster.put_access_list(ListDraft {
        due: Some(world::now() + 15 * DAY),
        ..ListDraft::new("early", "Not yet due", &["al", BOB])
    });
    town.cluster.put_access_list(ListDraft {
        due: None,
        ..ListDraft::new("scim", "From a directory", &["al", BOB])
    });
    town.cluster.faults(|faults| faults.page = Some(2));
    town.start_daemon_with(&config(&town)).await;
    let links = ["/web/accesslists/4b2e", "/web/accesslists/77aa"];
    read(
        &town,
        &[
            (
                ALICE,
                &[
                    "Review 2 Access Lists",
                    "On-call engineers",
                    "Auditors",
                    "3 members",
                    links[0],
                    links[1],
                ],
            ),
            (
                BOB,
                &["Review the Access List Database people", "/web/accesslists/0d7f"],
            ),
        ],
    )
    .await;
    town.daemon().says_times(2, REMINDED).await;
    let alert = r#""channelData":{"notification":{"alert":true}}"#;
    assert!(newest(&town.chat(BOB)[0]).to_string().contains(alert));
    assert!(town.cluster.list_data("77aa")["x_reminded"].contains("\"al\":"));
    checked(&town, 2).await;
    town.kill_daemon();
    town.start_daemon_with(&config(&town)).await;
    checked(&town, 2).await;
    assert_eq!((town.chat(ALICE).len(), town.chat(BOB).len()), (1, 1));
    for name in ["early", "scim"] {
        assert!(town.cluster.list_data(name).is_empty(), "{name}");
    }
    town.finish().await;
}

#[tokio::test]
async fn two_replicas_send_one_message() {
    let mut town = with_lists().await;
    town.cluster
        .put_access_list(ListDraft::new("77aa", "Auditors", &[BOB, CAROL, ALICE]));
    let listing = town.cluster.hold("ListAccessLists", Moment::Before, 0);
    for _ in 0..2 {
        town.start_daemon_with(&config(&town)).await;
    }
    listing.reached(2).await;
    listing.open();
    let alices = [
        "Review 3 Access Lists",
        "Database people",
        "On-call engineers",
        "Auditors",
    ];
    read(
        &town,
        &[
            (ALICE, &alices),
            (BOB, &["Review 2 Access Lists", "Database people", "Auditors"]),
            (CAROL, &["Review the Access List Auditors"]),
        ],
    )
    .await;
    checked(&town, 6).await;
    for who in [ALICE, BOB, CAROL] {
        assert_eq!(town.chat(who).len(), 1, "{who}");
    }
    town.finish().await;
}

#[tokio::test]
async fn owners_of_an_overdue_list_are_reminded_daily() {
    let mut town = Town::build().await;
    let now = world::now();
    town.cluster.put_access_list(ListDraft {
        due: Some(now - DAY - 12 * HOUR),
        members: Some(1),
        ..ListDraft::new("0d7f", "Database people", &[ALICE, BOB])
    });
    let (yesterday, today) = (unix(now - 13 * HOUR), unix(now - 11 * HOUR));
    let data = format!(r#"{{"{ALICE}":{yesterday},"{BOB}":{today},"former":1}}"#);
    town.cluster
        .set_list_data("0d7f", [("x_reminded".to_owned(), data)].into());
    town.start_daemon_with(&config(&town)).await;
    read(
        &town,
        &[(ALICE, &["Review overdue", "Overdue since ", "(36 hours)", "1 member"])],
    )
    .await;
    checked(&town, 1).await;
    assert_eq!(town.chat(BOB).len(), 0);
    let data = &town.cluster.list_data("0d7f")["x_reminded"];
    assert!(
        data.contains(&format!("\"{BOB}\":{today}")) && !data.contains("former"),
        "{data}"
    );
    town.finish().await;
}

#[tokio::test]
async fn a_recorded_time_in_the_future_counts_as_now() {
    let mut town = Town::build().await;
    town.cluster
        .put_access_list(ListDraft::new("0d7f", "Database people", &[ALICE]));
    let future = format!(r#"{{"{ALICE}":{}}}"#, unix(world::now() + 40 * DAY));
    town.cluster
        .set_list_data("0d7f", [("x_reminded".to_owned(), future.clone())].into());
    town.start_daemon_with(&config(&town)).await;
    town.daemon()
        .says("Recorded reminders of an Access List are in the future")
        .await;
    checked(&town, 1).await;
    assert_ne!(town.cluster.list_data("0d7f")["x_reminded"], future);
    assert_eq!(town.chat(ALICE).len(), 0);
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_there_is_one_warning_until_it_is_granted() {
    let mut town = with_lists().await;
    town.cluster.faults(|faults| faults.deny_access_lists = true);
    town.start_daemon_with(&config(&town)).await;
    let warning = "The role lacks a permission; owners of Access Lists are not reminded";
    town.daemon().says(warning).await;
    let log = town.daemon().log();
    let line = log.lines().find(|line| line.contains(warning)).unwrap();
    assert!(line.contains("Grant the role list and read on access_list"), "{line}");
    checked(&town, 2).await;
    assert_eq!(town.daemon().warnings(warning), 1);
    town.cluster.faults(|faults| faults.deny_access_lists = false);
    read(
        &town,
        &[
            (ALICE, &["Database people", "On-call engineers"]),
            (BOB, &["Database people"]),
        ],
    )
    .await;
    town.daemon().says("Owners of Access Lists are reminded again").await;
    town.finish().await;
}

#[tokio::test]
async fn a_cluster_without_access_lists_ends_the_job_until_a_reload() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.no_access_lists = true);
    town.start_daemon_with(&config(&town)).await;
    town.daemon().says("Teleport does not know Access Lists").await;
    // The daemon goes on.
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.cluster.calls()["ListAccessLists"], 1);
    town.cluster.faults(|faults| faults.no_access_lists = false);
    town.cluster
        .put_access_list(ListDraft::new("0d7f", "Database people", &[BOB]));
    town.daemon().reload(town.load(&config(&town))).await;
    read(&town, &[(BOB, &["Database people"])]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_owner_who_cannot_be_found_is_skipped_and_logged_once() {
    let mut town = with_lists().await;
    town.cluster
        .put_access_list(ListDraft::new("77aa", "Auditors", &["zoe@example.com", "robot", CAROL]));
    town.start_daemon_with(&config(&town)).await;
    read(
        &town,
        &[
            (ALICE, &["Database people", "On-call engineers"]),
            (BOB, &["Database people"]),
            (CAROL, &["Auditors"]),
        ],
    )
    .await;
    let warning = "Cannot remind owner of Access Lists";
    town.daemon().says_times(2, warning).await;
    let log = town.daemon().log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(warning)).collect();
    let robot = lines.iter().find(|line| line.contains("owner=\"robot\"")).unwrap();
    assert!(
        robot.contains("Set the trait teams_user_id of the owner's Teleport user"),
        "{robot}"
    );
    assert!(
        lines.iter().any(|line| line.contains("owner=\"z…@example.com\"")),
        "{lines:?}"
    );
    checked(&town, 2).await;
    assert_eq!(town.daemon().warnings(warning), 2);
    assert!(!town.cluster.list_data("77aa")["x_reminded"].contains("robot"));
    town.finish().await;
}

#[tokio::test]
async fn a_reload_turns_the_reminders_on_and_off() {
    let mut town = with_lists().await;
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(!town.cluster.calls().contains_key("ListAccessLists"));
    town.daemon().reload(town.load(&config(&town))).await;
    town.sees(ALICE, &["PENDING", "?"]).await;
    town.sees(BOB, &["?"]).await;
    town.leaves(Left::Unrecorded(2), "reminders are recorded with their Access Lists");
    town.daemon().says_times(2, REMINDED).await;
    town.daemon().reload(town.load(&town.config())).await;
    // A check that has begun may list, and reminds no owner.
    town.cluster
        .put_access_list(ListDraft::new("77aa", "Auditors", &[CAROL]));
    let next = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "?", "PENDING"]).await;
    town.settled(&next).await;
    assert_eq!(town.chat(CAROL).len(), 0);
    town.finish().await;
}

#[tokio::test]
async fn members_of_owning_lists_are_reminded_where_the_server_knows_them() {
    for is_known in [true, false] {
        let mut town = Town::build().await;
        town.cluster.put_access_list(ListDraft {
            nested: vec![("leads".to_owned(), vec![BOB.to_owned(), ALICE.to_owned()])],
            ..ListDraft::new("0d7f", "Database people", &[ALICE])
        });
        town.cluster.faults(|faults| faults.no_list_owners = !is_known);
        town.start_daemon_with(&config(&town)).await;
        let messages: [(_, &[_]); 2] = [(ALICE, &["Database people"]), (BOB, &["Database people"])];
        read(&town, &messages[..=usize::from(is_known)]).await;
        checked(&town, 1).await;
        assert_eq!(town.chat(BOB).len(), usize::from(is_known));
        assert_eq!(town.cluster.met("no_list_owners") > 0, !is_known);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_failed_send_is_retried_in_its_round_and_not_after_it() {
    let mut town = with_lists().await;
    town.tenant.block(&town.people["Bob"]);
    let busy = Rule::some(2, "POST", "/activities", Fault::Status(503, None));
    town.tenant.faults(|faults| faults.rules = vec![busy]);
    town.allows_warnings(&["Service fails, retrying"]);
    town.start_daemon_with(&config(&town)).await;
    read(&town, &[(ALICE, &["Database people"])]).await;
    let warning = "Could not send a reminder of Access Lists";
    town.daemon().says(warning).await;
    checked(&town, 2).await;
    assert_eq!(town.daemon().warnings(warning), 1);
    assert!(town.cluster.list_data("0d7f")["x_reminded"].contains(BOB));
    town.finish().await;
}

#[tokio::test]
async fn contention_and_outages_of_teleport_delay_a_reminder() {
    let mut town = Town::build().await;
    town.start_daemon_with(&config(&town)).await;
    checked(&town, 1).await;
    town.cluster.faults(|faults| faults.lose_swaps = 3);
    town.cluster
        .put_access_list(ListDraft::new("0d7f", "Database people", &[ALICE]));
    town.sees(ALICE, &["?"]).await;
    assert_eq!(town.cluster.met("lose_swaps"), 3);
    town.stop_teleport().await;
    town.cluster
        .put_access_list(ListDraft::new("4b2e", "On-call engineers", &[BOB]));
    town.daemon().says("Could not check the Access Lists, retrying").await;
    town.allows_warnings(&["Service fails, retrying"]);
    town.cluster.start_again().await;
    town.sees(BOB, &["?"]).await;
    town.leaves(Left::Unrecorded(2), "reminders are recorded with their Access Lists");
    town.finish().await;
}

#[tokio::test]
async fn a_recorded_reminder_is_sent_although_the_daemon_stops() {
    let town = Town::build().await;
    let list = ListDraft::new("0d7f", "Database people", &[ALICE]);
    town.cluster.put_access_list(list);
    // The check of the permission to write is held, too.
    let recording = town.cluster.hold("UpdatePluginData", Moment::After, 0);
    let daemon = Daemon::start(town.settings(&config(&town)));
    recording.reached(2).await;
    let (stopped, ()) = tokio::join!(daemon.stop(), async { recording.open() });
    stopped.unwrap();
    read(&town, &[(ALICE, &["Database people"])]).await;
    town.finish().await;
}

#[tokio::test]
async fn validate_checks_the_permission() {
    let town = with_lists().await;
    town.cluster.add_access_list("scim", "From a directory");
    let validate = async || town.run(&config(&town), &["validate", "--all"]).await;
    let (status, stdout, _) = validate().await;
    let line = "ok  permission to list Access Lists: granted (3 lists, 2 with reviews)";
    assert!(status == Some(0) && stdout.contains(line), "{stdout}");
    town.cluster.faults(|faults| faults.deny_access_lists = true);
    let (status, stdout, _) = validate().await;
    let hint = "hint: Grant the role access-plugin list and read on access_list";
    assert!(status == Some(1) && stdout.contains(hint), "{stdout}");
    town.cluster.faults(|faults| faults.no_access_lists = true);
    let (status, stdout, _) = validate().await;
    let hint = "hint: Upgrade the cluster, or set `[notify] access_lists` to false";
    assert!(status == Some(1) && stdout.contains(hint), "{stdout}");
}
