//! Free loopback ports, for all TCP servers of the world.

use std::io;

use tokio::net::{TcpListener, TcpStream};

/// Opens a free loopback port.
///
/// # Panics
/// If no port is free.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    (listener, address.to_string())
}

/// Serves each connection in its own task, so that a broken connection affects no other.
pub fn serve<F>(listener: TcpListener, each: impl Fn(TcpStream) -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    crate::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Disables Nagle's algorithm: small pieces must not wait for each other.
            let _ = stream.set_nodelay(true);
            let served = each(stream);
            crate::spawn(async move { served.await.is_ok() });
        }
    });
}
