//! The error codes of Microsoft's login service: their meaning and their hint.
//!
//! Source: Microsoft's reference "Microsoft Entra authentication and authorization error codes".
//!
//! Architecture Invariant: reads the numbers in `error_codes` and the word in `error`, never the description, which may change and may
//! quote the request.

/// A known error code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) meaning: &'static str,
    pub(crate) hint: &'static str,
}

/// The values of `error` in answers of the login service (RFC 6749, and Microsoft's reference of its codes).
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

/// Codes for a temporary problem of the service, which the reference says to retry.
const TEMPORARY: [u64; 6] = [90006, 90012, 90024, 90033, 90055, 90090];

/// Returns whether the code means a temporary problem of the service.
pub(crate) fn is_temporary(code: u64) -> bool {
    TEMPORARY.contains(&code)
}

/// Returns whether a code, such as `AADSTS7000215`, means that this client secret is wrong or has expired, so that another
/// one may work.
pub(crate) fn rejects_secret(code: &str) -> bool {
    ["AADSTS7000215", "AADSTS7000222"].contains(&code)
}

/// Returns whether a code can mean that the clocks of both sides differ, so that another assertion may be accepted.
pub(crate) fn may_be_skew(code: u64) -> bool {
    [50012, 50013, 700_024].contains(&code)
}

/// Returns the meaning and the hint of a code that a retry does not fix.
pub(crate) fn refusal(code: u64) -> Option<Refusal> {
    let (meaning, hint) = match code {
        7_000_215 => (
            "the client secret is wrong",
            hint!("Set `[msapi] app_secret` to the value of the client secret, not to its ID"),
        ),
        7_000_222 => (
            "the client secret has expired",
            hint!("Create a new client secret for the app registration and set `[msapi] app_secret` to its value"),
        ),
        700_016 => (
            "the app does not exist in the tenant",
            hint!(
                "Check `[msapi] app_id` (the application (client) ID, not the teams_app_id) and `[msapi] tenant_id` (the directory ID)"
            ),
        ),
        90002 => (
            "the tenant does not exist",
            hint!(
                "Check `[msapi] tenant_id` (is it swapped with app_id?) and that `[msapi] cloud` is the cloud of the tenant"
            ),
        ),
        900_023 => (
            "the tenant ID is neither a GUID nor a domain name",
            hint!("Set `[msapi] tenant_id` to the directory (tenant) ID of the app registration"),
        ),
        7_000_229 => (
            "the app has no service principal in the tenant",
            hint!("Create an enterprise application for `[msapi] app_id` in the tenant `[msapi] tenant_id`"),
        ),
        7_000_112 => (
            "the app is disabled",
            hint!("Enable sign-in for the enterprise application of `[msapi] app_id`"),
        ),
        500_011 => (
            "the service that the token is for does not exist in the tenant",
            hint!("Check `[msapi] tenant_id` and that `[msapi] cloud` is the cloud of the tenant"),
        ),
        70011 | 1_002_012 => (
            "the scope is not valid",
            hint!("Check that `[msapi] cloud` is the cloud of the tenant"),
        ),
        700_027 => (
            "the certificate is not registered for the app",
            hint!(
                "Upload the certificate of `[msapi] client_certificate` to the app registration, Certificates and secrets, and compare its thumbprint with the one that `validate --all` prints"
            ),
        ),
        50012 | 50013 => (
            "the signed assertion was rejected",
            hint!(
                "Check that the certificate is registered for `[msapi] app_id` and that the clock of this machine is right"
            ),
        ),
        700_024 => (
            "the assertion is not valid at this time",
            hint!("Set the clock of this machine; `[msapi] client_certificate` signs with its time"),
        ),
        700_021 | 700_023 => (
            "the assertion is for another app or another tenant",
            hint!("Check `[msapi] app_id`, `[msapi] tenant_id` and `[msapi.endpoints] login`"),
        ),
        70021 | 700_211..=700_213 | 7_002_121 => (
            "no federated credential of the app matches the token",
            hint!(
                "Compare the issuer, the subject and the audience of the token with the federated credential of `[msapi] app_id`"
            ),
        ),
        7_000_218 => (
            "no secret was received",
            hint!("Check that `[msapi] app_secret` is not empty"),
        ),
        53003 => (
            "a Conditional Access policy blocks the app",
            hint!("Ask an administrator to exempt the service principal of `[msapi] app_id`"),
        ),
        90038 | 900_382 | 900_432 => (
            "the tenant is in another national cloud",
            hint!("Set `[msapi] cloud` to the cloud of the tenant"),
        ),
        700_229 => (
            "the workload token does not match the federated credential",
            hint!("Check the federated credential of `[msapi] app_id`"),
        ),
        _ => return None,
    };
    Some(Refusal { meaning, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_refusal_names_the_key_to_check() {
        let codes = [
            7_000_215, 7_000_222, 700_016, 90002, 900_023, 7_000_229, 7_000_112, 500_011, 70011, 1_002_012, 700_027,
            700_024, 50012, 50013, 700_021, 700_023, 70021, 700_211, 700_212, 700_213, 7_002_121, 7_000_218, 53003,
            90038, 900_382, 900_432, 700_229,
        ];
        for code in codes {
            let refusal = refusal(code).unwrap();
            assert!(refusal.hint.contains("[msapi]"), "{code}");
            assert!(!is_temporary(code), "{code}");
        }
    }

    #[test]
    fn a_wrong_secret_asks_for_the_value() {
        assert!(refusal(7_000_215).unwrap().hint.contains("not to its ID"));
        assert_eq!(refusal(1), None);
        assert!(is_temporary(90033));
    }
}
