//! The keys that verify tokens, and the certificate of the port.

use std::fs;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Desk, answered, shows};
use crate::support::{ALICE, fails, for_alice};
use crate::world::identity::self_signed;
use crate::world::tenant::{Fault, Rule};

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let before = desk.town.tenant.key_fetches();
    desk.town.tenant.rotate_keys();
    // Keys that were fetched a moment ago are fetched again only after five minutes.
    let answer = desk.pressing("Alice", "approve", None).send().await.unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (401, ""));
    assert_eq!(desk.town.tenant.key_fetches(), before);
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_key_that_is_replaced_under_load_interrupts_no_press() {
    let desk = Desk::start_with("", |mut settings| {
        settings.limits.unknown_key_every = Duration::from_millis(1);
        settings
    });
    let desk = desk.await;
    let mut ids = Vec::new();
    for round in 0..6 {
        ids.push(desk.town.cluster.create(for_alice()));
        desk.town.sees(ALICE, &vec!["PENDING"; round + 1]).await;
    }
    let fetches = desk.town.tenant.key_fetches();
    desk.town.tenant.rotate_keys();
    let people = ["Alice", "Bob", "Carol", "Dan", "Eve", "Alice"];
    let presses = ids
        .iter()
        .zip(people)
        .map(|(id, person)| answered(desk.forged(person, id)));
    for answer in join_all(presses).await {
        shows(&answer, "Approved");
    }
    // All of them wait for the same fetch.
    assert_eq!(desk.town.tenant.key_fetches(), fetches + 1);
    desk.town.sees(ALICE, &["APPROVED"; 6]).await;
    for id in &ids {
        desk.town.settled(id).await;
    }
    desk.town.finish().await;
}

#[tokio::test]
async fn without_keys_presses_are_answered_503_until_microsoft_answers() {
    let mut desk = Desk::build().await;
    let down = Rule::every("GET", "/openid/", Fault::Status(503, None));
    desk.town.tenant.faults(|faults| faults.rules.push(down));
    let settings = desk.town.settings(&desk.config(""));
    desk.town.start_daemon_on(settings).await;
    desk.town.tenant.set_messaging_endpoint(&desk.url());
    let warning = "Could not fetch the keys that verify requests from Teams";
    desk.town.daemon().says(warning).await;
    let id = desk.asked().await;
    let answer = desk.pressing("Alice", "approve", None).send().await.unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (503, ""));
    desk.town.tenant.faults(|faults| faults.rules.clear());
    desk.town
        .daemon()
        .says_next("Keys that verify requests from Teams fetched")
        .await;
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    assert_eq!(desk.town.daemon().warnings(warning), 1);
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    desk.town.finish().await;
}

/// Writes a certificate for the loopback address with its key, and returns the certificate.
fn certificate(desk: &Desk) -> String {
    let (certificate, key) = self_signed();
    fs::write(desk.town.folder.path().join("tls.crt"), &certificate).unwrap();
    fs::write(desk.town.folder.path().join("tls.key"), key).unwrap();
    certificate
}

fn lines(desk: &Desk) -> String {
    let file = |name| desk.town.folder.path().join(name).display().to_string();
    format!("certificate = \"{}\"\nkey = \"{}\"", file("tls.crt"), file("tls.key"))
}

#[tokio::test]
async fn the_port_serves_https_and_follows_its_certificate() {
    let mut desk = Desk::build().await;
    let first = certificate(&desk);
    desk.town.tenant.trust(&first);
    let config = desk.config(&lines(&desk));
    let settings = desk.town.settings(&config);
    desk.start_daemon_on(settings).await;
    assert!(desk.url().starts_with("https://"), "{}", desk.url());
    let id = desk.asked().await;
    let press = desk.pressing("Alice", "approve", None);
    shows(&answered(press.clone()).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    // Files that do not belong together change nothing.
    fs::write(desk.town.folder.path().join("tls.key"), "no key").unwrap();
    desk.town
        .daemon()
        .says("Could not read the certificate for requests from Teams")
        .await;
    shows(&answered(press.clone()).await, "Approved");
    let second = certificate(&desk);
    desk.town
        .daemon()
        .says("Certificate for requests from Teams replaced")
        .await;
    press.clone().send().await.unwrap_err();
    desk.town.tenant.trust(&second);
    shows(&answered(press).await, "Approved");
    desk.town.finish().await;
}

#[tokio::test]
async fn mistakes_of_the_port_end_the_start_with_their_hints() {
    let desk = Desk::build().await;
    let settings = |lines: &str| desk.town.settings(&desk.config(lines));
    let missing = "could not open the port 127.0.0.1:0 of `[review] listen`";
    fails(
        &desk.town,
        settings(&lines(&desk)),
        &[missing, "tls.crt"],
        "Allow the user of the daemon to read",
    )
    .await;
    certificate(&desk);
    fs::write(desk.town.folder.path().join("tls.crt"), "x").unwrap();
    fails(
        &desk.town,
        settings(&lines(&desk)),
        &["contains no certificate"],
        "in PEM form",
    )
    .await;
    let one = certificate(&desk);
    certificate(&desk);
    fs::write(desk.town.folder.path().join("tls.crt"), one).unwrap();
    fails(
        &desk.town,
        settings(&lines(&desk)),
        &["does not belong"],
        "the key of the certificate",
    )
    .await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = desk
        .config("")
        .replace("127.0.0.1:0\"\n", &format!("127.0.0.1:{port}\"\n"));
    fails(
        &desk.town,
        desk.town.settings(&config),
        &[&port.to_string()],
        "to a free port",
    )
    .await;
}
