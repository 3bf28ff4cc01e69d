//! Reports what could not be decoded: each item once, however often it is listed.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use prost::bytes::Bytes;
use tracing::warn;

use crate::domain::request::AccessRequest;
use crate::teleport::error::shortened;

/// Largest number of items that are remembered as reported. Items beyond it are not reported, so that the memory stays
/// bounded.
const MOST: usize = 1_000;

/// Largest number of suggested reviewers per request. Each of them is looked up, so a requester who suggests thousands
/// would delay the requests of others.
const MOST_REVIEWERS: usize = 100;

/// The kind of an item.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Request,
    Record,
    ListRecord,
    Rule,
    User,
    AccessList,
    Role,
    Resource,
    Cluster,
    Reviewers,
}

/// The items that were reported. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Damaged(Arc<Mutex<HashSet<u64>>>);

/// The result of decoding an item.
#[derive(Debug)]
pub(super) struct Read<T> {
    /// `None` if too little of it could be decoded.
    pub(super) item: Option<T>,
    /// `None` if it could not be decoded either.
    pub(super) id: Option<String>,
    /// Why the item, or a part of it, could not be decoded.
    pub(super) flaw: Option<String>,
}

impl Damaged {
    /// Returns the part of an item that could be decoded, and logs what could not.
    pub(super) fn take<T>(&self, kind: Kind, bytes: &Bytes, read: Read<T>) -> Option<T> {
        let Read { item, id, flaw } = read;
        let Some(flaw) = flaw else {
            return item;
        };
        let what = match (kind, item.is_some()) {
            (Kind::Event, _) => "Could not decode an event of Teleport",
            (Kind::Reviewers | Kind::Request, true) => "Could not decode parts of an Access Request, ignoring them",
            (Kind::Reviewers | Kind::Request, false) => "Could not decode an Access Request, skipping it",
            (Kind::Record, _) => "Could not decode the plugin data of an Access Request, not updating its cards",
            (Kind::Rule, _) => "Could not decode an Access Monitoring Rule, skipping it",
            (Kind::AccessList, true) => "Could not decode parts of an Access List, ignoring them",
            (Kind::AccessList, false) => "Could not decode an Access List, skipping it",
            (Kind::ListRecord, _) => "Could not decode the plugin data of an Access List, not reminding its owners",
            (Kind::User, _) => "Could not decode parts of a user, ignoring them",
            (Kind::Role, _) => "Could not decode parts of a role, ignoring them",
            (Kind::Resource, _) => "Could not decode the details of a resource, ignoring them",
            (Kind::Cluster, _) => "Could not decode parts of the cluster description, ignoring them",
        };
        let (id, error) = (id.map(|id| shortened(&id)), flaw);
        let (request, name) = match kind {
            Kind::Request | Kind::Record => (id, None),
            _ => (None, id),
        };
        let is_new = self.is_new(kind, request.as_deref().or(name.as_deref()), bytes);
        let request = request.map(tracing::field::display);
        warn_if!(is_new, request.id = request, name, error, "{what}");
        item
    }

    /// Does the same for a request, and limits its suggested reviewers.
    pub(super) fn take_request(&self, bytes: &Bytes, read: Read<AccessRequest>) -> Option<AccessRequest> {
        let mut request = self.take(Kind::Request, bytes, read)?;
        let reviewers = &mut request.suggested_reviewers;
        let left_out = reviewers.len().saturating_sub(MOST_REVIEWERS);
        if left_out > 0 {
            reviewers.truncate(MOST_REVIEWERS);
            reviewers.shrink_to_fit();
            let id = &request.id;
            if self.is_new(Kind::Reviewers, Some(id.as_str()), bytes) {
                warn!(
                    request.id = %id, left_out, limit = MOST_REVIEWERS,
                    "Access Request has too many suggested reviewers; the last ones are not notified"
                );
            }
        }
        Some(request)
    }

    fn is_new(&self, kind: Kind, id: Option<&str>, bytes: &Bytes) -> bool {
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        match id {
            Some(id) => id.hash(&mut hasher),
            None => bytes.hash(&mut hasher),
        }
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < MOST {
            return reported.insert(hasher.finish());
        }
        false
    }
}
