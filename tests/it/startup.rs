//! A failed start is reported in one line with its hint.

use std::fs;
use std::time::Duration;

use teleport_msteams::config::Credentials;

use crate::support::{ALICE, Daemon, Town, fails};
use crate::world::cluster::{ClusterOptions, Draft, Moment};
use crate::world::identity::{Authority, HostCertificate, Validity};
use crate::world::proxy::Proxy;
use crate::world::tenant::{Fault, Rule, TenantOptions};

/// Replaces the identity file and expects the start to fail.
async fn fails_with_identity(town: &Town, identity: &str, parts: &[&str], hint: &str) {
    fs::write(town.folder.path().join("identity"), identity).unwrap();
    fails(town, town.settings(&town.config()), parts, hint).await;
}

#[tokio::test]
async fn unusable_credentials_are_reported_with_their_cause() {
    let town = Town::build().await;
    let authority = town.cluster.authority();
    let user = authority.user("bot", &["access-plugin"], Validity::ONE_DAY);
    let good = authority.identity_file(&user);
    let other = authority.user("other", &[], Validity::ONE_DAY);
    let over = authority.user("bot", &[], Validity::OVER);
    let later = authority.user("bot", &[], Validity { from: 3_600, to: 7_200 });
    let sign = "Issue a new identity";

    fails_with_identity(&town, "", &["identity", "it is empty"], sign).await;
    fails_with_identity(&town, "hello", &["it contains no private key"], sign).await;
    fails_with_identity(&town, &good[..good.len() / 2], &["block does not end"], sign).await;
    fails_with_identity(&town, &user.key, &["it contains no TLS certificate"], sign).await;
    let no_authority = format!("{}{}", user.key, user.certificate);
    fails_with_identity(
        &town,
        &no_authority,
        &["it contains no TLS certificate authority"],
        sign,
    )
    .await;
    let no_base64 = good.replacen("MII", "M!I", 1).replacen("MI", "!!", 1);
    fails_with_identity(&town, &no_base64, &["is not base64"], sign).await;
    let swapped = format!("{}{}{}", user.certificate, user.key, authority.authorities());
    fails_with_identity(&town, &swapped, &["(CERTIFICATE) is not a usable private key"], sign).await;
    let mixed = good.replace(&user.key, &other.key);
    fails_with_identity(
        &town,
        &mixed,
        &["does not belong to the certificate"],
        "same `tctl auth sign`",
    )
    .await;
    let expired = authority.identity_file(&over);
    fails_with_identity(&town, &expired, &["certificate of bot", "expired at 20"], sign).await;
    let early = authority.identity_file(&later);
    fails_with_identity(&town, &early, &["is not valid before 20"], "clock").await;
    let token = good
        .replacen("BEGIN PRIVATE KEY", "BEGIN PIV YUBIKEY PRIVATE KEY", 1)
        .replacen("MI", "AA", 1);
    fails_with_identity(&town, &token, &["hardware token"], sign).await;

    fs::remove_file(town.folder.path().join("identity")).unwrap();
    let settings = town.settings(&town.config());
    fails(&town, settings, &["identity: could not read it"], "`[teleport]`").await;
}

#[tokio::test]
async fn an_unreachable_or_untrusted_cluster_is_reported() {
    let town = Town::build().await;
    let stranger = Authority::new("sandbox.example.com");
    let unknown = stranger.identity_file(&stranger.user("bot", &[], Validity::ONE_DAY));
    fails_with_identity(
        &town,
        &unknown,
        &["not from a CA of sandbox.example.com"],
        "Issue a new identity: the host CA",
    )
    .await;
    let other = Authority::new("other.example.com");
    let other = other.identity_file(&other.user("bot", &[], Validity::ONE_DAY));
    let clusters = ["the server belongs to the cluster sandbox.example.com, the identity to other.example.com"];
    fails_with_identity(&town, &other, &clusters, "Issue an identity of the cluster").await;

    // The server is ours, but our certificate is of another cluster.
    let authority = town.cluster.authority();
    let foreign = stranger.user("bot", &[], Validity::ONE_DAY);
    let foreign = format!("{}{}{}", foreign.key, foreign.certificate, authority.authorities());
    fails_with_identity(
        &town,
        &foreign,
        &["the server rejected the certificate of the identity"],
        "new identity",
    )
    .await;

    let good = authority.identity_file(&authority.user("bot", &[], Validity::ONE_DAY));
    fs::write(town.folder.path().join("identity"), good).unwrap();
    let mut settings = town.settings(&town.config());
    settings.teleport.address.port = 1;
    fails(
        &town,
        settings,
        &["could not connect to 127.0.0.1:1", "refused"],
        "addr",
    )
    .await;
    let mut settings = town.settings(&town.config());
    settings.teleport.address.host = "no-such-host.invalid".to_owned();
    fails(&town, settings, &["could not connect to no-such-host.invalid"], "addr").await;
    // Something that answers, but speaks no TLS.
    let port = town
        .tenant
        .graph()
        .split(':')
        .nth(2)
        .and_then(|rest| rest.split('/').next())
        .unwrap()
        .parse();
    let mut settings = town.settings(&town.config());
    settings.teleport.address.port = port.unwrap();
    fails(&town, settings, &["TLS with 127.0.0.1"], "addr").await;
}

