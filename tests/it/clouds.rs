//! Every cloud of Microsoft, from the configuration to the card, and what Graph cannot do there.

use teleport_msteams::config::GraphInstallations;

use crate::support::{ALICE, Town};
use crate::world::cluster::{ClusterOptions, Draft, Verdict};
use crate::world::tenant::{Cloud, TenantOptions};

/// Why a person without the app is rejected where Graph cannot install it.
const NOT_INSTALLABLE: &str = "the app is not installed for this person, and Graph of this cloud cannot install it";

const SETUP_POLICY: &str = "Install the app for the user with an app setup policy";

/// Builds a town whose tenant is in a cloud.
pub(crate) async fn town_in(cloud: Cloud) -> Town {
    let options = TenantOptions {
        cloud,
        ..TenantOptions::default()
    };
    Town::build_with(ClusterOptions::default(), options).await
}

/// Adds the cloud of a tenant to a configuration.
pub(crate) fn in_cloud(config: &str, cloud: Cloud) -> String {
    config.replace("[msapi]", &format!("[msapi]\ncloud = \"{}\"", cloud.name()))
}

/// Returns a configuration with these recipients of every role, and the cloud.
fn config_for(town: &Town, recipients: &[&str]) -> String {
    let cloud = town.tenant.options().cloud;
    in_cloud(&town.config_for(&format!("\"*\" = {recipients:?}")), cloud)
}

/// Counts the calls about installations for users, or in teams.
fn installation_calls(town: &Town, whose: &str) -> usize {
    let calls = town.tenant.calls().into_iter();
    let prefix = format!("/graph/v1.0/{whose}/");
    calls
        .filter(|call| call.path.starts_with(&prefix) && call.path.contains("/installedApps"))
        .count()
}

/// Runs a command with a configuration, and returns the status and the output.
async fn command(town: &Town, config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (status, stdout, stderr) = town.run(config, arguments).await;
    (status, stdout + &stderr)
}

#[tokio::test]
async fn a_person_and_a_channel_are_notified_in_every_cloud() {
    for cloud in Cloud::ALL {
        let mut town = town_in(cloud).await;
        let channel = town.channel.clone();
        assert!(channel.starts_with(&format!("https://{}/", cloud.links())), "{channel}");
        town.start_daemon_with(&config_for(&town, &[ALICE, &channel])).await;
        let id = town.cluster.create(Draft::default());
        for place in [ALICE, &channel] {
            town.sees(place, &["PENDING"]).await;
        }
        town.settled(&id).await;
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        for place in [ALICE, &channel] {
            town.sees(place, &["APPROVED"]).await;
        }
        assert_eq!(town.tenant.issued_scopes(), cloud.scopes().map(str::to_owned).into());
        let refused: Vec<_> = town
            .tenant
            .calls()
            .into_iter()
            .filter(|call| call.status >= 400)
            .collect();
        assert_eq!(refused, [], "{}", cloud.name());
        let limited = town
            .daemon()
            .log()
            .matches("Installations of the app are limited")
            .count();
        let is_limited = !matches!(cloud, Cloud::Public | Cloud::Gcc);
        assert_eq!(limited, usize::from(is_limited), "{}", cloud.name());
        assert_eq!(installation_calls(&town, "users"), 0, "the connector opens the chat");
        assert_eq!(installation_calls(&town, "teams") > 0, cloud != Cloud::China);
        town.finish().await;
    }
}

