//! Any text as a condition, as a pattern and as what the pattern is tried on: it is refused, or it has an answer, and what
//! is printed reads as the same tree.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use teleport_msteams::domain::request::{AccessRequest, RequestId};
use teleport_msteams::domain::rules::{Condition, Labels, Subject, dict_of, parse};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let request = AccessRequest {
        roles: vec!["dba".to_owned(), "dev".to_owned()],
        reason: "The index is broken".to_owned(),
        suggested_reviewers: vec!["alice@example.com".to_owned()],
        system_annotations: BTreeMap::from([("svc".to_owned(), vec!["a".to_owned()])]),
        created: Some(Timestamp::UNIX_EPOCH),
        ..AccessRequest::new(RequestId::new("r"), "bob@example.com")
    };
    let traits = BTreeMap::from([("team".to_owned(), vec!["core".to_owned()])]);
    Subject::new(&request, dict_of(&traits), Ok(Labels::default()))
});

fn ask(text: &str) {
    let tree = parse(text);
    if let Ok(condition) = Condition::new(text) {
        // What conditions refuse has no way to be written.
        let printed = tree.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!(parse(&printed), tree, "{text:?} is printed as {printed}");
        let _ = condition.holds(&SUBJECT);
        condition.deciding(&SUBJECT);
        condition.certain_failures();
    }
}

fuzz_target!(|text: &str| {
    ask(text);
    if !text.contains('`') {
        let (pattern, tried) = text.split_once('\n').unwrap_or((text, text));
        ask(&format!("regexp.match(set(`{tried}`), `{pattern}`)"));
        ask(&format!(
            "is_empty(regexp.replace(set(`{tried}`), `{pattern}`, `{tried}`))"
        ));
        ask(&format!("is_empty(email.local(set(`{tried}`)))"));
        ask(&format!(
            "newer_than(`{tried}`, `{pattern}`) || time.RFC3339(`{tried}`).before(time.RFC3339(`{pattern}`))"
        ));
    }
});
