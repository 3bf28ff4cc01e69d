//! `rules test`: shows who the rules would notify of a request, and why the other rules do not match.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::cli::environment;
use crate::cli::output::{complain, say};
use crate::cli::report::Failed;
use crate::cli::rules::inputs::Labelled;
use crate::cli::rules::tested::{self, Tested};
use crate::cli::rules::{document, inputs, yaml};
use crate::clock;
use crate::config;
use crate::domain::recipients::{Address, RoutingTable, SuggestedReviewers};
use crate::domain::request::AccessRequest;
use crate::domain::rules::{CompiledRule, Labels, Route, RuleAnswer, Source, Subject, dict_of};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works offline. TRAITS is {\"team\": [\"a\"]}; RESOURCES is \
[{\"kind\": \"node\", \"name\": \"…\", \"labels\": {\"env\": \"prod\"}}].

Examples:
  tctl get access_request/ID --format=json > request.json
  teleport-msteams rules test rules.yaml --request request.json
  teleport-msteams rules test rules.yaml --request request.json --traits traits.json --at 2026-01-31T03:00:00Z")]
pub(super) struct Options {
    /// Files with rules, in YAML or JSON as tctl prints them or as manifests of the Kubernetes operator; - is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Access Request as tctl prints it
    #[arg(long)]
    request: PathBuf,
    /// Traits of the requester
    #[arg(long)]
    traits: Option<PathBuf>,
    /// Resources with their labels
    #[arg(long)]
    resources: Option<PathBuf>,
    /// Time of the request, for schedules
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Configuration whose `role_to_recipients` applies when no rule matches
    #[arg(short, long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let rules = self.rules()?;
        let mut request = inputs::request(&self.request)?;
        if let Some(at) = &self.at {
            request.created = Some(inputs::moment(at).context("--at")?);
        }
        let traits: BTreeMap<String, Vec<String>> = match &self.traits {
            Some(path) => inputs::json(path)?,
            None => BTreeMap::new(),
        };
        let table = match &self.config {
            Some(path) => config::load(path, &environment::variable)?.settings.routing,
            None => RoutingTable::default(),
        };
        let labels = self.labels(&request)?;
        let subject = Subject::new(&request, dict_of(&traits), labels);
        let tested: Vec<_> = rules.iter().map(|rule| Tested::new(rule, &subject)).collect();
        let matching = tested
            .iter()
            .filter(|tested| tested.matches())
            .map(|tested| tested.rule);
        let route = Route::new(matching, &table, &request, &SuggestedReviewers::default());
        if self.json {
            say!("{:#}", as_json(&subject, &tested, &route));
        } else {
            print(&request, &subject, &tested, &route);
        }
        Ok(())
    }

    /// Reads the rules of all files, in order.
    fn rules(&self) -> anyhow::Result<Vec<CompiledRule>> {
        let mut rules = Vec::new();
        for file in &self.files {
            let name = inputs::name(file);
            let source = inputs::text(file)?;
            if inputs::is_terraform(&source) {
                bail!("could not read {name}: {}", inputs::TERRAFORM);
            }
            let documents = match yaml::documents(&source) {
                Ok(documents) => documents,
                Err(finding) => {
                    complain!("{}", finding.shown(&name, &source));
                    bail!(Failed(format!("could not read {name}")));
                }
            };
            for node in documents.iter().filter(|node| document::other_kind(node).is_none()) {
                let rule = document::read(node, &source).rule;
                rules.push(CompiledRule::new(rule, &clock::zone));
            }
        }
        if rules.is_empty() {
            complain!("WARNING: no rule was found");
        }
        Ok(rules)
    }

    /// Returns the labels of the requested resources, or all given labels if the request names no resource.
    fn labels(&self, request: &AccessRequest) -> anyhow::Result<Result<Labels, String>> {
        let Some(path) = &self.resources else {
            let unknown = !request.resources.is_empty();
            return Ok(if unknown {
                Err("pass them with --resources".to_owned())
            } else {
                Ok(Labels::default())
            });
        };
        let given: Vec<Labelled> = inputs::json(path)?;
        let is_asked = |given: &&Labelled| {
            let mut asked = request.resources.iter();
            request.resources.is_empty() || asked.any(|asked| asked.kind == given.kind && asked.name == given.name)
        };
        Ok(Ok(Labels::of(given.iter().filter(is_asked).map(|given| &given.labels))))
    }
}

/// Returns the recipients, as written in the rules or the configuration.
fn notified(route: &Route) -> Vec<&str> {
    match route.source {
        Source::Rules => route.named.iter().map(|(recipient, _)| recipient.as_str()).collect(),
        Source::Static | Source::None => route.recipients.addresses.iter().map(Address::as_str).collect(),
    }
}

fn as_json(subject: &Subject, tested: &[Tested<'_>], route: &Route) -> serde_json::Value {
    let rule = |tested: &Tested<'_>| {
        let error = match &tested.answer {
            RuleAnswer::Failed(failure) => json!({"kind": failure.kind.as_str(), "message": failure.message}),
            _ => serde_json::Value::Null,
        };
        json!({
            "name": tested.rule.rule().name,
            "ours": tested.is_ours(),
            "matches": tested.matches(),
            "reason": tested.reason(subject),
            "error": error,
        })
    };
    let rules: Vec<_> = tested.iter().map(rule).collect();
    json!({"rules": rules, "recipients": notified(route), "source": route.source.as_str()})
}

fn print(request: &AccessRequest, subject: &Subject, tested: &[Tested<'_>], route: &Route) {
    let made = request
        .created
        .map(|created| format!(", created at {created}"))
        .unwrap_or_default();
    say!(
        "Access Request of {} for {}{made}\n",
        request.user,
        request.roles.join(", ")
    );
    tested::print(tested, subject);
    let notified = notified(route).join(", ");
    match route.source {
        Source::Rules => say!("\nNotified (by rules): {notified}"),
        Source::Static => say!("\nNotified (by role_to_recipients and suggested reviewers): {notified}"),
        Source::None => say!("\nNo one would be notified"),
    }
}
