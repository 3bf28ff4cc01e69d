//! Counts the pings in a stream of HTTP/2.

/// The preface that every client sends first.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

const HEAD: usize = 9;
const PING: u8 = 6;
const ACK: u8 = 1;

/// Counts the pings in what a client sends, however the bytes are split.
pub(super) struct Pings {
    /// Number of bytes to skip.
    skip: usize,
    head: Vec<u8>,
}

impl Pings {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE,
            head: Vec::with_capacity(HEAD),
        }
    }

    /// Reads the next bytes, and returns how many pings begin in them.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut pings = 0;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let [high, middle, low, kind, flags, ..] = self.head[..]
                && self.head.len() == HEAD
            {
                self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                pings += usize::from(kind == PING && flags & ACK == 0);
                self.head.clear();
            }
        }
        pings
    }
}
