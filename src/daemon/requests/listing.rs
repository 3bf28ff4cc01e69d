//! One listing of rules, records and requests, each independent of the others. It is the only way to recover.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::join;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::requests::lane::Listing;
use crate::daemon::requests::lanes::Lanes;
use crate::daemon::requests::missing::{Evidence, Missing};
use crate::domain::lifecycle::Record;
use crate::domain::request::{AccessRequest, RequestId};
use crate::teleport::{Error, Listed, Meaning, PluginDataKind};

/// How long requests wait for the list of rules, so that the current rules route them.
const RULES_FIRST: Duration = Duration::from_secs(5);

/// The result of a listing.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) rules: Result<(), Error>,
    pub(super) records: Result<(), Error>,
    pub(super) requests: Result<(), Error>,
    /// The earliest end of a request that was not listed, which is when to list again.
    pub(super) next_end: Option<Timestamp>,
    /// Whether requests with open cards were not listed and may be over.
    pub(super) some_missing: bool,
}

/// The state between listings.
#[derive(Debug, Default)]
pub(super) struct Past {
    missing: Missing,
    /// Whether the records are too large for one message.
    one_by_one: bool,
    /// The first listing on the current connection.
    first: Option<Listing>,
}

impl Past {
    /// Records that a new stream was opened. Events of older streams prove nothing about a list any more.
    pub(super) fn reconnected(&mut self) {
        self.first = None;
    }
}

/// Lists everything once, and feeds the lanes. `fresh` is true if a watch was granted since the last listing.
pub(super) async fn list(context: &Context, lanes: &Lanes, past: &mut Past, fresh: bool) -> Round {
    let listed = CancellationToken::new();
    let rules = async {
        let rules = context.rules.load(&context.client).await;
        listed.cancel();
        rules
    };
    let rest = async {
        let _ = timeout(RULES_FIRST, listed.cancelled()).await;
        requests(context, lanes, past, fresh).await
    };
    let (rules, round) = join!(rules, rest);
    Round { rules, ..round }
}

async fn requests(context: &Context, lanes: &Lanes, past: &mut Past, fresh: bool) -> Round {
    let mut round = Round {
        rules: Ok(()),
        records: Ok(()),
        requests: Ok(()),
        next_end: None,
        some_missing: false,
    };
    let listing = lanes.begin_listing();
    let first = *past.first.get_or_insert(listing);
    let mut records = match context.client.all_plugin_data(PluginDataKind::AccessRequest).await {
        Ok(records) => {
            past.one_by_one = false;
            context.digests.learn_all(&records, context.replica());
            Some(records)
        }
        Err(error) if error.meaning() == Meaning::Exhausted => {
            read_one_by_one(past, &error);
            None
        }
        Err(error) => {
            round.records = Err(error);
            None
        }
    };
    let mut ids = HashSet::new();
    let each = |request: AccessRequest| {
        ids.insert(request.id.clone());
        // The lane reads an unknown record when it needs it.
        let record = match &mut records {
            Some(records) => records
                .remove(request.id.as_str())
                .unwrap_or_else(|| Some(BTreeMap::new())),
            None => None,
        };
        lanes.listed(request, record, listing);
    };
    let listed = context.client.list_requests(each).await;
    // Also if requests cannot be listed.
    context.digests.tidy();
    context.digests.retry_behind();
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            round.requests = Err(error);
            return round;
        }
    };
    debug!(requests = listed.requests, "Access Requests listed");
    ids.extend(listed.unreadable.iter().cloned());
    let now = clock::now();
    lanes.forget_ended(&ids, listing, now);
    let mut absent = Absent {
        context,
        lanes,
        listing,
        now,
        hidden: Vec::new(),
        next_end: None,
    };
    let records = records.unwrap_or_default().into_iter();
    let records = records.map(|(id, map)| (RequestId::new(id), map));
    absent.sort(records.filter(|(id, _)| !ids.contains(id)));
    round.next_end = absent.next_end;
    round.some_missing = absent.judge(&listed, past, first, fresh);
    round
}

fn read_one_by_one(past: &mut Past, error: &Error) {
    warn_if!(
        !std::mem::replace(&mut past.one_by_one, true),
        %error,
        "Could not list plugin data, reading records one by one; deleted requests keep their cards"
    );
}

/// Requests that have a record but were not listed.
struct Absent<'a> {
    context: &'a Context,
    lanes: &'a Lanes,
    listing: Listing,
    now: Timestamp,
    hidden: Vec<(RequestId, BTreeMap<String, String>)>,
    next_end: Option<Timestamp>,
}

impl Absent<'_> {
    /// Closes the cards of requests whose recorded end has passed, and keeps the others with open cards.
    fn sort(&mut self, records: impl Iterator<Item = (RequestId, Option<BTreeMap<String, String>>)>) {
        for (id, map) in records {
            let Some((map, record)) = map.and_then(|map| Record::decode(&map).map(|record| (map, record))) else {
                continue;
            };
            let is_open = |card| record.shown(card).stage.is_open();
            if self.lanes.heard(&id, self.listing) || !record.cards.iter().any(is_open) {
                continue;
            }
            let end = record.end();
            if record.is_over(self.now) {
                self.lanes.listed_gone(&id, &map, self.listing);
            } else {
                self.next_end = self.next_end.into_iter().chain(end).min();
                self.hidden.push((id, map));
            }
        }
    }

    /// Closes the cards of requests that have been missing long enough. Returns whether others are left.
    fn judge(self, listed: &Listed, past: &mut Past, first: Listing, fresh: bool) -> bool {
        let evidence = Evidence {
            fresh,
            requests: listed.requests,
            nameless: listed.nameless,
            contradicted: self.hidden.iter().any(|(id, _)| self.lanes.heard(id, first)),
        };
        let missing = self.hidden.iter().map(|(id, _)| id.clone()).collect();
        let absent_for = self.context.limits.absent_for;
        let over = past.missing.take(missing, evidence, Instant::now(), absent_for);
        let over: HashSet<_> = over.into_iter().collect();
        let mut hidden = 0_usize;
        for (id, map) in self.hidden {
            if over.contains(&id) {
                info!(
                    request.id = %id,
                    "Access Request is no longer listed, closing its cards"
                );
                self.lanes.listed_gone(&id, &map, self.listing);
            } else {
                hidden += 1;
            }
        }
        if self.context.note_unlisted(hidden) && hidden > 0 {
            warn!(
                requests = hidden,
                hint = hint!(
                    "Check that the role has list and read on access_request, if the list is empty; otherwise the cards close when the requests expire, or after a second listing without them"
                ),
                "Access Access Requests with open cards are missing from the list"
            );
        }
        hidden > 0
    }
}
