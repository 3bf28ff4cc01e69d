//! The faults of the pretend Microsoft services.

use std::time::Duration;

use fastrand::Rng;

use crate::gate::Gate;
use crate::tenant::Repeat;

/// The faults of the tenant; all are off by default.
#[derive(Clone, Debug, Default)]
pub struct TenantFaults {
    /// Added to every call.
    pub latency: Duration,
    /// Throttle calls above the documented limits.
    pub enforce_limits: bool,
    /// The first rule that matches a call applies.
    pub rules: Vec<Rule>,
    /// Applies to messages that no rule matches.
    pub chance: Option<Chance>,
    /// Number of failed requests for the chat of a new installation.
    pub chat_appears_after: u32,
    /// The greatest number of objects on a page of a list; 0 for what Graph documents.
    pub longest_page: usize,
    /// The connector opens no chats, so that only Graph names them.
    pub no_chats_by_bots: bool,
    /// Lifetime of new tokens in seconds, instead of the default.
    pub token_lives: Option<u64>,
    /// Lifetime that new tokens claim, in seconds, whatever the real one is.
    pub token_says: Option<u64>,
    /// How many seconds the clock of the login service is ahead of that of the clients.
    pub clock_ahead: i64,
    /// The connector numbers messages within each conversation, so that ids repeat between conversations.
    pub same_activity_ids: bool,
    /// Teams sends every press twice.
    pub repeat_presses: Option<Repeat>,
}

/// Applies faults to a share of all messages and updates: the same ones for the same seed and order of calls.
#[derive(Clone, Debug)]
pub struct Chance {
    share: f64,
    faults: Vec<Fault>,
    rng: Rng,
}

/// A fault for some calls.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The method; `None` matches any.
    pub method: Option<&'static str>,
    /// A part of the path; an empty one matches every path except that of tokens.
    pub path: String,
    /// Number of calls; `None` means all of them.
    pub times: Option<u32>,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Only this status and, in seconds, `Retry-After`.
    Status(u16, Option<u64>),
    /// Only this status, and in `Retry-After` the date this many seconds from now.
    StatusUntil(u16, u64),
    /// A proxy's HTML page instead of an answer.
    Html,
    /// This status, content type and body instead of an answer, like those of proxies, filters and gateways, or a
    /// literal rejection.
    Page(u16, &'static str, &'static str),
    /// The call is done, but something else answers with this status and a page.
    PageBehind(u16),
    /// The call is done, and the answer is empty.
    Empty,
    /// The call is done, and only half of the answer arrives.
    HalfBody,
    /// No answer, ever.
    Hang,
    /// The connection breaks before the call is done.
    ResetBefore,
    /// The connection breaks after the call is done.
    ResetAfter,
    /// The call is done later.
    Slow(Duration),
    /// The call is done when the gate opens.
    Held(Gate),
    /// The call is done, and answered when the gate opens.
    HeldAnswer(Gate),
    /// The call is done, and answered with this content type.
    Typed(&'static str),
    /// An error of the login service, by its AADSTS number.
    TokenError(u32),
    /// The status with an error code of the connector or Graph.
    Error(u16, &'static str),
}

impl Rule {
    /// Affects every call except those for tokens.
    pub fn always(fault: Fault) -> Self {
        Self {
            method: None,
            path: String::new(),
            times: None,
            fault,
        }
    }

    /// Affects some calls with this method and this part of the path.
    pub fn some(times: u32, method: &'static str, path: &str, fault: Fault) -> Self {
        Self {
            method: Some(method),
            path: path.to_owned(),
            times: Some(times),
            fault,
        }
    }

    /// Affects every call with this method and this part of the path.
    pub fn every(method: &'static str, path: &str, fault: Fault) -> Self {
        Self {
            times: None,
            ..Self::some(0, method, path, fault)
        }
    }

    /// Affects every call with one of these parts in its path, such as those to many recipients.
    pub fn crowd(method: &'static str, paths: &[String], fault: &Fault) -> Vec<Self> {
        let each = |path: &String| Self::every(method, path, fault.clone());
        paths.iter().map(each).collect()
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let path_matches = if self.path.is_empty() {
            !path.ends_with("/oauth2/v2.0/token")
        } else {
            path.contains(&self.path)
        };
        path_matches && self.method.is_none_or(|wanted| wanted == method) && self.times != Some(0)
    }
}

impl Chance {
    /// All faults are equally likely.
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
    /// Returns the fault of a call, and counts it.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let Some(rule) = self.rules.iter_mut().find(|rule| rule.matches(method, path)) else {
            let chance = self.chance.as_mut().filter(|_| path.contains("/activities"));
            return chance.and_then(Chance::take);
        };
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault.clone())
    }
}
