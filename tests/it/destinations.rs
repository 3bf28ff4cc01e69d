//! Every kind of recipient, from the configuration to the card.

use crate::support::{ALICE, Town};
use crate::world::cluster::{ClusterOptions, Draft, Verdict};
use crate::world::tenant::TenantOptions;

const BY_NAME: [&str; 2] = ["Team.ReadBasic.All", "Channel.ReadBasic.All"];

/// Builds a town whose tenant grants further permissions.
async fn granting(roles: &[&'static str]) -> Town {
    let mut options = TenantOptions::default();
    options.roles.extend(roles);
    Town::build_with(ClusterOptions::default(), options).await
}

/// Starts a daemon with these recipients of every role, and creates a request.
async fn request(town: &mut Town, recipients: &[&str]) -> String {
    let config = town.config_for(&format!("\"*\" = {recipients:?}"));
    town.start_daemon_with(&config).await;
    town.cluster.create(Draft::default())
}

/// Checks that the log has these reasons of rejections, and what to do.
fn explains(town: &Town, rejections: &[(&str, &str)]) {
    let log = town.daemon().log();
    for (reason, fix) in rejections {
        assert!(log.contains(reason), "{reason}: {log}");
        assert!(log.contains(fix), "{fix}: {log}");
    }
}

#[tokio::test]
async fn people_are_notified_under_every_name() {
    let mut town = granting(&["User.Read.All"]).await;
    let guest = town.tenant.add_guest("Frank", "frank@home.example");
    let odd = ["o'brien+x@example.com", "zoë#1@exämple.com", "$cash@example.com"];
    let people = odd.map(|name| town.tenant.add_user(name, None, name));
    town.tenant.add_alias(&town.people["Alice"], "a'lias+1@example.com");
    let bob = town.people["Bob"].id.clone();
    let all = [odd[0], odd[1], odd[2], &guest.upn, "a'lias+1@example.com", &bob];
    let id = request(&mut town, &all).await;
    for person in people
        .iter()
        .chain([&guest, &town.people["Alice"], &town.people["Bob"]])
    {
        town.sees(&person.id, &["PENDING"]).await;
    }
    town.cluster.review(&id, "bob", Verdict::Approve, "ok");
    for person in people
        .iter()
        .chain([&guest, &town.people["Alice"], &town.people["Bob"]])
    {
        town.sees(&person.id, &["APPROVED"]).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn channels_and_chats_are_notified_from_the_links_of_every_host() {
    let mut town = Town::build().await;
    let private = town.tenant.add_channel("Security", "Private");
    town.tenant.make_private(&private);
    town.tenant.add_to_private(&private);
    let (chat, meeting) = (
        town.tenant.add_group_chat(false, true),
        town.tenant.add_group_chat(true, true),
    );
    let at = |host: &str, link: &str| link.replace("teams.microsoft.com", host);
    let standard = at("teams.cloud.microsoft", &town.channel);
    let standard = standard.split("&tenantId=").next().unwrap().to_owned();
    let links = [
        standard,
        format!("{}&ngc=true", at("gov.teams.microsoft.us", &private)),
        at("dod.teams.microsoft.us", &chat),
        at("teams.microsoftonline.cn", &meeting),
    ];
    let id = request(&mut town, &links.each_ref().map(String::as_str)).await;
    let places = [town.channel.clone(), private, chat, meeting];
    for place in &places {
        town.sees(place, &["PENDING"]).await;
    }
    town.reads(&places[2], "This chat is a default recipient.").await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    for place in &places {
        town.sees(place, &["DENIED"]).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn a_channel_is_found_by_the_names_of_its_team_and_its_own() {
    let mut town = granting(&BY_NAME).await;
    let channel = town.tenant.add_channel("R&D, Köln/Bonn", "Zugänge 'A'");
    // The same channel by its link is the same recipient.
    let id = request(&mut town, &["r&d, köln/bonn/Zugänge 'A'", &channel]).await;
    town.sees(&channel, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(&channel, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_name_that_another_channel_gets_leads_to_that_channel() {
    let mut town = granting(&BY_NAME).await;
    let first = town.tenant.add_channel("Operations", "Alerts");
    let id = request(&mut town, &["Operations/Alerts"]).await;
    town.sees(&first, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.rename_channel("Operations", "Alerts", "Archive");
    let second = town.tenant.add_channel("Operations", "Alerts");
    let next = town.cluster.create(Draft::default());
    town.sees(&second, &["PENDING"]).await;
    town.settled(&next).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(&first, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_place_that_cannot_be_reached_is_rejected_with_the_reason_and_the_fix() {
    let mut town = granting(&BY_NAME).await;
    let private = town.tenant.add_channel("Security", "Private");
    town.tenant.make_private(&private);
    let chat = town.tenant.add_group_chat(false, false);
    let other = town
        .channel
        .replace(&town.tenant.options().tenant_id, "11111111-2222-4333-8444-555555555555");
    town.tenant.add_channel("Twins", "One");
    town.tenant.add_channel("Twins", "One");
    let recipients = [
        ALICE,
        &private,
        &chat,
        &other,
        "No such team/Approvals",
        "Security/No such channel",
        "Twins/One",
    ];
    let id = request(&mut town, &recipients).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    explains(
        &town,
        &[
            (
                "the app is not in the channel",
                "if the channel is private or shared, to the channel",
            ),
            ("the app is not in the chat", "Add the app to the chat"),
            (
                "it belongs to another tenant, 11111111-2222-4333-8444-555555555555",
                "Copy the link of a channel or a chat in the tenant",
            ),
            (
                "could not find the team for No such team/Approvals: it does not exist",
                "Check the spelling of",
            ),
            (
                "could not find the channel for Security/No such channel: it does not exist",
                "or write the link of the channel",
            ),
            (
                "could not find the channel for Twins/One: there is more than one",
                "Replace the name with the link of the channel",
            ),
        ],
    );
    // Once the app is added, the next attempt succeeds.
    town.tenant.add_to_private(&private);
    town.tenant.add_to_chat(&chat);
    town.sees(&private, &["PENDING"]).await;
    town.sees(&chat, &["PENDING"]).await;
    town.expects_warnings(&["Cannot notify recipient"]);
    town.finish().await;
}

#[tokio::test]
async fn a_name_of_a_channel_needs_a_permission_that_is_named() {
    let mut town = Town::build().await;
    request(&mut town, &[ALICE, "Security/Approvals"]).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon()
        .says("Grant the application permission Team.ReadBasic.All and give admin consent")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn a_person_who_cannot_be_reached_is_rejected_with_the_reason_and_the_fix() {
    let mut town = granting(&["User.Read.All"]).await;
    for name in ["twin1@example.com", "twin2@example.com"] {
        town.tenant.add_user(name, Some("twins@example.com"), name);
    }
    town.tenant.disable(&town.people["Eve"]);
    town.tenant.block(&town.people["Bob"]);
    let recipients = [ALICE, "twins@example.com", "eve@example.com", "bob@example.com"];
    let id = request(&mut town, &recipients).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    explains(
        &town,
        &[
            (
                "could not find the user for t…@example.com: there is more than one",
                "Replace the email address with the user ID",
            ),
            (
                "could not find the user for e…@example.com: the account is disabled",
                "Enable the account in Entra",
            ),
            ("the user has blocked the app", "Ask the user to unblock the app"),
        ],
    );
    town.expects_warnings(&["Cannot notify recipient"]);
    town.finish().await;
}

#[tokio::test]
async fn validate_prints_the_link_to_write_and_checks_every_kind_of_recipient() {
    let town = granting(&[BY_NAME[0], BY_NAME[1], "GroupMember.Read.All"]).await;
    let group = format!(
        "group:{}",
        town.tenant.add_group(&[&town.people["Bob"], &town.people["Eve"]])
    );
    let chat = town.tenant.add_group_chat(false, true);
    let other = town
        .channel
        .replace(&town.tenant.options().tenant_id, "11111111-2222-4333-8444-555555555555");
    let recipients = ["Security/approvals", &chat, &group, &other];
    let link = town.channel.replace("%2E", ".");
    let config = town.config_for(&format!("\"*\" = {recipients:?}"));
    let (status, stdout, _) = town.run(&config, &[&["validate"], &recipients[..]].concat()).await;
    for expected in [
        format!(" - Channel Security/approvals found; the link to write: {link}\n"),
        " - Hailing the channel...\n".to_owned(),
        " - Hailing the chat...\n".to_owned(),
        format!(" - Group {group} found: 2 members; members get no test message\n"),
        format!(" - Cannot notify {other}: could not use the link for "),
        ": it belongs to another tenant, 11111111-2222-4333-8444-555555555555\n".to_owned(),
        "   hint: Copy the link of a channel or a chat in the tenant `[msapi] tenant_id`\n".to_owned(),
    ] {
        assert!(stdout.contains(&expected), "{expected}: {stdout}");
    }
    assert_eq!(status, Some(1), "{stdout}");
    for place in [&town.channel, &chat] {
        assert_eq!(town.chat(place).len(), 2);
    }
    let (status, stdout, _) = town.run(&config, &["validate", "--all"]).await;
    for expected in [
        "Team.ReadBasic.All, to find teams by name".to_owned(),
        "Channel.ReadBasic.All, to find channels by name".to_owned(),
        "GroupMember.Read.All, to list the members of groups".to_owned(),
        format!("has the app, version 1.1.3; the link to write: {link}"),
        "can only be checked by sending a message: add --send".to_owned(),
        "2 members; members get no test message".to_owned(),
        "it belongs to another tenant, 11111111-2222-4333-8444-555555555555".to_owned(),
    ] {
        assert!(stdout.contains(&expected), "{expected}: {stdout}");
    }
    assert_eq!(status, Some(1), "{stdout}");
}
