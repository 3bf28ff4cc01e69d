//! What the error codes of Microsoft's login service mean, and what to do about them.
//!
//! Architecture Invariant: goes by the numbers in `error_codes` and the word in `error`, never by the description, which may change and may
//! quote what was sent.

/// One known code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) meaning: &'static str,
    pub(crate) hint: &'static str,
}

/// The words of the login service in `error` (RFC 6749, and Microsoft's reference of its codes).
pub(crate) const WORDS: [&str; 12] = [
    "access_denied",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_resource",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// Codes with which the service speaks of itself; the same request may succeed in a moment.
const PASSING: [u64; 6] = [90006, 90012, 90024, 90033, 90055, 90090];

/// Tells whether the code means a trouble of the service that passes.
pub(crate) fn is_passing(code: u64) -> bool {
    PASSING.contains(&code)
}

/// Returns what is known about a code that will not go away by itself.
pub(crate) fn refusal(code: u64) -> Option<Refusal> {
    let (meaning, hint) = match code {
        7_000_215 => (
            "the client secret is wrong",
            "set `[msapi] app_secret` to the value of the client secret; its id is not it",
        ),
        7_000_222 => (
            "the client secret has expired",
            "create a new client secret for the app registration and put its value into `[msapi] app_secret`",
        ),
        700_016 => (
            "the tenant does not know the app",
            "check `[msapi] app_id` (the application (client) id; is it swapped with teams_app_id?) and `[msapi] \
             tenant_id` (the directory id)",
        ),
        90002 => (
            "there is no such tenant",
            "check `[msapi] tenant_id` (is it swapped with app_id?), and that the tenant is in the cloud that `[msapi] \
             cloud` names",
        ),
        900_023 => (
            "the tenant is neither a GUID nor a domain name",
            "set `[msapi] tenant_id` to the directory (tenant) id of the app registration",
        ),
        7_000_229 => (
            "the app has no service principal in the tenant",
            "create an enterprise application for `[msapi] app_id` in the tenant `[msapi] tenant_id`",
        ),
        7_000_112 => (
            "the app is disabled",
            "enable sign-in for the enterprise application of `[msapi] app_id`",
        ),
        500_011 => (
            "the tenant does not know the service that the token is for",
            "check `[msapi] tenant_id`, and that `[msapi] cloud` names the cloud of the tenant",
        ),
        70011 | 1_002_012 => (
            "the scope is not valid",
            "check that `[msapi] cloud` names the cloud of the tenant",
        ),
        700_027 | 50012 | 50013 => (
            "the signed assertion is not accepted",
            "check that the certificate is registered for `[msapi] app_id`, and that the clock is right",
        ),
        7_000_218 => ("no secret was received", "check that `[msapi] app_secret` is not empty"),
        53003 => (
            "a Conditional Access policy blocks the app",
            "let an administrator exempt the service principal of `[msapi] app_id`",
        ),
        90038 | 900_382 | 900_432 => (
            "the tenant is in another national cloud",
            "set `[msapi] cloud` to the cloud of the tenant",
        ),
        700_229 => (
            "the token of the workload is not of the kind that the federated credential wants",
            "check the federated credential of `[msapi] app_id`",
        ),
        _ => return None,
    };
    Some(Refusal { meaning, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_refusal_names_what_to_look_at() {
        let codes = [
            7_000_215, 7_000_222, 700_016, 90002, 900_023, 7_000_229, 7_000_112, 500_011, 70011, 1_002_012, 700_027,
            50012, 50013, 7_000_218, 53003, 90038, 900_382, 900_432, 700_229,
        ];
        for code in codes {
            let refusal = refusal(code).unwrap();
            assert!(refusal.hint.contains("[msapi]"), "{code}");
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn a_wrong_secret_tells_that_the_value_is_wanted() {
        assert!(refusal(7_000_215).unwrap().hint.contains("its id is not it"));
        assert_eq!(refusal(1), None);
        assert!(is_passing(90033));
    }
}
