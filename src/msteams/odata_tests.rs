//! Names in requests to Graph, read back with a parser of `OData` that shares nothing with the code that writes them.
//!
//! Source: the grammar of `OData` 4.01 (`odata-abnf-construction-rules`) and RFC 3986.

use proptest::prelude::*;
use url::Url;

use crate::domain::recipients::Address;
use crate::msteams::graph::filter;
use crate::msteams::paths::{encode, join};
use crate::msteams::users::{named, path};

/// A request as a server reads it.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    segments: Vec<String>,
    options: Vec<(String, String)>,
}

/// One comparison of a filter.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    /// `property eq 'text'`
    Equal(String, String),
    /// `property/any(v:v eq 'text')`
    Any(String, String),
}

/// Decodes `%41`; `None` if an escape is broken or a byte needs one.
fn decode(text: &str, allowed: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || allowed.as_bytes().contains(byte);
        match byte {
            b'%' => {
                decoded.push(u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok()?);
                at += 3;
            }
            _ if is_plain => {
                decoded.push(*byte);
                at += 1;
            }
            _ => return None,
        }
    }
    String::from_utf8(decoded).ok()
}

fn read(url: &Url) -> Option<Asked> {
    let rest = url.as_str().strip_prefix("https://graph.example/")?;
    if rest.contains('#') {
        return None;
    }
    let (path, query) = rest.split_once('?')?;
    let segments = path
        .split('/')
        .map(|segment| decode(segment, ""))
        .collect::<Option<_>>()?;
    let option = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((decode(name, "$")?, decode(value, ",$")?))
    };
    let options = query.split('&').map(option).collect::<Option<_>>()?;
    Some(Asked { segments, options })
}

/// Reads a literal at the start of a text, and returns it and the rest.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let end = rest.find('\'')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

/// Reads comparisons that are joined by `or`.
fn comparisons(text: &str) -> Option<Vec<Compared>> {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (property, after) = (rest[..end].to_owned(), &rest[end..]);
        if let Some(after) = after.strip_prefix(" eq ") {
            let (value, after) = literal(after)?;
            found.push(Compared::Equal(property, value));
            rest = after;
        } else {
            let (value, after) = literal(after.strip_prefix("/any(p:p eq ")?)?;
            found.push(Compared::Any(property, value));
            rest = after.strip_prefix(')')?;
        }
        if rest.is_empty() {
            return Some(found);
        }
        rest = rest.strip_prefix(" or ")?;
    }
}

fn base() -> Url {
    Url::parse("https://graph.example/").unwrap()
}

/// Names with the characters that have a meaning in URLs and filters more often than chance has them.
fn name() -> impl Strategy<Value = String> {
    let odd = r"['+#&?%/$;:=()@ .,~]";
    let part =
        prop_oneof![3 => "[a-z0-9]", 3 => odd, 1 => "[äßéñ名🦀]", 1 => any::<char>().prop_map(|c| c.to_string())];
    proptest::collection::vec(part, 1..24).prop_map(|parts| parts.concat())
}

#[track_caller]
fn check_name(name: &str) {
    for reads_aliases in [false, true] {
        let query = format!("$filter={}&$select=id,mail", encode(&named(name, reads_aliases)));
        let asked = read(&join(&base(), &["v1.0", "users"], Some(&query))).expect("a valid URL");
        assert_eq!(asked.segments, ["v1.0", "users"]);
        let [(filter, condition), (select, fields)] = &asked.options[..] else {
            panic!("{asked:?}");
        };
        assert_eq!(
            (filter.as_str(), select.as_str(), fields.as_str()),
            ("$filter", "$select", "id,mail")
        );
        let equal = |property: &str| Compared::Equal(property.to_owned(), name.to_owned());
        let mut expected = vec![equal("mail"), equal("userPrincipalName")];
        expected.extend(reads_aliases.then(|| Compared::Any("proxyAddresses".to_owned(), format!("smtp:{name}"))));
        assert_eq!(comparisons(condition), Some(expected), "{condition}");
    }
    let query = filter("displayName", name);
    let asked = read(&join(&base(), &["v1.0", "teams"], Some(&query))).expect("a valid URL");
    let [(_, condition)] = &asked.options[..] else {
        panic!("{asked:?}");
    };
    let expected = Compared::Equal("displayName".to_owned(), name.to_owned());
    assert_eq!(comparisons(condition), Some(vec![expected]));
}

#[track_caller]
fn check_path(name: &str) {
    let path = path(name);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let asked = read(&join(&base(), &path, Some("$select=id"))).expect("a valid URL");
    match &asked.segments[..] {
        [_, users, last] => assert_eq!((users.as_str(), last.as_str()), ("users", name)),
        [_, call] => {
            let argument = call.strip_prefix("users(").and_then(literal);
            assert_eq!(argument, Some((name.to_owned(), ")")), "{call}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_of_guests_and_names_with_odd_characters_reach_graph_unchanged() {
    for name in [
        "dan.o'dell@example.com",
        "a+b@example.com",
        "$cash'@example.com",
        "frank_home.example#EXT#@example.onmicrosoft.com",
        "zoë.müller@exämple.com",
        "100%&more?x=y;z@example.com",
        "'' or mail ne '@example.com",
    ] {
        check_name(name);
        check_path(name);
    }
}

proptest! {
    #[test]
    fn any_name_reaches_graph_unchanged(name in name()) {
        check_name(&name);
        // A dot segment is no name.
        if name != "." && name != ".." {
            check_path(&name);
        }
    }

    #[test]
    fn an_address_that_is_accepted_reaches_graph_unchanged(mailbox in name(), domain in name()) {
        if let Ok(address) = Address::parse(&format!("{mailbox}@{domain}.com")) {
            check_name(address.as_str());
            check_path(address.as_str());
        }
    }
}
