//! The keys with which the Bot connector signs its tokens.
//!
//! Architecture Invariant: pure. An odd entry of the document is skipped and does not affect the others; a document
//! without a usable key is invalid as a whole.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::{error, fmt};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

/// An RSA key that the Bot connector uses for Teams.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    kid: String,
    /// Both are big-endian, without zeros at the beginning.
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// The keys of one document, by their ID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(HashMap<String, Result<Arc<Key>, Unusable>>);

/// Why a published key does not serve for requests from Teams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// The key is not an RSA key, or not complete.
    NotRsa,
    /// The key is for something else than signatures.
    OtherUse,
    /// The key has fewer than 2,048 or more than 8,192 bits.
    Size,
    /// The key is for other channels than Teams.
    NotEndorsed,
    /// Several keys have this ID.
    Ambiguous,
}

/// Why a document is not a set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvalidKeys {
    /// The document is not a JSON object with a list of keys.
    Malformed,
    /// The list is empty, or no key in it is usable.
    NoneUsable,
}

/// The channel for which a key must be endorsed. It is compared exactly.
const CHANNEL: &str = "msteams";

/// The sizes of keys in bits. The lower bound is NIST's since 2013; the upper one is the library's.
const SIZES: std::ops::RangeInclusive<usize> = 2_048..=8_192;

impl KeySet {
    /// Parses a JSON Web Key Set (RFC 7517, section 5), with the connector's `endorsements` for each key.
    ///
    /// # Errors
    /// The document is not a set of keys, or contains none for Teams.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidKeys> {
        let document = serde_json::from_slice(json).map_err(|_| InvalidKeys::Malformed)?;
        Self::read(&document)
    }

    pub(super) fn read(document: &Value) -> Result<Self, InvalidKeys> {
        let entries = document["keys"].as_array().ok_or(InvalidKeys::Malformed)?;
        let mut keys = HashMap::new();
        for entry in entries {
            let Some(kid) = entry["kid"].as_str().filter(|kid| !kid.is_empty()) else {
                continue;
            };
            match keys.entry(kid.to_owned()) {
                Entry::Vacant(place) => {
                    place.insert(Key::read(kid, entry).map(Arc::new));
                }
                // A token must have exactly one key; trying several would accept what only the weakest accepts.
                Entry::Occupied(mut place) => *place.get_mut() = Err(Unusable::Ambiguous),
            }
        }
        let set = Self(keys);
        if set.usable() == 0 {
            return Err(InvalidKeys::NoneUsable);
        }
        Ok(set)
    }

    /// Finds a key by its ID, which is compared exactly. `None` if the document does not contain it.
    pub fn find(&self, kid: &str) -> Option<Result<Arc<Key>, Unusable>> {
        self.0.get(kid).cloned()
    }

    /// Returns the number of keys that serve for requests from Teams.
    pub fn usable(&self) -> usize {
        self.0.values().filter(|key| key.is_ok()).count()
    }
}

impl Key {
    fn read(kid: &str, entry: &Value) -> Result<Self, Unusable> {
        if entry["kty"] != "RSA" {
            return Err(Unusable::NotRsa);
        }
        let usage = &entry["use"];
        if !usage.is_null() && *usage != "sig" {
            return Err(Unusable::OtherUse);
        }
        let endorsements = entry["endorsements"].as_array();
        if !endorsements.is_some_and(|channels| channels.iter().any(|channel| *channel == CHANNEL)) {
            return Err(Unusable::NotEndorsed);
        }
        let modulus = number(&entry["n"]).ok_or(Unusable::NotRsa)?;
        let exponent = number(&entry["e"]).ok_or(Unusable::NotRsa)?;
        if !SIZES.contains(&bits(&modulus)) {
            return Err(Unusable::Size);
        }
        Ok(Self {
            kid: kid.to_owned(),
            modulus,
            exponent,
        })
    }

    /// Returns the ID under which the key is published.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns whether this is the key's signature, RS256 (RFC 7518, section 3.3).
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
    }
}

/// Reads a positive number: the Base64 of its bytes (RFC 7518, section 2). Padding and zeros at the beginning are harmless
/// here, because the document comes from Microsoft and not from the sender of a request.
fn number(value: &Value) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(value.as_str()?.trim_end_matches('=')).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

/// Returns the length of a number without zeros at its beginning, in bits.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or_default())
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRsa => "the key of the token is not an RSA key",
            Self::OtherUse => "the key of the token is not published for signatures",
            Self::Size => "the key of the token is too short or too long",
            Self::NotEndorsed => "the key of the token is not endorsed for Microsoft Teams",
            Self::Ambiguous => "several published keys have the ID that the token names",
        })
    }
}

