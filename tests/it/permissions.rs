//! The permissions of Microsoft Graph that `validate --all` asks for, each with what it is needed for.

use crate::support::{ALICE, Town};
use crate::world::cluster::ClusterOptions;
use crate::world::tenant::TenantOptions;

/// Builds a town whose app has these permissions besides the usual ones.
async fn granted(roles: &[&'static str]) -> Town {
    let options = TenantOptions {
        roles: [&TenantOptions::default().roles[..], roles].concat(),
        ..TenantOptions::default()
    };
    Town::build_with(ClusterOptions::default(), options).await
}

#[tokio::test]
async fn managers_need_a_permission_that_the_check_asks_for() {
    for (roles, expected, code) in [
        (
            &[][..],
            "User.Read.All is missing; it is needed to find the managers of recipients",
            1,
        ),
        (
            &["User.Read.All"],
            "User.Read.All, to find the managers of recipients",
            0,
        ),
        (
            &["Directory.Read.All"],
            "Directory.Read.All, to find the managers of recipients",
            0,
        ),
    ] {
        let town = granted(roles).await;
        let config = town.config_for(&format!("\"*\" = \"{ALICE}\""));
        let (_, without, _) = town.run(&config, &["validate", "--all"]).await;
        assert!(!without.contains("managers"), "{without}");
        let escalation = "[escalation]\nafter = \"1h\"\nmanager = true";
        let (status, stdout, _) = town
            .run(&format!("{config}\n{escalation}"), &["validate", "--all"])
            .await;
        assert!(stdout.contains(expected), "{stdout}");
        assert_eq!(status, Some(code), "{stdout}");
        let instead = "Replace it with User.Read.All";
        assert_eq!(stdout.contains(instead), roles == ["Directory.Read.All"], "{stdout}");
    }
}

#[tokio::test]
async fn presence_needs_a_permission_that_the_check_asks_for() {
    for (roles, expected, code) in [
        (
            &[][..],
            "Presence.Read.All is missing; it is needed to find recipients who are out of office",
            1,
        ),
        (
            &["Presence.Read.All"],
            "Presence.Read.All, to find recipients who are out of office",
            0,
        ),
        (&["Presence.ReadWrite.All"], "Replace it with Presence.Read.All", 0),
    ] {
        let town = granted(roles).await;
        let config = town.config_for(&format!("\"*\" = \"{ALICE}\""));
        let (_, without, _) = town.run(&config, &["validate", "--all"]).await;
        assert!(!without.contains("out of office"), "{without}");
        let on = "[notify]\nout_of_office = true";
        let (status, stdout, _) = town.run(&format!("{config}\n{on}"), &["validate", "--all"]).await;
        assert!(stdout.contains(expected), "{stdout}");
        let summary = "notifications: delegates of recipients who are out of office\n";
        assert!(stdout.contains(summary), "{stdout}");
        assert_eq!(status, Some(code), "{stdout}");
    }
}

#[tokio::test]
async fn the_permission_for_hidden_members_is_only_useful_with_groups() {
    let town = granted(&["GroupMember.Read.All", "Member.Read.Hidden"]).await;
    let group = town.tenant.add_group(&[&town.people["Alice"]]);
    for (recipient, is_useful) in [(format!("group:{group}"), true), (ALICE.to_owned(), false)] {
        let config = town.config_for(&format!("\"*\" = {recipient:?}"));
        let (_, stdout, _) = town.run(&config, &["validate", "--all"]).await;
        let is_reported = stdout.contains("Member.Read.Hidden is not needed");
        assert_eq!(is_reported, !is_useful, "{stdout}");
    }
}
