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
    for (reason, fix) in [
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
    ] {
        let log = town.daemon().log();
        assert!(log.contains(reason), "{reason}: {log}");
        assert!(log.contains(fix), "{fix}: {log}");
    }
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
