//! Checks that the documents match the program and each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use regex::Regex;
use teleport_msteams::config;

use crate::process::run;

/// The directories with documents.
const DIRECTORIES: [&str; 3] = [".", "docs", "benches"];

/// What is read of a document.
#[derive(Default)]
struct Document {
    text: String,
    /// The anchors of its headings, as GitHub derives them.
    anchors: BTreeSet<String>,
    links: Vec<String>,
    /// Code blocks with their language, which is empty for indented blocks.
    blocks: Vec<(String, String)>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads every document, by its path relative to the project's directory.
fn documents() -> BTreeMap<PathBuf, Document> {
    let mut documents = BTreeMap::new();
    for directory in DIRECTORIES {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root()).unwrap_or(&path).components().collect();
                documents.insert(name, read(&path));
            }
        }
    }
    assert!(documents.len() >= 11, "{:?}", documents.keys());
    documents
}

fn read(path: &Path) -> Document {
    let mut document = Document {
        text: fs::read_to_string(path).unwrap(),
        ..Document::default()
    };
    let text = document.text.clone();
    let (mut heading, mut block) = (None, None);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                document.anchors.insert(anchor(&heading.take().unwrap_or_default()));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                block = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => document.blocks.extend(block.take()),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push(dest_url.to_string());
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some((_, code)) = &mut block {
                    code.push_str(&part);
                } else if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            _ => {}
        }
    }
    document
}

/// Returns the anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_relative_link_leads_to_a_file_or_a_heading() {
    let documents = documents();
    let mut checked = 0;
    for (name, document) in &documents {
        for link in &document.links {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let directory = name.parent().unwrap_or(Path::new(""));
            let target = match file {
                "" => name.clone(),
                file => directory.join(file),
            };
            let target = root().join(target).canonicalize();
            let target = target.unwrap_or_else(|error| panic!("{}: {link}: {error}", name.display()));
            if !anchor.is_empty() {
                let target = target.strip_prefix(root()).unwrap().to_path_buf();
                let anchors = &documents[&target].anchors;
                assert!(
                    anchors.contains(anchor),
                    "{}: {link} is not in {anchors:?}",
                    name.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} links were checked");
}

#[test]
fn the_configurations_of_the_documents_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let (mut configurations, mut rules) = (0, 0);
    for (name, document) in documents() {
        for (language, code) in &document.blocks {
            let shown = format!("{}:\n{code}", name.display());
            match language.as_str() {
                "toml" => {
                    let file = folder.path().join("document.toml");
                    fs::write(&file, code).unwrap();
                    // The file of the client secret does not exist here, so the program returns its problems.
                    let problems = config::load(&file, &|_| None).unwrap_err();
                    assert!(problems.list.iter().all(|one| one.may_pass), "{problems} in {shown}");
                    assert_eq!(problems.unknown, [], "{shown}");
                    configurations += 1;
                }
                "yaml" => rules += 1,
                "" | "sh" | "console" | "text" => {}
                other => assert!(
                    name.ends_with("ARCHITECTURE.md"),
                    "unchecked language {other} in {shown}"
                ),
            }
        }
    }
    assert!(
        configurations >= 2 && rules >= 1,
        "{configurations} configurations, {rules} rules"
    );
}

#[tokio::test]
async fn the_rule_of_the_documents_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.yaml");
    for (name, document) in documents() {
        let is_rule =
            |(language, code): &&(String, String)| language == "yaml" && code.contains("access_monitoring_rule");
        for (_, code) in document.blocks.iter().filter(is_rule) {
            fs::write(&file, code).unwrap();
            let (status, stdout, _) = run(&["rules", "check", file.to_str().unwrap()]).await;
            assert_eq!(status, Some(0), "{}: {stdout}", name.display());
        }
    }
}

