//! Where the keys come from.

use axum::Router;
use axum::routing::get;
use serde_json::json;
use teleport_msteams::config::{Limits, Proxies};
use teleport_msteams::msteams::Error;
use teleport_msteams::msteams::inbound::{KeySet, KeySource};
use tokio::net::TcpListener;
use url::Url;

use super::signer::Signer;

/// Fetches from a server with this address of the keys in its metadata, and this document of keys.
async fn fetched(jwks_uri: &str, document: &str) -> Result<KeySet, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({"issuer": "x", "jwks_uri": jwks_uri.replace("{base}", &base)}).to_string();
    let document = document.to_owned();
    let router = Router::new()
        .route(
            "/prefix/v1/.well-known/openidconfiguration",
            get(async move || metadata),
        )
        .route("/keys", get(async move || document));
    let openid = Url::parse(&format!("{base}/prefix")).unwrap();
    let source = KeySource::new(&openid, &Proxies::default(), &Limits::default()).unwrap();
    tokio::select! {
        ended = axum::serve(listener, router) => panic!("{ended:?}"),
        outcome = source.fetch() => outcome,
    }
}

async fn failure(jwks_uri: &str, document: &str) -> String {
    let error = fetched(jwks_uri, document).await.unwrap_err();
    assert!(error.hint().is_some(), "{error:?}");
    let text = error.to_string();
    let what = "could not get the keys that verify requests from Microsoft Teams: ";
    text.strip_prefix(what).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test]
async fn keys_are_fetched_from_where_the_metadata_says() {
    let signer = Signer::new();
    let keys = fetched("{base}/keys", &signer.document().to_string()).await.unwrap();
    assert_eq!(keys, signer.published());
}

#[tokio::test]
async fn keys_of_another_host_are_refused() {
    let document = Signer::new().document().to_string();
    for elsewhere in [
        "http://127.0.0.1:1/keys",
        "https://login.evil.example/keys",
        "file:///keys",
        "keys",
        "",
    ] {
        let expected = "the metadata refers to keys on another host";
        assert_eq!(failure(elsewhere, &document).await, expected, "{elsewhere}");
    }
}

#[tokio::test]
async fn an_answer_without_keys_is_a_failure() {
    for (document, expected) in [
        (
            "<html>",
            "a proxy, firewall or gateway answered instead of Microsoft (200)",
        ),
        ("", "a proxy, firewall or gateway answered instead of Microsoft (200)"),
        ("{}", "the document is not a set of keys"),
        (
            r#"{"keys":[]}"#,
            "the document contains no key that is endorsed for Microsoft Teams",
        ),
    ] {
        assert_eq!(failure("{base}/keys", document).await, expected);
    }
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(failure("{base}/keys", &long).await, "the answer is too large (200)");
    let missing = failure("{base}/nothing", "{}").await;
    assert!(missing.contains("404"), "{missing}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let openid = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let source = KeySource::new(&openid, &Proxies::default(), &Limits::default()).unwrap();
    let error = source.fetch().await.unwrap_err();
    assert!(
        error.to_string().ends_with("127.0.0.1 refused the connection"),
        "{error}"
    );
}
