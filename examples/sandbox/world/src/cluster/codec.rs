//! The codec, with texts that break the encoding.
//!
//! Go's servers send any bytes in a text; this server could not, because a `String` is UTF-8. So three characters of
//! the private use area stand for bytes that a `String` cannot hold. The encoder replaces them in every text of every
//! message.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::BufMut as _;
use tonic::Status;
use tonic::codec::{self, BufferSettings, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// Becomes bytes that are not UTF-8.
pub const NOT_UTF8: &str = "\u{E000}";
/// As the whole text of a field below 16, gives the field a wrong type.
pub const WRONG_TYPE: &str = "\u{E001}";
/// As the whole text of a field, makes the field longer than its message.
pub const CUT_SHORT: &str = "\u{E002}";

/// Breaks what the cluster sends, and decodes what it receives as usual.
pub struct Codec<T, U>(PhantomData<(T, U)>);

pub struct Breaking<T>(PhantomData<T>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Breaking<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        Breaking(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::default())
    }
}

impl<T: Message> Encoder for Breaking<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let mut bytes = item.encode_to_vec();
        break_texts(&mut bytes);
        buffer.put_slice(&bytes);
        Ok(())
    }
}

/// Replaces each character with the same number of bytes, so that everything around stays unchanged.
fn break_texts(bytes: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|byte| *byte == 0xEE) {
        let at = from + found;
        from = at + 1;
        match bytes[at..] {
            [0xEE, 0x80, 0x80, ..] => bytes[at..at + 3].copy_from_slice(&[0xFF, 0xFE, 0xC0]),
            // The tag and the length precede it; four bytes after the tag form a fixed-size number.
            [0xEE, 0x80, 0x81, ..] if at > 1 => bytes[at - 2] = bytes[at - 2] & !7 | 5,
            [0xEE, 0x80, 0x82, ..] if at > 1 => bytes[at - 1] = 0x7F,
            _ => {}
        }
    }
}
