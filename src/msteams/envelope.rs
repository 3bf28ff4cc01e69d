//! The bodies in which Microsoft's services say what is wrong.
//!
//! There are several shapes, and the documentation of none is complete, so reading never fails: what is not understood
//! is left out.
//!
//! Architecture Invariant: the text of a message is looked at here, and goes no further; it may quote what we sent.

use serde_json::Value;

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Microsoft's word for it, such as `BotDisabledByAdmin`, without spaces.
    pub(crate) code: Option<String>,
    /// The number of an error of the login service, or `errorCode` of the connector.
    pub(crate) number: Option<u64>,
    /// What fixed words of the message say, where no code does.
    pub(crate) says: Option<Says>,
    pub(crate) shape: Shape,
}

/// Which of Microsoft's shapes a body has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// None of them: a page, another gateway's JSON, or nothing.
    #[default]
    Unknown,
    /// Graph and the connector: `{"error":{"code":…}}`.
    Service,
    /// The login service: `{"error":"…"}`.
    Login,
    /// The connector: `{"errorCode":…}`.
    Number,
    /// The connector, when it refuses a token: a message alone, with its fixed words.
    Message,
}

/// A few fixed words of messages that stand for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// The app is not installed. The connector has no code for that.
    NotInstalled,
    /// An app permission policy blocks the app for this person.
    AppPolicy,
    /// The person has no license.
    NoLicence,
    /// The app may manage only the Teams app that names it, and this one does not.
    NotOurApp,
    /// The token is not accepted.
    Unauthorized,
}

/// Graph's documented codes. Its inner error is more exact than the code beside it, but often holds what is documented
/// nowhere.
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

/// More is no code.
const LONGEST_CODE: usize = 64;

/// The words, in small letters, and what they say.
const WORDS: [(&str, Says); 5] = [
    ("not installed", Says::NotInstalled),
    ("app permission policy", Says::AppPolicy),
    ("license", Says::NoLicence),
    ("is not allowed to manage", Says::NotOurApp),
    ("authorization has been denied", Says::Unauthorized),
];

impl Envelope {
    /// Reads `{"error":{"code","innerError":{"code"},…}}`, `{"error":"…","error_codes":[…]}`, `{"errorCode":…,"message":"{…}"}` and the
    /// connector's `{"message":"Authorization has been denied…"}`; anything else is empty.
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

/// Returns the code of Graph's inner error if it is known; the documentation spells its key in two ways.
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

/// Returns the text without spaces if it is something that a log may show.
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
    fn every_known_shape_is_read() {
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
    fn what_is_not_microsofts_has_no_shape() {
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
