//! Reads a rule from a document, and reports every mistake in it.
//!
//! A rule that Teleport's Auth Service would reject is an error. A rule that it accepts, but that does not do what it seems to
//! do, is a warning.

use std::collections::BTreeMap;

use crate::cli::rules::finding::Finding;
use crate::cli::rules::yaml::{Node, Value};
use crate::clock;
use crate::domain::recipients::Address;
use crate::domain::rules::{Condition, DAYS, KIND, PLUGIN, Rule, SUBJECT, Schedule, Shift, clock_time, weekday};
use crate::nearest::nearest;

/// The readable part of a rule, and the findings.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) rule: Rule,
    pub(super) findings: Vec<Finding>,
}

/// The kind of a rule as a manifest of Teleport's Kubernetes operator, whose `spec` is that of the rule.
const MANIFEST: &str = "TeleportAccessMonitoringRuleV1";

/// Returns the kind of a document that is another resource; a misspelt kind is not another one.
pub(super) fn other_kind(document: &Node) -> Option<&str> {
    let kind = document.get("kind").and_then(Node::text)?;
    nearest(kind, [KIND, MANIFEST]).is_none().then_some(kind)
}

/// Reads a document; `source` is the text of its file.
pub(super) fn read(document: &Node, source: &str) -> Document {
    let mut reader = Reader {
        source,
        findings: Vec::new(),
    };
    let rule = reader.rule(document);
    Document {
        rule,
        findings: reader.findings,
    }
}

