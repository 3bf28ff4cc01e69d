//! Pretend corporate proxies: HTTP CONNECT, HTTP CONNECT over TLS, and SOCKS5.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::port::{listen, serve};
use crate::web::WebAuthority;

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Connect,
    ConnectInTls,
    Socks5,
}

/// A proxy that resolves names which only it knows.
#[derive(Clone)]
pub struct Corporate(Arc<Inner>);

struct Inner {
    address: String,
    /// `user:password`, if the proxy requires a login.
    login: Option<String>,
    names: Names,
    asked: Mutex<Vec<String>>,
}

/// The address behind each `name:port`; may change at any time.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<BTreeMap<String, String>>>);

impl Names {
    pub fn new(names: &[(&str, &str)]) -> Self {
        let known = Self::default();
        for (name, to) in names {
            known.set(name, to);
        }
        known
    }

    pub fn set(&self, name: &str, to: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned(), to.to_owned());
    }

    fn find(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Corporate {
    /// Starts a proxy that connects each `name:port` to another address.
    pub async fn start(speaks: Speaks, authority: &WebAuthority, login: Option<&str>, names: &[(&str, &str)]) -> Self {
        Self::start_with(speaks, authority, login, Names::new(names)).await
    }

    pub async fn start_with(speaks: Speaks, authority: &WebAuthority, login: Option<&str>, names: Names) -> Self {
        let (listener, address) = listen().await;
        let corporate = Self(Arc::new(Inner {
            address,
            login: login.map(str::to_owned),
            names,
            asked: Mutex::default(),
        }));
        let this = corporate.clone();
        let acceptor = TlsAcceptor::from(authority.server_config(&[]));
        serve(listener, move |stream| {
            let (this, acceptor) = (this.clone(), acceptor.clone());
            async move {
                match speaks {
                    Speaks::Connect => this.connect(stream).await,
                    Speaks::ConnectInTls => this.connect(acceptor.accept(stream).await?).await,
                    Speaks::Socks5 => this.socks5(stream).await,
                }
            }
        });
        corporate
    }

    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Returns the requests to the proxy, with the login if there was one.
    pub fn asked(&self) -> Vec<String> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, text: String) {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    async fn connect(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let login = lines
            .find_map(|line| {
                line.to_lowercase()
                    .starts_with("proxy-authorization: basic ")
                    .then(|| &line[27..])
            })
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .and_then(|login| String::from_utf8(login).ok());
        self.record(format!("{first} {}", login.as_deref().unwrap_or("-")));
        let target = first
            .strip_prefix("CONNECT ")
            .and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
        if login != self.0.login {
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            return stream.write_all(answer.as_bytes()).await;
        }
        let Some(to) = target.and_then(|target| self.0.names.find(target)) else {
            return stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                .await;
        };
        let mut onward = TcpStream::connect(to).await?;
        onward.set_nodelay(true)?;
        let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
        stream.write_all(answer).await?;
        copy_bidirectional(&mut stream, &mut onward).await?;
        Ok(())
    }

    async fn socks5(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        let mut methods = vec![0; usize::from(head[1])];
        stream.read_exact(&mut methods).await?;
        let method = if self.0.login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            return stream.write_all(&[5, 0xff]).await;
        }
        stream.write_all(&[5, method]).await?;
        let mut login = "-".to_owned();
        if self.0.login.is_some() {
            stream.read_u8().await?;
            let user = text(&mut stream).await?;
            let password = text(&mut stream).await?;
            login = format!("{user}:{password}");
            let wrong = u8::from(self.0.login.as_deref() != Some(&login));
            stream.write_all(&[1, wrong]).await?;
            if wrong == 1 {
                return Ok(());
            }
        }
        let mut request = [0; 4];
        stream.read_exact(&mut request).await?;
        // Only names matter: the proxy resolves them.
        let host = if request[3] == 3 {
            text(&mut stream).await?
        } else {
            String::new()
        };
        let port = stream.read_u16().await?;
        let target = format!("{host}:{port}");
        self.record(format!("SOCKS5 {target} {login}"));
        let Some(to) = self.0.names.find(&target) else {
            return stream.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        };
        let mut onward = TcpStream::connect(to).await?;
        onward.set_nodelay(true)?;
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        copy_bidirectional(&mut stream, &mut onward).await?;
        Ok(())
    }
}

/// Reads a text with a length prefix.
async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
