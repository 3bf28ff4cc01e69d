//! A client certificate: from the file to the card, its renewal and its mistakes.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::credentials::{announces, config_with, problem_of, validate};
use crate::health;
use crate::support::{Town, fails};
use crate::world::identity::Validity;
use crate::world::tenant::ClientCertificate;

/// A certificate that no test considers to expire soon.
const YEAR: Validity = Validity {
    from: -60,
    to: 365 * 86_400,
};

const HINT_NEW: &str = "Create a new certificate, register it in the app registration, and replace the file";

/// Writes a certificate with its key to the file that the configuration names.
fn write(town: &Town, content: &str) -> String {
    let file = town.folder.path().join("app.pem");
    fs::write(&file, content).unwrap();
    file.display().to_string()
}

/// Builds a town whose app has this certificate, and returns it with its configuration.
async fn town_with(certificate: &ClientCertificate) -> (Town, String) {
    let town = Town::build().await;
    town.tenant.register_certificate(&certificate.der);
    let file = write(&town, &certificate.pem());
    let config = config_with(&town, &format!("client_certificate = {file:?}"));
    (town, config)
}

/// Waits until the daemon uses a new certificate, and until a card needs it.
async fn is_used(town: Town) {
    town.daemon()
        .says("Credential of the app replaced, Microsoft accepts it kind=\"certificate\"")
        .await;
    town.tenant.revoke_tokens();
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[tokio::test]
async fn a_certificate_replaces_the_secret() {
    let certificate = ClientCertificate::new("K1", YEAR);
    let (mut town, config) = town_with(&certificate).await;
    town.start_daemon_with(&config).await;
    announces(&town, &mut Vec::new()).await;

    let assertions = town.tenant.assertions();
    assert_eq!(assertions.len(), 2, "one for each service");
    let app_id = town.tenant.options().app_id.clone();
    let known: Value = serde_json::from_str(include_str!("../../fixtures/client-assertion.json")).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let life = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap();
    for assertion in &assertions {
        let (header, claims) = (&assertion["header"], &assertion["claims"]);
        assert_eq!(assertion["form"], known["form"]);
        assert_eq!(
            (keys(header), keys(claims)),
            (keys(&known["header"]), keys(&known["claims"]))
        );
        assert_eq!(
            (&header["alg"], &header["typ"]),
            (&known["header"]["alg"], &known["header"]["typ"])
        );
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&app_id.clone().into(), &app_id.clone().into())
        );
        assert_eq!(life(claims), life(&known["claims"]));
    }
    assert_ne!(assertions[0]["claims"]["jti"], assertions[1]["claims"]["jti"]);
    town.finish().await;
}

#[tokio::test]
async fn validate_shows_the_thumbprint_and_the_days_left() {
    let certificate = ClientCertificate::new("K1", YEAR);
    let (town, config) = town_with(&certificate).await;
    let (status, shown) = validate(&town, &config, &[]).await;
    assert_eq!(status, Some(0), "{shown}");
    let digest = ring::digest::digest(&ring::digest::SHA256, &certificate.der);
    let thumbprint = digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").unwrap();
        text
    });
    for part in [
        "ok  credential of the app: certificate from ",
        &format!("SHA-256 thumbprint {thumbprint}"),
        "(364 days left)",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let soon = ClientCertificate::new(
        "K1",
        Validity {
            from: -60,
            to: 3 * 86_400 + 60,
        },
    );
    town.tenant.register_certificate(&soon.der);
    write(&town, &soon.pem());
    let (status, shown) = validate(&town, &config, &[]).await;
    assert_eq!(status, Some(0), "{shown}");
    assert!(
        shown.contains("warning  credential of the app") && shown.contains("(3 days left)"),
        "{shown}"
    );
    assert!(shown.contains(HINT_NEW), "{shown}");
}

#[tokio::test]
async fn a_replaced_certificate_is_used_without_a_restart() {
    let (old, new) = (ClientCertificate::new("K1", YEAR), ClientCertificate::new("K2", YEAR));
    let (mut town, config) = town_with(&old).await;
    town.start_daemon_with(&config).await;
    town.tenant.register_certificate(&new.der);
    town.tenant.remove_certificate(&old.der);
    // The certificate arrives before its key.
    write(&town, &format!("{}{}", old.key, new.certificate));
    town.daemon()
        .says("Could not read the credential of the app, keeping the current one")
        .await;
    assert!(
        town.daemon()
            .log()
            .contains("contains a key that does not belong to the certificate")
    );
    write(&town, &new.pem());
    is_used(town).await;
}

#[tokio::test]
async fn a_reload_replaces_a_secret_by_a_certificate() {
    let certificate = ClientCertificate::new("K1", YEAR);
    let (mut town, config) = town_with(&certificate).await;
    town.start_daemon().await;
    town.tenant.set_secret("another~plantedsecret");
    town.daemon().reload(town.load(&config)).await;
    is_used(town).await;
}

#[tokio::test]
async fn an_unregistered_certificate_is_explained() {
    let (known, other) = (ClientCertificate::new("K1", YEAR), ClientCertificate::new("K2", YEAR));
    let (town, config) = town_with(&known).await;
    write(&town, &other.pem());
    let parts = [
        "could not get a token for Graph: the certificate is not registered for the app",
        "AADSTS700027",
    ];
    fails(
        &town,
        town.settings(&config),
        &parts,
        "compare its thumbprint with the one",
    )
    .await;
}

