//! The answer to a request for a token.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The assumed lifetime of a token without one, in seconds: the shortest that Microsoft issues.
const UNKNOWN_LIFE: u64 = 5 * 60;

/// An issued token. The login service sends its lifetime, a metadata service writes it as a text, and App Service sends only
/// the end, as a text (Unix time).
#[derive(Deserialize)]
pub(crate) struct Grant {
    pub(crate) access_token: String,
    expires_in: Option<Number>,
    expires_on: Option<Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
    /// A time in another form, which App Service has used.
    Other(IgnoredAny),
}

impl Number {
    fn value(&self) -> Option<u64> {
        match self {
            Self::Plain(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Other(_) => None,
        }
    }
}

impl Grant {
    /// Returns the lifetime in seconds.
    pub(crate) fn life(&self, now: Timestamp) -> u64 {
        let left = |end: u64| end.saturating_sub(now.as_second().try_into().unwrap_or_default());
        let lifetime = self.expires_in.as_ref().and_then(Number::value);
        let end = self.expires_on.as_ref().and_then(Number::value);
        lifetime.or(end.map(left)).unwrap_or(UNKNOWN_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_is_read_in_every_form_that_services_use() {
        let now = Timestamp::from_second(1_000).unwrap();
        for (json, life) in [
            (r#"{"access_token":"x","expires_in":3599}"#, 3_599),
            (r#"{"access_token":"x","expires_in":"86399","expires_on":"1"}"#, 86_399),
            (r#"{"access_token":"x","expires_on":"1500"}"#, 500),
            (r#"{"access_token":"x","expires_on":1500}"#, 500),
            (r#"{"access_token":"x","expires_on":"500"}"#, 0),
            (
                r#"{"access_token":"x","expires_on":"1/1/2030 0:00:00 AM +00:00"}"#,
                UNKNOWN_LIFE,
            ),
            (r#"{"access_token":"x","expires_in":-5}"#, UNKNOWN_LIFE),
            (r#"{"access_token":"x"}"#, UNKNOWN_LIFE),
        ] {
            let grant: Grant = serde_json::from_str(json).unwrap();
            assert_eq!(grant.life(now), life, "{json}");
        }
    }
}
