//! The token of a request from Teams.
//!
//! The checks are those of Bot Connector authentication, "Authenticate requests from the Bot Connector service to your
//! bot", step 4, and stricter where SDKs differ: RS256 only, `exp` is required, and the key must be endorsed for Teams.
//!
//! Architecture Invariant: pure. The time is a parameter, and no refusal holds a part of the token. Claims are read only
//! after the signature is verified, by a key that was not part of the request.

use std::{error, fmt};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::msteams::inbound::keys::Key;
use crate::msteams::inbound::message::Event;

/// Whose requests are meant for us: the issuer of the cloud, our app, and our tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    issuer: String,
    app_id: String,
    tenant_id: String,
}

/// A token that is not verified yet. Holds only what is needed to find its key and to check its signature.
pub struct Bearer<'a> {
    kid: String,
    /// The first two segments, as they were signed.
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

/// The proof that a request comes from the Bot connector and is addressed to us.
///
/// Only [`Bearer::verify`] creates it. It proves nothing about the body yet, which is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    service_url: String,
    kid: String,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenRefusal {
    /// There is no `Authorization` header.
    NoHeader,
    /// There are several `Authorization` headers.
    SeveralHeaders,
    /// The header has another scheme than `Bearer`, or nothing after it.
    NotBearer,
    TooLong,
    /// The token does not consist of three Base64 segments with a JSON header.
    Malformed,
    /// The token is signed with something else than RS256.
    Algorithm,
    /// The token requires extensions (`crit`).
    Extensions,
    /// The token does not name its key.
    NoKeyId,
    /// The key that was given is not the one that the token names.
    OtherKey,
    Signature,
    /// The claims are not a JSON object.
    Claims,
    Issuer,
    Audience,
    /// `exp` is missing, or a time in the token is not a number.
    Times,
    Expired,
    NotYetValid,
    /// The claim `serviceurl` is missing or not a text.
    NoServiceUrl,
}

/// Longest `Authorization` header in bytes. Tokens of the connector have about 1 KB.
const LONGEST_HEADER: usize = 16 * 1024;

/// How far the clocks of Microsoft and this machine may differ, in seconds (Bot Connector authentication, step 4).
const SKEW: f64 = 300.0;

#[derive(Deserialize)]
struct Header {
    alg: Option<Value>,
    kid: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<Value>,
    aud: Option<Value>,
    exp: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Value>,
    /// All lower case on the wire; the documentation also spells it `serviceUrl`.
    serviceurl: Option<Value>,
}

/// Reads a value that is present, so that a JSON `null` differs from an absent field.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Audience {
    /// Creates it from the configured ids, in any letter case, and the issuer of the cloud, which is compared exactly.
    pub fn new(issuer: &str, app_id: &str, tenant_id: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            app_id: app_id.to_ascii_lowercase(),
            tenant_id: tenant_id.to_ascii_lowercase(),
        }
    }

    /// Returns whether a recipient is our bot. Teams prefixes the app ID of a bot with `28:`.
    pub(super) fn is_recipient(&self, id: &str) -> bool {
        id.strip_prefix("28:")
            .is_some_and(|id| id.eq_ignore_ascii_case(&self.app_id))
    }

    pub(super) fn is_tenant(&self, id: &str) -> bool {
        id.eq_ignore_ascii_case(&self.tenant_id)
    }
}

