//! Explains why Entra rejects a federated token, with the values in the token that Entra compares.
//!
//! Source: Microsoft's reference of error codes, and for those that it lacks (700211 to 700213, 50166, 501661, 90061) the
//! messages that Entra sends, as quoted in issues of `Azure/azure-workload-identity` and `azure-cli`.
//!
//! Architecture Invariant: pure. Shows the issuer, the subject, the audience and the end of a token, and nothing else of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

use crate::config::FederatedToken;
use crate::msteams::error::Error;
use crate::visible;

/// A longer value of a claim is cut.
const LONGEST_VALUE: usize = 200;

/// What a federated credential names, and the end of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    aud: Option<Audience>,
    exp: Option<f64>,
}

/// One audience, or several (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl TokenFacts {
    /// Reads a token without verifying it. `None` if it is not a JSON web token.
    pub fn read(token: &FederatedToken) -> Option<Self> {
        let payload = token.value.expose().split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let audience = match claims.aud {
            Some(Audience::One(one)) => one,
            Some(Audience::Several(several)) => several.join(", "),
            None => String::new(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a time out of range is no time")]
        let expires = claims.exp.and_then(|end| Timestamp::from_second(end as i64).ok());
        Some(Self {
            issuer: shown(&claims.iss),
            subject: shown(&claims.sub),
            audience: shown(&audience),
            expires,
        })
    }
}

/// Returns a claim for a message: on one line, bounded, and named if it is missing.
fn shown(text: &str) -> String {
    let mut text = visible::line(text).into_owned();
    if let Some((end, _)) = text.char_indices().nth(LONGEST_VALUE) {
        text.truncate(end);
        text.push('…');
    }
    if text.is_empty() { "(none)".to_owned() } else { text }
}

/// Replaces the explanation of a rejection with one that names what differs.
pub(crate) fn explained(error: Error, token: &FederatedToken, now: Timestamp) -> Error {
    let Some(TokenFacts {
        issuer,
        subject,
        audience,
        expires,
    }) = TokenFacts::read(token)
    else {
        return error;
    };
    let file = token.file.display();
    let has_ended = expires.filter(|end| *end <= now);
    let (detail, hint) = match error.code().unwrap_or_default() {
        "AADSTS700211" => (
            format!("no federated credential of the app has the issuer {issuer}"),
            hint_with!("Set the issuer of the federated credential of `[msapi] app_id` to exactly {issuer}"),
        ),
        "AADSTS700213" => (
            format!("no federated credential of the app has the subject {subject}"),
            hint_with!("Set the subject of the federated credential of `[msapi] app_id` to exactly {subject}"),
        ),
        "AADSTS700212" | "AADSTS7002121" => (
            format!("no federated credential of the app has the audience {audience}"),
            hint_with!(
                "Request the token for the audience of the federated credential, usually api://AzureADTokenExchange, instead of {audience}"
            ),
        ),
        "AADSTS70021" => (
            format!(
                "no federated credential of the app matches the token (issuer {issuer}, subject {subject}, audience {audience})"
            ),
            hint_with!(
                "Create a federated credential for `[msapi] app_id` with the issuer {issuer}, the subject {subject} and the audience {audience}; a new one is effective after some minutes"
            ),
        ),
        "AADSTS700024" => match has_ended {
            Some(end) => (format!("the token in {file} expired at {end}"), token.to_renew()),
            None => (
                format!("the token in {file} is not valid at this time"),
                hint_with!("Set the clock of the machine that issues the token in {file}"),
            ),
        },
        "AADSTS50013" | "AADSTS50027" | "AADSTS700027" => (
            format!("the signature of the token in {file} cannot be verified"),
            hint_with!(
                "Check that {issuer}/.well-known/openid-configuration names the key that signs the token; after a rotation Entra may need an hour"
            ),
        ),
        "AADSTS50166" | "AADSTS501661" | "AADSTS90061" => (
            format!("Entra could not fetch the keys of the issuer {issuer}"),
            hint_with!(
                "Check that {issuer}/.well-known/openid-configuration and the keys that it names can be fetched from the internet"
            ),
        ),
        "AADSTS700222" => (
            "Entra does not accept tokens that it has issued itself".to_owned(),
            hint!("Use a token of another issuer, or `[msapi] managed_identity`").to_owned(),
        ),
        _ => return error,
    };
    error.detail(detail).with_hint(Some(hint))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::secret::Secret;

    fn token(claims: &str) -> FederatedToken {
        FederatedToken {
            file: PathBuf::from("/token"),
            value: Secret::new(format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))),
            from_environment: false,
        }
    }

    #[test]
    fn what_a_credential_names_is_read_and_bounded() {
        let facts = TokenFacts::read(&token(
            r#"{"iss":"https://i","sub":"a\u001bb","aud":["x","y"],"exp":5.5}"#,
        ));
        let facts = facts.unwrap();
        assert_eq!((&*facts.issuer, &*facts.subject), ("https://i", "a\\u{1b}b"));
        assert_eq!(
            (&*facts.audience, facts.expires),
            ("x, y", Timestamp::from_second(5).ok())
        );
        let long = format!(r#"{{"iss":"{}","aud":"x","exp":1e300}}"#, "i".repeat(500));
        let facts = TokenFacts::read(&token(&long)).unwrap();
        assert_eq!((facts.issuer.chars().count(), &*facts.subject), (201, "(none)"));
        assert_eq!(facts.expires, None);
        assert_eq!(TokenFacts::read(&token("no")), None);
    }
}
