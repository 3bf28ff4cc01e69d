//! URLs below the base of a service.
//!
//! Architecture Invariant: a segment stays one segment, whatever it contains.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Everything except the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Appends segments to a base and keeps the path of the base. `query` must already be encoded.
pub(crate) fn join(base: &Url, segments: &[&str], query: Option<&str>) -> Url {
    let mut url = base.clone();
    let mut path = base.path().trim_end_matches('/').to_owned();
    for segment in segments {
        path.push('/');
        match *segment {
            // Dot segments would change the path even if they were encoded once. No valid id looks like this, so the
            // service answers that it does not exist.
            "." => path.push_str("%252E"),
            ".." => path.push_str("%252E%252E"),
            // An empty segment would disappear.
            "" => path.push_str("%20"),
            segment => path.extend(utf8_percent_encode(segment, RESERVED)),
        }
    }
    url.set_path(&path);
    url.set_query(query);
    url
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, segments: &[&str], expected: &str) {
        let base = Url::parse(base).unwrap();
        assert_eq!(join(&base, segments, Some("$top=1")).as_str(), expected);
    }

    #[test]
    fn the_path_of_a_base_is_kept_and_segments_are_encoded() {
        check(
            "http://h:1/bot/teams/",
            &["v3", "conversations"],
            "http://h:1/bot/teams/v3/conversations?$top=1",
        );
        check("https://h", &["v1.0", "users"], "https://h/v1.0/users?$top=1");
        check(
            "https://h/a",
            &["19:a_b@thread.tacv2;messageid=1", "o'brien/..#?%"],
            "https://h/a/19%3Aa_b%40thread.tacv2%3Bmessageid%3D1/o%27brien%2F..%23%3F%25?$top=1",
        );
        check(
            "https://h/a",
            &["x", ".", "..", "", "y"],
            "https://h/a/x/%252E/%252E%252E/%20/y?$top=1",
        );
        check(
            "https://h/a",
            &["%2e%2e", "%2E."],
            "https://h/a/%252e%252e/%252E.?$top=1",
        );
    }
}