impl<'a> Bearer<'a> {
    /// Reads the token from the headers of a request, which must contain exactly one.
    ///
    /// # Errors
    /// Why there is no token that could be verified.
    pub fn from_headers(headers: &'a HeaderMap) -> Result<Self, TokenRefusal> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            (None, _) => Err(TokenRefusal::NoHeader),
            (Some(_), Some(_)) => Err(TokenRefusal::SeveralHeaders),
        }
    }

    /// Reads the token from the value of the `Authorization` header.
    ///
    /// # Errors
    /// Why this cannot be a token of the connector.
    pub fn parse(authorization: &'a [u8]) -> Result<Self, TokenRefusal> {
        if authorization.len() > LONGEST_HEADER {
            return Err(TokenRefusal::TooLong);
        }
        let text = str::from_utf8(authorization).map_err(|_| TokenRefusal::NotBearer)?;
        let (scheme, token) = text.split_once(' ').ok_or(TokenRefusal::NotBearer)?;
        if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
            return Err(TokenRefusal::NotBearer);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenRefusal::Malformed)?;
        if claims.contains('.') {
            return Err(TokenRefusal::Malformed);
        }
        let signature = decoded(signature).ok_or(TokenRefusal::Malformed)?;
        let header: Header = object(header).ok_or(TokenRefusal::Malformed)?;
        if header.alg != Some(Value::from("RS256")) {
            return Err(TokenRefusal::Algorithm);
        }
        // RFC 7515, section 4.1.11: a recipient that does not understand an extension must reject the token. Keys and
        // addresses of keys in the header are ignored: they would come from the sender.
        if header.crit.is_some() {
            return Err(TokenRefusal::Extensions);
        }
        match header.kid {
            Some(Value::String(kid)) if !kid.is_empty() => Ok(Self {
                kid,
                signed,
                claims,
                signature,
            }),
            _ => Err(TokenRefusal::NoKeyId),
        }
    }

    /// Returns the ID of the key that signed the token, as the token claims.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Verifies the signature with the key that the token names, and then its claims.
    ///
    /// # Errors
    /// Why the token does not prove that the request is meant for us.
    pub fn verify(self, key: &Key, audience: &Audience, now: Timestamp) -> Result<Verified, TokenRefusal> {
        if key.kid() != self.kid {
            return Err(TokenRefusal::OtherKey);
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(TokenRefusal::Signature);
        }
        let claims: Claims = object(self.claims).ok_or(TokenRefusal::Claims)?;
        let service_url = claims.check(audience, now)?;
        Ok(Verified {
            service_url,
            kid: self.kid,
        })
    }
}

impl Claims {
    /// Returns the claimed address of the service if everything else is right.
    fn check(self, audience: &Audience, now: Timestamp) -> Result<String, TokenRefusal> {
        if self.iss != Some(Value::from(audience.issuer.as_str())) {
            return Err(TokenRefusal::Issuer);
        }
        if self.aud != Some(Value::from(audience.app_id.as_str())) {
            return Err(TokenRefusal::Audience);
        }
        let now = now.as_duration().as_secs_f64();
        let seconds = |value: &Value| value.as_f64().ok_or(TokenRefusal::Times);
        let expires = seconds(&self.exp.ok_or(TokenRefusal::Times)?)?;
        if now >= expires + SKEW {
            return Err(TokenRefusal::Expired);
        }
        if let Some(begins) = self.nbf.as_ref().map(seconds).transpose()?
            && now < begins - SKEW
        {
            return Err(TokenRefusal::NotYetValid);
        }
        match self.serviceurl {
            Some(Value::String(url)) => Ok(url),
            _ => Err(TokenRefusal::NoServiceUrl),
        }
    }
}

impl Verified {
    /// Returns the address of the service that sent the request, as it is signed.
    pub fn service_url(&self) -> &str {
        &self.service_url
    }

    /// Returns the ID of the key that signed the token.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// Decodes a segment. Padding, other alphabets and unused bits that are set are refused, so that a token has one form.
fn decoded(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}

/// Parses a segment that is a JSON object. A structure alone would accept an array of its fields, too.
fn object<T: DeserializeOwned>(segment: &str) -> Option<T> {
    let json = decoded(segment)?;
    let is_object = json.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(&json).ok()).flatten()
}

/// Reads bytes as the `Authorization` header and as the body of a request, and returns whether either can be served.
/// Never fails, whatever the bytes are. For fuzzing only: what it reads is dropped, because nothing verified it.
pub fn read_anything(bytes: &[u8]) -> bool {
    let audience = Audience::new("issuer", "app", "tenant");
    let unproven = Verified {
        service_url: "https://host".to_owned(),
        kid: "key".to_owned(),
    };
    let event = Event::read(bytes, unproven, &audience);
    event.is_ok_and(|event| event.standard_reply().is_none()) || Bearer::parse(bytes).is_ok()
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "the request has no Authorization header",
            Self::SeveralHeaders => "the request has several Authorization headers",
            Self::NotBearer => "the Authorization header is not a Bearer token",
            Self::TooLong => "the Authorization header is too long",
            Self::Malformed => "the Bearer token is not a JSON Web Token",
            Self::Algorithm => "the token is not signed with RS256",
            Self::Extensions => "the token requires extensions that are not supported",
            Self::NoKeyId => "the token does not name its key",
            Self::OtherKey => "the token names another key",
            Self::Signature => "the signature of the token is wrong",
            Self::Claims => "the token has no claims",
            Self::Issuer => "the token was not issued by the Bot connector of this cloud",
            Self::Audience => "the token is for another app",
            Self::Times => "the token has no valid expiry time",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::NoServiceUrl => "the token does not name the service that sent it",
        })
    }
}

impl error::Error for TokenRefusal {}

/// Shows no part of the token.
impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(<hidden>)")
    }
}
