//! `rules check`: reports every mistake with its place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use crate::cli::output::say;
use crate::cli::report::Failed;
use crate::cli::rules::document;
use crate::cli::rules::finding::Finding;
use crate::cli::rules::{inputs, yaml};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rules that Teleport would reject are mistakes, and the exit status is 1. Rules that Teleport accepts \
but that can never match are warnings.

Examples:
  tctl get access_monitoring_rule | teleport-msteams rules check -
  teleport-msteams rules check terraform/rules/*.yaml")]
pub(super) struct Options {
    /// Files with rules, in YAML or JSON as tctl prints them or as manifests of the Kubernetes operator; - is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print each finding as a line of JSON, and a summary as the last one
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (mut rules, mut mistakes, mut warnings) = (0_usize, 0_usize, 0_usize);
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for file in &self.files {
            let name = inputs::name(file);
            let source = inputs::text(file)?;
            if inputs::is_terraform(&source) {
                self.note(&name, 1, "failed", inputs::TERRAFORM);
                mistakes += 1;
                continue;
            }
            let mut findings = Vec::new();
            match yaml::documents(&source) {
                Err(finding) => findings.push(finding),
                Ok(documents) => {
                    if documents.is_empty() {
                        self.note(&name, 1, "failed", "no rule was found");
                    }
                    for node in &documents {
                        if let Some(kind) = document::other_kind(node) {
                            let message = format!("{kind:?} is not an Access Monitoring Rule, skipped");
                            self.note(&name, node.place.line, "skipped", &message);
                            continue;
                        }
                        let document = document::read(node, &source);
                        rules += 1;
                        findings.extend(document.findings);
                        let at = format!("{name}:{}", node.place.line);
                        let rule = document.rule.name;
                        if let Some(first) = names.get(&rule).filter(|_| !rule.is_empty()) {
                            let message = format!("another rule has the name {rule:?}, at {first}; the later one wins");
                            findings.push(Finding::warning(node.place.clone(), message));
                        }
                        names.insert(rule, at);
                    }
                }
            }
            findings.sort_by_key(|finding| (finding.place.line, finding.place.column));
            for finding in &findings {
                if self.json {
                    say!("{}", finding.as_json(&name));
                } else {
                    say!("{}", finding.shown(&name, &source));
                }
            }
            warnings += findings.iter().filter(|finding| finding.is_warning).count();
            mistakes += findings.iter().filter(|finding| !finding.is_warning).count();
        }
        let counted = |count: usize, what: &str| match count {
            0 => format!("no {what}s"),
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let summary = format!(
            "{}: {}, {}",
            counted(rules, "rule"),
            counted(mistakes, "mistake"),
            counted(warnings, "warning")
        );
        if self.json {
            let status = match (mistakes, warnings, rules) {
                (0, _, 0) | (1.., ..) => "failed",
                (0, 0, _) => "ok",
                _ => "warning",
            };
            let line =
                json!({"check": "summary", "status": status, "rules": rules, "failed": mistakes, "warnings": warnings});
            say!("{line}");
        }
        if mistakes > 0 {
            bail!(Failed(summary));
        }
        if rules == 0 {
            bail!(Failed("no rule was found".to_owned()));
        }
        if !self.json {
            say!("{summary}");
        }
        Ok(())
    }

    /// Reports what concerns a whole file or document.
    fn note(&self, file: &str, line: usize, status: &str, detail: &str) {
        if self.json {
            let note = json!({"check": "rule", "file": file, "line": line, "status": status, "detail": detail});
            say!("{note}");
        } else if line > 1 {
            say!("{file}:{line}: {detail}");
        } else {
            say!("{file}: {detail}");
        }
    }
}