impl error::Error for Unusable {}

impl fmt::Display for InvalidKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the document is not a set of keys",
            Self::NoneUsable => "the document contains no key that is endorsed for Microsoft Teams",
        })
    }
}

impl error::Error for InvalidKeys {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A key whose modulus has this many bits. It verifies nothing.
    fn entry(kid: &str, bits: usize) -> Value {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= bits.div_ceil(8) * 8 - bits;
        let n = URL_SAFE_NO_PAD.encode(modulus);
        json!({"kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": "AQAB", "endorsements": ["webchat", "msteams"]})
    }

    fn with(mut entry: Value, name: &str, value: Value) -> Value {
        entry[name] = value;
        entry
    }

    fn parse(entries: &[Value]) -> Result<KeySet, InvalidKeys> {
        KeySet::parse(json!({"keys": entries}).to_string().as_bytes())
    }

    #[test]
    fn only_rsa_keys_for_signatures_that_are_endorsed_for_teams_are_used() {
        for (change, value, expected) in [
            ("kty", json!("EC"), Some(Unusable::NotRsa)),
            ("kty", json!(["RSA"]), Some(Unusable::NotRsa)),
            ("n", json!("no Base64!"), Some(Unusable::NotRsa)),
            ("n", json!("AAAA"), Some(Unusable::NotRsa)),
            ("e", json!(65_537), Some(Unusable::NotRsa)),
            ("use", json!("enc"), Some(Unusable::OtherUse)),
            ("use", json!(1), Some(Unusable::OtherUse)),
            ("use", Value::Null, None),
            ("endorsements", Value::Null, Some(Unusable::NotEndorsed)),
            ("endorsements", json!([]), Some(Unusable::NotEndorsed)),
            ("endorsements", json!("msteams"), Some(Unusable::NotEndorsed)),
            (
                "endorsements",
                json!(["MSTeams", "msteams2", 1]),
                Some(Unusable::NotEndorsed),
            ),
            ("endorsements", json!(["msteams"]), None),
            ("x5c", json!({"odd": true}), None),
        ] {
            let set = parse(&[with(entry("a", 2_048), change, value.clone()), entry("b", 2_048)]).unwrap();
            let found = set.find("a").unwrap().err();
            assert_eq!(found, expected, "{change} {value}");
            assert!(set.find("b").unwrap().is_ok());
        }
    }

    #[test]
    fn keys_have_2048_to_8192_bits() {
        for (bits, is_usable) in [
            (1_024, false),
            (2_047, false),
            (2_048, true),
            (4_096, true),
            (8_192, true),
            (8_193, false),
        ] {
            let set = parse(&[entry("a", bits), entry("b", 2_048)]).unwrap();
            let expected = if is_usable { None } else { Some(Unusable::Size) };
            assert_eq!(set.find("a").unwrap().err(), expected, "{bits}");
        }
    }

    #[test]
    fn a_number_may_be_padded_and_begin_with_zeros() {
        assert_eq!(number(&json!("AAEAAQ==")), Some(vec![1, 0, 1]));
        assert_eq!(number(&json!("AQAB")), Some(vec![1, 0, 1]));
        assert_eq!((number(&json!("")), number(&json!("AA"))), (None, None));
    }

    #[test]
    fn two_keys_with_one_id_are_both_ignored() {
        let set = parse(&[
            entry("a", 2_048),
            entry("a", 2_048),
            entry("a", 2_048),
            entry("b", 2_048),
        ])
        .unwrap();
        assert_eq!(set.find("a").unwrap(), Err(Unusable::Ambiguous));
        assert_eq!((set.usable(), set.find("A")), (1, None));
    }

    #[test]
    fn entries_that_are_no_keys_are_skipped() {
        let odd = [
            json!(null),
            json!("key"),
            json!([]),
            json!({}),
            json!({"kid": 1}),
            json!({"kid": ""}),
        ];
        let entries: Vec<_> = odd.into_iter().chain([entry("b", 2_048)]).collect();
        assert_eq!(parse(&entries).unwrap().usable(), 1);
    }

    #[test]
    fn a_document_without_usable_keys_is_invalid() {
        for text in ["", "<html>", "[]", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
            assert_eq!(KeySet::parse(text.as_bytes()), Err(InvalidKeys::Malformed), "{text}");
        }
        assert_eq!(parse(&[]), Err(InvalidKeys::NoneUsable));
        let foreign = with(entry("a", 2_048), "endorsements", json!(["webchat"]));
        assert_eq!(parse(&[foreign]), Err(InvalidKeys::NoneUsable));
    }
}
