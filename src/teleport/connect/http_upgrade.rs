//! One HTTP/1.1 exchange, after which the connection switches to another protocol.

use std::future::pending;
use std::io;
use std::pin::pin;

use http::{Request, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::select;

use crate::teleport::connect::stream::BoxStream;

/// Sends the request. Returns the stream if the server agreed, including any bytes that followed its answer.
pub(super) async fn exchange(
    stream: BoxStream,
    request: Request<String>,
) -> io::Result<(Response<()>, Option<BoxStream>)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async move {
        let mut response = sender.send_request(request).await.map_err(io::Error::other)?;
        let agreed = response.status().is_informational() || response.status().is_success();
        let stream = if agreed {
            let upgraded = hyper::upgrade::on(&mut response).await.ok();
            upgraded.map(|upgraded| Box::new(TokioIo::new(upgraded)) as BoxStream)
        } else {
            None
        };
        Ok((response.map(drop), stream))
    };
    // The exchange progresses only while the connection is polled; the exchange itself reports why the connection
    // ended.
    let mut connection = pin!(connection.with_upgrades());
    let drive = async move {
        let _ = connection.as_mut().await;
        pending().await
    };
    select! {
        result = exchange => result,
        never = drive => never,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::join;

    use super::*;

    /// Reads one request, answers, and returns the head of the request.
    async fn answer(mut server: DuplexStream, answer: &str) -> (String, DuplexStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(server.read_u8().await.unwrap());
        }
        server.write_all(answer.as_bytes()).await.unwrap();
        (String::from_utf8(head).unwrap(), server)
    }

    #[tokio::test]
    async fn hp_1_bytes_right_after_the_answer_are_kept() {
        let (ours, theirs) = duplex(1_024);
        let request = Request::connect("teleport.test:443").body(String::new()).unwrap();
        let server = answer(theirs, "HTTP/1.1 200 Connection established\r\n\r\nearly");
        let (exchanged, (head, _server)) = join!(exchange(Box::new(ours), request), server);
        assert!(head.starts_with("CONNECT teleport.test:443 HTTP/1.1\r\n"), "{head}");
        let (response, stream) = exchanged.unwrap();
        assert_eq!(response.status(), 200);
        let mut early = [0; 5];
        stream.unwrap().read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early");
    }

    #[tokio::test]
    async fn up_5_an_answer_that_does_not_agree_ends_the_exchange_immediately() {
        for text in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        ] {
            let (ours, theirs) = duplex(1_024);
            let request = Request::get("/").body(String::new()).unwrap();
            let (exchanged, _) = join!(exchange(Box::new(ours), request), answer(theirs, text));
            assert!(exchanged.unwrap().1.is_none(), "{text}");
        }
        let (ours, theirs) = duplex(1_024);
        drop(theirs);
        let request = Request::get("/").body(String::new()).unwrap();
        assert!(exchange(Box::new(ours), request).await.is_err());
    }
}
