//! The recent posts of one conversation, above a number of which requests share a card.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::daemon::requests::digests::Digests;
use crate::daemon::requests::digests::table::DigestId;

/// The recent posts of one conversation.
#[derive(Debug, Default)]
pub(super) struct RecentPosts {
    posts: VecDeque<Instant>,
    /// The newest shared card that this process began.
    pub(super) open: Option<DigestId>,
}

/// A post that counts from now on, unless the slot is dropped without being kept.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) digests: &'a Digests,
    pub(super) conversation: String,
    pub(super) at: Instant,
    pub(super) kept: bool,
}

impl RecentPosts {
    /// Counts a post. More than one above `most` makes no difference.
    pub(super) fn count(&mut self, now: Instant, most: usize) {
        self.posts.push_back(now);
        while self.posts.len() > most.saturating_add(1) {
            self.posts.pop_front();
        }
    }

    /// Returns the number of posts that count, and forgets the others.
    pub(super) fn recent(&mut self, now: Instant, within: Duration) -> usize {
        while self.posts.front().is_some_and(|post| now - *post >= within) {
            self.posts.pop_front();
        }
        self.posts.len()
    }

    /// Removes a post that did not happen.
    pub(super) fn release(&mut self, at: Instant) {
        if let Some(place) = self.posts.iter().position(|post| *post == at) {
            self.posts.remove(place);
        }
    }
}

impl Slot<'_> {
    /// Keeps counting the post, because the card exists or may exist.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.kept
            && let Some(posts) = self.digests.lock().posts.get_mut(&self.conversation)
        {
            posts.release(self.at);
        }
    }
}
