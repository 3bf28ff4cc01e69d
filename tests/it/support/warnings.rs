//! Checks at the end of each story that the logs hold no warning that the test does not expect.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::support::town::Town;

/// The warnings of a daemon whose event stream breaks.
const CUT: &str = "Connection problem detected, attempting to reconnect";

/// The warnings that a test expects beside those for which it has waited.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<Warning>>);

struct Warning {
    text: String,
    must_come: bool,
}

impl Town {
    /// Expects a warning with each of these texts. Texts that a test awaits by `says` or counts are expected anyway.
    pub(crate) fn expects_warnings(&self, texts: &[&str]) {
        self.allow(texts, true);
    }

    /// Allows warnings that depend on the order of two events.
    pub(crate) fn allows_warnings(&self, texts: &[&str]) {
        self.allow(texts, false);
    }

    fn allow(&self, texts: &[&str], must_come: bool) {
        let warnings = texts.iter().map(|text| Warning {
            text: (*text).to_owned(),
            must_come,
        });
        self.warnings.0.lock().unwrap().extend(warnings);
    }

    /// Ends every event stream, and expects the daemons' warnings.
    pub(crate) fn cut_streams(&self) {
        self.expects_warnings(&[CUT]);
        self.cluster.cut_streams();
    }

    /// Stops Teleport, and expects the daemons' warnings. A call that is in progress, such as a listing, may fail.
    pub(crate) async fn stop_teleport(&self) {
        self.expects_warnings(&[CUT]);
        self.allows_warnings(&[
            "Service fails, retrying service=\"Teleport\"",
            "Could not list Teleport resources, retrying",
        ]);
        self.cluster.stop().await;
    }

    /// Fails if a daemon logged an unexpected warning, or did not log an expected one.
    pub(super) fn check_warnings(&self) {
        let allowed = self.warnings.0.lock().unwrap();
        let mut met = BTreeSet::new();
        for heard in &self.heard {
            let (log, awaited) = (heard.log.text(), heard.awaited());
            let mut unexpected = Vec::new();
            for line in log.lines().filter(|line| is_warning(line)) {
                let fitting: Vec<_> = allowed.iter().filter(|warning| line.contains(&warning.text)).collect();
                if fitting.is_empty() && !awaited.iter().any(|said| said == sentence(line)) {
                    unexpected.push(line);
                }
                met.extend(fitting.into_iter().map(|warning| warning.text.clone()));
            }
            assert!(unexpected.is_empty(), "unexpected warnings: {unexpected:#?}\n{log}");
        }
        for warning in allowed.iter().filter(|warning| warning.must_come) {
            let text = &warning.text;
            assert!(met.contains(text), "no daemon warned of {text:?}");
        }
    }
}

pub(super) fn is_warning(line: &str) -> bool {
    matches!(line.split_whitespace().nth(1), Some("WARN" | "ERROR"))
}

/// Returns the message of a line, with the service or resource that it is about, and without its other fields.
pub(super) fn sentence(line: &str) -> &str {
    let said = line.rsplit_once(" teleport_msteams::").map_or(line, |(_, rest)| rest);
    let said = said.split_once(": ").map_or(said, |(_, rest)| rest);
    // A warning about one service or resource says nothing about another one.
    let is_field = |word: &str| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| {
            !matches!(name, "service" | "resource")
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || "_.".contains(letter))
        })
    };
    let field = said.split(' ').find(|word| is_field(word));
    let end = field.and_then(|field| said.find(&format!(" {field}")));
    &said[..end.unwrap_or(said.len())]
}

#[test]
fn a_sentence_is_what_a_line_says_without_its_fields() {
    let line = "2026-11-26T11:38:34Z  WARN task{task.name=\"watch\"}: teleport_msteams::daemon::x: Service fails, retrying service=\"Bot connector\" error=\"a: b\" hint=\"c\"";
    assert_eq!(sentence(line), "Service fails, retrying service=\"Bot connector\"");
    assert!(is_warning(line));
}
