//! Sends one request to the bot, as the Bot connector does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long Teams waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Largest answer to read, in bytes.
const LARGEST: usize = 1 << 20;

/// An answer of the bot.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `null` if it is empty or not JSON.
    pub body: Value,
    /// The body as it arrived.
    pub text: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl Answer {
    /// Returns the outcome of an invoke, which is in its body.
    pub fn outcome(&self) -> u64 {
        self.body["statusCode"].as_u64().unwrap_or_default()
    }

    /// Returns the card that replaces the one with the button, for the person who pressed it.
    pub fn card(&self) -> Option<&Value> {
        self.value("application/vnd.microsoft.card.adaptive")
    }

    /// Returns the line that is shown below the card.
    pub fn message(&self) -> Option<&str> {
        self.value("application/vnd.microsoft.activity.message")?.as_str()
    }

    /// Returns the text of an error.
    pub fn error(&self) -> Option<&str> {
        self.value("application/vnd.microsoft.error")?["message"].as_str()
    }

    fn value(&self, kind: &str) -> Option<&Value> {
        (self.status == 200 && self.body["type"] == kind).then(|| &self.body["value"])
    }
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Posts an activity to a URL. `roots` are the authorities in PEM that the certificate of the bot is verified with.
pub(super) async fn post(
    url: &str,
    authorization: Option<&str>,
    body: &Value,
    roots: &str,
) -> Result<Answer, NoAnswer> {
    let exchanged = timeout(PATIENCE, exchange(url, authorization, body, roots)).await;
    exchanged.unwrap_or_else(|_| Err(NoAnswer("no answer in 15 seconds".to_owned())))
}

async fn exchange(url: &str, authorization: Option<&str>, body: &Value, roots: &str) -> Result<Answer, NoAnswer> {
    let url: Uri = url.parse().map_err(|_| NoAnswer(format!("{url} is not a URL")))?;
    let host = url.host().unwrap_or_default().to_owned();
    let is_secure = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let mut request = Request::post(url.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", format!("{host}:{port}"))
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Microsoft-SkypeBotApi (Microsoft-BotFramework/3.0)");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Body::from(body.to_string()));
    let request = request.map_err(|error| NoAnswer(error.to_string()))?;
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    if is_secure {
        let name = ServerName::try_from(host).map_err(|error| NoAnswer(error.to_string()))?;
        let stream = connector(roots)?.connect(name, stream).await?;
        speak(stream, request).await
    } else {
        speak(stream, request).await
    }
}

fn connector(roots: &str) -> Result<TlsConnector, NoAnswer> {
    let no = |error: rustls::Error| NoAnswer(error.to_string());
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(CertificateDer::pem_slice_iter(roots.as_bytes()).flatten());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(no)?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn speak<S>(stream: S, request: Request<Body>) -> Result<Answer, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| NoAnswer(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    crate::spawn(async move { connection.await.is_ok() });
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let body: Result<Bytes, _> = axum::body::to_bytes(Body::new(response.into_body()), LARGEST).await;
    let body = body.map_err(|error| NoAnswer(error.to_string()))?;
    Ok(Answer {
        status,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        text: String::from_utf8_lossy(&body).into_owned(),
    })
}
