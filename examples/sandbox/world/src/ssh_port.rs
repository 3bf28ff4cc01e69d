//! A pretend SSH port of a Proxy, as far as the greeting.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::port::{listen, serve};

/// Opens the port and returns its address. It reads a greeting, answers one of SSH, and closes the connection on any
/// other.
pub async fn start() -> String {
    let (listener, address) = listen().await;
    serve(listener, |mut stream| async move {
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).await?;
        if greeting.starts_with(b"SSH-2.0-") {
            stream.write_all(b"SSH-2.0-Teleport\r\n").await?;
        }
        Ok(())
    });
    address
}
