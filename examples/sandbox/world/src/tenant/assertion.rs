//! The tokens that prove the identity of the app in place of a client secret, and what the tenant accepts of them.
//!
//! Like Entra, it accepts an assertion that a registered certificate signed, and a token of another issuer that a
//! federated credential names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::PLANTED;
use crate::tenant::Tenant;
use crate::tenant::call::Asked;
use crate::tenant::signer::Signer;
use crate::tenant::state::World;

/// The form of assertions (RFC 7523, section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far both clocks may differ, in seconds.
const TOLERANCE: i64 = 300;

/// The key of every other issuer.
const WORKLOAD_KEY: &str = "K5";

/// Names the tokens of another issuer that are accepted in place of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedCredential {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
}

/// What the tenant accepts in place of the client secret.
#[derive(Default)]
pub(super) struct Proofs {
    /// The public keys of registered certificates, by thumbprint.
    certificates: BTreeMap<String, Vec<u8>>,
    federated: Vec<FederatedCredential>,
    issuers: Signer,
    /// The IDs of assertions, each of which is accepted once.
    used: BTreeSet<String>,
    /// The names of the form's fields, the header and the claims of every assertion.
    pub(super) received: Vec<Value>,
}

/// An assertion that was decoded.
struct Decoded<'a> {
    header: Value,
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Proofs {
    /// Registers a certificate in DER form.
    pub(super) fn register(&mut self, der: &[u8]) {
        let (_, certificate) = X509Certificate::from_der(der).expect("certificates of tests are valid");
        let key = certificate.public_key().subject_public_key.data.to_vec();
        self.certificates.insert(thumbprint(der), key);
    }

    pub(super) fn unregister(&mut self, der: &[u8]) {
        self.certificates.remove(&thumbprint(der));
    }

    pub(super) fn federate(&mut self, credential: Option<FederatedCredential>) {
        self.federated = credential.into_iter().collect();
    }

    /// Makes a token as another issuer does; it ends after this many seconds.
    pub(super) fn workload_token(&self, about: &FederatedCredential, life: i64) -> String {
        let now = seconds();
        let claims = json!({
            "iss": about.issuer, "sub": about.subject, "aud": [about.audience],
            "iat": now - 1, "nbf": now - 1, "exp": now + life, "jti": PLANTED,
        });
        self.issuers.token(WORKLOAD_KEY, "workload", &claims)
    }
}

impl Tenant {
    /// Registers a certificate in DER form for the app.
    pub fn register_certificate(&self, der: &[u8]) {
        self.change(|world| world.proofs.register(der));
    }

    /// Removes a certificate from the app.
    pub fn remove_certificate(&self, der: &[u8]) {
        self.change(|world| world.proofs.unregister(der));
    }

    /// Replaces the federated credential of the app.
    pub fn federate(&self, credential: Option<FederatedCredential>) {
        self.change(|world| world.proofs.federate(credential));
    }

    /// Makes a token as another issuer does, which ends after this many seconds.
    pub fn workload_token(&self, about: &FederatedCredential, life: i64) -> String {
        self.change_quietly(|world| world.proofs.workload_token(about, life))
    }

    /// Returns the names of the form's fields, the header and the claims of every assertion, in order.
    pub fn assertions(&self) -> Vec<Value> {
        self.change_quietly(|world| world.proofs.received.clone())
    }
}

/// Checks the assertion in a form for a token endpoint. Fails with the number of an AADSTS error.
pub(super) fn check(world: &mut World, form: &Asked, audience: &str) -> Result<(), u32> {
    let field = |name| form.query(name).unwrap_or_default();
    let (kind, assertion) = (field("client_assertion_type"), field("client_assertion"));
    let decoded = decode(assertion).filter(|_| kind == JWT_BEARER).ok_or(50_027_u32)?;
    let now = seconds() + world.faults.clock_ahead;
    let app_id = world.options.app_id.clone();
    let Decoded { header, claims, .. } = &decoded;
    let proofs = &mut world.proofs;
    let names: BTreeSet<_> = form.query.iter().map(|(name, _)| name).collect();
    let received = json!({"form": names, "header": header, "claims": claims});
    proofs.received.push(received);
    if header["x5t#S256"].is_string() {
        proofs.check_certificate(&decoded)?;
        if claims["iss"] != app_id || claims["sub"] != app_id {
            return Err(700_021);
        }
        if claims["aud"] != audience {
            return Err(700_023);
        }
        let id = claims["jti"].as_str().unwrap_or_default().to_owned();
        if id.len() < 16 || !proofs.used.insert(id) {
            return Err(50_013);
        }
    } else {
        proofs.check_federated(&decoded)?;
    }
    let moment = |claim: &str| claims[claim].as_i64();
    let begun = moment("nbf").is_some_and(|from| from <= now + TOLERANCE);
    let ended = moment("exp").is_none_or(|until| until <= now - TOLERANCE);
    if begun && !ended { Ok(()) } else { Err(700_024) }
}

impl Proofs {
    fn check_certificate(&self, decoded: &Decoded<'_>) -> Result<(), u32> {
        let header = &decoded.header;
        let named = header["x5t#S256"].as_str().unwrap_or_default();
        let key = self.certificates.get(named).ok_or(700_027_u32)?;
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key);
        let verified = key.verify(decoded.signed.as_bytes(), &decoded.signature);
        if header["alg"] == "PS256" && header["typ"] == "JWT" && verified.is_ok() {
            Ok(())
        } else {
            Err(700_027)
        }
    }

    /// Compares the token with the federated credential in the order in which Entra reports differences.
    fn check_federated(&self, decoded: &Decoded<'_>) -> Result<(), u32> {
        let claims = &decoded.claims;
        let known = self.federated.first().ok_or(70_021_u32)?;
        let audience = &claims["aud"];
        if claims["iss"] != known.issuer {
            return Err(700_211);
        }
        if claims["sub"] != known.subject {
            return Err(700_213);
        }
        if *audience != known.audience && audience.get(0).is_none_or(|first| *first != known.audience) {
            return Err(700_212);
        }
        let key = RsaPublicKeyComponents {
            n: self.issuers.number(WORKLOAD_KEY, "n"),
            e: self.issuers.number(WORKLOAD_KEY, "e"),
        };
        let verified = key.verify(
            &RSA_PKCS1_2048_8192_SHA256,
            decoded.signed.as_bytes(),
            &decoded.signature,
        );
        verified.map_err(|_| 50_013)
    }
}

fn decode(token: &str) -> Option<Decoded<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some(Decoded {
        header: json(header)?,
        claims: json(claims)?,
        signed,
        signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
    })
}

fn thumbprint(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, der))
}

fn seconds() -> i64 {
    let since = crate::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or_default()
}
