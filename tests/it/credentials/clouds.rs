//! Each credential in a cloud of the government: tokens are for its services.

use std::fs;

use crate::clouds::{in_cloud, town_in};
use crate::credentials::{announces, config_with, environment};
use crate::support::Town;
use crate::world::identity::Validity;
use crate::world::tenant::{ClientCertificate, Cloud, FederatedCredential};

const CLOUD: Cloud = Cloud::GccHigh;

/// Starts a daemon with this credential, and checks the card and the scopes of the tokens.
async fn works(mut town: Town, lines: &str, variables: &[(&str, &str)]) {
    let config = in_cloud(&config_with(&town, lines), CLOUD);
    let settings = town.load_in(&config, &environment(variables)).unwrap().settings;
    town.start_daemon_on(settings).await;
    announces(&town, &mut Vec::new()).await;
    assert_eq!(town.tenant.issued_scopes(), CLOUD.scopes().map(str::to_owned).into());
    town.finish().await;
}

#[tokio::test]
async fn a_secret_serves_in_another_cloud() {
    let town = town_in(CLOUD).await;
    let secret = format!("app_secret = {:?}", town.tenant.options().app_secret);
    works(town, &secret, &[]).await;
}

#[tokio::test]
async fn a_certificate_serves_in_another_cloud() {
    let town = town_in(CLOUD).await;
    let certificate = ClientCertificate::new(
        "K1",
        Validity {
            from: -60,
            to: 31_536_000,
        },
    );
    town.tenant.register_certificate(&certificate.der);
    let file = town.folder.path().join("app.pem");
    fs::write(&file, certificate.pem()).unwrap();
    // The audience of each assertion is the token endpoint of the login service of this cloud.
    let audience = format!(
        "{}/{}/oauth2/v2.0/token",
        town.tenant.login(),
        town.tenant.options().tenant_id
    );
    let tenant = town.tenant.clone();
    works(town, &format!("client_certificate = {file:?}"), &[]).await;
    let assertions = tenant.assertions();
    assert!(!assertions.is_empty());
    for assertion in assertions {
        assert_eq!(assertion["claims"]["aud"], audience);
    }
}

#[tokio::test]
async fn a_federated_token_serves_in_another_cloud() {
    let town = town_in(CLOUD).await;
    let registered = FederatedCredential {
        issuer: "https://oidc.example.com/cluster".to_owned(),
        subject: "system:serviceaccount:teleport:msteams".to_owned(),
        audience: "api://AzureADTokenExchangeUSGov".to_owned(),
    };
    town.tenant.federate(Some(registered.clone()));
    let file = town.folder.path().join("token");
    fs::write(&file, town.tenant.workload_token(&registered, 3_600)).unwrap();
    works(town, &format!("federated_token_file = {file:?}"), &[]).await;
}

#[tokio::test]
async fn a_managed_identity_serves_in_another_cloud() {
    let town = town_in(CLOUD).await;
    let app_id = town.tenant.options().app_id.clone();
    town.tenant.assign_identity(&app_id);
    let metadata = town.tenant.metadata();
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    works(town, "managed_identity = true", &variables).await;
}
