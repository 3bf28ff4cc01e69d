//! Adds latency in front of a server.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use world::port::{listen, serve};

/// The capacity of a stream in flight, in chunks.
const ON_THE_WAY: usize = 1_024;

/// Opens a port that forwards to `target` with this latency; opening a connection takes one round trip too.
///
/// # Panics
/// If no port is available.
pub(crate) async fn relay(target: String, round_trip: Duration) -> String {
    let (listener, address) = listen().await;
    serve(listener, move |near| {
        let target = target.clone();
        async move {
            // The kernel has accepted the connection already; a distant one would take this long.
            sleep(round_trip).await;
            let far = TcpStream::connect(target).await?;
            // A write must not wait for the acknowledgement of the previous one.
            far.set_nodelay(true)?;
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            tokio::join!(
                carry(from_near, to_far, round_trip / 2),
                carry(from_far, to_near, round_trip / 2)
            );
            Ok(())
        }
    });
    address
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, late: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let reading = async move {
        let mut buffer = vec![0; 16_384];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let piece = (Instant::now() + late, buffer[..length].to_vec());
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The other side may be gone already.
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
