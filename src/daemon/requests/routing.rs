//! Routes a request: evaluates the rules with the look-ups that they need.

use tracing::Level;
use tracing::debug;
use tracing::enabled;
use tracing::warn;

use crate::daemon::context::Context;
use crate::daemon::requests::lookups::{Lookups, Unanswered};
use crate::daemon::requests::names::Names;
use crate::domain::recipients::{RoutingTable, SuggestedReviewers};
use crate::domain::request::AccessRequest;
use crate::domain::rules::{CompiledRule, Dict, FailureKind, Route, RuleAnswer, RuleSet, Subject, dict_of};
use crate::teleport::Error;

/// Returns the route of a request: by the rules, or by the table if no rule names a recipient. `failures` is the
/// number of earlier runs that failed.
///
/// # Errors
/// Teleport did not answer a look-up of a rule; a retry may help.
pub(super) async fn route(
    context: &Context,
    table: &RoutingTable,
    request: &AccessRequest,
    suggested: &SuggestedReviewers,
    failures: u32,
) -> Result<Route, Error> {
    let rules = context.rules.known().await;
    let matching = if rules.is_empty() {
        Vec::new()
    } else {
        let (lookups, names) = (&context.lookups, &context.names);
        match subject(lookups, names, request, &rules, failures).await? {
            Some(subject) => matching(context, request, &rules, &subject, failures == 0),
            None => Vec::new(),
        }
    };
    let route = Route::new(matching, table, request, suggested);
    debug!(
        request.id = %request.id,
        source = route.source.as_str(),
        recipients = route.recipients.addresses.len(),
        "Access Request routed"
    );
    Ok(route)
}

/// Evaluates every rule, and logs each result at debug level.
fn matching<'a>(
    context: &Context,
    request: &AccessRequest,
    rules: &'a RuleSet,
    subject: &Subject,
    log_errors: bool,
) -> Vec<&'a CompiledRule> {
    let mut matching = Vec::new();
    for (rule, answer) in rules.answers(subject) {
        if enabled!(Level::DEBUG) {
            let name = &rule.rule().name;
            match rule.why_not(subject, &answer) {
                None => debug!(
                    request.id = %request.id,
                    rule = name,
                    "Access Monitoring Rule matches"
                ),
                Some(why) => debug!(
                    request.id = %request.id,
                    rule = name,
                    why,
                    "Access Monitoring Rule does not match"
                ),
            }
        }
        match &answer {
            RuleAnswer::Matches => matching.push(rule),
            RuleAnswer::Failed(failure) => {
                context.metrics.rule_failed(failure.kind);
                // Invalid rules were logged when they were read, and missing labels when they were looked up.
                let news = rule.broken().is_none() && !(subject.labels.is_err() && rule.uses_labels());
                if news && log_errors {
                    let (name, error) = (&rule.rule().name, &failure.message);
                    let what = match failure.kind {
                        FailureKind::Schedule => "schedule",
                        FailureKind::Condition(_) => "condition",
                    };
                    warn!(
                        request.id = %request.id,
                        rule = name,
                        part = what,
                        error,
                        "Could not evaluate an Access Monitoring Rule"
                    );
                }
            }
            RuleAnswer::OffDuty | RuleAnswer::False | RuleAnswer::NotBoolean => {}
        }
    }
    matching
}

/// Looks up what the rules use; nothing if no rule applies to this request. `failures` is the number of earlier runs that
/// failed.
///
/// # Errors
/// Teleport did not answer a look-up; a retry may help.
pub(in crate::daemon) async fn subject(
    lookups: &Lookups,
    names: &Names,
    request: &AccessRequest,
    rules: &RuleSet,
    failures: u32,
) -> Result<Option<Subject>, Error> {
    let traits = if rules.uses_traits() {
        match lookups.traits(request, failures).await {
            Ok(traits) => dict_of(&*traits),
            Err(Unanswered::Deferred(error)) => return Err(error),
            Err(Unanswered::Unknown(_)) => return Ok(None),
        }
    } else {
        Dict::new()
    };
    let labels = if rules.uses_labels() {
        match lookups.labels(request, failures, names).await {
            Ok(labels) => Ok(labels),
            Err(Unanswered::Deferred(error)) => return Err(error),
            Err(Unanswered::Unknown(why)) => Err(why),
        }
    } else {
        Err("no rule asks for them".to_owned())
    };
    Ok(Some(Subject::new(request, traits, labels)))
}
