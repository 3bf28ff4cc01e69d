//! The current Access Monitoring Rules, kept in step with Teleport.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::clock;
use crate::domain::rules::{CompiledRule, PLUGIN, Rule, RuleSet};
use crate::telemetry::Metrics;
use crate::teleport::{Client, Error, Meaning};

/// The hint for a role that cannot read rules.
pub const GRANT_RULES: &str =
    hint!("Grant the role list and read on access_monitoring_rule; until then, role_to_recipients applies");

/// The hint for an invalid rule.
pub const FIX_RULE: &str = hint!("Run `teleport-msteams rules check` and fix the rule; until then, it notifies no one");

/// The rules, from events and from a list after every connect.
#[derive(Debug)]
pub(in crate::daemon) struct RuleBook {
    current: watch::Sender<Current>,
    changes: Mutex<Changes>,
    /// Whether the role may watch rules.
    watched: AtomicBool,
    /// Whether a warning about unreadable rules was logged.
    warned: AtomicBool,
    /// When requests stop waiting for the rules.
    patience: Instant,
    /// The last error of a listing.
    failure: Mutex<String>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Current {
    rules: Arc<RuleSet>,
    /// Whether they were listed once, or cannot be listed.
    known: bool,
}

/// The rules that events have changed, which are newer than a list that began before.
#[derive(Debug, Default)]
struct Changes {
    count: u64,
    by_name: HashMap<String, u64>,
    /// The number of changes at the start of the last applied list.
    listed: u64,
}

impl RuleBook {
    /// Starts the time for which requests wait for the rules.
    pub(in crate::daemon) fn new(metrics: Metrics, wait: Duration) -> Self {
        Self {
            current: watch::Sender::new(Current::default()),
            changes: Mutex::default(),
            watched: AtomicBool::new(true),
            warned: AtomicBool::new(false),
            patience: Instant::now() + wait,
            failure: Mutex::default(),
            metrics,
        }
    }

    /// Waits until the rules are known, for a limited time: a request routed by the table is better than one that is
    /// not announced.
    pub(super) async fn known(&self) -> Arc<RuleSet> {
        let mut current = self.current.subscribe();
        let known = timeout_at(self.patience, current.wait_for(|current| current.known)).await;
        if known.is_err() {
            self.do_without();
        }
        self.current()
    }

    fn do_without(&self) {
        if !self.current.borrow().known && !self.warned.swap(true, Ordering::Relaxed) {
            let error = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            warn!(
                error,
                "Could not list Access Monitoring Rules, routing by role_to_recipients until they are listed"
            );
        }
        self.change(true, |_| ());
    }

    /// Returns the current rules, known or not.
    pub(super) fn current(&self) -> Arc<RuleSet> {
        Arc::clone(&self.current.borrow().rules)
    }

    /// Records whether the watch includes rules.
    pub(in crate::daemon) fn watched(&self, watched: bool) {
        self.watched.store(watched, Ordering::Relaxed);
    }

    /// Lists the rules, and replaces the known ones.
    ///
    /// # Errors
    /// Teleport did not answer or rejects this user; the known rules stay active. A missing permission is no
    /// error: `role_to_recipients` applies.
    pub(super) async fn load(&self, client: &Client) -> Result<(), Error> {
        if !self.watched.load(Ordering::Relaxed) {
            self.unreadable("our role may not watch access_monitoring_rule");
            return Ok(());
        }
        let begun = self.changes().count;
        match client.list_rules(PLUGIN).await {
            Ok(rules) => {
                if self.warned.swap(false, Ordering::Relaxed) {
                    info!("Access Monitoring Rules can be read again");
                }
                self.take_list(rules, begun);
                Ok(())
            }
            Err(error) if error.meaning() == Meaning::Denied => {
                self.unreadable(&error.to_string());
                Ok(())
            }
            Err(error) if error.meaning() == Meaning::Unsupported => {
                debug!(%error, "This cluster does not support Access Monitoring Rules");
                self.change(true, |rules| *rules = RuleSet::default());
                Ok(())
            }
            Err(error) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
                Err(error)
            }
        }
    }

