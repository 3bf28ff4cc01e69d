//! Tests of `error.rs`.

use super::*;

#[test]
fn a_message_that_may_have_arrived_is_not_repeated_in_place() {
    let error = Error::new(Operation::Post, Meaning::Unreachable, Retry::FateUnknown);
    let error = error.with_in_place_retry(InPlaceRetry::Yes);
    assert_eq!(error.in_place_retry(), InPlaceRetry::No);
}

#[test]
fn an_error_shows_the_operation_the_subject_and_the_answer() {
    let error = Error::new(Operation::FindUser, Meaning::Denied, Retry::Later(None))
        .about("a…@example.com")
        .with_answer(403, Some("Authorization_RequestDenied".to_owned()));
    let expected = "could not find the user for a…@example.com: access is denied (403, Authorization_RequestDenied)";
    assert_eq!(error.to_string(), expected);
    let error = Error::new(Operation::Post, Meaning::Unreachable, Retry::FateUnknown).detail("no answer in time");
    assert_eq!(error.to_string(), "could not post the card: no answer in time");
    let error = Error::new(Operation::BotToken, Meaning::Credentials, Retry::Later(None)).about("19:a");
    let expected = "could not get a token for the Bot connector: Microsoft rejected the credentials";
    assert_eq!(error.to_string(), expected);
}

impl Error {
    /// Returns a failure to list the members of a group.
    pub(crate) fn of_members(meaning: Meaning) -> Self {
        Self::new(Operation::ListMembers, meaning, Retry::Later(None))
    }
}
