//! The diagnostics port under misbehaving clients, and the headers of its answers.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::health::{ask, start};
use crate::support::Town;

/// Kubernetes waits this long for a probe.
const PROBE: Duration = Duration::from_secs(1);

/// More clients than the port has room for, which begin with this and then say nothing.
async fn silent(address: &str, beginning: &str) -> Vec<TcpStream> {
    let clients = (0..200).map(async |_| {
        let mut client = TcpStream::connect(address).await.unwrap();
        // The connection may be closed already.
        let _ = client.write_all(beginning.as_bytes()).await;
        client
    });
    join_all(clients).await
}

#[tokio::test]
async fn silent_clients_delay_no_probe() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    for beginning in ["", "GET /livez HTTP/1.1\r\nHost: x\r\n"] {
        let begun = Instant::now();
        let mut clients = silent(&address, beginning).await;
        for path in ["/livez", "/readyz", "/metrics"] {
            let answer = timeout(PROBE, ask(&address, "GET", path)).await;
            assert!(answer.is_ok(), "{path} after {:?} of {beginning:?}", begun.elapsed());
        }
        // All of them are closed: most to make room for others, the last ones because they send no request.
        let mut rest = Vec::new();
        for client in &mut clients {
            let closed = timeout(Duration::from_secs(20), client.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "a silent client is kept for {:?}", begun.elapsed());
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
    town.finish().await;
}

/// Sends a request, and returns the lower-case head of the answer, and its body.
async fn heads(address: &str, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn answers_have_a_content_type_and_list_allowed_methods() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    for (method, path, status, line) in [
        ("GET", "/livez", 200, "content-type: text/plain; charset=utf-8"),
        ("GET", "/healthz", 200, "content-type: text/plain; charset=utf-8"),
        ("GET", "/nothing", 404, "content-type: text/plain; charset=utf-8"),
        ("GET", "/metrics", 200, "content-type: text/plain; version=0.0.4"),
        ("POST", "/livez", 405, "allow: get, head"),
    ] {
        let (head, _) = heads(&address, method, path).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{method} {path}: {head}"
        );
        assert!(
            head.lines().any(|found| found.starts_with(line)),
            "{method} {path}: {head}"
        );
    }
    let (head, body) = heads(&address, "HEAD", "/livez").await;
    assert!(head.starts_with("http/1.1 200 ") && body.is_empty(), "{head}");
    // An oversized request is rejected, and the next one is answered.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let _ = stream.write_all(&vec![b'x'; 1 << 20]).await;
    drop(stream);
    assert_eq!(ask(&address, "GET", "/livez").await.0, 200);
    town.finish().await;
}
