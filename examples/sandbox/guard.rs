//! Lets only this machine's own page use the sandbox.
//!
//! A foreign web page may make a browser send requests to 127.0.0.1, even under its own name (DNS rebinding). The `Host` or
//! the `Origin` header reveals such a request.

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;

/// Forbids foreign content, inline scripts, and frames around the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Rejects foreign requests, and adds the headers to every answer that isolate the page.
pub async fn guard(State(port): State<u16>, request: Request, next: Next) -> Response {
    let mut response = match refusal(port, request.method(), request.headers()) {
        Some(reason) => (StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns why a request is rejected, or `None` if it is allowed.
fn refusal(port: u16, method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let own = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if !text(header::HOST).is_some_and(|host| own.iter().any(|own| own == host)) {
        return Some("this page is only available at 127.0.0.1 and localhost\n");
    }
    let foreign = |origin: &str| !own.iter().any(|own| origin == format!("http://{own}"));
    if *method != Method::GET && text(header::ORIGIN).is_some_and(foreign) {
        return Some("pages of other sites cannot use the sandbox\n");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, headers: &[(&'static str, &'static str)], allowed: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(refusal(8765, method, &map).is_none(), allowed, "{headers:?}");
    }

    #[test]
    fn only_the_sandboxs_own_page_is_let_in() {
        check(&Method::GET, &[("host", "127.0.0.1:8765")], true);
        check(&Method::GET, &[("host", "localhost:8765")], true);
        check(&Method::GET, &[("host", "evil.example:8765")], false);
        check(&Method::GET, &[("host", "127.0.0.1:80")], false);
        check(&Method::GET, &[], false);
        check(&Method::POST, &[("host", "127.0.0.1:8765")], true);
        let own = ("origin", "http://localhost:8765");
        check(&Method::POST, &[("host", "localhost:8765"), own], true);
        for origin in ["http://evil.example", "null", "https://127.0.0.1:8765"] {
            check(&Method::POST, &[("host", "127.0.0.1:8765"), ("origin", origin)], false);
        }
    }
}