#[tokio::test]
async fn every_command_of_the_documents_is_accepted_by_the_program() {
    let mut commands = BTreeSet::new();
    for document in documents().values() {
        for (_, code) in &document.blocks {
            let joined = code.replace("\\\n", " ");
            for line in joined.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let start = words
                    .iter()
                    .position(|word| matches!(*word, "teleport-msteams" | "teleport-msteams-rs"));
                let is_prefix = |word: &&str| ["sudo", "-u", "teleport-msteams"].contains(word);
                if let Some(start) = start
                    && words[..start].iter().all(is_prefix)
                {
                    // `sudo -u teleport-msteams` names a user.
                    let start = if words.get(start + 1) == Some(&"teleport-msteams-rs") {
                        start + 1
                    } else {
                        start
                    };
                    let end = words.iter().position(|word| *word == "|").unwrap_or(words.len());
                    commands.insert(words[start + 1..end].join(" "));
                }
            }
        }
    }
    let ids = |command: &str| {
        command
            .replace("TEAMS_APP_ID", "33333333-3333-4333-8333-333333333333")
            .replace("APP_ID", "11111111-1111-4111-8111-111111111111")
            .replace("TENANT_ID", "22222222-2222-4222-8222-222222222222")
    };
    assert!(commands.len() > 8, "{commands:?}");
    // A wrong command is rejected although help is requested.
    commands.insert("start --no-such-flag".to_owned());
    for command in &commands {
        let command_line = ids(command);
        let mut words: Vec<&str> = command_line.split(' ').collect();
        words.push("--help");
        let (status, _, stderr) = run(&words).await;
        let expected = if command.contains("no-such-flag") { 2 } else { 0 };
        assert_eq!(status, Some(expected), "{command}: {stderr}");
    }
}

#[test]
fn the_configuration_page_lists_every_key_that_the_program_reads() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_.]+)[^`]*` \|").unwrap();
    let mut listed: BTreeSet<String> = row.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    // Each role is a key.
    listed.remove("role_to_recipients.");
    listed.insert("role_to_recipients".to_owned());
    assert_eq!(listed, config::known_keys());
}

/// Returns every hint of the sources, with the file that contains it.
fn hints() -> Vec<(PathBuf, String)> {
    let call = Regex::new(r#"(?s)hint(?:_with)?!\(\s*"((?:[^"\\]|\\.)*)""#).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let mut hints = Vec::new();
    for (path, text) in sources() {
        for found in call.captures_iter(&text) {
            let hint = continued.replace_all(&found[1], "");
            hints.push((path.clone(), hint.replace("\\\"", "\"").replace("\\\\", "\\")));
        }
    }
    assert!(hints.len() > 120, "only {} hints were found", hints.len());
    hints
}

/// Returns the program's sources, except for the definition of the macros.
fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut directories = vec![root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("src/hint.rs") {
                sources.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    sources
}

#[test]
fn the_troubleshooting_page_lists_every_hint() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let variable = Regex::new(r"\{[^}]*\}").unwrap();
    let is_listed = |hint: &str| {
        let pieces: Vec<_> = variable
            .split(hint)
            .map(str::trim)
            .filter(|piece| piece.len() >= 4)
            .collect();
        page.lines().any(|line| {
            let mut rest = line;
            pieces.iter().all(|piece| match rest.split_once(piece) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
        })
    };
    let missing: Vec<_> = hints().into_iter().filter(|(_, hint)| !is_listed(hint)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_hint_is_marked_in_the_sources() {
    // Suggestions inside a condition belong to the message of the mistake, and not to the set-up.
    let exempt = |path: &Path| {
        path.components()
            .any(|part| part.as_os_str() == "rules" || part.as_os_str() == "predicate")
    };
    let bare =
        Regex::new(r#"(?:with_hint\(|or_hint\(|with_hint\(Some\(|\bhint = |\bhint: )(?:format!\(\s*)?""#).unwrap();
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if !exempt(&path) {
            let found = bare.find(code).map(|found| code[found.start()..].lines().next());
            assert_eq!(found, None, "{}: a hint without its macro", path.display());
        }
    }
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 200, "README.md has {lines} lines");
}
