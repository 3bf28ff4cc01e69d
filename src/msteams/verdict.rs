//! Classifies error answers, and decides whether to retry.
//!
//! A rejection counts only in the form of the service: its JSON, and for a final one a documented code. Proxies,
//! filters and gateways use the same statuses, and then the service did nothing.
//!
//! Architecture Invariant: pure. The documented statuses are here and nowhere else.

use std::time::Duration;

use crate::msteams::aadsts;
use crate::msteams::call_event::Endpoint;
use crate::msteams::envelope::{Envelope, Shape};
use crate::msteams::error::{Error, InPlaceRetry, Meaning, Operation, Retry};
use crate::msteams::{hint, managed_identity, refusal};

/// Classifies an answer with an error status.
pub(crate) fn judge(operation: Operation, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Error {
    let envelope = Envelope::read(body);
    let is_login = matches!(operation, Operation::GraphToken | Operation::BotToken);
    let error = match (busy(operation, status, retry_after), is_login) {
        (Some(error), _) => error,
        (None, _) if matches!(operation, Operation::GraphIdentity | Operation::BotIdentity) => {
            return managed_identity::judge(operation, status, retry_after, body).with_answer(status, None);
        }
        (None, true) => judge_login(operation, status, retry_after, &envelope),
        (None, false) => judge_service(operation, status, &envelope),
    };
    if error.meaning() == Meaning::Protocol {
        // A code that is not Microsoft's would be misleading.
        return error.with_answer(status, None);
    }
    let number = envelope.number.filter(|_| is_login);
    let code = number.map(|number| format!("AADSTS{number}"));
    error.with_answer(status, code.or(envelope.code))
}

fn judge_login(operation: Operation, status: u16, retry_after: Option<Duration>, envelope: &Envelope) -> Error {
    let known = envelope.number.is_some() || envelope.is_one_of(&aadsts::WORDS);
    if envelope.shape != Shape::Login || !known {
        return if status >= 500 {
            broken(operation, envelope)
        } else {
            Error::intercepted(operation, status)
        };
    }
    let temporary = envelope.number.is_some_and(aadsts::is_temporary)
        || envelope.is_one_of(&["temporarily_unavailable", "server_error"]);
    if temporary || status >= 500 {
        return Error::new(operation, Meaning::Unreachable, Retry::Later(retry_after))
            .with_in_place_retry(InPlaceRetry::Yes);
    }
    // A wrong secret stays wrong, but a new one takes a minute to propagate: retry later, not never.
    let mut error = Error::new(operation, Meaning::Credentials, Retry::Later(None));
    if envelope.number.is_some_and(aadsts::may_be_skew) {
        error = error.with_in_place_retry(InPlaceRetry::Once);
    }
    match envelope.number.and_then(aadsts::refusal) {
        Some(refusal) => error.detail(refusal.meaning).with_hint(Some(refusal.hint)),
        None => error.with_hint(Some(hint::LOGIN)),
    }
}

fn judge_service(operation: Operation, status: u16, envelope: &Envelope) -> Error {
    if status >= 500 {
        return broken(operation, envelope);
    }
    let connector = operation.endpoint() == Endpoint::Bot;
    let ours = match envelope.shape {
        Shape::Service => true,
        Shape::Number => connector,
        Shape::Message => connector && status == 401,
        Shape::Login | Shape::Unknown => false,
    };
    if !ours || status < 400 {
        return Error::intercepted(operation, status);
    }
    let (meaning, retry) = if connector {
        refusal::by_connector(operation, status, envelope)
    } else {
        refusal::by_graph(operation, status, envelope)
    };
    let error = Error::new(operation, meaning, retry).with_hint(hint::hint(operation, meaning, envelope));
    let error = match refusal::detail(operation, meaning, envelope) {
        Some(detail) => error.detail(detail),
        None => error,
    };
    // A repeated update is harmless, and a card that was given up by mistake is lost.
    if meaning == Meaning::Gone {
        error.with_in_place_retry(InPlaceRetry::Once)
    } else {
        error
    }
}

/// Classifies the statuses for which the documentation recommends a retry.
///
/// 429, 412 and 503 mean that nothing was done, even from a gateway: HTTP defines 503 this way, and Microsoft documents a
/// retry for it. After 408, 502 and 504 the request may have arrived behind the gateway that answered, so a message
/// must not be repeated blindly.
fn busy(operation: Operation, status: u16, retry_after: Option<Duration>) -> Option<Error> {
    let meaning = match status {
        429 => Meaning::Throttled,
        412 => Meaning::Conflict,
        408 | 502..=504 => Meaning::Unreachable,
        _ => return None,
    };
    if operation == Operation::Post && matches!(status, 408 | 502 | 504) {
        let error = Error::new(operation, meaning, Retry::FateUnknown);
        return Some(error.detail("the service did not answer in time, and the card may have arrived"));
    }
    let error = Error::new(operation, meaning, Retry::Later(retry_after)).with_in_place_retry(InPlaceRetry::Yes);
    Some(match meaning {
        Meaning::Unreachable => error.detail("the service is not available"),
        _ => error,
    })
}

/// Classifies a server error that is not documented as temporary. A message is not repeated in place. It is retried
/// later if the connector itself reports the failure; otherwise it may have arrived.
fn broken(operation: Operation, envelope: &Envelope) -> Error {
    let (retry, in_place_retry) = match operation {
        Operation::Post if envelope.shape == Shape::Unknown => (Retry::FateUnknown, InPlaceRetry::No),
        Operation::Post => (Retry::Later(None), InPlaceRetry::No),
        _ => (Retry::Later(None), InPlaceRetry::Once),
    };
    Error::new(operation, Meaning::Unreachable, retry)
        .detail("the service reports an internal error")
        .with_in_place_retry(in_place_retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Retry = Retry::Later(None);
    const NEVER: Retry = Retry::Never;

    #[track_caller]
    fn check(operation: Operation, status: u16, body: &str, meaning: Meaning, retry: Retry, hint: &str) -> Error {
        let error = judge(operation, status, None, body.as_bytes());
        assert_eq!((error.meaning(), error.retry()), (meaning, retry), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
        error
    }

    fn code(code: &str) -> String {
        says(code, "…")
    }

    fn says(code: &str, message: &str) -> String {
        format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#)
    }

    #[test]
    fn a_refused_login_names_the_key_to_change() {
        let body = r#"{"error":"invalid_client","error_codes":[7000215]}"#;
        let (graph, bot) = (Operation::GraphToken, Operation::BotToken);
        let error = check(graph, 401, body, Meaning::Credentials, LATER, "app_secret");
        assert_eq!(error.code(), Some("AADSTS7000215"));
        assert_eq!(error.in_place_retry(), InPlaceRetry::No);
        let unknown = r#"{"error":"invalid_request"}"#;
        check(bot, 400, unknown, Meaning::Credentials, LATER, "tenant_id");
        let body = r#"{"error":"invalid_request","error_codes":[90033]}"#;
        let error = check(bot, 400, body, Meaning::Unreachable, LATER, "");
        assert_eq!(error.in_place_retry(), InPlaceRetry::Yes);
        check(bot, 301, "", Meaning::Protocol, LATER, "");
    }

    /// All error statuses with which a call can be rejected.
    const REFUSALS: [u16; 11] = [400, 401, 403, 404, 405, 407, 409, 410, 413, 421, 451];

    const DELETED: &str = "ActivityNotFoundInConversation";

    const ALL: [Operation; 18] = [
        Operation::GraphToken,
        Operation::BotToken,
        Operation::FindApp,
        Operation::FindUser,
        Operation::FindManager,
        Operation::FindPresence,
        Operation::FindInstallation,
        Operation::Install,
        Operation::Uninstall,
        Operation::FindChat,
        Operation::FindInTeam,
        Operation::FindTeam,
        Operation::FindChannel,
        Operation::ListMembers,
        Operation::OpenChat,
        Operation::Post,
        Operation::Update,
        Operation::Keys,
    ];

    #[test]
    fn an_answer_in_another_form_is_not_from_the_service() {
        for body in [
            "",
            "<html><body>Access Denied</body></html>",
            "Forbidden",
            "{}",
            r#"{"message":"Forbidden"}"#,
            r#"{"fault":{"faultstring":"no"}}"#,
        ] {
            for operation in ALL {
                for status in REFUSALS {
                    let error = check(operation, status, body, Meaning::Protocol, LATER, "");
                    assert_eq!(error.in_place_retry(), InPlaceRetry::Yes, "{error}");
                    assert_eq!(error.code(), None);
                }
            }
        }
        // Each service has its own form.
        let login = r#"{"error":"invalid_client","error_codes":[7000215]}"#;
        check(Operation::FindUser, 404, login, Meaning::Protocol, LATER, "");
        check(
            Operation::BotToken,
            404,
            &code("NotFound"),
            Meaning::Protocol,
            LATER,
            "",
        );
    }

    #[test]
    fn a_code_that_is_not_documented_is_never_final() {
        for operation in ALL.into_iter().skip(2) {
            for status in REFUSALS {
                let error = judge(operation, status, None, code("SomethingNew").as_bytes());
                assert_eq!(error.retry(), LATER, "{error}");
            }
        }
    }

    #[test]
    fn graph_refusals_name_the_permission() {
        let body = code("Authorization_RequestDenied");
        for (operation, permission) in [
            (Operation::FindUser, "User.ReadBasic.All"),
            (Operation::FindManager, "User.Read.All"),
            (Operation::FindPresence, "Presence.Read.All"),
            (Operation::FindApp, "AppCatalog.Read.All"),
            (Operation::Install, "ReadWriteSelfForUser.All"),
            (Operation::FindInTeam, "ReadWriteSelfForTeam.All"),
        ] {
            check(operation, 403, &body, Meaning::Denied, LATER, permission);
        }
        let missing = code("Request_ResourceNotFound");
        check(Operation::FindUser, 404, &missing, Meaning::NotFound, NEVER, "spelling");
        check(
            Operation::FindInTeam,
            404,
            &code("NotFound"),
            Meaning::NotFound,
            NEVER,
            "groupId",
        );
        check(Operation::Install, 409, &code("Conflict"), Meaning::Conflict, LATER, "");
    }

    #[test]
    fn a_403_of_graph_for_another_reason_names_it() {
        let (install, look_up) = (Operation::Install, Operation::FindInstallation);
        for (operation, body, retry, hint, text) in [
            (
                install,
                says("Forbidden", "The app 1 is blocked by app permission policy for user 2."),
                NEVER,
                "app permission policy",
                "app permission policy",
            ),
            (
                look_up,
                says(
                    "Forbidden",
                    "Failed to get license information; a valid Office 365 license is needed",
                ),
                NEVER,
                "license",
                "no license",
            ),
            (
                install,
                says("Forbidden", "AAD App Id x is not allowed to manage the Teams App"),
                LATER,
                "webApplicationInfo",
                "may not manage",
            ),
            (
                install,
                says("UnknownError", ""),
                LATER,
                "every user",
                "without a reason",
            ),
        ] {
            let error = check(operation, 403, &body, Meaning::Denied, retry, hint);
            assert!(error.to_string().contains(text), "{error}");
        }
        let missing = code("NotFound");
        let error = check(install, 404, &missing, Meaning::NotFound, NEVER, "signed in to Teams");
        assert!(error.to_string().contains("no account in Teams"), "{error}");
    }

    #[test]
    fn connector_refusals_are_distinguished() {
        let (post, update) = (Operation::Post, Operation::Update);
        let uninstalled = says("BadArgument", "Bot is not installed in user's personal scope");
        for (operation, status, body, meaning, retry, hint) in [
            (post, 403, uninstalled, Meaning::BotNotInstalled, NEVER, ""),
            (
                post,
                403,
                code("BotNotInConversationRoster"),
                Meaning::BotNotInstalled,
                NEVER,
                "",
            ),
            (
                post,
                403,
                code("ConversationBlockedByUser"),
                Meaning::Blocked,
                NEVER,
                "",
            ),
            (
                post,
                403,
                r#"{"errorCode":209,"message":"{}"}"#.to_owned(),
                Meaning::Blocked,
                NEVER,
                "",
            ),
            (
                post,
                403,
                code("BotDisabledByAdmin"),
                Meaning::Denied,
                LATER,
                "admin center",
            ),
            (update, 403, code("InvalidBotApiHost"), Meaning::Denied, LATER, "cloud"),
            (post, 403, code("NotEnoughPermissions"), Meaning::Denied, NEVER, ""),
            (update, 403, code("ServiceError"), Meaning::Gone, NEVER, ""),
            (update, 404, code(DELETED), Meaning::Gone, NEVER, ""),
            (post, 404, code(DELETED), Meaning::Gone, NEVER, ""),
            (update, 404, code("ConversationNotFound"), Meaning::NotFound, LATER, ""),
            (post, 404, code("ConversationNotFound"), Meaning::NotFound, LATER, ""),
            (
                post,
                401,
                r#"{"message":"Authorization has been denied for this request."}"#.to_owned(),
                Meaning::Credentials,
                LATER,
                "Azure Bot",
            ),
            (post, 413, code("MessageSizeTooBig"), Meaning::TooBig, NEVER, ""),
            (post, 400, code("MessageSizeTooBig"), Meaning::TooBig, NEVER, ""),
            (post, 400, code("BadSyntax"), Meaning::Rejected, NEVER, ""),
        ] {
            check(operation, status, &body, meaning, retry, hint);
        }
    }

    #[test]
    fn an_update_of_a_missing_message_is_repeated_before_the_card_is_given_up() {
        let gone = judge(
            Operation::Update,
            404,
            None,
            code("ActivityNotFoundInConversation").as_bytes(),
        );
        assert_eq!(gone.in_place_retry(), InPlaceRetry::Once);
    }

    #[test]
    fn only_documented_statuses_are_repeated_and_a_post_only_if_it_did_not_arrive() {
        for status in [412, 429, 503] {
            assert_eq!(
                judge(Operation::Post, status, None, b"").in_place_retry(),
                InPlaceRetry::Yes,
                "{status}"
            );
        }
        for status in [408, 500, 501, 502, 504, 505] {
            let error = judge(Operation::Post, status, None, b"<html>");
            assert_eq!(
                (error.retry(), error.in_place_retry()),
                (Retry::FateUnknown, InPlaceRetry::No),
                "{status}"
            );
        }
        for status in [408, 502, 504] {
            assert_eq!(
                judge(Operation::Update, status, None, b"").in_place_retry(),
                InPlaceRetry::Yes,
                "{status}"
            );
        }
        let failed = judge(Operation::Post, 500, None, code("ServiceError").as_bytes());
        assert_eq!((failed.retry(), failed.in_place_retry()), (LATER, InPlaceRetry::No));
        assert_eq!(
            judge(Operation::Update, 500, None, b"").in_place_retry(),
            InPlaceRetry::Once
        );
        let pause = Some(Duration::from_secs(7));
        assert_eq!(judge(Operation::Post, 429, pause, b"").retry(), Retry::Later(pause));
    }
}
