//! Where the keys come from.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::json;
use teleport_msteams::config::{Limits, Proxies};
use teleport_msteams::heartbeat::Heartbeat;
use teleport_msteams::msteams::Error;
use teleport_msteams::msteams::inbound::{KeyCache, KeySet, KeySource, NoKey, Refusal, TokenRefusal};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use url::Url;

use super::signer::{Signer, vectors};
use super::{audience, headers, now};

/// Serves this document of keys, and metadata that refers to it, and returns the source beside the server.
async fn serve(jwks_uri: &str, document: Arc<Mutex<String>>) -> (KeySource, impl Future<Output = io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({"issuer": "x", "jwks_uri": jwks_uri.replace("{base}", &base)}).to_string();
    let keys = async move || document.lock().unwrap().clone();
    let router = Router::new()
        .route(
            "/prefix/v1/.well-known/openidconfiguration",
            get(async move || metadata),
        )
        .route("/keys", get(keys));
    let openid = Url::parse(&format!("{base}/prefix")).unwrap();
    let source = KeySource::new(&openid, &Proxies::default(), &Limits::default()).unwrap();
    (source, axum::serve(listener, router).into_future())
}

/// Fetches from a server with this address of the keys in its metadata, and this document of keys.
async fn fetched(jwks_uri: &str, document: &str) -> Result<KeySet, Error> {
    let (source, server) = serve(jwks_uri, Arc::new(Mutex::new(document.to_owned()))).await;
    tokio::select! {
        ended = server => panic!("{ended:?}"),
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
async fn a_request_is_verified_with_fetched_keys() {
    let signer = Signer::new();
    let document = Arc::new(Mutex::new("{}".to_owned()));
    let (source, server) = serve("{base}/keys", Arc::clone(&document)).await;
    let (cache, heartbeat) = (
        KeyCache::new(Duration::from_mins(5)),
        Heartbeat::new("keys", Duration::from_secs(1)),
    );
    let audience = audience();
    let verify = async |header: &str| cache.verify(&headers(Some(header)), &audience, now()).await;
    let good = format!("Bearer {}", signer.good_token());
    let story = async {
        let unavailable = verify(&good).await.unwrap_err();
        assert_eq!(
            (unavailable, unavailable.status()),
            (Refusal::Key(NoKey::Unavailable), 503)
        );
        *document.lock().unwrap() = signer.document().to_string();
        while cache.age().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(verify(&good).await.unwrap().kid(), "K1");
        let refused = verify("Bearer x").await.unwrap_err();
        assert_eq!(
            (refused, refused.status()),
            (Refusal::Token(TokenRefusal::Malformed), 401)
        );
        // A key that is not published. The keys were fetched a moment ago, so they are not fetched for it.
        let mut recipe = vectors()["vectors"][0]["recipe"].clone();
        recipe["header"]["kid"] = json!("K9");
        let asked = Instant::now();
        let refused = verify(&format!("Bearer {}", signer.token(&recipe))).await.unwrap_err();
        assert_eq!((refused, refused.status()), (Refusal::Key(NoKey::Unknown), 401));
        assert!(asked.elapsed() < Duration::from_secs(2));
    };
    tokio::select! {
        ended = server => panic!("{ended:?}"),
        never = cache.keep(&heartbeat, || source.fetch()) => match never {},
        () = story => {}
    }
}

#[tokio::test]
async fn the_loop_that_keeps_the_keys_can_run_as_a_task() {
    let openid = Url::parse("http://127.0.0.1:1").unwrap();
    let source = KeySource::new(&openid, &Proxies::default(), &Limits::default()).unwrap();
    let cache = Arc::new(KeyCache::new(Duration::from_mins(5)));
    let kept = Arc::clone(&cache);
    #[expect(clippy::disallowed_methods, reason = "a test is not the daemon")]
    let task = tokio::spawn(async move {
        let heartbeat = Heartbeat::new("keys", Duration::from_secs(1));
        kept.keep(&heartbeat, || source.fetch()).await
    });
    sleep(Duration::from_millis(100)).await;
    assert!(!task.is_finished());
    task.abort();
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