#[tokio::test]
async fn a_server_of_another_cluster_is_rejected_before_any_call() {
    let leaf = ClusterOptions {
        certificate: HostCertificate {
            cluster: Some("leaf.example.com".to_owned()),
            ..HostCertificate::default()
        },
        ..ClusterOptions::default()
    };
    let town = Town::build_with(leaf, TenantOptions::default()).await;
    let parts = ["the server belongs to the cluster leaf.example.com, the identity to sandbox.example.com"];
    fails(&town, town.settings(&town.config()), &parts, "addr").await;
    assert!(town.cluster.calls().is_empty());
}

#[tokio::test]
async fn a_cluster_that_is_too_old_or_denies_access_is_reported() {
    let old = ClusterOptions {
        version: "7.3.26".to_owned(),
        ..ClusterOptions::default()
    };
    let town = Town::build_with(old, TenantOptions::default()).await;
    fails(
        &town,
        town.settings(&town.config()),
        &["7.3.26 is older than 8.0.0"],
        "Upgrade the cluster",
    )
    .await;

    let town = Town::build().await;
    let watch = "Grant the role list and read on access_request";
    town.cluster
        .faults(|faults| faults.deny_kinds = vec!["access_request", "access_monitoring_rule"]);
    fails(
        &town,
        town.settings(&town.config()),
        &["could not watch access requests"],
        watch,
    )
    .await;
    town.cluster.faults(|faults| faults.deny_kinds = vec!["access_request"]);
    fails(
        &town,
        town.settings(&town.config()),
        &["may not watch access_request"],
        watch,
    )
    .await;
    town.cluster.faults(|faults| faults.deny_kinds.clear());
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    fails(
        &town,
        town.settings(&town.config()),
        &["could not read plugin data"],
        "access_plugin_data",
    )
    .await;
    town.cluster.faults(|faults| faults.deny_plugin_data = false);
    town.cluster.faults(|faults| faults.hold_init = true);
    fails(
        &town,
        town.settings(&town.config()),
        &["watch access requests", "no answer within"],
        "Check the load of the Auth Service",
    )
    .await;
}

#[tokio::test]
async fn a_teleport_that_stays_silent_is_logged_before_the_start_fails() {
    let town = Town::build().await;
    let ping = town.cluster.hold("Ping", Moment::Before, 0);
    let mut settings = town.settings(&town.config());
    settings.limits.teleport_slow_start = Duration::from_millis(300);
    settings.limits.teleport_timeout = Duration::from_secs(1);
    let mut daemon = Daemon::start(settings.clone());
    let address = town.cluster.address();
    let line = format!("Teleport has not answered yet addr={address} route={address} directly");
    daemon.says(&line).await;
    ping.reached(1).await;
    let parts = "could not ping Teleport: no answer within 1s";
    let error = daemon.ended().await.unwrap_err();
    assert!(format!("{error:#}").contains(parts), "{error:#}");
    let log = daemon.log();
    let is_warning = |text: &&str| text.contains("WARN") && text.contains(&line);
    assert_eq!(log.lines().filter(is_warning).count(), 1, "{log}");
    fails(&town, settings, &[parts], "Check the load of the Auth Service").await;
}

#[tokio::test]
async fn a_missing_permission_for_rules_alone_stops_nothing() {
    let mut town = Town::build().await;
    town.cluster
        .faults(|faults| faults.deny_kinds = vec!["access_monitoring_rule"]);
    town.start_daemon().await;
    town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    assert!(
        town.daemon()
            .log()
            .contains("Grant the role list and read on access_monitoring_rule")
    );
    town.expects_warnings(&["Cannot read Access Monitoring Rules"]);
    town.finish().await;
}

