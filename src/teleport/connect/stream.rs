//! The encrypted stream, which remembers the alert with which the server ended it.
//!
//! In TLS 1.3 a server rejects our certificate after our side of the handshake is complete. Its alert then crosses
//! bytes that are already on their way, and the libraries above report a broken pipe or a closed connection instead.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// A stream of bytes in both directions over any transport.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) type BoxStream = Box<dyn Stream>;

/// The alert that ended a connection, until it is taken. A new connection does not clear it, because it is opened
/// before the failure of the old one is reported.
#[derive(Clone, Debug, Default)]
pub(in crate::teleport) struct LastAlert(Arc<Mutex<Option<AlertDescription>>>);

/// One connection to the Auth Service.
pub(in crate::teleport) struct AuthStream {
    tls: TlsStream<BoxStream>,
    alert: LastAlert,
    /// The error of a failed write, kept while the rest of the server's data is read.
    failure: Option<io::Error>,
}

/// Returns the TLS error inside an I/O error.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>())
}

impl LastAlert {
    pub(in crate::teleport) fn take(&self) -> Option<AlertDescription> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn record(&self, error: &io::Error) {
        if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(*alert);
        }
    }
}

impl AuthStream {
    pub(super) fn new(tls: TlsStream<BoxStream>, alert: LastAlert) -> Self {
        Self {
            tls,
            alert,
            failure: None,
        }
    }

    /// Reads the connection, which is unusable after a failed write, to its end: the alert may still be unread.
    fn read_to_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 1_024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.tls).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(()),
                Ok(()) => {}
                Err(error) => {
                    self.alert.record(&error);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Passes on the result of a write; an error only after the rest of the server's data has been read.
    fn after_write<T>(&mut self, cx: &mut Context<'_>, written: io::Result<T>) -> Poll<io::Result<T>> {
        let error = match written {
            Ok(written) => return Poll::Ready(Ok(written)),
            Err(error) => error,
        };
        if self.read_to_end(cx).is_pending() {
            self.failure = Some(error);
            return Poll::Pending;
        }
        Poll::Ready(Err(error))
    }
}

impl AsyncRead for AuthStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.tls).poll_read(cx, buffer);
        if let Poll::Ready(Err(error)) = &read {
            self.alert.record(error);
        }
        read
    }
}

impl AsyncWrite for AuthStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.failure.take() {
            Some(error) => Err(error),
            None => ready!(Pin::new(&mut self.tls).poll_write(cx, bytes)),
        };
        self.after_write(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match self.failure.take() {
            Some(error) => Err(error),
            None => ready!(Pin::new(&mut self.tls).poll_flush(cx)),
        };
        self.after_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
