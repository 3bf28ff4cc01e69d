//! The signed assertion that proves that the app holds the key of its certificate.
//!
//! Source: Microsoft's "Microsoft identity platform application authentication certificate credentials": PS256 with
//! `x5t#S256`. The claims are those that Microsoft's own clients send.
//!
//! Architecture Invariant: pure. The private key signs here and leaves no other trace.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::config::ClientCertificate;
use crate::secret::Secret;

/// The lifetime of an assertion in seconds, as in Microsoft's clients.
const LIFE: i64 = 600;

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    iss: &'a str,
    sub: &'a str,
    nbf: i64,
    jti: String,
    iat: i64,
}

/// Returns an assertion of the app for the token endpoint at `audience`; each one has another ID. `None` if the key cannot sign.
pub(crate) fn assertion(
    certificate: &ClientCertificate,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Option<Secret> {
    let header = Header {
        alg: "PS256",
        typ: "JWT",
        thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.der())),
    };
    let iat = now.as_second();
    let claims = Claims {
        aud: audience,
        exp: iat + LIFE,
        iss: client_id,
        sub: client_id,
        nbf: iat,
        jti: uuid::Uuid::new_v4().to_string(),
        iat,
    };
    let encoded = |json: serde_json::Result<Vec<u8>>| json.ok().map(|json| URL_SAFE_NO_PAD.encode(json));
    let signed = format!(
        "{}.{}",
        encoded(serde_json::to_vec(&header))?,
        encoded(serde_json::to_vec(&claims))?
    );
    let signature = certificate.sign(signed.as_bytes())?;
    Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// Returns the SHA-256 thumbprint of a certificate, in the form that the Azure portal shows.
pub fn thumbprint(certificate: &ClientCertificate) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, certificate.der()).as_ref() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}
