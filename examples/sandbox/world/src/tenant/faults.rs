//! How Microsoft misbehaves.

use std::time::Duration;

use fastrand::Rng;

use crate::gate::Gate;

/// Everything is off at first.
#[derive(Clone, Debug, Default)]
pub struct TenantFaults {
    /// Added to every call.
    pub latency: Duration,
    /// Refuse what is over the documented limits.
    pub enforce_limits: bool,
    /// The first rule that fits a call decides it.
    pub rules: Vec<Rule>,
    /// Decides the messages that no rule fits.
    pub chance: Option<Chance>,
    /// Asking for the chat of a fresh installation fails so many times.
    pub chat_appears_after: u32,
    /// How long new tokens live, in seconds, if not as long as usual.
    pub token_lives: Option<u64>,
    /// What new tokens say of how long they live, in seconds, whatever is true.
    pub token_says: Option<u64>,
    /// The connector numbers messages within each conversation, so that ids repeat between conversations.
    pub same_activity_ids: bool,
}

/// Spoils a share of all messages and edits, the same ones for the same seed and order of calls.
#[derive(Clone, Debug)]
pub struct Chance {
    share: f64,
    faults: Vec<Fault>,
    rng: Rng,
}

/// What happens to some calls.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Any method if there is none.
    pub method: Option<&'static str>,
    /// A part of the path; the empty one fits every path but that of tokens.
    pub path: String,
    /// How many calls; all of them if there is no number.
    pub times: Option<u32>,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Only this status and, in seconds, `Retry-After`.
    Status(u16, Option<u64>),
    /// Only this status, and in `Retry-After` the date so many seconds from now.
    StatusUntil(u16, u64),
    /// A page of a proxy instead of an answer.
    Html,
    /// This status, type of content and body instead of an answer: what proxies, filters and gateways say, or a refusal
    /// word by word.
    Page(u16, &'static str, &'static str),
    /// Done, and answered by something else with this status and a page.
    PageBehind(u16),
    /// Done, and answered with nothing.
    Empty,
    /// Done, and only half of the answer arrives.
    HalfBody,
    /// No answer, ever.
    Hang,
    /// The connection breaks before anything is done.
    ResetBefore,
    /// The connection breaks after everything is done.
    ResetAfter,
    /// Done, but later.
    Slow(Duration),
    /// Nothing is done before the gate opens.
    Held(Gate),
    /// Done, and answered when the gate opens.
    HeldAnswer(Gate),
    /// Done, and answered as this type of content.
    Typed(&'static str),
    /// A refusal of the login service, by its AADSTS number.
    TokenError(u32),
    /// The status with an error code of the connector or Graph.
    Error(u16, &'static str),
}

impl Rule {
    /// Spoils every call, but for those of tokens.
    pub fn always(fault: Fault) -> Self {
        Self {
            method: None,
            path: String::new(),
            times: None,
            fault,
        }
    }

    /// Spoils some calls with this method and this part of the path.
    pub fn some(times: u32, method: &'static str, path: &str, fault: Fault) -> Self {
        Self {
            method: Some(method),
            path: path.to_owned(),
            times: Some(times),
            fault,
        }
    }

    /// Spoils every call with this method and this part of the path.
    pub fn every(method: &'static str, path: &str, fault: Fault) -> Self {
        Self {
            times: None,
            ..Self::some(0, method, path, fault)
        }
    }

    /// Spoils every call that has one of these parts in its path, such as those to a crowd of recipients.
    pub fn crowd(method: &'static str, paths: &[String], fault: &Fault) -> Vec<Self> {
        let each = |path: &String| Self::every(method, path, fault.clone());
        paths.iter().map(each).collect()
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        let path_fits = if self.path.is_empty() {
            !path.ends_with("/oauth2/v2.0/token")
        } else {
            path.contains(&self.path)
        };
        path_fits && self.method.is_none_or(|wanted| wanted == method) && self.times != Some(0)
    }
}

impl Chance {
    /// Each of the faults is as likely as the others.
    pub fn new(share: f64, faults: Vec<Fault>, seed: u64) -> Self {
        Self {
            share,
            faults,
            rng: Rng::with_seed(seed),
        }
    }

    fn take(&mut self) -> Option<Fault> {
        let hit = self.rng.f64() < self.share;
        self.rng.choice(&self.faults).filter(|_| hit).cloned()
    }
}

impl TenantFaults {
    /// Takes the fault of a call, and counts it.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let Some(rule) = self.rules.iter_mut().find(|rule| rule.fits(method, path)) else {
            let chance = self.chance.as_mut().filter(|_| path.contains("/activities"));
            return chance.and_then(Chance::take);
        };
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault.clone())
    }
}