    /// Records a rule that was created or changed. A rule that no longer concerns this plugin is removed.
    pub(in crate::daemon) fn put(&self, rule: Rule) {
        self.changes().note(&rule.name);
        if !rule.belongs_to(PLUGIN) {
            self.drop_rule(&rule.name, "Access monitoring rule does not concern us any more");
            return;
        }
        self.change(false, |rules| {
            if let Some(rule) = renewed(rules, rule) {
                // An invalid rule was logged as a warning.
                if rule.broken().is_none() {
                    info!(rule = rule.rule().name, "Access Monitoring Rule loaded");
                }
                rules.put(rule);
            }
        });
    }

    /// Removes a deleted rule.
    pub(in crate::daemon) fn remove(&self, name: &str) {
        self.changes().note(name);
        self.drop_rule(name, "Access Monitoring Rule was deleted");
    }

    fn drop_rule(&self, name: &str, reason: &'static str) {
        self.change(false, |rules| {
            if rules.remove(name) {
                info!(rule = name, reason, "Access Monitoring Rule removed");
            }
        });
    }

    fn take_list(&self, listed: Vec<Rule>, begun: u64) {
        let mut changes = self.changes();
        if begun < changes.listed {
            // A list that began later was faster.
            return;
        }
        changes.listed = begun;
        changes.by_name.retain(|_, change| *change > begun);
        let first = !self.current.borrow().known;
        self.change(true, |rules| {
            let mut next = RuleSet::default();
            for rule in listed {
                if !changes.by_name.contains_key(&rule.name) {
                    let same = rules.get(&rule.name).cloned();
                    next.extend(renewed(rules, rule).or(same));
                }
            }
            let by_event = rules
                .iter()
                .filter(|rule| changes.by_name.contains_key(&rule.rule().name));
            next.extend(by_event.cloned());
            *rules = next;
            let broken = rules.iter().filter(|rule| rule.broken().is_some()).count();
            if first && !rules.is_empty() {
                info!(rules = rules.len(), broken, "Access Monitoring Rules loaded");
            } else {
                debug!(rules = rules.len(), broken, "Access Monitoring Rules listed");
            }
        });
    }

    /// Continues without rules, and warns once.
    fn unreadable(&self, error: &str) {
        let hint = GRANT_RULES;
        warn_if!(
            !self.warned.swap(true, Ordering::Relaxed),
            error,
            hint,
            "Cannot read Access Monitoring Rules"
        );
        self.change(true, |rules| *rules = RuleSet::default());
    }

    /// Changes the rules, and publishes the change.
    fn change(&self, known: bool, change: impl FnOnce(&mut RuleSet)) {
        self.current.send_modify(|current| {
            let mut rules = RuleSet::clone(&current.rules);
            change(&mut rules);
            let broken = rules.iter().filter(|rule| rule.broken().is_some()).count();
            self.metrics.rules(rules.len() - broken, broken);
            current.rules = Arc::new(rules);
            current.known |= known;
        });
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn note(&mut self, name: &str) {
        self.count += 1;
        self.by_name.insert(name.to_owned(), self.count);
    }
}

/// Compiles a rule that is new or has changed, and logs what is wrong with it.
fn renewed(rules: &RuleSet, rule: Rule) -> Option<Arc<CompiledRule>> {
    if rules.get(&rule.name).is_some_and(|known| *known.rule() == rule) {
        return None;
    }
    let rule = CompiledRule::new(rule, &clock::zone);
    let name = &rule.rule().name;
    if let Some(error) = rule.broken() {
        let hint = FIX_RULE;
        warn!(rule = name, %error, hint, "Access Monitoring Rule is invalid and was skipped");
    }
    for recipient in rule.unreachable() {
        warn!(
            rule = name,
            recipient, "Access Monitoring Rule names an invalid recipient"
        );
    }
    Some(Arc::new(rule))
}
