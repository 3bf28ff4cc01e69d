//! Upper and lower case, one character for one character.
//!
//! Source: the simple case mappings of Unicode's `UnicodeData.txt`, which Go uses. Rust's own are the full ones, which
//! may turn one character into several; `upper` and `lower` list where the two differ.

/// Writes each character in upper case; an invalid byte becomes U+FFFD.
pub(super) fn upper(text: &[u8]) -> Vec<u8> {
    map(text, |letter| match letter {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(letter) + 8).unwrap_or(letter)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(letter) + 9).unwrap_or(letter),
        _ => only(letter.to_uppercase(), letter),
    })
}

/// Writes each character in lower case; an invalid byte becomes U+FFFD.
pub(super) fn lower(text: &[u8]) -> Vec<u8> {
    map(text, |letter| match letter {
        '\u{130}' => 'i',
        _ => only(letter.to_lowercase(), letter),
    })
}

/// Returns the mapped character if it is a single one; otherwise there is no simple mapping.
fn only(mut mapped: impl Iterator<Item = char>, letter: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(mapped), None) => mapped,
        _ => letter,
    }
}

fn map(text: &[u8], each: impl Fn(char) -> char) -> Vec<u8> {
    characters(text).map(each).collect::<String>().into_bytes()
}

/// Reads text as Go does: every byte that is not part of a character becomes U+FFFD.
pub(super) fn characters(text: &[u8]) -> impl Iterator<Item = char> {
    text.utf8_chunks().flat_map(|chunk| {
        let broken = chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(broken)
    })
}
