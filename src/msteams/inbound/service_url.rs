//! Compares the address of the service in the token with the one in the body.
//!
//! Architecture Invariant: pure, and compares text. Nothing is resolved, decoded or sent.

/// Returns whether both are the same https address: equal, but for the letter case of scheme and host, and for one slash
/// at the end (Bot Connector authentication, step 4, requirement 7; RFC 3986, section 6.2.2.1).
pub(super) fn is_same(claimed: &str, stated: &str) -> bool {
    match (canonical(claimed), canonical(stated)) {
        (Some(claimed), Some(stated)) => claimed == stated,
        _ => false,
    }
}

/// Returns the host in lower case, and the rest. `None` if it is not https, names a user, or is no address.
fn canonical(url: &str) -> Option<(String, &str)> {
    const SCHEME: &str = "https://";
    // A backslash is a slash to some parsers, and spaces and invisible characters are skipped by others.
    let is_clean = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let (scheme, rest) = url.split_at_checked(SCHEME.len())?;
    if !is_clean || !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if host.is_empty() || host.contains('@') {
        return None;
    }
    Some((host.to_ascii_lowercase(), path.strip_suffix('/').unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_same_but_for_the_case_of_the_host_and_a_slash() {
        let url = "https://smba.trafficmanager.net/emea/aaaa/";
        for (other, expected) in [
            (url, true),
            ("https://smba.trafficmanager.net/emea/aaaa", true),
            ("HTTPS://SMBA.trafficmanager.net/emea/aaaa/", true),
            ("https://smba.trafficmanager.net/emea/aaaa//", false),
            ("https://smba.trafficmanager.net/EMEA/aaaa/", false),
            ("https://smba.trafficmanager.net/emea/aaaa/?", false),
            ("https://smba.trafficmanager.net/emea/../emea/aaaa/", false),
            ("https://smba.trafficmanager.net:443/emea/aaaa/", false),
            ("https://smba.trafficmanager.net.evil.example/emea/aaaa/", false),
            ("", false),
        ] {
            assert_eq!(is_same(url, other), expected, "{other}");
        }
    }

    #[test]
    fn an_address_that_is_not_plain_https_equals_nothing() {
        for url in [
            "",
            "https://",
            "https:///path",
            "http://127.0.0.1/",
            "https://user@host/",
            "https://host\\path/",
            "https://host /",
            "https://höst/",
            "ftp://host/",
            "https",
        ] {
            assert!(!is_same(url, url), "{url}");
        }
        assert!(is_same("https://host", "https://HOST/"));
    }
}