#[tokio::test]
async fn each_cloud_has_its_own_addresses() {
    use GraphInstallations::{All, OfTeams};
    let town = Town::build().await;
    let config = town.config();
    let (before, rest) = config.split_once("[msapi.endpoints]").unwrap();
    let (_, after) = rest.split_once("[role_to_recipients]").unwrap();
    let plain = |endpoints: &str| format!("{before}{endpoints}\n[role_to_recipients]{after}");
    let public = ["https://login.microsoftonline.com/", "https://graph.microsoft.com/"];
    for (cloud, [login, graph], bot, installations) in [
        (Cloud::Public, public, "https://smba.trafficmanager.net/teams", All),
        (
            Cloud::Gcc,
            public,
            "https://smba.infra.gcc.teams.microsoft.com/teams",
            All,
        ),
        (
            Cloud::GccHigh,
            ["https://login.microsoftonline.us/", "https://graph.microsoft.us/"],
            "https://smba.infra.gov.teams.microsoft.us/teams",
            OfTeams,
        ),
        (
            Cloud::Dod,
            ["https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/"],
            "https://smba.infra.dod.teams.microsoft.us/teams",
            OfTeams,
        ),
    ] {
        let settings = town.settings(&in_cloud(&plain(""), cloud));
        let endpoints = settings.microsoft.endpoints;
        let found = [&endpoints.login, &endpoints.graph, &endpoints.bot].map(url::Url::as_str);
        assert_eq!(found, [login, graph, bot]);
        assert_eq!([endpoints.graph_scope, endpoints.bot_scope], cloud.scopes());
        assert_eq!(endpoints.teams, format!("https://{}", cloud.links()));
        assert_eq!(
            (endpoints.cloud, endpoints.installations),
            (cloud.name(), installations)
        );
    }
    // Microsoft documents no address of the connector in China.
    let problems = town.load(&in_cloud(&plain(""), Cloud::China)).unwrap_err();
    let problem = &problems.list[0];
    assert_eq!(problem.key, "msapi.endpoints.bot");
    assert!(problem.hint.contains("serviceUrl of any activity"), "{}", problem.hint);
    let bot = "[msapi.endpoints]\nbot = \"https://smba.example.cn/x/\"";
    let endpoints = town.settings(&in_cloud(&plain(bot), Cloud::China)).microsoft.endpoints;
    assert_eq!(endpoints.login.as_str(), "https://login.partner.microsoftonline.cn/");
    assert_eq!(endpoints.graph.as_str(), "https://microsoftgraph.chinacloudapi.cn/");
    assert_eq!(endpoints.installations, GraphInstallations::None);
    // Graph has no presence there.
    for (cloud, has_presence) in [(Cloud::China, false), (Cloud::Dod, true)] {
        let on = format!("{bot}\n[notify]\nout_of_office = true");
        let loaded = town.load(&in_cloud(&plain(&on), cloud)).unwrap();
        assert_eq!(loaded.settings.notify.out_of_office, has_presence);
        let warned = loaded
            .warnings
            .iter()
            .any(|warning| warning.key == "notify.out_of_office");
        assert_eq!(warned, !has_presence);
    }

    let regional = plain("").replace("[msapi]", "[msapi]\nregion = \"emea\"");
    let endpoints = town.settings(&regional).microsoft.endpoints;
    assert_eq!(endpoints.bot.as_str(), "https://smba.trafficmanager.net/emea");
    let problems = town.load(&in_cloud(&regional, Cloud::Gcc)).unwrap_err().to_string();
    assert!(
        problems.contains("msapi.region: cannot be combined with the cloud gcc"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_person_without_the_app_is_rejected_with_the_fix_where_graph_cannot_install_it() {
    let mut town = town_in(Cloud::GccHigh).await;
    let carol = "carol@example.com";
    let config = config_for(&town, &[ALICE, carol]);
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().says("Cannot notify recipient").await;
    let log = town.daemon().log();
    for part in [NOT_INSTALLABLE, SETUP_POLICY, "cloud=\"gcc-high\""] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let carol_has_it = town.people["Carol"].clone();
    town.tenant.install(&carol_has_it);
    town.daemon().reload(town.load(&config)).await;
    town.sees(carol, &["PENDING"]).await;
    town.settled(&id).await;

    // Who loses the app later is rejected for the same reason.
    town.tenant.uninstall(&town.people["Alice"].clone());
    town.cluster.create(Draft::default());
    town.sees(carol, &["PENDING", "PENDING"]).await;
    town.daemon().says_next(NOT_INSTALLABLE).await;
    assert_eq!(installation_calls(&town, "users"), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_channel_without_the_app_is_rejected_with_the_fix_in_china() {
    let mut town = town_in(Cloud::China).await;
    town.tenant.set_team_installed("Security", false);
    let channel = town.channel.clone();
    town.start_daemon_with(&config_for(&town, &[ALICE, &channel])).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().says("Cannot notify recipient").await;
    let log = town.daemon().log();
    for part in [
        "the app is not in the channel",
        "Add the app to the team of the channel",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    town.tenant.set_team_installed("Security", true);
    town.sees(&channel, &["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn validate_and_uninstall_say_what_graph_cannot_do() {
    for cloud in [Cloud::GccHigh, Cloud::China] {
        let town = town_in(cloud).await;
        let channel = town.channel.clone();
        let config = config_for(&town, &[ALICE, "carol@example.com", &channel]);
        let (status, shown) = command(&town, &config, &["validate", "--all"]).await;
        assert_eq!(status, Some(1), "{shown}");
        let (in_team, limits) = match cloud {
            Cloud::China => (
                "whether the app is there can only be checked by sending a message",
                "people and teams need it before the first card",
            ),
            _ => ("has the app", "people need it before the first card"),
        };
        let person = format!("{ALICE}: has the app");
        for part in [&person, NOT_INSTALLABLE, SETUP_POLICY, in_team, limits] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("ReadWriteSelfForUser.All, to install"), "{shown}");
        let (status, shown) = command(&town, &config, &["validate", ALICE, &channel]).await;
        assert_eq!(status, Some(0), "{shown}");
        assert!(
            shown.contains("Application installation ID for user: (not known)"),
            "{shown}"
        );
        let (status, shown) = command(&town, &config, &["uninstall"]).await;
        assert_eq!(status, Some(1), "{shown}");
        let refused = format!(
            "Graph of the cloud {} cannot read or remove installations",
            cloud.name()
        );
        assert!(shown.contains(&refused), "{shown}");
        assert_eq!(installation_calls(&town, "users"), 0);
    }
}
