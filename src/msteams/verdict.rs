//! What an answer other than success means, and whether to try again.
//!
//! Architecture Invariant: pure. The tables of the documentation are here and nowhere else.

use std::time::Duration;

use crate::msteams::aadsts;
use crate::msteams::envelope::Envelope;
use crate::msteams::error::{Again, Error, Meaning, Operation, Retry};
use crate::msteams::hint;

/// Judges an answer whose status is not a success.
pub(crate) fn judge(operation: Operation, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Error {
    let envelope = Envelope::read(body);
    if matches!(operation, Operation::GraphToken | Operation::BotToken) {
        let error = judge_login(operation, status, retry_after, &envelope);
        let code = envelope.number.map(|number| format!("AADSTS{number}"));
        return error.with_answer(status, code.or(envelope.code));
    }
    judge_service(operation, status, retry_after, &envelope).with_answer(status, envelope.code)
}

fn judge_login(operation: Operation, status: u16, retry_after: Option<Duration>, envelope: &Envelope) -> Error {
    if let Some(error) = busy(operation, status, retry_after) {
        return error;
    }
    let passing = envelope.number.is_some_and(aadsts::is_passing) || envelope.is("temporarily_unavailable");
    if passing {
        return Error::new(operation, Meaning::Unreachable, Retry::Later(retry_after)).with_again(Again::Yes);
    }
    if !(400..500).contains(&status) {
        return unexpected(operation, status);
    }
    // A wrong secret stays wrong, but a new one needs a minute to be known everywhere: later, not never.
    let error = Error::new(operation, Meaning::Credentials, Retry::Later(None));
    match envelope.number.and_then(aadsts::refusal) {
        Some(refusal) => error.detail(refusal.meaning).with_hint(Some(refusal.remedy)),
        None => error.with_hint(Some(
            "check `[msapi] app_id`, `[msapi] app_secret` and `[msapi] tenant_id`; the code is explained at \
             https://login.microsoftonline.com/error",
        )),
    }
}

fn judge_service(operation: Operation, status: u16, retry_after: Option<Duration>, envelope: &Envelope) -> Error {
    if let Some(error) = busy(operation, status, retry_after) {
        return error;
    }
    let (meaning, retry) = match status {
        401 => (Meaning::Credentials, Retry::Later(None)),
        403 => forbidden(operation, envelope),
        404 if operation == Operation::Update && !envelope.is("ConversationNotFound") => (Meaning::Gone, Retry::Never),
        404 => (Meaning::NotFound, Retry::Never),
        409 => (Meaning::Conflict, Retry::Later(None)),
        413 => (Meaning::TooBig, Retry::Never),
        _ if envelope.is("MessageSizeTooBig") => (Meaning::TooBig, Retry::Never),
        // Graph is known to refuse an installation as wrong, and to accept the same one later.
        400 if operation == Operation::Install => (Meaning::Rejected, Retry::Later(None)),
        400..500 => (Meaning::Rejected, Retry::Never),
        _ => return unexpected(operation, status),
    };
    Error::new(operation, meaning, retry).with_hint(hint::hint(operation, meaning, envelope))
}

/// Judges the statuses that are documented as worth another try.
fn busy(operation: Operation, status: u16, retry_after: Option<Duration>) -> Option<Error> {
    let meaning = match status {
        429 => Meaning::Throttled,
        412 => Meaning::Conflict,
        408 | 502..=504 => Meaning::Unreachable,
        _ => return None,
    };
    let error = Error::new(operation, meaning, Retry::Later(retry_after)).with_again(Again::Yes);
    let unavailable = meaning == Meaning::Unreachable;
    Some(if unavailable {
        error.detail("the service is not available")
    } else {
        error
    })
}

fn unexpected(operation: Operation, status: u16) -> Error {
    match status {
        500.. => {
            let again = if operation == Operation::Post {
                Again::No
            } else {
                Again::Once
            };
            Error::new(operation, Meaning::Unreachable, Retry::Later(None))
                .detail("the service has a problem of its own")
                .with_again(again)
        }
        _ => Error::new(operation, Meaning::Protocol, Retry::Later(None)).detail("the answer is neither yes nor no"),
    }
}

/// Judges a 403. What concerns everybody may be put right by an administrator, so it is worth a later try; what
/// concerns one conversation is not.
fn forbidden(operation: Operation, envelope: &Envelope) -> (Meaning, Retry) {
    let connector = matches!(operation, Operation::Post | Operation::Update);
    if !connector || envelope.is("BotDisabledByAdmin") || envelope.is("InvalidBotApiHost") {
        return (Meaning::Denied, Retry::Later(None));
    }
    if envelope.is("ConversationBlockedByUser") || envelope.is("MessageWritesBlocked") || envelope.number == Some(209) {
        return (Meaning::Blocked, Retry::Never);
    }
    let uninstalled = envelope.is("BotNotInConversationRoster") || envelope.is("ForbiddenOperationException");
    if uninstalled || envelope.not_installed {
        return (Meaning::BotNotInstalled, Retry::Never);
    }
    match operation {
        Operation::Update => (Meaning::Gone, Retry::Never),
        _ => (Meaning::Denied, Retry::Never),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(operation: Operation, status: u16, body: &str, meaning: Meaning, retry: Retry, hint: &str) -> Error {
        let error = judge(operation, status, None, body.as_bytes());
        assert_eq!((error.meaning(), error.retry()), (meaning, retry), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
        error
    }

    fn code(code: &str) -> String {
        format!(r#"{{"error":{{"code":"{code}","message":"…"}}}}"#)
    }

    #[test]
    fn a_refused_login_names_the_key_to_change() {
        let body = r#"{"error":"invalid_client","error_codes":[7000215]}"#;
        let later = Retry::Later(None);
        let error = check(
            Operation::GraphToken,
            401,
            body,
            Meaning::Credentials,
            later,
            "app_secret",
        );
        assert_eq!(error.code(), Some("AADSTS7000215"));
        assert_eq!(error.again(), Again::No);
        check(Operation::BotToken, 400, "{}", Meaning::Credentials, later, "tenant_id");
        let body = r#"{"error":"invalid_request","error_codes":[90033]}"#;
        let error = check(Operation::BotToken, 400, body, Meaning::Unreachable, later, "");
        assert_eq!(error.again(), Again::Yes);
        check(Operation::BotToken, 301, "", Meaning::Protocol, later, "");
    }

    #[test]
    fn graph_refusals_name_the_permission() {
        let body = code("Authorization_RequestDenied");
        let later = Retry::Later(None);
        check(
            Operation::FindUser,
            403,
            &body,
            Meaning::Denied,
            later,
            "User.ReadBasic.All",
        );
        check(
            Operation::FindApp,
            403,
            &body,
            Meaning::Denied,
            later,
            "AppCatalog.Read.All",
        );
        check(
            Operation::Install,
            403,
            "",
            Meaning::Denied,
            later,
            "ReadWriteSelfForUser.All",
        );
        check(
            Operation::FindInTeam,
            403,
            "",
            Meaning::Denied,
            later,
            "ReadForTeam.All",
        );
        check(
            Operation::FindInTeam,
            404,
            "",
            Meaning::NotFound,
            Retry::Never,
            "groupId",
        );
        check(Operation::Install, 409, &code("Conflict"), Meaning::Conflict, later, "");
    }

    #[test]
    fn connector_refusals_are_told_apart() {
        let (post, update, never) = (Operation::Post, Operation::Update, Retry::Never);
        let later = Retry::Later(None);
        let uninstalled =
            r#"{"error":{"code":"BadArgument","message":"Bot is not installed in user's personal scope"}}"#;
        check(post, 403, uninstalled, Meaning::BotNotInstalled, never, "");
        check(
            post,
            403,
            &code("BotNotInConversationRoster"),
            Meaning::BotNotInstalled,
            never,
            "",
        );
        check(
            post,
            403,
            &code("ConversationBlockedByUser"),
            Meaning::Blocked,
            never,
            "",
        );
        check(
            post,
            403,
            r#"{"errorCode":209,"message":"{}"}"#,
            Meaning::Blocked,
            never,
            "",
        );
        check(
            post,
            403,
            &code("BotDisabledByAdmin"),
            Meaning::Denied,
            later,
            "admin center",
        );
        check(update, 403, &code("InvalidBotApiHost"), Meaning::Denied, later, "cloud");
        check(post, 403, &code("NotEnoughPermissions"), Meaning::Denied, never, "");
        check(update, 403, &code("ServiceError"), Meaning::Gone, never, "");
        check(
            update,
            404,
            &code("ActivityNotFoundInConversation"),
            Meaning::Gone,
            never,
            "",
        );
        check(update, 404, &code("ConversationNotFound"), Meaning::NotFound, never, "");
        check(
            post,
            401,
            r#"{"message":"Authorization has been denied"}"#,
            Meaning::Credentials,
            later,
            "Azure Bot",
        );
        check(post, 413, "<html>", Meaning::TooBig, never, "");
        check(post, 400, &code("MessageSizeTooBig"), Meaning::TooBig, never, "");
        check(post, 400, &code("BadSyntax"), Meaning::Rejected, never, "");
    }

    #[test]
    fn only_documented_statuses_are_repeated() {
        for status in [408, 412, 429, 502, 503, 504] {
            assert_eq!(
                judge(Operation::Post, status, None, b"").again(),
                Again::Yes,
                "{status}"
            );
        }
        for status in [301, 400, 401, 403, 404, 405, 409, 413, 418, 500, 501, 505] {
            assert_eq!(judge(Operation::Post, status, None, b"").again(), Again::No, "{status}");
        }
        assert_eq!(judge(Operation::Update, 500, None, b"").again(), Again::Once);
        let pause = Some(Duration::from_secs(7));
        assert_eq!(judge(Operation::Post, 429, pause, b"").retry(), Retry::Later(pause));
    }
}
