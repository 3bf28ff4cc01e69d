//! Parts of texts, by bytes and by characters.

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Replaces every occurrence of a text; the empty text occurs before each character and at the end.
pub(super) fn replace_all(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    if from.is_empty() {
        let mut out = to.to_vec();
        for piece in split(text, b"") {
            out.extend_from_slice(&piece);
            out.extend_from_slice(to);
        }
        return out;
    }
    split(text, from).join(to)
}

/// Splits a text; by the empty separator into its characters, and invalid bytes stay single.
pub(super) fn split(text: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    if separator.is_empty() {
        for chunk in text.utf8_chunks() {
            pieces.extend(chunk.valid().chars().map(|letter| letter.to_string().into_bytes()));
            pieces.extend(chunk.invalid().iter().map(|byte| vec![*byte]));
        }
        return pieces;
    }
    let mut rest = text;
    while let Some(at) = find(rest, separator) {
        pieces.push(rest[..at].to_vec());
        rest = &rest[at + separator.len()..];
    }
    pieces.push(rest.to_vec());
    pieces
}