#[tokio::test]
async fn a_wrong_clock_is_explained() {
    let (mut town, config) = town_with(&ClientCertificate::new("K1", YEAR)).await;
    // Within the tolerance of the login service.
    town.tenant.faults(|faults| faults.clock_ahead = 240);
    town.start_daemon_with(&config).await;
    announces(&town, &mut Vec::new()).await;
    town.finish().await;

    let (town, config) = town_with(&ClientCertificate::new("K1", YEAR)).await;
    town.tenant.faults(|faults| faults.clock_ahead = 3_600);
    let parts = ["the assertion is not valid at this time", "AADSTS700024"];
    fails(&town, town.settings(&config), &parts, "Set the clock of this machine").await;
    let asked = town.tenant.assertions();
    assert_ne!(
        asked[0]["claims"]["jti"], asked[1]["claims"]["jti"],
        "a retry signs again"
    );
}

#[tokio::test]
async fn the_expiry_is_a_metric_and_a_warning() {
    let soon = ClientCertificate::new("K1", Validity { from: -60, to: 7_200 });
    let (mut town, config) = town_with(&soon).await;
    let address = health::start_with(&mut town, &config).await;
    town.daemon().says("Client certificate of the app expires soon").await;
    let metric = "teleport_msteams_client_certificate_expiry_timestamp_seconds ";
    let line = |text: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(metric).map(str::to_owned))
    };
    let page = health::until(&address, "/metrics", |_, text| {
        line(text).is_some_and(|ends| ends != "0")
    })
    .await;
    let ends: i64 = line(&page).unwrap().parse().unwrap();
    let now = crate::world::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(
        (ends - i64::try_from(now.as_secs()).unwrap() - 7_200).abs() < 60,
        "{ends}"
    );
    town.finish().await;
}

#[test]
fn each_unusable_file_is_explained() {
    let folder = crate::support::private_folder();
    let file = folder.path().join("app.pem").display().to_string();
    let check = |content: &str, expected: &str, hint: &str| {
        fs::write(&file, content).unwrap();
        let (shown, hints) = problem_of(&format!("client_certificate = {file:?}"), &|_| None);
        let expected = format!("msapi.client_certificate: {}", expected.replace("FILE", &file));
        assert!(shown.contains(&expected), "{expected:?} is not in {shown:?}");
        assert!(
            hints.iter().any(|text| text.contains(hint)),
            "{hint:?} is not in {hints:?}"
        );
    };
    let (good, other) = (ClientCertificate::new("K1", YEAR), ClientCertificate::new("K2", YEAR));
    let over = ClientCertificate::new("K1", Validity::OVER);
    let future = ClientCertificate::new("K1", Validity { from: 3_600, to: 7_200 });
    let (ec_certificate, ec_key) = crate::world::identity::self_signed();
    check(
        "",
        "FILE contains no certificate in PEM form",
        "Set it to the path of a PEM file",
    );
    check("hello", "FILE contains no certificate in PEM form", "");
    check(&good.key, "FILE contains no certificate in PEM form", "");
    check(
        &good.certificate,
        "FILE contains no private key in PEM form",
        "Append the private key",
    );
    let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    check(
        &format!("{encrypted}{}", good.certificate),
        "FILE contains an encrypted private key",
        "Write the decrypted key to a private file with `openssl pkey -in",
    );
    check(
        &format!("{}{}", other.key, good.certificate),
        "FILE contains a key that does not belong to the certificate",
        "Write the key to",
    );
    check(
        &format!("{ec_key}{ec_certificate}"),
        "FILE contains a key that is not RSA, which Entra does not accept",
        "RSA key of 2048 to 4096 bits",
    );
    check(&over.pem(), "FILE contains a certificate that expired at ", HINT_NEW);
    check(
        &future.pem(),
        "FILE contains a certificate that is not valid before ",
        "Set the clock of this machine",
    );
    check(&"x".repeat(300_000), "FILE is too large", "and nothing else");
    let (shown, _) = problem_of("client_certificate = \"app.pem\"", &|_| None);
    assert!(
        shown.contains("msapi.client_certificate: is not an absolute path"),
        "{shown}"
    );
    let (shown, _) = problem_of("client_certificate = \"/no/such/file\"", &|_| None);
    assert!(shown.contains("could not read /no/such/file"), "{shown}");
    let (shown, _) = problem_of("client_certificate = \"/x\"\napp_secret = \"good-enough\"", &|_| None);
    assert!(
        shown.contains("msapi.client_certificate: cannot be combined with app_secret"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_chain_may_precede_the_certificate_and_an_open_file_is_a_warning() {
    let (town, config) = town_with(&ClientCertificate::new("K1", YEAR)).await;
    let (good, authority) = (ClientCertificate::new("K1", YEAR), ClientCertificate::new("K2", YEAR));
    let file = write(
        &town,
        &format!("{}{}{}", authority.certificate, good.certificate, good.key),
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(town.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let warnings = town.load(&config).unwrap().warnings;
    let warning = warnings
        .iter()
        .map(ToString::to_string)
        .find(|text| text.contains("app.pem"));
    let warning = warning.unwrap_or_default();
    for part in [
        "msapi.client_certificate",
        "can read",
        "which holds the private key of the app",
    ] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    town.tenant.register_certificate(&good.der);
    let (status, shown) = validate(&town, &config, &[]).await;
    assert_eq!(status, Some(0), "{shown}");
}
