//! Credentials that are replaced while the daemon runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use teleport_msteams::clock::now;
use teleport_msteams::config::Settings;

use crate::support::{ALICE, Town, fails};
use crate::world::cluster::Draft;
use crate::world::identity::{Credentials, Validity};

/// A day, but too little for a connection to stay on it when there is something newer.
const SHORT: Validity = Validity { from: -60, to: 240 };

fn identity(town: &Town) -> PathBuf {
    town.folder.path().join("identity")
}

fn sign(town: &Town, validity: Validity) -> Credentials {
    town.cluster.authority().user("bot", &["access-plugin"], validity)
}

fn write(town: &Town, user: &Credentials) {
    fs::write(identity(town), town.cluster.authority().identity_file(user)).unwrap();
}

/// Writes a version of the file as Kubernetes mounts it: in its own directory, behind a link that is swapped.
fn mount(town: &Town, number: usize, user: &Credentials) {
    let folder = town.folder.path();
    let version = folder.join(format!("..{number}"));
    fs::create_dir(&version).unwrap();
    let text = town.cluster.authority().identity_file(user);
    fs::write(version.join("identity"), text).unwrap();
    symlink(version, folder.join("..next")).unwrap();
    fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
}

/// Files that are checked only on events during a test.
fn settings(town: &Town) -> Settings {
    let mut settings = town.settings(&town.config());
    assert_eq!(settings.teleport.refresh, Some(Duration::from_mins(1)));
    settings.limits.teleport_longest_pause = Duration::from_secs(30);
    settings
}

/// Waits until this many connections were opened.
async fn connected(town: &Town, times: usize) {
    let what = format!("{times} connections");
    town.cluster.until(&what, |state| state.hellos.len() >= times).await;
}

async fn announces(town: &Town, words: &mut Vec<&'static str>) {
    town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    words.push("PENDING");
    town.sees(ALICE, words).await;
}

fn is_der_of(town: &Town, hello: usize, user: &Credentials) -> bool {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let der = CertificateDer::from_pem_slice(user.certificate.as_bytes()).unwrap();
    town.cluster.state().hellos[hello].certificate.as_deref() == Some(der.as_ref())
}

