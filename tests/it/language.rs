//! Checks that texts, comments and names use the field's words.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The files and directories that are checked. This file is not.
const CHECKED: &[&str] = &[
    "tests/it",
    "README.md",
    "docs",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "systemd",
    "examples",
    "benches",
    "src",
    "proto",
    ".ci",
    "tests/chart",
    "tests/docker",
    "tests/monitoring",
    "tests/real",
    "tests/release",
    "tests/peers",
    "Cargo.toml",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
];

/// A word or phrase, and what to write instead. Names count as text: `at_once` is the phrase "at once".
const INSTEAD: &[(&str, &str)] = &[
    ("nobody", "name the recipient, reviewer, operator or replica"),
    ("somebody", "name the recipient, reviewer, operator or replica"),
    ("anybody", "name the recipient, reviewer, operator or replica"),
    ("whoever", "name the recipient, reviewer, operator or replica"),
    ("whom", "which recipients"),
    ("told", "notified, logged, reported"),
    ("tell", "notify, log, report"),
    ("tells", "notifies, logs, reports, returns"),
    ("telling", "notifying, logging, reporting"),
    ("mend", "fix, repair"),
    ("mends", "fixes, repairs"),
    ("mended", "fixed, repaired"),
    ("mending", "fixing, repairing"),
    ("put right", "repaired, reconciled"),
    ("made good", "repaired, repeated"),
    ("for ever", "until shutdown, forever"),
    ("taken up", "loaded, applied"),
    ("take up", "load, apply"),
    ("takes up", "loads, applies"),
    ("mail address", "email address"),
    ("mail addresses", "email addresses"),
    ("road", "route"),
    ("roads", "routes"),
    ("remedy", "hint"),
    ("remedies", "hints"),
    ("is at it", "holds the claim"),
    ("hear of", "receive, be notified of"),
    ("hears of", "receives, is notified of"),
    ("heard of", "received, was notified of"),
    ("in force", "current, active"),
    ("happening", "call event"),
    ("happenings", "call events"),
    ("papers", "completions and man page"),
    ("errand", "background task"),
    ("errands", "background tasks"),
    ("at once", "immediately, at the same time"),
    ("noted", "recorded"),
    ("had again", "issued again"),
    ("worth a look", "worth checking"),
    ("look again", "resync, list again"),
    ("looks again", "resyncs, lists again"),
    ("signs of life", "heartbeats"),
    ("turn again", "are responsive again"),
    ("kept true", "kept up to date"),
    ("stay true", "stay up to date"),
    ("stays true", "stays up to date"),
    ("card true", "card up to date"),
    ("cards true", "cards up to date"),
];

/// Lines on which such a word is justified: the end of the file's path (empty for every file), and a part of the line.
const JUSTIFIED: &[(&str, &str)] = &[
    // Made-up recipients.
    ("rules/routing.rs", "nobody at all"),
    ("rules_check.snap", "somebody]"),
    // Values that dashboards and Teleport use.
    ("labels.rs", "in_force"),
    ("health.rs", "in_force"),
    ("metrics.snap", "in_force"),
    ("steps.py", "lock in force"),
    ("validate.rs", "lock targeting User is in force"),
    ("service.rs", "lock targeting User is in force"),
];

/// A word in lower case, with its place in the text.
struct Word {
    text: String,
    start: usize,
    end: usize,
}

/// Returns the words of a text. Names in email addresses do not count, nor does the letter of an escape like `\n`.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    let mut before = ' ';
    for (at, char) in text.char_indices().chain([(text.len(), ' ')]) {
        let in_word = char.is_alphanumeric() && before != '\\';
        before = char;
        match (in_word, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                start = None;
                if char != '@' {
                    let text = text[from..at].to_lowercase();
                    words.push(Word {
                        text,
                        start: from,
                        end: at,
                    });
                }
            }
            _ => {}
        }
    }
    words
}

/// Returns whether a phrase may go on across this: spaces, line breaks of comments and strings, or the `_` of a name.
fn joins(between: &str) -> bool {
    between
        .chars()
        .all(|char| char.is_whitespace() || "/!_#*\\".contains(char))
}

/// Returns the lines, counted from 1, that hold one of the words, with what to write instead.
fn findings(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for (phrase, instead) in INSTEAD {
        let phrase_words: Vec<&str> = phrase.split(' ').collect();
        for window in words.windows(phrase_words.len()) {
            let same = window
                .iter()
                .map(|word| word.text.as_str())
                .eq(phrase_words.iter().copied());
            let joined = window.windows(2).all(|pair| joins(&text[pair[0].end..pair[1].start]));
            if same && joined {
                let line = text[..window[0].start].matches('\n').count() + 1;
                found.push((line, *phrase, *instead));
            }
        }
    }
    found
}

/// Adds each text file at or below this path, relative to the project's directory.
fn add_texts(path: &str, texts: &mut Vec<(String, String)>) {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if whole.is_dir() {
        for entry in fs::read_dir(whole).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name != "target" {
                add_texts(&format!("{path}/{name}"), texts);
            }
        }
    } else if path != "tests/it/language.rs" {
        // Pictures and other binary files are skipped.
        if let Ok(text) = String::from_utf8(fs::read(whole).unwrap()) {
            texts.push((path.to_owned(), text));
        }
    }
}

#[test]
fn texts_comments_and_names_use_the_fields_words() {
    let mut texts = Vec::new();
    for path in CHECKED {
        add_texts(path, &mut texts);
    }
    assert!(texts.len() > 60, "only {} files were checked", texts.len());
    let mut report = String::new();
    let mut used = vec![false; JUSTIFIED.len()];
    for (path, text) in &texts {
        for (number, phrase, instead) in findings(text) {
            let line = text.lines().nth(number - 1).unwrap_or_default();
            let justified = JUSTIFIED
                .iter()
                .position(|(file, part)| path.ends_with(file) && line.contains(part));
            match justified {
                Some(place) => used[place] = true,
                None => writeln!(report, "{path}:{number}: \"{phrase}\" → {instead}: {}", line.trim()).unwrap(),
            }
        }
    }
    for ((file, part), used) in JUSTIFIED.iter().zip(used) {
        if !used {
            writeln!(
                report,
                "remove from JUSTIFIED, it is not needed any more: {file:?}, {part:?}"
            )
            .unwrap();
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn words_are_found_in_prose_and_in_names_and_across_lines() {
    let found = |text| {
        findings(text)
            .into_iter()
            .map(|(line, phrase, _)| (line, phrase))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("/// Nobody recommends\nfn it_is_told()"),
        [(1, "nobody"), (2, "told")]
    );
    assert_eq!(
        found("// It ends at\n    // once, at_once."),
        [(1, "at once"), (2, "at once")]
    );
    assert_eq!(found(r#""never\nNobody""#), [(1, "nobody")]);
    assert_eq!(found("nobody@example.com looks at. Once"), []);
}
