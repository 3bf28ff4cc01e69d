//! Tokens of the managed identity of the machine: the requests, and what the answers mean.
//!
//! Source: `@azure/msal-node`: `Imds.ts`, `AppService.ts` and `ImdsRetryPolicy.ts`, which repeats requests after 404, 408,
//! 410, 429 and server errors.
//!
//! Architecture Invariant: pure. The texts of answers are never shown.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::config::{IdentityEndpoint, ManagedIdentity};
use crate::msteams::error::{Error, InPlaceRetry, Meaning, Operation, Retry};
use crate::msteams::http::Request;
use crate::msteams::paths::join;
use crate::secret::Secret;

/// The pause while the metadata service is being updated, which it reports with 410.
const UPDATE_PAUSE: Duration = Duration::from_secs(10);

/// The code of the metadata service for a resource that is not in the tenant.
///
/// Source: Microsoft's page "How to use managed identities for Azure resources on an Azure VM to acquire an access token".
const UNKNOWN_SERVICE: &str = "invalid_resource";

/// Returns the request for a token of a scope, and the header that proves that a program on the machine sends it.
pub(crate) fn request(
    operation: Operation,
    identity: &ManagedIdentity,
    scope: &str,
) -> (Request, (&'static str, Secret)) {
    let (mut url, version, header) = match &identity.endpoint {
        IdentityEndpoint::AppService { url, header } => {
            (url.clone(), "2019-08-01", ("X-IDENTITY-HEADER", header.clone()))
        }
        IdentityEndpoint::Metadata(base) => {
            let url: Url = join(base, &["metadata", "identity", "oauth2", "token"], None);
            (url, "2018-02-01", ("Metadata", Secret::new("true")))
        }
    };
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", resource)
        .append_pair("client_id", &identity.client_id);
    (Request::get(operation, url), header)
}

/// Classifies an answer with an error status that is not documented as temporary for every service.
pub(crate) fn judge(operation: Operation, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Error {
    let answer = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    let is_answer = answer.is_some();
    let code = answer.and_then(|answer| answer.get("error")?.as_str().map(str::to_owned));
    let retry = if status == 410 { Some(UPDATE_PAUSE) } else { retry_after };
    let temporary = Error::new(operation, Meaning::Unreachable, Retry::Later(retry));
    match status {
        410 | 500.. => temporary
            .detail("the endpoint of the managed identity is not available")
            .with_in_place_retry(InPlaceRetry::Yes),
        404 => absent(
            temporary.with_in_place_retry(InPlaceRetry::Yes),
            "it knows no managed identity",
        ),
        400 if code.as_deref() == Some(UNKNOWN_SERVICE) => {
            Error::new(operation, Meaning::Credentials, Retry::Later(None))
                .detail("the tenant of the managed identity does not know the service")
                .with_hint(Some(hint!("Set `[msapi] cloud` to the cloud of the tenant")))
        }
        400 if is_answer => Error::new(operation, Meaning::Credentials, Retry::Later(None))
            .detail("this machine does not have the managed identity")
            .with_hint(Some(hint!(
                "Assign a managed identity to this machine, and set `[msapi] managed_identity` to its client ID"
            ))),
        401 | 403 if is_answer => Error::new(operation, Meaning::Credentials, Retry::Later(None))
            .detail("the endpoint of the managed identity rejects the header of this program")
            .with_hint(Some(hint!(
                "Restart the program, so that it receives the current IDENTITY_HEADER"
            ))),
        _ => absent(
            Error::new(operation, Meaning::Protocol, Retry::Later(None)),
            "something else answered",
        ),
    }
}

/// Explains a failed exchange: without an answer there is no managed identity on this machine.
pub(crate) fn explained(error: Error, identity: &ManagedIdentity) -> Error {
    if error.status().is_some() {
        return error;
    }
    let reason = format!("{} does not answer", identity.endpoint.host());
    absent(error, &reason).with_in_place_retry(InPlaceRetry::Once)
}

fn absent(error: Error, reason: &str) -> Error {
    let detail = format!("there is no managed identity here: {reason}");
    error.detail(detail).with_hint(Some(hint!(
        "Run the program on a machine in Azure with a managed identity, or use another credential than `[msapi] managed_identity`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_address_version_and_header() {
        let operation = Operation::GraphIdentity;
        let mut identity = ManagedIdentity {
            client_id: "1-2".to_owned(),
            endpoint: IdentityEndpoint::Metadata("http://169.254.169.254".parse().unwrap()),
        };
        let (sent, (name, value)) = request(operation, &identity, "https://graph.microsoft.com/.default");
        assert_eq!(
            sent.url.as_str(),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com&client_id=1-2"
        );
        assert_eq!((name, value.expose()), ("Metadata", "true"));
        identity.client_id = "11-22".to_owned();
        identity.endpoint = IdentityEndpoint::AppService {
            url: "http://localhost:42356/msi/token/".parse().unwrap(),
            header: Secret::new("x"),
        };
        let (sent, (name, value)) = request(operation, &identity, "https://api.botframework.com/.default");
        assert_eq!(
            sent.url.as_str(),
            "http://localhost:42356/msi/token/?api-version=2019-08-01&resource=https%3A%2F%2Fapi.botframework.com&client_id=11-22"
        );
        assert_eq!((name, value.expose()), ("X-IDENTITY-HEADER", "x"));
    }

    #[test]
    fn statuses_are_repeated_as_microsofts_clients_do() {
        let judged = |status, body: &str| judge(Operation::BotIdentity, status, None, body.as_bytes());
        for status in [404, 410, 500, 501] {
            assert_eq!(judged(status, "").in_place_retry(), InPlaceRetry::Yes, "{status}");
        }
        assert_eq!(judged(410, "").retry(), Retry::Later(Some(UPDATE_PAUSE)));
        for (status, body, meaning) in [
            (400, "{\"error\":\"invalid_request\"}", Meaning::Credentials),
            (401, "{\"statusCode\":401}", Meaning::Credentials),
            (400, "<html>", Meaning::Protocol),
            (400, "{\"error\":\"invalid_resource\"}", Meaning::Credentials),
            (301, "", Meaning::Protocol),
        ] {
            let error = judged(status, body);
            assert_eq!((error.meaning(), error.in_place_retry()), (meaning, InPlaceRetry::No));
            assert!(error.has_hint());
        }
    }

    #[test]
    fn a_rejected_request_names_its_cause() {
        let shown = |body: &str| judge(Operation::BotIdentity, 400, None, body.as_bytes()).to_string();
        let unknown = shown("{\"error\":\"invalid_resource\",\"error_description\":\"AADSTS500011: …\"}");
        assert!(unknown.contains("does not know the service"), "{unknown}");
        let missing = shown("{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}");
        assert!(missing.contains("does not have the managed identity"), "{missing}");
    }
}
