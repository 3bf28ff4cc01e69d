//! Whom a request goes to: asks the rules, with what they need to know.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Level;
use tracing::debug;
use tracing::enabled;
use tracing::warn;

use crate::daemon::context::Context;
use crate::domain::request::AccessRequest;
use crate::domain::rules::{CompiledRule, Dict, FailureKind, Labels, Route, RuleSet, Subject, Verdict, dict_of};
use crate::teleport::{Error, Meaning};

/// How long traits are taken as they were read. They change with a login or a change of the user.
const TRAITS_LIFE: Duration = Duration::from_mins(1);

/// Users whose traits are kept at most; beyond that, the old ones go.
const MOST_USERS: usize = 1_000;

/// Look-ups at once, so that a flood of requests does not become a flood of questions.
const AT_ONCE: usize = 16;

/// After this many runs in which Teleport did not answer, a request goes on without what could not be looked up.
const PATIENCE: u32 = 3;

/// What is known of users, and what was told of what is not.
#[derive(Debug)]
pub(in crate::daemon) struct Lookups {
    traits: Mutex<HashMap<String, Known>>,
    slots: Semaphore,
    traits_told: AtomicBool,
    labels_told: AtomicBool,
}

type Traits = BTreeMap<String, Vec<String>>;

#[derive(Debug)]
struct Known {
    since: Instant,
    /// Filled by the first who asks; the others wait for that answer.
    traits: Arc<OnceCell<Arc<Traits>>>,
}

impl Lookups {
    pub(in crate::daemon) fn new() -> Self {
        Self {
            traits: Mutex::default(),
            slots: Semaphore::new(AT_ONCE),
            traits_told: AtomicBool::new(false),
            labels_told: AtomicBool::new(false),
        }
    }

    fn cell(&self, user: &str) -> Arc<OnceCell<Arc<Traits>>> {
        let mut all = self.traits.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_USERS {
            all.retain(|_, known| known.since.elapsed() < TRAITS_LIFE);
        }
        if all.len() >= MOST_USERS {
            all.clear();
        }
        if all.get(user).is_none_or(|known| known.since.elapsed() >= TRAITS_LIFE) {
            let known = Known {
                since: Instant::now(),
                traits: Arc::default(),
            };
            all.insert(user.to_owned(), known);
        }
        all.get(user).map(|known| Arc::clone(&known.traits)).unwrap_or_default()
    }
}

/// Decides whom a request goes to. `failures` counts the runs that could not be finished before.
///
/// # Errors
/// Teleport did not answer what a rule needs to know; asking again may help.
pub(super) async fn route(context: &Context, request: &AccessRequest, failures: u32) -> Result<Route, Error> {
    let rules = context.rules.known().await;
    let matching = if rules.is_empty() {
        Vec::new()
    } else {
        match subject(context, request, &rules, failures).await? {
            Some(subject) => matching(context, request, &rules, &subject, failures == 0),
            None => Vec::new(),
        }
    };
    let route = Route::new(matching, &context.live.current().routing, request);
    debug!(
        request.id = %request.id,
        source = route.source.as_str(),
        recipients = route.recipients.addresses.len(),
        "Access request routed"
    );
    Ok(route)
}

/// Asks every rule, and says at debug level what each said.
fn matching<'a>(
    context: &Context,
    request: &AccessRequest,
    rules: &'a RuleSet,
    subject: &Subject,
    tell: bool,
) -> Vec<&'a CompiledRule> {
    let mut matching = Vec::new();
    for rule in rules.iter() {
        let verdict = rule.verdict(subject);
        if enabled!(Level::DEBUG) {
            let name = &rule.rule().name;
            match rule.why_not(subject, &verdict) {
                None => debug!(
                    request.id = %request.id,
                    rule = name,
                    "Rule {name} matches"
                ),
                Some(why) => debug!(
                    request.id = %request.id,
                    rule = name,
                    why,
                    "Rule {name} does not match"
                ),
            }
        }
        match &verdict {
            Verdict::Matches => matching.push(&**rule),
            Verdict::Failed(failure) => {
                context.metrics.rule_failed(failure.kind.as_str());
                // What is broken was told when it was read, and missing labels when they were looked up.
                let news = rule.broken().is_none() && !(subject.labels.is_err() && rule.uses_labels());
                if news && tell {
                    let (name, error) = (&rule.rule().name, &failure.message);
                    let what = match failure.kind {
                        FailureKind::Schedule => "schedule",
                        FailureKind::Condition(_) => "condition",
                    };
                    warn!(
                        request.id = %request.id,
                        rule = name,
                        error,
                        "The {what} of rule {name} could not be evaluated"
                    );
                }
            }
            Verdict::OffDuty | Verdict::False | Verdict::NotBoolean => {}
        }
    }
    matching
}

