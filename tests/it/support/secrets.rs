//! Searches the program's output for the secrets of the pretend world, which are recognisable.
//!
//! It covers every daemon, every run of the program, every answer of its port, and every card and record of a town. A
//! test of the architecture ensures that there is no other way to start one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::world::PLANTED;

/// The beginning of every private key of the pretend world, as PEM and as bytes in a list, a part of each RSA key, and the beginning
/// of every assertion that the app signs.
const KEYS: [&str; 5] = [
    "PRIVATE KEY-----",
    "MIGHAgEAMBMGByqGSM49",
    "48, 129, 135, 2, 1, 0",
    "ADANBgkqhkiG9w0BAQEFAASC",
    "eyJhbGciOiJQUzI1NiI",
];

/// Fails if a text holds a secret.
pub(crate) fn check(what: &str, text: &str) {
    if let Some(mark) = secret_in(text)
        && !std::thread::panicking()
    {
        panic!("{what} holds a secret, or a part of one ({mark}):\n{text}");
    }
}

/// Fails if a log holds a secret, or a line above debug level holds a whole email address.
pub(crate) fn check_log(what: &str, log: &str) {
    check(what, log);
    let addresses = log.lines().filter(|line| is_for_people(line) && has_address(line));
    if let Some(line) = addresses.into_iter().next()
        && !std::thread::panicking()
    {
        panic!("{what} shows a whole email address: {line}");
    }
}

fn secret_in(text: &str) -> Option<String> {
    let marks = KEYS.map(str::to_owned).into_iter().chain(disguises());
    marks.into_iter().find(|mark| text.contains(mark))
}

/// Returns the mark of secrets in plain text, and in Base64 at each of three offsets.
fn disguises() -> Vec<String> {
    let inside = |before: &str| {
        let text = STANDARD.encode(format!("{before}{PLANTED}"));
        // The first and last letters also depend on the bytes beside the mark.
        text[4..text.len() - 4].to_owned()
    };
    vec![PLANTED.to_owned(), inside(""), inside("x"), inside("xx")]
}

fn is_for_people(line: &str) -> bool {
    [" INFO ", " WARN ", "ERROR ", "\"INFO\"", "\"WARN\"", "\"ERROR\""]
        .iter()
        .any(|level| line.contains(level))
}

/// Returns whether the text has an email address that is not shortened, as in `a…@example.com`. The ids of chats and
/// channels look like one, but name no user.
fn has_address(line: &str) -> bool {
    line.match_indices('@').any(|(at, _)| {
        let (name, domain) = (&line[..at], &line[at + 1..]);
        let of_teams = [".gbl.spaces", "thread.tacv2", "thread.v2"];
        let domain = domain
            .split(|letter: char| !letter.is_alphanumeric() && !".-".contains(letter))
            .next();
        let is_chat = of_teams
            .iter()
            .any(|end| domain.is_some_and(|domain| domain.ends_with(end)));
        !is_chat && name.ends_with(|letter: char| letter.is_alphanumeric() || letter == '\'')
    })
}

#[test]
fn secrets_and_addresses_are_found_in_every_disguise() {
    let pem = format!("-----BEGIN {}", KEYS[0]);
    let basic = STANDARD.encode(format!("me:{PLANTED}-1"));
    let form = format!("client_secret=a%2B{PLANTED}%26");
    for secret in [
        PLANTED,
        &pem,
        &basic,
        &form,
        &STANDARD.encode(format!("user:{PLANTED}")),
    ] {
        assert!(secret_in(&format!("before {secret} after")).is_some(), "{secret}");
    }
    assert_eq!(secret_in("an app secret, a token and a key"), None);
    assert!(has_address("recipient=alice@example.com"));
    assert!(has_address("recipient=dan.o'dell@example.com"));
    assert!(!has_address(
        "recipient=a…@example.com error=@ chat_id=19:1_2@unq.gbl.spaces"
    ));
}
