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
    /// The message says that the app is not installed. The connector has no code of its own for that.
    pub(crate) not_installed: bool,
}

/// More is no code.
const LONGEST_CODE: usize = 64;

impl Envelope {
    /// Reads `{"error":{"code",…}}`, `{"error":"…","error_codes":[…]}`, `{"errorCode":…,"message":"{…}"}` and
    /// `{"message":"…"}`; anything else is empty.
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
        Self {
            code: code.or_else(|| body["errorCode"].as_u64().map(|number| number.to_string())),
            number,
            not_installed: message.to_ascii_lowercase().contains("not installed"),
        }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(code))
    }
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
    fn check(body: &str, code: Option<&str>, number: Option<u64>, not_installed: bool) {
        let expected = Envelope {
            code: code.map(str::to_owned),
            number,
            not_installed,
        };
        assert_eq!(Envelope::read(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn every_known_shape_is_read() {
        let graph =
            r#"{"error":{"code":"Authorization_RequestDenied","message":"no","innerError":{"request-id":"x"}}}"#;
        check(graph, Some("Authorization_RequestDenied"), None, false);
        let connector =
            r#"{"error":{"code":"Bad Argument","message":"Bot is not installed in user's personal scope"}}"#;
        check(connector, Some("BadArgument"), None, true);
        let blocked = r#"{"errorCode":209,"message":"{\"subCode\":\"MessageWritesBlocked\",\"details\":null}"}"#;
        check(blocked, Some("MessageWritesBlocked"), Some(209), false);
        check(r#"{"errorCode":209,"message":"{}"}"#, Some("209"), Some(209), false);
        check(
            r#"{"message":"Authorization has been denied for this request."}"#,
            None,
            None,
            false,
        );
        let login = r#"{"error":"invalid_client","error_description":"AADSTS7000215: …","error_codes":[7000215]}"#;
        check(login, Some("invalid_client"), Some(7_000_215), false);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        for body in [
            "",
            "<html>no</html>",
            "{\"error\":",
            "[]",
            "null",
            r#"{"error":{"code":17}}"#,
            r#"{"error":{}}"#,
        ] {
            check(body, None, None, false);
        }
        check(r#"{"error":{"code":"a@example.com wrote <this>"}}"#, None, None, false);
    }
}