/// Looks up what the rules ask for; nothing if no rule can be asked about this request.
async fn subject(
    context: &Context,
    request: &AccessRequest,
    rules: &RuleSet,
    failures: u32,
) -> Result<Option<Subject>, Error> {
    let traits = if rules.uses_traits() {
        match traits(context, request, failures).await? {
            Some(traits) => dict_of(&*traits),
            None => return Ok(None),
        }
    } else {
        Dict::new()
    };
    let labels = if rules.uses_labels() {
        labels(context, request, failures).await?
    } else {
        Err("no rule asks for them".to_owned())
    };
    Ok(Some(Subject::new(request, traits, labels)))
}

/// Reports whether a request waits for a look-up that failed, instead of being routed without its result.
fn defers_request(error: &Error, failures: u32) -> bool {
    match error.meaning() {
        // The request cannot be claimed either until Teleport serves our user again.
        Meaning::Caller => true,
        Meaning::Unreachable | Meaning::Credentials | Meaning::Exhausted => failures < PATIENCE,
        _ => false,
    }
}

async fn traits(context: &Context, request: &AccessRequest, failures: u32) -> Result<Option<Arc<Traits>>, Error> {
    let lookups = &context.lookups;
    let cell = lookups.cell(&request.user);
    let ask = || async {
        // The semaphore is never closed.
        let _slot = lookups.slots.acquire().await;
        context.client.user_traits(&request.user).await.map(Arc::new)
    };
    let error = match cell.get_or_try_init(ask).await {
        Ok(traits) => {
            lookups.traits_told.store(false, Ordering::Relaxed);
            return Ok(Some(Arc::clone(traits)));
        }
        Err(error) => error,
    };
    if defers_request(&error, failures) {
        return Err(error);
    }
    let hint = error.hint();
    let told = lookups.traits_told.swap(true, Ordering::Relaxed);
    if error.meaning() == Meaning::Denied {
        if !told {
            warn!(%error, hint, "Rules see no traits of users; a condition that demands that a trait is absent holds");
        }
        return Ok(Some(Arc::default()));
    }
    if told {
        debug!(request.id = %request.id, %error, hint, "The traits of the requester are not known");
    } else {
        warn!(request.id = %request.id, %error, hint, "The traits of the requester are not known; no rule is asked");
    }
    Ok(None)
}

async fn labels(context: &Context, request: &AccessRequest, failures: u32) -> Result<Result<Labels, String>, Error> {
    if request.resources.is_empty() {
        return Ok(Ok(Labels::default()));
    }
    let lookups = &context.lookups;
    let _slot = lookups.slots.acquire().await;
    let error = match context.client.resource_labels(&request.resources).await {
        Ok(labels) => {
            lookups.labels_told.store(false, Ordering::Relaxed);
            if labels.len() < request.resources.len() {
                let hidden = request.resources.len() - labels.len();
                debug!(
                    request.id = %request.id,
                    hidden, "Some requested resources cannot be seen, nor their labels"
                );
            }
            return Ok(Ok(Labels::of(&labels)));
        }
        Err(error) => error,
    };
    if defers_request(&error, failures) {
        return Err(error);
    }
    let hint = error.hint();
    if lookups.labels_told.swap(true, Ordering::Relaxed) {
        debug!(request.id = %request.id, %error, hint, "The labels of the requested resources are not known");
    } else {
        warn!(
            request.id = %request.id, %error, hint,
            "The labels of the requested resources are not known; rules that ask for them match nothing"
        );
    }
    Ok(Err(error.to_string()))
}