struct Reader<'a> {
    source: &'a str,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn error(&mut self, at: &Node, message: impl Into<String>) {
        self.findings.push(Finding::error(at.place.clone(), message));
    }

    fn warning(&mut self, at: &Node, message: impl Into<String>) {
        self.findings.push(Finding::warning(at.place.clone(), message));
    }

    /// Reports unknown keys.
    fn known(&mut self, map: &Node, keys: &[&str]) {
        for (key, _) in map.entries() {
            let Some(name) = key.text().filter(|name| !keys.contains(name)) else {
                continue;
            };
            let near = nearest(name, keys.iter().copied());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            self.warning(key, format!("there is no {name} here{hint}"));
        }
    }

    /// Reads an optional text.
    fn text(&mut self, map: &Node, key: &str) -> Option<String> {
        let node = map.get(key)?;
        if node.text().is_none() {
            self.error(node, format!("{key} must be a string"));
        }
        node.text().map(str::to_owned)
    }

    fn texts(&mut self, map: &Node, key: &str) -> Vec<String> {
        let Some(node) = map.get(key) else {
            return Vec::new();
        };
        if !matches!(node.value, Value::List(_)) {
            self.error(node, format!("{key} must be a list"));
        }
        let mut texts = Vec::new();
        for item in node.items() {
            match item.text() {
                Some(text) => texts.push(text.to_owned()),
                None => self.error(item, format!("{key} must contain strings")),
            }
        }
        texts
    }

    /// Reads one of the words that Teleport accepts.
    fn word(&mut self, map: &Node, key: &str, words: &[&str]) {
        if let Some(text) = self.text(map, key)
            && !words.contains(&text.as_str())
            && let Some(node) = map.get(key)
        {
            self.error(node, format!("{key} must be {}, not {text:?}", words.join(" or ")));
        }
    }

    fn rule(&mut self, document: &Node) -> Rule {
        let mut rule = Rule::default();
        let kind = document.get("kind").and_then(Node::text);
        let is_manifest = match kind {
            Some(kind) => nearest(kind, [KIND, MANIFEST]) == Some(MANIFEST),
            None => document.get("apiVersion").is_some(),
        };
        let (kind, version, keys) = if is_manifest {
            let version = ("apiVersion", "resources.teleport.dev/v1");
            (MANIFEST, version, ["kind", "apiVersion", "metadata", "spec", "status"])
        } else {
            let keys = ["kind", "version", "sub_kind", "metadata", "spec"];
            (KIND, ("version", "v1"), keys)
        };
        self.known(document, &keys);
        for (key, wanted) in [("kind", kind), version] {
            match document.get(key) {
                Some(_) => self.word(document, key, &[wanted]),
                None => self.error(document, format!("{key} is missing; write {key}: {wanted}")),
            }
        }
        match document.get("metadata") {
            None => self.error(document, "metadata is missing; write metadata: {name: …}"),
            Some(metadata) => {
                let keys = [
                    "name",
                    "namespace",
                    "description",
                    "labels",
                    "expires",
                    "id",
                    "revision",
                ];
                // Kubernetes adds many keys to the metadata of a manifest.
                if !is_manifest {
                    self.known(metadata, &keys);
                }
                rule.name = self.text(metadata, "name").unwrap_or_default();
                if rule.name.is_empty() {
                    self.error(metadata, "metadata.name is missing");
                }
            }
        }
        match document.get("spec") {
            None => self.error(document, "spec is missing"),
            Some(spec) => self.spec(spec, &mut rule),
        }
        rule
    }

    fn spec(&mut self, spec: &Node, rule: &mut Rule) {
        let keys = [
            "subjects",
            "states",
            "condition",
            "notification",
            "automatic_review",
            "desired_state",
            "schedules",
        ];
        self.known(spec, &keys);
        rule.subjects = self.texts(spec, "subjects");
        if rule.subjects.is_empty() {
            self.error(spec, format!("subjects are missing; write subjects: [{SUBJECT}]"));
        }
        let concerns_requests = rule.subjects.iter().any(|subject| subject == SUBJECT);
        if !concerns_requests && let Some(subjects) = spec.get("subjects") {
            for subject in subjects.items() {
                if let Some(near) = subject.text().and_then(|text| nearest(text, [SUBJECT])) {
                    self.warning(
                        subject,
                        format!("this is not about Access Requests; did you mean {near}?"),
                    );
                }
            }
        }
        self.notification(spec, rule);
        self.schedules(spec, rule);
        match self.text(spec, "condition") {
            Some(text) if !text.is_empty() => {
                if concerns_requests && let Some(node) = spec.get("condition") {
                    self.condition(node, &text);
                }
                rule.condition = text;
            }
            _ => self.error(
                spec,
                "condition is missing; write condition: \"true\" to match every request",
            ),
        }
        if let Some(review) = spec.get("automatic_review") {
            self.known(review, &["integration", "decision"]);
            if self.text(review, "integration").is_none_or(|text| text.is_empty()) {
                self.error(
                    review,
                    "automatic_review.integration is missing; Teleport's own integration is builtin",
                );
            }
            self.word(review, "decision", &["APPROVED", "DENIED"]);
            if review.get("decision").is_none() {
                self.error(review, "automatic_review.decision is missing");
            }
        }
        if concerns_requests {
            self.word(spec, "desired_state", &["", "reviewed"]);
            if spec.get("notification").is_none() && spec.get("automatic_review").is_none() {
                self.error(spec, "the rule does nothing; add notification or automatic_review");
            }
        }
    }

    fn notification(&mut self, spec: &Node, rule: &mut Rule) {
        let Some(notification) = spec.get("notification") else {
            return;
        };
        self.known(notification, &["name", "recipients"]);
        rule.plugin = self.text(notification, "name").unwrap_or_default();
        rule.recipients = self.texts(notification, "recipients");
        let Some(name) = notification.get("name").filter(|_| !rule.plugin.is_empty()) else {
            self.error(
                notification,
                format!("notification.name is missing; the name of this plugin is {PLUGIN}"),
            );
            return;
        };
        if rule.plugin != PLUGIN {
            if nearest(&rule.plugin, [PLUGIN]).is_some() || rule.plugin.to_lowercase().contains("teams") {
                let other = &rule.plugin;
                let message = format!("this program does not use rules for {other:?}; did you mean {PLUGIN}?");
                self.warning(name, message);
            }
            return;
        }
        if rule.named().next().is_none() {
            self.warning(notification, "the rule notifies no one: it has no recipients");
        }
        for item in notification.get("recipients").map(Node::items).unwrap_or_default() {
            if let Some(Err(error)) = item.text().filter(|text| !text.trim().is_empty()).map(Address::parse) {
                self.warning(item, format!("not a valid recipient: {error}"));
            }
        }
    }

    fn condition(&mut self, node: &Node, text: &str) {
        let condition = match Condition::new(text) {
            Ok(condition) => condition,
            Err(error) => {
                let place = node.place_of(self.source, error.span.start..error.span.end);
                self.findings.push(Finding::error(place, error.to_string()));
                return;
            }
        };
        for error in condition.certain_failures() {
            let place = node.place_of(self.source, error.span.start..error.span.end);
            self.findings
                .push(Finding::warning(place, format!("this always fails: {error}")));
        }
        if let Some(of_type) = condition.never_boolean() {
            self.warning(node, format!("this never matches: it is {of_type}, not a boolean"));
        }
    }

    fn schedules(&mut self, spec: &Node, rule: &mut Rule) {
        let Some(schedules) = spec.get("schedules") else {
            return;
        };
        let mut all = BTreeMap::new();
        for (name, schedule) in schedules.entries() {
            self.known(schedule, &["time"]);
            let Some(time) = schedule.get("time") else {
                self.error(name, "the schedule has no time");
                continue;
            };
            self.known(time, &["timezone", "shifts"]);
            let timezone = self.text(time, "timezone").unwrap_or_default();
            if let Some(node) = time.get("timezone")
                && !matches!(timezone.as_str(), "" | "UTC")
                && clock::zone(&timezone).is_none()
            {
                let zones = jiff::tz::db().available();
                let zones: Vec<_> = zones.map(|zone| zone.to_string()).collect();
                let near = nearest(&timezone, zones.iter().map(String::as_str));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.warning(
                    node,
                    format!("this never matches: there is no time zone {timezone:?}{hint}"),
                );
            }
            let shifts = time.get("shifts").map(Node::items).unwrap_or_default();
            if shifts.is_empty() {
                self.error(time, "the schedule has no shifts and would never match");
            }
            let shifts = shifts.iter().map(|shift| self.shift(shift)).collect();
            all.insert(
                name.text().unwrap_or_default().to_owned(),
                Schedule { timezone, shifts },
            );
        }
        rule.schedules = all;
    }

    fn shift(&mut self, node: &Node) -> Shift {
        self.known(node, &["weekday", "start", "end"]);
        let mut text = |key: &str| {
            if node.get(key).is_none() {
                self.error(node, format!("the shift has no {key}"));
            }
            self.text(node, key).unwrap_or_default()
        };
        let shift = Shift {
            weekday: text("weekday"),
            start: text("start"),
            end: text("end"),
        };
        if let Some(day) = node.get("weekday")
            && weekday(&shift.weekday).is_none()
        {
            // Teleport accepts any case and three letters, but compares with the full name.
            let lower = shift.weekday.to_lowercase();
            let taken = DAYS.iter().find(|(name, _)| {
                let name = name.to_lowercase();
                lower == name || lower == name[..3]
            });
            let near = taken.map(|(name, _)| *name);
            let near = near.or_else(|| nearest(&shift.weekday, DAYS.iter().map(|(name, _)| *name)));
            match (taken, near) {
                (Some((name, _)), _) => self.warning(day, format!("this never matches; write {name}")),
                (None, Some(near)) => self.error(day, format!("there is no such day; did you mean {near}?")),
                (None, None) => self.error(day, "there is no such day; write Monday to Sunday"),
            }
        }
        let mut times = Vec::new();
        for (key, text) in [("start", &shift.start), ("end", &shift.end)] {
            match (clock_time(text), node.get(key)) {
                (Some(time), _) => times.push(time),
                (None, Some(at)) => {
                    self.error(
                        at,
                        format!("{text:?} is not a time; write hours and minutes, 00:00 to 23:59"),
                    );
                }
                (None, None) => {}
            }
        }
        if let [start, end] = times.as_slice()
            && start >= end
        {
            let hint = "a shift is within one day; write one up to 23:59 and another from 00:00 of the next day";
            self.error(
                node,
                format!("the shift ends before it begins and would never match; {hint}"),
            );
        }
        shift
    }
}