#[tokio::test]
async fn re_1_a_file_written_in_two_halves_is_loaded_when_it_is_complete() {
    let mut town = Town::build().await;
    town.start_daemon_on(settings(&town)).await;
    let next = sign(&town, Validity::ONE_DAY);
    let text = town.cluster.authority().identity_file(&next);
    let (first, second) = text.split_at(text.len() / 2);
    fs::write(identity(&town), first).unwrap();
    // The wait is part of the case: a slow writer.
    tokio::time::sleep(Duration::from_millis(300)).await;
    fs::write(identity(&town), format!("{first}{second}")).unwrap();
    town.daemon().says("Teleport identity renewed").await;
    assert!(
        !town.daemon().log().contains("Could not renew"),
        "{}",
        town.daemon().log()
    );
    // The certificate is valid for most of a day, so the connection stays; the next one uses the new file.
    assert_eq!(town.cluster.state().hellos.len(), 1);
    town.stop_teleport().await;
    town.cluster.start_again().await;
    connected(&town, 2).await;
    assert!(is_der_of(&town, 1, &next));
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[tokio::test]
async fn a_rename_a_swapped_link_and_a_write_in_place_are_all_noticed() {
    let mut town = Town::build().await;
    let folder = town.folder.path().to_owned();
    mount(&town, 1, &sign(&town, SHORT));
    fs::remove_file(identity(&town)).unwrap();
    symlink("..data/identity", identity(&town)).unwrap();
    town.start_daemon_on(settings(&town)).await;

    let swapped = sign(&town, SHORT);
    mount(&town, 2, &swapped);
    connected(&town, 2).await;
    assert!(is_der_of(&town, 1, &swapped));

    let renamed = sign(&town, SHORT);
    let new = folder.join("identity.new");
    fs::write(&new, town.cluster.authority().identity_file(&renamed)).unwrap();
    fs::rename(&new, identity(&town)).unwrap();
    connected(&town, 3).await;
    assert!(is_der_of(&town, 2, &renamed));

    let written = sign(&town, SHORT);
    write(&town, &written);
    connected(&town, 4).await;
    assert!(is_der_of(&town, 3, &written));
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[tokio::test]
async fn re_2_the_stream_moves_before_the_old_certificate_ends_and_no_event_is_lost() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.cut_at_expiry = true);
    let end = now() + SignedDuration::from_secs(6);
    write(&town, &sign(&town, Validity { from: 0, to: 6 }));
    town.start_daemon_on(settings(&town)).await;
    let mut words = Vec::new();
    announces(&town, &mut words).await;
    let next = sign(&town, Validity::ONE_DAY);
    write(&town, &next);
    connected(&town, 2).await;
    // Requests come all the time, before and after the end of the first certificate.
    while now() <= end {
        announces(&town, &mut words).await;
    }
    announces(&town, &mut words).await;
    assert!(is_der_of(&town, 1, &next));
    assert_eq!(town.cluster.state().cut, 0, "the old connection was left in time");
    let log = town.daemon().log();
    assert!(!log.contains("Connection problem"), "{log}");
    assert!(!log.contains("WARN"), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn re_3_renewals_are_noticed_for_as_long_as_the_daemon_runs() {
    let mut town = Town::build().await;
    write(&town, &sign(&town, SHORT));
    town.start_daemon_on(settings(&town)).await;
    // Connections come and go, and one attempt to connect times out.
    for round in 1..=3 {
        let before = town.cluster.state().hellos.len();
        write(&town, &sign(&town, SHORT));
        connected(&town, before + 1).await;
        town.stop_teleport().await;
        town.daemon().says_next("Connection problem detected").await;
        town.cluster.start_again().await;
        connected(&town, before + 2).await;
        let renewed = town.daemon().log().matches("Teleport identity renewed").count();
        assert!(renewed >= round, "{}", town.daemon().log());
    }
    announces(&town, &mut Vec::new()).await;
    town.allows_warnings(&["Could not connect with the new identity, retrying"]);
    town.finish().await;
}

#[tokio::test]
async fn re_4_an_expired_certificate_is_never_presented_and_a_new_file_is_loaded_immediately() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.cut_at_expiry = true);
    write(&town, &sign(&town, Validity { from: -60, to: 5 }));
    let mut settings = settings(&town);
    settings.teleport.refresh = Some(Duration::from_millis(100));
    town.start_daemon_on(settings).await;
    town.daemon().says("Teleport identity expires soon").await;
    town.daemon()
        .says("Teleport identity expired, new connections fail until it is renewed")
        .await;
    town.daemon()
        .says("Connection problem detected, attempting to reconnect")
        .await;
    town.daemon()
        .says("the certificate of bot, issued by sandbox.example.com, expired at")
        .await;
    let shown = town.cluster.state().hellos.len();
    assert_eq!(shown, 1, "nothing was dialled with it");
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    let begun = tokio::time::Instant::now();
    write(&town, &sign(&town, Validity::ONE_DAY));
    town.sees(ALICE, &["PENDING"]).await;
    // The pause between attempts had grown; the file cut it short.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn re_5_and_6_an_authority_is_rotated_and_sessions_are_never_resumed() {
    let mut town = Town::build().await;
    town.start_daemon_on(settings(&town)).await;
    let next = sign(&town, Validity::ONE_DAY);
    let both = town.cluster.authority().identity_file_in_rotation(&next);
    fs::write(identity(&town), both).unwrap();
    town.daemon().says("Teleport identity renewed").await;
    town.cluster.rotate();
    town.stop_teleport().await;
    town.cluster.start_again().await;
    connected(&town, 2).await;
    announces(&town, &mut Vec::new()).await;
    let hellos = town.cluster.state().hellos.clone();
    assert!(
        hellos.iter().all(|hello| !hello.resumed && hello.certificates == 1),
        "{hellos:?}"
    );
    assert!(is_der_of(&town, hellos.len() - 1, &next));
    town.finish().await;
}

