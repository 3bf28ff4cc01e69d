//! The error bodies of Microsoft's services.
//!
//! There are several shapes, and none is documented completely. So parsing never fails, and unknown parts are ignored.
//!
//! Architecture Invariant: the text of a message is read only here and never passed on; it may quote what we sent.

use serde_json::Value;

/// The contents of an error body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Microsoft's code, such as `BotDisabledByAdmin`, without spaces.
    pub(crate) code: Option<String>,
    /// The number of an error of the login service, or `errorCode` of the connector.
    pub(crate) number: Option<u64>,
    /// The meaning of fixed phrases of the message, where there is no code.
    pub(crate) says: Option<Says>,
    pub(crate) shape: Shape,
}

/// Which of Microsoft's shapes a body has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// None of them: a page, another gateway's JSON, or an empty body.
    #[default]
    Unknown,
    /// Graph and the connector: `{"error":{"code":…}}`.
    Service,
    /// The login service: `{"error":"…"}`.
    Login,
    /// The connector: `{"errorCode":…}`.
    Number,
    /// The connector, when it rejects a token: only a message with a fixed phrase.
    Message,
}

/// The meaning of a fixed phrase that replaces a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// The app is not installed. The connector has no code for this.
    NotInstalled,
    /// An app permission policy blocks the app for this user.
    AppPolicy,
    /// The user has no license.
    NoLicence,
    /// The app may manage only the Teams app that names it, and this is another one.
    NotOurApp,
    /// The token is not accepted.
    Unauthorized,
}

/// Graph's documented codes. The inner error is more exact than the outer code, but often has undocumented values.
const KNOWN_INNER: [&str; 10] = [
    "Authorization_RequestDenied",
    "Request_ResourceNotFound",
    "ResourceNotFound",
    "NotFound",
    "ItemNotFound",
    "Request_BadRequest",
    "BadRequest",
    "Forbidden",
    "Conflict",
    "InvalidAuthenticationToken",
];

/// A longer text is not a code.
const LONGEST_CODE: usize = 64;

/// The phrases, in lower case, and their meaning.
const WORDS: [(&str, Says); 5] = [
    ("not installed", Says::NotInstalled),
    ("app permission policy", Says::AppPolicy),
    ("license", Says::NoLicence),
    ("is not allowed to manage", Says::NotOurApp),
    ("authorization has been denied", Says::Unauthorized),
];

impl Envelope {
    /// Parses `{"error":{"code","innerError":{"code"},…}}`, `{"error":"…","error_codes":[…]}`,
    /// `{"errorCode":…,"message":"{…}"}` and the connector's `{"message":"Authorization has been denied…"}`. Any other
    /// body gives an empty envelope.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let error = &body["error"];
        let message = error["message"]
            .as_str()
            .or(body["message"].as_str())
            .unwrap_or_default();
        let number = body["error_codes"][0].as_u64().or(body["errorCode"].as_u64());
        let inner = serde_json::from_str::<Value>(message).unwrap_or_default();
        let code = [&inner["subCode"], &error["code"], error]
            .into_iter()
            .filter_map(Value::as_str)
            .find_map(word);
        let code = inner_code(error).or(code);
        let says = says(message);
        let shape = if error["code"].as_str().is_some_and(|code| word(code).is_some()) {
            Shape::Service
        } else if error.as_str().is_some_and(|error| word(error).is_some()) {
            Shape::Login
        } else if body["errorCode"].is_u64() {
            Shape::Number
        } else if says == Some(Says::Unauthorized) {
            Shape::Message
        } else {
            Shape::Unknown
        };
        Self {
            code: code.or_else(|| body["errorCode"].as_u64().map(|number| number.to_string())),
            number,
            says,
            shape,
        }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(code))
    }

    pub(crate) fn is_one_of(&self, codes: &[&str]) -> bool {
        codes.iter().any(|code| self.is(code))
    }
}

/// Returns the code of Graph's inner error if it is known. The documentation spells its key in two ways.
fn inner_code(error: &Value) -> Option<String> {
    let codes = [&error["innerError"]["code"], &error["innererror"]["code"]];
    let mut codes = codes.into_iter().filter_map(Value::as_str).filter_map(word);
    codes.find(|code| KNOWN_INNER.iter().any(|known| known.eq_ignore_ascii_case(code)))
}

fn says(message: &str) -> Option<Says> {
    let message = message.to_ascii_lowercase();
    let mut words = WORDS.iter();
    words.find(|(words, _)| message.contains(words)).map(|(_, says)| *says)
}

/// Returns the text without spaces if it is safe to log.
pub(crate) fn word(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let word: String = text.chars().filter(|c| *c != ' ').collect();
    let is_word = !word.is_empty() && word.len() <= LONGEST_CODE && word.chars().all(fits);
    is_word.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, code: Option<&str>, number: Option<u64>, says: Option<Says>, shape: Shape) {
        let expected = Envelope {
            code: code.map(str::to_owned),
            number,
            says,
            shape,
        };
        assert_eq!(Envelope::read(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn every_known_shape_is_parsed() {
        let graph =
            r#"{"error":{"code":"Authorization_RequestDenied","message":"no","innerError":{"request-id":"x"}}}"#;
        check(graph, Some("Authorization_RequestDenied"), None, None, Shape::Service);
        for key in ["innerError", "innererror"] {
            for (inner, expected) in [("ResourceNotFound", "ResourceNotFound"), ("SomethingNew", "Forbidden")] {
                let graph = format!(r#"{{"error":{{"code":"Forbidden","message":"","{key}":{{"code":"{inner}"}}}}}}"#);
                check(&graph, Some(expected), None, None, Shape::Service);
            }
        }
        let connector =
            r#"{"error":{"code":"Bad Argument","message":"Bot is not installed in user's personal scope"}}"#;
        let not_installed = Some(Says::NotInstalled);
        check(connector, Some("BadArgument"), None, not_installed, Shape::Service);
        let blocked = r#"{"errorCode":209,"message":"{\"subCode\":\"MessageWritesBlocked\",\"details\":null}"}"#;
        check(blocked, Some("MessageWritesBlocked"), Some(209), None, Shape::Number);
        check(
            r#"{"errorCode":209,"message":"{}"}"#,
            Some("209"),
            Some(209),
            None,
            Shape::Number,
        );
        let unauthorized = r#"{"message":"Authorization has been denied for this request."}"#;
        check(unauthorized, None, None, Some(Says::Unauthorized), Shape::Message);
        let login = r#"{"error":"invalid_client","error_description":"AADSTS7000215: …","error_codes":[7000215]}"#;
        check(login, Some("invalid_client"), Some(7_000_215), None, Shape::Login);
    }

    #[test]
    fn other_bodies_have_no_shape() {
        for body in [
            "",
            "<html>no</html>",
            "{\"error\":",
            "[]",
            "null",
            "{}",
            r#"{"message":"Forbidden"}"#,
            r#"{"error":{"code":17}}"#,
            r#"{"error":{"code":"a@example.com wrote <this>"}}"#,
            r#"{"error":{}}"#,
        ] {
            check(body, None, None, None, Shape::Unknown);
        }
    }
}
