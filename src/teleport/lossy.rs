//! Decodes messages part by part, so that a broken part affects nothing around it.
//!
//! Teleport passes on what users write unchecked: Go's encoder sends texts that are not UTF-8, which a Rust decoder
//! rejects together with the message, the page or the stream around them. Here texts and embedded messages are bytes
//! (see `build.rs`), and each is decoded separately.

use prost::Message;
use prost::bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// Decodes the parts of one message, and keeps the first flaw.
#[derive(Debug, Default)]
pub(super) struct Reading {
    flaw: Option<String>,
    cut: bool,
}

impl Reading {
    /// Decodes a message field by field. A broken field keeps its default.
    pub(super) fn message<M: Message + Default>(&mut self, bytes: Bytes) -> M {
        if let Ok(message) = M::decode(bytes.clone()) {
            return message;
        }
        let mut message = M::default();
        let mut rest = bytes;
        while rest.has_remaining() {
            let mut field = rest.clone();
            let context = DecodeContext::default();
            let skipped = decode_key(&mut rest).and_then(|(tag, wire)| skip_field(wire, tag, &mut rest, context));
            if let Err(error) = skipped {
                // It is unknown where the next field begins.
                self.cut = true;
                self.add_flaw(&error.to_string());
                break;
            }
            field.truncate(field.len() - rest.len());
            if let Err(error) = message.merge(field) {
                self.add_flaw(&error.to_string());
            }
        }
        message
    }

    /// Does the same with a message that may be absent.
    pub(super) fn optional<M: Message + Default>(&mut self, bytes: Option<Bytes>) -> Option<M> {
        bytes.map(|bytes| self.message(bytes))
    }

    /// Does the same with a message for which absent and empty mean the same.
    pub(super) fn or_default<M: Message + Default>(&mut self, bytes: Option<Bytes>) -> M {
        self.optional(bytes).unwrap_or_default()
    }

    pub(super) fn list<M: Message + Default>(&mut self, list: Vec<Bytes>) -> Vec<M> {
        list.into_iter().map(|bytes| self.message(bytes)).collect()
    }

    /// Returns the first flaw of the message, if there is one.
    pub(super) fn flaw(&self) -> Option<&str> {
        self.flaw.as_deref()
    }

    /// Returns whether unknown fields may be missing, because one field is truncated.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    pub(super) fn add_flaw(&mut self, flaw: &str) {
        self.flaw.get_or_insert_with(|| flaw.to_owned());
    }
}

/// Decodes a text, and replaces invalid UTF-8 with U+FFFD.
pub(super) fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn texts(list: &[Bytes]) -> Vec<String> {
    list.iter().map(text).collect()
}

/// Decodes a value that must be sent back unchanged, such as an id; `None` if it is empty or not UTF-8.
pub(super) fn id(bytes: &Bytes) -> Option<String> {
    let id = std::str::from_utf8(bytes).ok()?;
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::teleport::wire::types::AccessReview;

    /// An encoded review of an author, a reason, and a proposed state.
    fn review(parts: &[&[u8]]) -> (AccessReview, Reading) {
        let mut reading = Reading::default();
        let review = reading.message(Bytes::from(parts.concat()));
        (review, reading)
    }

    #[test]
    fn a_broken_field_affects_no_other_field() {
        let (author, reason, broken) = (b"\x0a\x01a", b"\x22\x02\xff\xfe", b"\x1d\x00\x00\x00\x00");
        let (read, reading) = review(&[author, broken, reason]);
        assert_eq!(
            (&read.author[..], text(&read.reason)),
            (&b"a"[..], "\u{fffd}\u{fffd}".to_owned())
        );
        assert!(reading.flaw().is_some() && !reading.is_cut());
        let (read, reading) = review(&[author, reason]);
        assert_eq!((read.reason.len(), reading.flaw()), (2, None));
    }

    #[test]
    fn fields_before_a_truncated_field_are_kept() {
        let (read, reading) = review(&[b"\x0a\x01a", b"\x22\x7fno end"]);
        assert_eq!((&read.author[..], read.reason.len()), (&b"a"[..], 0));
        assert!(reading.is_cut());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reading = Reading::default();
            let read: AccessReview = reading.message(Bytes::from(bytes.clone()));
            let strict = AccessReview::decode(&bytes[..]);
            prop_assert_eq!(strict.is_ok(), reading.flaw().is_none());
            if let Ok(strict) = strict {
                prop_assert_eq!(strict, read);
            }
        }
    }
}
