//! Opens a byte stream to an address, through a proxy if one is configured.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{Service as _, service_fn};

use crate::config::{HostPort, Login, Proxy, ProxyKind};
use crate::teleport::connect::http_upgrade;
use crate::teleport::connect::route::{Failure, Next};
use crate::teleport::connect::stream::BoxStream;
use crate::teleport::connect::web_tls::WebTls;

/// The settings for opening a stream.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    pub(super) proxy: Option<Proxy>,
    pub(super) web: WebTls,
    /// Timeout of each step.
    pub(super) patience: Duration,
}

impl Dialer {
    pub(super) async fn dial(&self, target: &HostPort) -> Result<BoxStream, Failure> {
        let Some(proxy) = &self.proxy else {
            let hint = hint!("Check `[teleport] addr`, and that this machine can reach it");
            let tcp = self.tcp(target, &target.to_string(), hint).await;
            return tcp.map(|tcp| Box::new(tcp) as BoxStream);
        };
        let hint = hint!("Check HTTPS_PROXY and HTTP_PROXY, or add the cluster to NO_PROXY");
        let tcp = self.tcp(&proxy.address, &format!("the proxy {proxy}"), hint).await?;
        let asked = async {
            match proxy.kind {
                ProxyKind::Http => connect(Box::new(tcp), target, proxy.login.as_ref()).await,
                ProxyKind::Https => {
                    let name = &proxy.address.host;
                    let tls = self.web.handshake(name, Box::new(tcp)).await?;
                    connect(Box::new(tls), target, proxy.login.as_ref()).await
                }
                ProxyKind::Socks5 => socks5(tcp, target, proxy.login.as_ref()).await,
            }
        };
        let failed = |reason: String| {
            let sentence = format!("the proxy {proxy} did not connect to {target}: {reason}");
            Failure::new(sentence, hint, Next::Report)
        };
        match timeout(self.patience, asked).await {
            Err(_) => Err(failed(format!("no answer within {:?}", self.patience))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Ok(Ok(stream)) => Ok(stream),
        }
    }

    async fn tcp(&self, target: &HostPort, name: &str, hint: &'static str) -> Result<TcpStream, Failure> {
        let failed =
            |reason: String| Failure::new(format!("could not connect to {name}: {reason}"), hint, Next::Report);
        let connecting = TcpStream::connect((target.host.as_str(), target.port));
        let stream = match timeout(self.patience, connecting).await {
            Err(_) => return Err(failed(format!("no answer within {:?}", self.patience))),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Ok(Ok(stream)) => stream,
        };
        // Disables Nagle's algorithm: without this, small messages would wait for each other, and cards would arrive
        // slightly later.
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        Ok(stream)
    }
}

/// Asks an HTTP proxy for a tunnel. The user name and the password are sent as written, not escaped.
async fn connect(stream: BoxStream, target: &HostPort, login: Option<&Login>) -> io::Result<BoxStream> {
    let target = target.to_string();
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(target.as_str())
        .header(HOST, target.as_str());
    if let Some(login) = login {
        let pair = format!("{}:{}", login.user, login.password.expose());
        request = request.header(PROXY_AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
    }
    let request = request.body(String::new()).map_err(io::Error::other)?;
    let (response, stream) = http_upgrade::exchange(stream, request).await?;
    match (response.status(), stream) {
        (StatusCode::OK, Some(stream)) => Ok(stream),
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) if login.is_some() => Err(io::Error::other(
            "it rejected the user name and password of the URL (407)",
        )),
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) => Err(io::Error::other(
            "it requires a user name and a password in the URL (407)",
        )),
        (status, _) => Err(io::Error::other(format!("it answered {status}"))),
    }
}

/// Asks a SOCKS proxy for a tunnel. The proxy also resolves the name.
async fn socks5(tcp: TcpStream, target: &HostPort, login: Option<&Login>) -> io::Result<BoxStream> {
    let target: Uri = format!("https://{target}").parse().map_err(io::Error::other)?;
    let mut tcp = Some(tcp);
    let already_open = service_fn(move |_: Uri| {
        let tcp = tcp.take().map(TokioIo::new).ok_or(io::ErrorKind::NotConnected);
        std::future::ready(tcp.map_err(io::Error::from))
    });
    let mut socks = SocksV5::new(target.clone(), already_open);
    if let Some(Login { user, password }) = login {
        socks = socks.with_auth(user.clone(), password.expose().to_owned());
    }
    let opened = socks.call(target).await.map_err(io::Error::other)?;
    Ok(Box::new(opened.into_inner()))
}
