//! Delegates: the people that recipients who are out of office name in their message.
//!
//! Architecture Invariant: the message is text from outside. Only addresses are taken from it, within fixed bounds; whether one
//! belongs to a person is not decided here.

use crate::domain::recipients::{Address, Person};

/// A person who was notified because a recipient is out of office.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delegate {
    /// The address of the delegate, as the message has it.
    pub recipient: String,
    /// The recipient who is out of office, as the record writes it.
    pub absent: String,
    /// The name of that recipient in the directory, or else the address.
    pub name: String,
}

/// The part of a message that is read, in bytes.
const READ: usize = 16_384;

/// Maximum number of addresses that are taken from a message.
const MOST: usize = 5;

/// Maximum number of characters before and after the `@` of an address (RFC 5321, section 4.5.3.1).
const LONGEST_MAILBOX: usize = 64;
const LONGEST_DOMAIN: usize = 255;

/// Marks around an address in a text, such as `*eve@example.com*`.
const MARKS: [char; 4] = ['*', '\'', '`', '~'];

/// How HTML writes characters that addresses contain.
const ENTITIES: [(&str, &str); 5] = [
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&apos;", "'"),
    ("&#64;", "@"),
    ("&amp;", "&"),
];

/// Returns the first email addresses in an out-of-office message, plain text or HTML, in order and without duplicates.
///
/// An address that is only a part of a longer word is not taken, because it would be the address of another person.
pub fn addresses_in(message: &str) -> Vec<Address> {
    let mut text = message[..message.floor_char_boundary(READ)].to_owned();
    for (entity, character) in ENTITIES {
        text = text.replace(entity, character);
    }
    let mut found: Vec<Address> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let address = address(before, after);
        found.extend(address.filter(|address| !found.contains(address)));
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// Returns the address whose `@` is between two texts.
fn address(before: &str, after: &str) -> Option<Address> {
    let mailbox = before.chars().rev().take_while(|c| is_in_mailbox(*c));
    let mailbox: Vec<char> = mailbox.take(LONGEST_MAILBOX + 1).collect();
    let domain = after.chars().take_while(|c| is_in_domain(*c));
    let domain: String = domain.take(LONGEST_DOMAIN + 1).collect();
    let is_long = mailbox.len() > LONGEST_MAILBOX || domain.chars().count() > LONGEST_DOMAIN;
    let mailbox: String = mailbox.into_iter().rev().collect();
    // Text with more than one `@` is not an address.
    let (before, after) = (&before[..before.len() - mailbox.len()], &after[domain.len()..]);
    if is_long || before.ends_with('@') || after.starts_with('@') {
        return None;
    }
    let mailbox = mailbox.trim_start_matches(MARKS);
    let domain = domain.trim_end_matches(['.', '-']);
    Address::parse(&format!("{mailbox}@{domain}"))
        .ok()
        .filter(|address| address.is_email() && domain.contains('.'))
}

/// Returns whether a character can be in the part before the `@` without quotes (RFC 5322, section 3.2.3, and RFC 6531).
fn is_in_mailbox(c: char) -> bool {
    c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_in_domain(c: char) -> bool {
    c.is_alphanumeric() || ".-".contains(c)
}

/// Chooses the delegate of a person who is out of office: of the people that the message names, in order, the first who is
/// not among `others`, by object ID. These are the person, the requester, and the recipients of the request.
pub fn choose_delegate<'a>(named: &'a [(Address, Person)], others: &[&str]) -> Option<&'a (Address, Person)> {
    let is_other = |person: &Person| others.iter().any(|id| id.eq_ignore_ascii_case(&person.id));
    named.iter().find(|(_, person)| !is_other(person))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Vec<String> {
        let addresses = addresses_in(message);
        addresses.iter().map(|address| address.as_str().to_owned()).collect()
    }

    #[test]
    fn addresses_are_found_in_plain_text_and_in_html() {
        for (message, expected) in [
            (
                "Back on Monday. In urgent cases: eve@example.com.",
                &["eve@example.com"][..],
            ),
            (
                "Ask Eve <eve@example.com>, or *bob@example.com*!",
                &["eve@example.com", "bob@example.com"],
            ),
            (
                r#"<html><body>Ask <a href="mailto:Eve@example.com?subject=x">eve@example.com</a>&nbsp;</body>"#,
                &["Eve@example.com"],
            ),
            ("&lt;eve@example.com&gt;", &["eve@example.com"]),
            ("dan.o&#39;dell@example.com", &["dan.o'dell@example.com"]),
            ("'dan.o'dell@example.com'", &["dan.o'dell@example.com"]),
            ("Zoë: zoë@bücher.example", &["zoë@bücher.example"]),
            ("I am away.", &[]),
            ("", &[]),
        ] {
            assert_eq!(found(message), expected, "{message}");
        }
    }

    #[test]
    fn what_only_looks_like_an_address_is_none() {
        for message in [
            "@everyone",
            "a@",
            "eve@localhost",
            "a@@example.com",
            "a@b.example@c.example",
            "eve smith @ example.com",
        ] {
            assert!(found(message).is_empty(), "{message}: {:?}", found(message));
        }
        // A shorter part would be the address of another person.
        assert_eq!(found("dan.o%27dell@example.com"), ["dan.o%27dell@example.com"]);
        assert_eq!(found("r&amp;d@example.com"), ["r&d@example.com"]);
    }

    #[test]
    fn a_message_is_read_within_bounds() {
        let many: Vec<String> = (0..50).map(|number| format!("a{number}@example.com")).collect();
        assert_eq!(found(&many.join(" ")).len(), MOST);
        let late = format!("{}eve@example.com", "é".repeat(READ));
        assert!(found(&late).is_empty());
        assert!(found(&format!("{}@example.com", "a".repeat(READ - 100))).is_empty());
        assert!(found(&format!("a@{}.com", "b".repeat(READ))).is_empty());
        assert!(found(&"@".repeat(READ)).is_empty());
    }

    #[test]
    fn the_first_person_who_has_no_part_in_the_request_is_the_delegate() {
        let named = |names: &[&str]| -> Vec<(Address, Person)> {
            let person = |name: &&str| {
                let address = Address::parse(&format!("{name}@example.com")).unwrap();
                let (id, name) = (format!("id-{name}"), (*name).to_owned());
                (address, Person { id, name })
            };
            names.iter().map(person).collect()
        };
        let chosen = |names: &[&str], others: &[&str]| {
            let named = named(names);
            choose_delegate(&named, others).map(|(address, _)| address.as_str().to_owned())
        };
        assert_eq!(
            chosen(&["eve", "bob"], &["id-alice"]).as_deref(),
            Some("eve@example.com")
        );
        assert_eq!(
            chosen(&["alice", "bob"], &["ID-ALICE"]).as_deref(),
            Some("bob@example.com")
        );
        assert_eq!(chosen(&["alice"], &["id-alice"]), None);
        assert_eq!(chosen(&[], &[]), None);
    }
}