#[tokio::test]
async fn an_invalid_file_keeps_the_old_identity_and_is_reported() {
    let mut town = Town::build().await;
    town.start_daemon_on(settings(&town)).await;
    fs::write(identity(&town), "not an identity").unwrap();
    town.daemon()
        .says("Could not renew the Teleport identity, keeping the current one")
        .await;
    town.daemon().says("it contains no private key").await;
    town.stop_teleport().await;
    town.cluster.start_again().await;
    connected(&town, 2).await;
    let mut words = Vec::new();
    announces(&town, &mut words).await;
    // An expired identity is as unusable as text that is not an identity.
    let renewed = sign(&town, Validity::ONE_DAY);
    write(&town, &renewed);
    town.daemon().says_next("Teleport identity renewed").await;
    write(&town, &sign(&town, Validity::OVER));
    town.daemon()
        .says_next("Could not renew the Teleport identity, keeping the current one")
        .await;
    town.daemon()
        .says("the certificate of bot, issued by sandbox.example.com, expired at")
        .await;
    town.stop_teleport().await;
    town.cluster.start_again().await;
    connected(&town, 3).await;
    assert!(is_der_of(&town, 2, &renewed));
    announces(&town, &mut words).await;
    town.finish().await;
}

#[tokio::test]
async fn files_are_read_once_where_the_configuration_says_so() {
    let mut town = Town::build().await;
    let config = town
        .config()
        .replace("identity =", "refresh_identity = false\nidentity =");
    town.start_daemon_with(&config).await;
    fs::remove_file(identity(&town)).unwrap();
    town.stop_teleport().await;
    town.cluster.start_again().await;
    connected(&town, 2).await;
    announces(&town, &mut Vec::new()).await;
    assert!(!town.daemon().log().contains("Could not renew"));
    town.finish().await;
}

#[tokio::test]
async fn the_three_files_of_the_tls_format_are_watched_too() {
    let mut town = Town::build().await;
    let path = |name: &str| town.folder.path().join(name);
    let write = |user: &Credentials| {
        fs::write(path("auth.key"), &user.key).unwrap();
        fs::write(path("auth.crt"), &user.certificate).unwrap();
        fs::write(path("auth.cas"), town.cluster.authority().authorities()).unwrap();
    };
    write(&sign(&town, SHORT));
    let one = format!("identity = \"{}\"", identity(&town).display());
    let trio = [
        ("client_key", "auth.key"),
        ("client_crt", "auth.crt"),
        ("root_cas", "auth.cas"),
    ];
    let trio = trio
        .map(|(key, name)| format!("{key} = \"{}\"", path(name).display()))
        .join("\n");
    let config = town.config().replace(&one, &trio);
    let daemon_settings = town.settings(&config);
    let next = sign(&town, SHORT);
    town.start_daemon_on(daemon_settings).await;
    let write = |name: &str, text: &str| fs::write(town.folder.path().join(name), text).unwrap();
    write("auth.key", &next.key);
    write("auth.crt", &next.certificate);
    connected(&town, 2).await;
    assert!(is_der_of(&town, 1, &next));
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[tokio::test]
async fn an_identity_that_expired_before_the_start_is_reported_with_its_file_and_expiry() {
    let town = Town::build().await;
    write(&town, &sign(&town, Validity::OVER));
    let file = identity(&town).display().to_string();
    let parts = [
        file.as_str(),
        "the certificate of bot, issued by sandbox.example.com, expired at 20",
    ];
    fails(&town, settings(&town), &parts, "tbot").await;
    assert!(town.cluster.state().hellos.is_empty());
}
