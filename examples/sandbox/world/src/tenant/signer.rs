//! The keys of the Bot connector, and what they sign.
//!
//! `keys.json` holds fixed keys, because `ring` cannot make RSA keys. They are used nowhere else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

/// RSA keys, by name.
pub struct Signer {
    /// The numbers of each key, by the names of JSON Web Keys.
    keys: BTreeMap<String, BTreeMap<String, String>>,
    random: SystemRandom,
}

impl Default for Signer {
    fn default() -> Self {
        Self {
            keys: serde_json::from_str(include_str!("keys.json")).expect("the file holds keys"),
            random: SystemRandom::new(),
        }
    }
}

impl Signer {
    /// Returns a number of a key, as bytes.
    ///
    /// # Panics
    /// If there is no such key or number.
    pub fn number(&self, key: &str, part: &str) -> Vec<u8> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.keys[key][part]);
        bytes.expect("the numbers are in base64")
    }

    /// Returns the public half of a key as a JSON Web Key; `None` if there is no such key.
    pub fn public(&self, key: &str, kid: &str) -> Option<Value> {
        let key = self.keys.get(key)?;
        Some(json!({"kty": "RSA", "kid": kid, "n": key["n"], "e": key["e"]}))
    }

    /// Signs with a key of at least 2,048 bits.
    ///
    /// # Panics
    /// If there is no such key, or if it is shorter.
    pub fn sign(&self, key: &str, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let number = |part| self.number(key, part);
        let public_key = PublicKeyComponents {
            n: number("n"),
            e: number("e"),
        };
        let components = KeyPairComponents {
            public_key,
            d: number("d"),
            p: number("p"),
            q: number("q"),
            dP: number("dp"),
            dQ: number("dq"),
            qInv: number("qi"),
        };
        let pair = RsaKeyPair::from_components(&components).expect("the numbers belong together");
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(encoding, &self.random, message, &mut signature)
            .expect("the signature has the length of the key");
        signature
    }

    /// Makes a token as the Bot connector does.
    ///
    /// # Panics
    /// As [`Self::sign`].
    pub fn token(&self, key: &str, kid: &str, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": kid, "x5t": kid});
        let signed = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = self.sign(key, &RSA_PKCS1_SHA256, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Encodes a part of a token.
pub fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}
