//! Looks up what the recipients of one request depend on, for a command that only shows them.
//!
//! Architecture Invariant: reads only. It uses the same look-ups and the same route as the daemon, without its state.

use std::sync::Arc;

use crate::clock;
use crate::config::Settings;
use crate::daemon::people::address_of;
use crate::daemon::requests::{GRANT_RULES, Lookups, Names, routed_by, subject};
use crate::domain::lifecycle::RoutedBy;
use crate::domain::recipients::{Address, SuggestedReviewers};
use crate::domain::request::AccessRequest;
use crate::domain::rules::{CompiledRule, PLUGIN, Route, RuleAnswer, RuleSet, Subject};
use crate::teleport::{Client, Error, Meaning};

/// The number of earlier attempts: a command routes without a look-up that fails, instead of waiting for it.
const FAILURES: u32 = u32::MAX;

/// What a request's recipients depend on, and those that follow from it now.
#[derive(Debug)]
pub struct Inquiry {
    pub rules: RuleSet,
    /// What the rules are evaluated for; `None` if there is no rule, or the requester is unknown.
    pub subject: Option<Subject>,
    pub suggested: SuggestedReviewers,
    pub route: Route,
    /// The route as the record of a request keeps it.
    pub routed_by: RoutedBy,
    /// The address of the requester, if requesters are notified.
    pub requester: Option<Address>,
    /// What could not be looked up, and is missing.
    pub failed: Vec<Unanswered>,
}

/// A look-up that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub error: String,
    pub hint: Option<String>,
}

/// Looks up what the recipients of a request depend on.
///
/// # Errors
/// Teleport rejects the user of the daemon, or does not answer a list of rules.
pub async fn inquire(client: &Client, settings: &Settings, request: &AccessRequest) -> Result<Inquiry, Error> {
    let (lookups, names) = (Lookups::new(client.clone()), Names::new(client.clone()));
    let mut failed = Vec::new();
    let rules = list_rules(client, &mut failed).await?;
    let user_id_trait = &settings.review.user_id_trait;
    let mut suggested = SuggestedReviewers::default();
    let reviewers: Vec<String> = suggested.to_look_up(request).map(str::to_owned).collect();
    let traits_of_requester = Some(&request.user).filter(|_| rules.uses_traits());
    // The look-ups that follow report no error, and use the cached answers of these.
    for user in reviewers.iter().chain(traits_of_requester) {
        if let Err(error) = lookups.traits_of(user).await {
            let what = format!("{user}: {error}");
            note(&mut failed, what, error.hint());
        }
    }
    lookups
        .suggested(request, user_id_trait, FAILURES, &mut suggested)
        .await?;
    let requester = if settings.notify.requester || settings.notify.access_ends.is_some() {
        address_of(&lookups, &request.user, user_id_trait).await
    } else {
        Ok(None)
    };
    let requester = requester.unwrap_or_else(|error| {
        let what = format!("{}: {error}", request.user);
        note(&mut failed, what, error.hint());
        None
    });
    let subject = if rules.is_empty() {
        None
    } else {
        subject(&lookups, &names, request, &rules, FAILURES).await?
    };
    let answers = subject.iter().flat_map(|subject| rules.answers(subject));
    let matching = answers.filter(|(_, answer)| *answer == RuleAnswer::Matches);
    let route = Route::new(matching.map(|(rule, _)| rule), &settings.routing, request, &suggested);
    Ok(Inquiry {
        routed_by: routed_by(&route),
        route,
        rules,
        subject,
        suggested,
        requester,
        failed,
    })
}

/// Lists the rules; without the permission, none apply.
async fn list_rules(client: &Client, failed: &mut Vec<Unanswered>) -> Result<RuleSet, Error> {
    let rules = match client.list_rules(PLUGIN).await {
        Ok(rules) => rules,
        Err(error) if error.meaning() == Meaning::Denied => {
            note(failed, error.to_string(), Some(error.hint().unwrap_or(GRANT_RULES)));
            Vec::new()
        }
        Err(error) if error.meaning() == Meaning::Unsupported => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut set = RuleSet::default();
    let compiled = rules.into_iter().map(|rule| CompiledRule::new(rule, &clock::zone));
    set.extend(compiled.map(Arc::new));
    Ok(set)
}

/// Records a failed look-up, each once.
fn note(failed: &mut Vec<Unanswered>, error: String, hint: Option<&str>) {
    let hint = hint.map(str::to_owned);
    let failure = Unanswered { error, hint };
    if !failed.contains(&failure) {
        failed.push(failure);
    }
}
