//! Carries bytes in WebSocket frames, in the narrow form that every version of the Proxy understands.
//!
//! Older Proxies do not unmask what they receive, so the mask is zero and changes nothing. They also drop fragments and
//! text, and do not answer pings. So each write is one whole binary frame, and this side never sends pings, only pongs.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::teleport::connect::stream::BoxStream;

/// Largest payload we send, in bytes. The Proxy reads whole frames into memory.
const LARGEST_WRITE: usize = 32 << 10;

/// Largest payload we accept, in bytes. The Proxy sends at most what it read in one call.
const LARGEST_READ: u64 = 1 << 20;

/// The Proxy pings every 30 s; after three missed pings the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(90);

/// A byte stream inside a WebSocket.
pub(super) struct WebSocket {
    stream: BoxStream,
    /// Bytes from the network that do not make a whole header or payload yet.
    received: BytesMut,
    /// Payload that has not been read yet.
    payload: Bytes,
    /// Frames to be sent.
    sending: BytesMut,
    unflushed: bool,
    /// Whether the other side has sent a close frame.
    closed: bool,
    silence: Pin<Box<Sleep>>,
}

impl WebSocket {
    pub(super) fn new(stream: BoxStream) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
            payload: Bytes::new(),
            sending: BytesMut::new(),
            unflushed: false,
            closed: false,
            silence: Box::pin(sleep(SILENCE)),
        }
    }

    fn put_frame(&mut self, opcode: OpCode, payload: &[u8]) -> io::Result<()> {
        let header = FrameHeader {
            opcode,
            mask: Some([0; 4]),
            ..FrameHeader::default()
        };
        let length = u64::try_from(payload.len()).map_err(io::Error::other)?;
        header
            .format(length, &mut (&mut self.sending).writer())
            .map_err(io::Error::other)?;
        self.sending.put_slice(payload);
        self.unflushed = true;
        Ok(())
    }

    /// Writes the frames in `sending` to the network.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sending.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.sending))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sending.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Removes a whole frame from the received bytes, if there is one.
    fn take_frame(&mut self) -> io::Result<Option<(OpCode, Bytes)>> {
        let mut cursor = io::Cursor::new(&self.received[..]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(invalid)?;
        let Some((header, length)) = parsed else {
            return Ok(None);
        };
        if length > LARGEST_READ {
            return Err(invalid(format!("a frame of {length} bytes")));
        }
        let start = usize::try_from(cursor.position()).map_err(invalid)?;
        let length = usize::try_from(length).map_err(invalid)?;
        if self.received.len() - start < length {
            return Ok(None);
        }
        self.received.advance(start);
        let mut payload = self.received.split_to(length);
        if let Some(mask) = header.mask {
            payload
                .iter_mut()
                .zip(mask.into_iter().cycle())
                .for_each(|(byte, mask)| *byte ^= mask);
        }
        Ok(Some((header.opcode, payload.freeze())))
    }

    /// Reads from the network until there is payload, or the stream ends.
    fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.payload.is_empty() && !self.closed {
            match self.take_frame()? {
                Some((OpCode::Data(Data::Binary | Data::Continue), payload)) => self.payload = payload,
                Some((OpCode::Control(Control::Ping), payload)) => {
                    self.put_frame(OpCode::Control(Control::Pong), &payload)?;
                }
                Some((OpCode::Control(Control::Close), _)) => self.closed = true,
                Some(_) => {}
                None => ready!(self.poll_receive(cx))?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A pong must not wait for the next write.
        if let Poll::Ready(Err(error)) = self.poll_send_and_flush(cx) {
            return Poll::Ready(Err(error));
        }
        let mut chunk = [0; 8 << 10];
        let mut buffer = ReadBuf::new(&mut chunk);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                if !self.received.is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                self.closed = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                self.received.extend_from_slice(buffer.filled());
                self.silence.as_mut().reset(Instant::now() + SILENCE);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(cx));
                let text = format!("no answer for {SILENCE:?}");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for WebSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_payload(cx))?;
        let length = buffer.remaining().min(self.payload.len());
        buffer.put_slice(&self.payload.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Queues one frame at a time: a slow connection must hold the writer back instead of filling our memory.
        ready!(self.poll_send(cx))?;
        let length = bytes.len().min(LARGEST_WRITE);
        self.put_frame(OpCode::Data(Data::Binary), &bytes[..length])?;
        // The next write or flush sends what does not go out now.
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_and_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};

    use super::*;

    /// The strictest kind of server: accepts whole binary frames and pongs, and does not unmask.
    async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
        let first = stream.read_u8().await.unwrap();
        let second = stream.read_u8().await.unwrap();
        assert_eq!(second & 0x80, 0x80, "a client masks");
        let length = match second & 0x7f {
            126 => u64::from(stream.read_u16().await.unwrap()),
            127 => stream.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        assert_eq!(stream.read_u32().await.unwrap(), 0, "a mask that changes nothing");
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    fn pair() -> (WebSocket, DuplexStream) {
        let (ours, theirs) = duplex(1 << 14);
        (WebSocket::new(Box::new(ours)), theirs)
    }

    #[tokio::test]
    async fn up_7_each_write_is_one_whole_frame_that_needs_no_unmasking() {
        let (mut socket, mut server) = pair();
        let whole: Vec<u8> = (0..10_u32 << 20).map(|number| number.to_le_bytes()[1]).collect();
        let writing = async {
            socket.write_all(&whole).await.unwrap();
            socket.flush().await.unwrap();
        };
        let reading = async {
            let mut got = Vec::new();
            while got.len() < whole.len() {
                let (first, payload) = frame(&mut server).await;
                assert_eq!(first, 0x82, "one whole binary frame");
                assert!(payload.len() <= LARGEST_WRITE);
                got.extend_from_slice(&payload);
            }
            got
        };
        let ((), got) = tokio::join!(writing, reading);
        assert!(got == whole);
    }

    #[tokio::test]
    async fn up_7_frames_of_every_size_are_read_in_order() {
        let (socket, mut server) = pair();
        let (mut reader, _writer) = split(socket);
        let sizes = [0_usize, 1, 125, 126, 65_535, 65_536, 200_000];
        let whole: Vec<u8> = sizes
            .iter()
            .flat_map(|size| vec![size.to_le_bytes()[0]; *size])
            .collect();
        let writing = async {
            for size in sizes {
                let mut header = vec![0x82];
                match size {
                    0..126 => header.push(u8::try_from(size).unwrap()),
                    126..65_536 => {
                        header.push(126);
                        header.extend_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
                    }
                    _ => {
                        header.push(127);
                        header.extend_from_slice(&u64::try_from(size).unwrap().to_be_bytes());
                    }
                }
                server.write_all(&header).await.unwrap();
                server.write_all(&vec![size.to_le_bytes()[0]; size]).await.unwrap();
            }
            server.write_all(&[0x88, 0]).await.unwrap();
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(writing, reader.read_to_end(&mut got));
        read.unwrap();
        assert!(got == whole);
    }

    #[tokio::test]
    async fn up_6_a_ping_is_answered_immediately_with_its_payload() {
        let (mut socket, mut server) = pair();
        server.write_all(b"\x89\x08teleport\x82\x02ok").await.unwrap();
        let mut got = [0; 2];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"ok");
        // The test does not write; reading sends the pong.
        let reading = async {
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).await
        };
        let answered = async {
            assert_eq!(frame(&mut server).await, (0x8a, b"teleport".to_vec()));
            drop(server);
        };
        let (_, ()) = tokio::join!(reading, answered);
    }

    #[tokio::test]
    async fn invalid_or_oversized_frames_are_errors() {
        for bytes in [
            &b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x83\x00",
            b"\x8f\x00",
        ] {
            let (mut socket, mut server) = pair();
            server.write_all(bytes).await.unwrap();
            drop(server);
            let mut rest = Vec::new();
            let read = socket.read_to_end(&mut rest).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_an_error() {
        let (mut socket, mut server) = pair();
        server.write_all(b"\x82\x05hal").await.unwrap();
        drop(server);
        let read = socket.read_u8().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let (mut socket, mut server) = pair();
                server.write_all(&bytes).await.unwrap();
                server.shutdown().await.unwrap();
                let mut rest = Vec::new();
                // Either this is an error, or the payload is not longer than the frames.
                if socket.read_to_end(&mut rest).await.is_ok() {
                    assert!(rest.len() <= bytes.len());
                }
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_connection() {
        let (mut socket, _server) = pair();
        let read = socket.read_u8().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
