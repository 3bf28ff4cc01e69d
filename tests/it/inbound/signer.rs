//! Signs tokens as the vectors describe them, wrong ones included.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use num_bigint::BigUint;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding,
};
use ring::{digest, hmac};
use serde_json::{Value, json};
use teleport_msteams::msteams::inbound::KeySet;

use super::now;
use crate::world::tenant::signer::{self, encoded};

/// The vectors, and their header that explains the format.
pub(super) fn vectors() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| serde_json::from_str(include_str!("../../fixtures/inbound-vectors.json")).unwrap())
}

/// Holds the keys of the vectors.
pub(super) struct Signer {
    rsa: signer::Signer,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

/// The beginning of an RS256 signature before the hash (RFC 8017, section 9.2, note 1).
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];

/// The object identifier of RSA keys with its empty parameters, in DER.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

impl Signer {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            rsa: signer::Signer::default(),
            ec: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
            random,
        }
    }

    /// Returns the document that the Bot connector publishes.
    pub(super) fn document(&self) -> Value {
        let mut keys = Vec::new();
        for (name, about) in vectors()["keys"].as_object().unwrap() {
            if about["published"] != "botframework" {
                continue;
            }
            let mut key = self.public(name);
            key["use"] = about["use"].clone();
            key["x5t"] = json!(name);
            if !about["endorsements"].is_null() {
                key["endorsements"] = about["endorsements"].clone();
            }
            keys.push(key);
        }
        json!({ "keys": keys })
    }

    pub(super) fn published(&self) -> KeySet {
        KeySet::parse(self.document().to_string().as_bytes()).unwrap()
    }

    /// Returns the token of the first vector.
    pub(super) fn good_token(&self) -> String {
        self.token(&vectors()["vectors"][0]["recipe"])
    }

    /// Makes the token of a recipe.
    pub(super) fn token(&self, recipe: &Value) -> String {
        let mut header = recipe["header"].clone();
        if let Some(name) = header["jwk"].as_str().and_then(|jwk| jwk.strip_prefix("public:")) {
            header["jwk"] = self.public(name);
        }
        let mut claims = recipe["claims"].clone();
        for claim in claims.as_object_mut().unwrap().values_mut() {
            if let Some(value) = claim.as_str().and_then(time) {
                *claim = value;
            }
        }
        let mutation = recipe["mutate"].as_str().unwrap_or_default();
        if mutation == "array-payload" {
            claims = json!([claims]);
        }
        let mut signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let mut signature = self.sign(recipe["sign"].as_str().unwrap(), algorithm, signed.as_bytes());
        let mut text = None;
        match mutation {
            "" | "array-payload" => {}
            "flip-signature" => signature[10] ^= 1,
            "swap-payload" => {
                claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 1);
                signed = format!("{}.{}", encoded(&header), encoded(&claims));
            }
            "drop-signature" => return signed,
            "add-segment" => signed = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature)),
            "padded" => text = Some(URL_SAFE.encode(&signature)),
            "std-base64-sig" => text = Some(STANDARD_NO_PAD.encode(&signature)),
            other => panic!("{other} is not a mutation"),
        }
        let signature = text.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(&signature));
        format!("{signed}.{signature}")
    }

    fn sign(&self, how: &str, algorithm: &str, message: &[u8]) -> Vec<u8> {
        if let Some(name) = how.strip_prefix("hmac:pem:") {
            return mac(self.pem(name).as_bytes(), message);
        }
        if let Some(name) = how.strip_prefix("hmac:n:") {
            return mac(&self.rsa.number(name, "n"), message);
        }
        let encoding: &'static dyn RsaEncoding = match (how, algorithm) {
            ("none", _) => return Vec::new(),
            ("KE", _) => return self.ec.sign(&self.random, message).unwrap().as_ref().to_vec(),
            ("KS", _) => return self.sign_with_short_key(message),
            (_, "RS384") => &RSA_PKCS1_SHA384,
            (_, "RS512") => &RSA_PKCS1_SHA512,
            (_, "PS256") => &RSA_PSS_SHA256,
            _ => &RSA_PKCS1_SHA256,
        };
        self.rsa.sign(how, encoding, message)
    }

    /// Signs with the key of 1,024 bits, which the library refuses to do.
    fn sign_with_short_key(&self, message: &[u8]) -> Vec<u8> {
        let modulus = self.rsa.number("KS", "n");
        let hash = digest::digest(&digest::SHA256, message);
        let filler = modulus.len() - 3 - SHA256.len() - hash.as_ref().len();
        let padded = [&[0, 1], &vec![0xff; filler][..], &[0], &SHA256, hash.as_ref()].concat();
        let exponent = BigUint::from_bytes_be(&self.rsa.number("KS", "d"));
        let power = BigUint::from_bytes_be(&padded).modpow(&exponent, &BigUint::from_bytes_be(&modulus));
        let bytes = power.to_bytes_be();
        [vec![0; modulus.len() - bytes.len()], bytes].concat()
    }

    /// Returns a public key as a JSON Web Key.
    fn public(&self, name: &str) -> Value {
        self.rsa.public(name, name).unwrap_or_else(|| {
            let point = self.ec.public_key().as_ref();
            let [x, y] = [&point[1..33], &point[33..]].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
            json!({"kty": "EC", "crv": "P-256", "kid": name, "x": x, "y": y})
        })
    }

    /// Returns a public key in PEM.
    fn pem(&self, name: &str) -> String {
        let number = |part| der(0x02, &[&[0], &self.rsa.number(name, part)[..]].concat());
        let key = der(0x30, &[number("n"), der(0x02, &self.rsa.number(name, "e"))].concat());
        let bits = der(0x03, &[&[0], &key[..]].concat());
        let text = STANDARD.encode(der(0x30, &[&RSA, &bits[..]].concat()));
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    }
}

/// Encodes a value of up to 65,535 bytes in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match (high, low) {
        (0, ..0x80) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

fn mac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// Returns the time that stands for a text such as `now-60`, `string:now+3540` or `float:now+3540.5`.
fn time(text: &str) -> Option<Value> {
    let (form, offset) = match text.split_once(':') {
        Some((form @ ("string" | "float"), rest)) => (form, rest.strip_prefix("now")?),
        _ => ("", text.strip_prefix("now")?),
    };
    let base = now().as_second();
    if form == "float" {
        return Some(json!(
            now().as_duration().as_secs_f64() + offset.parse::<f64>().unwrap()
        ));
    }
    let seconds = base + offset.parse::<i64>().unwrap();
    Some(match form {
        "string" => json!(seconds.to_string()),
        _ => json!(seconds),
    })
}