#[tokio::test]
async fn errors_of_microsoft_are_reported_immediately_at_the_start() {
    let town = Town::build().await;
    let config = town.config();
    let options = town.tenant.options();
    let wrong = |from: &str, to: &str| town.settings(&config.replace(from, to));
    fails(
        &town,
        wrong(&options.app_secret, "wrong"),
        &["AADSTS7000215"],
        "[msapi] app_secret",
    )
    .await;
    fails(
        &town,
        wrong(&options.tenant_id, "other-tenant"),
        &["AADSTS90002"],
        "[msapi] tenant_id",
    )
    .await;
    fails(
        &town,
        wrong(&options.app_id, "other-app"),
        &["AADSTS700016"],
        "[msapi] app_id",
    )
    .await;
    fails(
        &town,
        wrong(&options.teams_app_id, "other-app"),
        &["not in the organization's catalog"],
        "teams_app_id",
    )
    .await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/token", Fault::TokenError(7_000_222))]);
    fails(&town, wrong("x", "x"), &["AADSTS7000222"], "secret").await;
    town.tenant.faults(|faults| {
        faults.rules = vec![Rule::every(
            "GET",
            "/appCatalogs",
            Fault::Error(403, "Authorization_RequestDenied"),
        )];
    });
    fails(&town, wrong("x", "x"), &["access is denied"], "AppCatalog.Read.All").await;
    for fault in [
        Fault::Html,
        Fault::Empty,
        Fault::HalfBody,
        Fault::ResetBefore,
        Fault::Status(503, None),
    ] {
        town.tenant
            .faults(|faults| faults.rules = vec![Rule::every("GET", "/appCatalogs", fault)]);
        fails(&town, wrong("x", "x"), &["could not find the app in the catalog"], "").await;
    }
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("GET", "/appCatalogs", Fault::Hang)]);
    let mut impatient = wrong("x", "x");
    impatient.limits.microsoft_attempts = 2;
    fails(&town, impatient, &["no answer from 127.0.0.1 in time"], "").await;
}

#[tokio::test]
async fn one_hello_reaches_the_auth_service_directly_and_through_a_proxy() {
    let mut town = Town::build().await;
    let proxy = Proxy::start(&town.cluster).await;
    let config = town.config();
    let through = config.replace(&town.cluster.address(), proxy.address());
    town.start_daemon_with(&through).await;
    town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    let protocols = [
        "teleport-auth@73616e64626f782e6578616d706c652e636f6d.teleport.cluster.local",
        "h2",
    ];
    for hello in &town.cluster.state().hellos {
        assert_eq!(hello.server_name.as_deref(), Some("teleport.cluster.local"));
        assert_eq!(hello.protocols, protocols);
        assert_eq!(hello.certificates, 1);
    }
    town.finish().await;

    let town = Town::build().await;
    let proxy = Proxy::start_for(&town.cluster, "another.example.com").await;
    let through = town.config().replace(&town.cluster.address(), proxy.address());
    let parts = [
        "closed the connection immediately",
        "of another cluster than sandbox.example.com",
    ];
    fails(&town, town.settings(&through), &parts, "Proxy").await;
}

#[tokio::test]
async fn the_three_files_of_the_tls_format_serve_as_well() {
    let mut town = Town::build().await;
    let authority = town.cluster.authority();
    let user = authority.user("bot", &[], Validity::ONE_DAY);
    let path = |name: &str| town.folder.path().join(name);
    fs::write(path("auth.key"), &user.key).unwrap();
    fs::write(path("auth.crt"), &user.certificate).unwrap();
    fs::write(path("auth.cas"), authority.authorities()).unwrap();
    let identity = format!("identity = \"{}\"", path("identity").display());
    let trio = format!(
        "client_key = \"{}\"\nclient_crt = \"{}\"\nroot_cas = \"{}\"",
        path("auth.key").display(),
        path("auth.crt").display(),
        path("auth.cas").display()
    );
    let config = town.config().replace(&identity, &trio);
    assert!(matches!(
        town.settings(&config).teleport.credentials,
        Credentials::Tls { .. }
    ));
    town.start_daemon_with(&config).await;
    town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_recipient_that_cannot_be_preloaded_is_a_warning_and_the_start_does_not_wait() {
    let mut town = Town::build().await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("GET", "/users/hang", Fault::Hang)]);
    let recipients = format!("\"*\" = [\"{ALICE}\", \"nobody@example.com\"]");
    let escalation = "[escalation]\nafter = \"1h\"\nrole_to_recipients = { dba = \"missing@example.com\" }";
    let config = format!("preload = true\n{}\n{escalation}", town.config_for(&recipients));
    town.start_daemon_with(&config).await;
    town.daemon().says("Recipient found, chat found").await;
    town.daemon().says("Cannot notify recipient").await;
    // The address is shortened, so the line says where it is configured.
    town.daemon().says("source=\"role_to_recipients.\\\"*\\\"[1]\"").await;
    town.daemon()
        .says("source=\"escalation.role_to_recipients.dba[0]\"")
        .await;
    town.daemon().says("Recipient data preloaded and cached.").await;
    town.finish().await;
}
