//! `rules check`: reports every mistake with its place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;

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
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (mut rules, mut mistakes, mut warnings) = (0_usize, 0_usize, 0_usize);
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for file in &self.files {
            let name = inputs::name(file);
            let source = inputs::text(file)?;
            if inputs::is_terraform(&source) {
                say!("{name}: {}", inputs::TERRAFORM);
                mistakes += 1;
                continue;
            }
            let mut findings = Vec::new();
            match yaml::documents(&source) {
                Err(finding) => findings.push(finding),
                Ok(documents) => {
                    if documents.is_empty() {
                        say!("{name}: no rule was found");
                    }
                    for node in &documents {
                        if let Some(kind) = document::other_kind(node) {
                            say!(
                                "{name}:{}: {kind:?} is not an Access Monitoring Rule, skipped",
                                node.place.line
                            );
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
                say!("{}", finding.shown(&name, &source));
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
        if mistakes > 0 {
            bail!(Failed(summary));
        }
        if rules == 0 {
            bail!(Failed("no rule was found".to_owned()));
        }
        say!("{summary}");
        Ok(())
    }
}
