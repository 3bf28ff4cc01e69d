//! `uninstall`: removes the app from every user in the configuration.

use crate::support::{ALICE, BOB, Town};
use crate::world::tenant::{Fault, Rule};

async fn uninstall(town: &Town, arguments: &[&str]) -> (Option<i32>, String, String) {
    let recipients = format!(
        "\"*\" = [\"{ALICE}\", \"carol@example.com\", \"{}\"]\ndba = [\"{BOB}\", \"{ALICE}\", \"nobody@example.com\"]",
        town.channel
    );
    let arguments = [&["uninstall"], arguments].concat();
    let (status, stdout, stderr) = town.run(&town.config_for(&recipients), &arguments).await;
    let options = town.tenant.options();
    let stdout = stdout
        .replace(&options.teams_app_id, "<app>")
        .replace(&options.catalog_id, "<catalog id>");
    (status, stdout, stderr)
}

/// Counts the calls that removed the app from a user.
fn removals(town: &Town) -> usize {
    let calls = town.tenant.calls().into_iter();
    calls.filter(|call| call.method == "DELETE").count()
}

#[tokio::test]
async fn users_lose_the_app_and_a_second_run_finds_no_installation() {
    let town = Town::build().await;
    let (status, stdout, stderr) = uninstall(&town, &["--dry-run"]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("uninstall_dry_run", stdout);
    assert_eq!(removals(&town), 0);

    let (status, stdout, stderr) = uninstall(&town, &[]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("uninstall", stdout);
    assert_eq!(removals(&town), 2);

    let (status, stdout, _) = uninstall(&town, &[]).await;
    assert_eq!(status, Some(0));
    assert!(
        stdout.ends_with("Successfully uninstalled app for all recipients (0 of 4 had it)\n"),
        "{stdout}"
    );
    assert_eq!(removals(&town), 2);
}

#[tokio::test]
async fn a_failed_removal_is_reported_and_the_other_users_are_processed() {
    let town = Town::build().await;
    let id = &town.people["Alice"].id;
    let path = format!("/users/{id}/teamwork");
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("DELETE", &path, Fault::Error(403, "Forbidden"))]);
    let (status, stdout, stderr) = uninstall(&town, &[]).await;
    assert_eq!(status, Some(1));
    assert_eq!(stderr, "ERROR: could not uninstall the app for 1 of 4 users\n");
    assert!(stdout.contains(" - Uninstalled for bob@example.com"), "{stdout}");
    assert!(
        stdout.contains(" - Could not uninstall for alice@example.com: could not uninstall the app"),
        "{stdout}"
    );
    let hint = "hint: Check the account, license and app permission policy of the user in the Teams admin center; \
                TeamsAppInstallation.ReadWriteSelfForUser.All is granted";
    assert!(stdout.contains(hint), "{stdout}");
    assert!(!stdout.contains("Successfully"));
}

#[tokio::test]
async fn a_page_of_a_proxy_does_not_pass_for_a_user_without_the_app() {
    let town = Town::build().await;
    let page = Fault::Page(404, "text/html", "<html>Blocked</html>");
    let rule = Rule::some(1, "DELETE", &town.people["Alice"].id, page.clone());
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let (status, stdout, _) = uninstall(&town, &[]).await;
    assert_eq!((status, town.tenant.met(&page)), (Some(0), 1), "{stdout}");
    assert_eq!(town.tenant.standing(&town.people["Alice"]), "missing");
}
