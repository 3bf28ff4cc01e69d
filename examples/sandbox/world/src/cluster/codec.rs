//! What goes over the wire, and texts that break it.
//!
//! Go's servers send whatever bytes a text holds; ours could not, since a `String` is UTF-8. So three letters of the
//! private use area stand for what cannot be written, and become that on the wire, in any text of any message.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::BufMut as _;
use tonic::Status;
use tonic::codec::{self, BufferSettings, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// Becomes bytes that are not UTF-8, wherever it stands.
pub const NOT_UTF8: &str = "\u{E000}";
/// As the whole text of a field below 16, makes its type a wrong one.
pub const WRONG_TYPE: &str = "\u{E001}";
/// As the whole text of a field, makes it longer than the message that it stands in.
pub const CUT_SHORT: &str = "\u{E002}";

/// Encodes what the cluster sends, and decodes what it receives as usual.
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

/// Puts as many bytes in the place of each letter, so that everything around stays as it is.
fn break_texts(bytes: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|byte| *byte == 0xEE) {
        let at = from + found;
        from = at + 1;
        match bytes[at..] {
            [0xEE, 0x80, 0x80, ..] => bytes[at..at + 3].copy_from_slice(&[0xFF, 0xFE, 0xC0]),
            // Tag and length stand before it; four bytes after the tag are what a fixed number takes.
            [0xEE, 0x80, 0x81, ..] if at > 1 => bytes[at - 2] = bytes[at - 2] & !7 | 5,
            [0xEE, 0x80, 0x82, ..] if at > 1 => bytes[at - 1] = 0x7F,
            _ => {}
        }
    }
}
