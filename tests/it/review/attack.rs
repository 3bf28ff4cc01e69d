//! Requests that are not from Teams, or not for us.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Desk, shows};
use crate::support::{ALICE, for_alice};

/// Returns host and port, and the path.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").unwrap().1;
    let path = rest.find('/').unwrap();
    rest.split_at(path)
}

/// Sends a request without a valid token, and returns the status and the body.
async fn ask(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}");
    // The connection may be closed before everything is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn requests_without_a_valid_token_get_an_empty_401_before_their_body_is_read() {
    let desk = Desk::start().await;
    let url = desk.url();
    let (address, path) = parts(&url);
    let json = "Content-Type: application/json\r\n";
    let long = "Content-Length: 999999\r\n";
    let promised = "Content-Length: 1000\r\n";
    let token = "Authorization: Bearer a.b.c\r\n";
    for (method, path, headers, status) in [
        ("POST", path, json.to_owned(), 401),
        ("POST", path, format!("{json}{token}"), 401),
        // The body never arrives.
        ("POST", path, format!("{json}{token}{promised}"), 401),
        ("POST", path, format!("{json}Authorization: Basic eDp5\r\n"), 401),
        ("POST", path, format!("{json}{token}{long}"), 413),
        ("POST", path, String::new(), 415),
        ("GET", path, String::new(), 405),
        ("POST", "/", json.to_owned(), 404),
        ("GET", "/metrics", String::new(), 404),
    ] {
        let answer = ask(address, method, path, &headers, "").await;
        assert_eq!(answer, (status, String::new()), "{method} {path} {headers}");
    }
    desk.town.finish().await;
}

#[tokio::test]
async fn a_press_from_another_tenant_bot_or_service_is_refused() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let press = || desk.pressing("Alice", "approve", None);
    let other = json!("00000000-0000-4000-8000-000000000000");
    for (press, status) in [
        (press().set("channelData.tenant.id", other.clone()), 403),
        (press().set("conversation.tenantId", other.clone()), 403),
        (press().set("recipient.id", json!("28:someone")), 403),
        (press().set("channelId", json!("webchat")), 401),
        (press().set("serviceUrl", json!("https://evil.example/")), 401),
        (press().claim("aud", other.clone()), 401),
        (press().claim("iss", json!("https://sts.windows.net/x/")), 401),
        (press().claim("exp", json!(1)), 401),
        (press().claim("serviceurl", Value::Null), 401),
    ] {
        let answer = press.send().await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (status, ""));
    }
    assert_eq!(desk.reviews(&id), []);
    assert_eq!(desk.town.cluster.calls_of("ListUsers"), 0);
    desk.town.finish().await;
}

/// More connections than the port has room for, which never send a whole request.
async fn silent(address: &str) -> Vec<TcpStream> {
    let beginnings = ["", "POST /api/messages HTTP/1.1\r\nHost: x\r\n"];
    let clients = (0..900).map(async |number| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(beginnings[number % 2].as_bytes()).await;
        stream
    });
    join_all(clients).await
}

#[tokio::test]
async fn a_flood_without_tokens_delays_no_press() {
    let desk = Desk::start().await;
    let url = desk.url();
    let (address, path) = parts(&url);
    let _silent = silent(address).await;
    let unsigned = async || {
        let headers = "Content-Type: application/json\r\nContent-Length: 2\r\nAuthorization: Bearer a.b.c\r\n";
        loop {
            assert_eq!(ask(address, "POST", path, headers, "{}").await.0, 401);
        }
    };
    let presses = async {
        for round in 0..5 {
            let mut words = vec!["APPROVED"; round];
            let id = desk.town.cluster.create(for_alice());
            words.push("PENDING");
            desk.town.sees(ALICE, &words).await;
            desk.town.settled(&id).await;
            shows(&desk.press("Alice", "approve", None).await, "Approved");
            desk.town.sees(ALICE, &vec!["APPROVED"; round + 1]).await;
            desk.town.settled(&id).await;
        }
    };
    let flood = join_all((0..64).map(|_| unsigned()));
    tokio::select! {
        _ = flood => unreachable!("the flood has no end"),
        () = presses => {}
    }
    desk.town.finish().await;
}
