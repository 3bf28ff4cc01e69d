//! Limits for a list that arrives in pages, or item by item.
//!
//! A server that repeats the same next page, or always names another one, would otherwise keep us busy until the memory
//! is full.

use std::time::Duration;

use prost::bytes::Bytes;
use tokio::time::Instant;

use crate::teleport::lossy::text;
use crate::teleport::{Error, Meaning};

/// A hundred times more than any cluster needs.
const MOST_PAGES: usize = 2_000;

/// Items of a list that does not arrive in pages.
const MOST_ITEMS: usize = 200_000;

/// Size of all pages together.
const MOST_BYTES: usize = 1 << 30;

/// Largest number of pages that must succeed before a larger page is tried.
const LONGEST_CAUTION: u32 = 16;

/// Counts what was read of one list.
#[derive(Debug)]
pub(super) struct Pages {
    doing: &'static str,
    most: usize,
    parts: usize,
    bytes: usize,
    /// The key of the last page that was requested.
    key: Bytes,
    /// When a list that arrives item by item began, and how long it may take.
    time: Option<(Instant, Duration)>,
}

impl Pages {
    pub(super) fn new(doing: &'static str) -> Self {
        Self {
            doing,
            most: MOST_PAGES,
            parts: 0,
            bytes: 0,
            key: Bytes::new(),
            time: None,
        }
    }

    /// Starts a list that arrives item by item and may last at most `longest`.
    pub(super) fn of_items(doing: &'static str, longest: Duration) -> Self {
        Self {
            most: MOST_ITEMS,
            time: Some((Instant::now(), longest)),
            ..Self::new(doing)
        }
    }

    /// Returns the key of the next page.
    pub(super) fn key(&self) -> String {
        text(&self.key)
    }

    /// Counts a page and takes the key of the next one. Returns `false` after the last page.
    ///
    /// # Errors
    /// The list is endless.
    pub(super) fn advance(&mut self, bytes: usize, next: Bytes) -> Result<bool, Error> {
        self.take(bytes)?;
        if !next.is_empty() && next == self.key {
            return Err(self.endless("a page names itself as the next one"));
        }
        self.key = next;
        Ok(!self.key.is_empty())
    }

    /// Counts an item, or a page without a key.
    ///
    /// # Errors
    /// The list is endless.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.parts > self.most {
            return Err(self.endless(&format!("it goes on after {} parts", self.most)));
        }
        if self.bytes > MOST_BYTES {
            return Err(self.endless(&format!("it goes on after {MOST_BYTES} bytes")));
        }
        match self.time {
            Some((begun, longest)) if begun.elapsed() > longest => {
                Err(self.endless(&format!("it goes on after {longest:?}")))
            }
            _ => Ok(()),
        }
    }

    fn endless(&self, why: &str) -> Error {
        Error::new(Meaning::Protocol, self.doing, format!("the list does not end: {why}"))
    }
}

/// The number of items per page. A page that exceeds a limit is requested again in smaller pages; after those the size
/// grows again, so that one stretch of large items does not split a list into thousands of pages.
#[derive(Debug)]
pub(super) struct PageSize {
    most: i32,
    now: i32,
    /// Consecutive pages of this size that succeeded.
    succeeded: u32,
    /// Number of pages that must succeed before a larger page is tried. It grows with each failed try.
    caution: u32,
    /// Whether no page of this size has succeeded since the size grew.
    is_try: bool,
}

impl PageSize {
    pub(super) fn new(most: i32) -> Self {
        Self {
            most,
            now: most,
            succeeded: 0,
            caution: 1,
            is_try: false,
        }
    }

    pub(super) fn get(&self) -> i32 {
        self.now
    }

    /// Halves the size after a page that exceeded a limit. Returns `false` if it cannot be smaller.
    pub(super) fn shrink(&mut self) -> bool {
        if self.now <= 1 {
            return false;
        }
        if std::mem::take(&mut self.is_try) {
            self.caution = self.caution.saturating_mul(2).min(LONGEST_CAUTION);
        }
        self.now = (self.now / 10).max(1);
        self.succeeded = 0;
        true
    }

    /// Counts a page that succeeded.
    pub(super) fn succeeded(&mut self) {
        if std::mem::take(&mut self.is_try) {
            self.caution = 1;
        }
        self.succeeded += 1;
        if self.now < self.most && self.succeeded >= self.caution {
            self.now = self.now.saturating_mul(10).min(self.most);
            self.succeeded = 0;
            self.is_try = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_with_an_empty_key_and_a_repeated_key_is_an_error() {
        let mut pages = Pages::new("list");
        assert!(pages.advance(1, Bytes::from_static(b"a")).unwrap());
        assert_eq!(pages.key(), "a");
        let error = pages.advance(1, Bytes::from_static(b"a")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not list: the list does not end: a page names itself as the next one"
        );
        assert!(!pages.advance(1, Bytes::new()).unwrap());
    }

    /// Lists items of these sizes from a server with a page limit, and returns how many pages succeeded and how many
    /// failed.
    fn listed(items: &[usize], limit: usize) -> (usize, usize) {
        let (mut size, mut at, mut pages, mut failed) = (PageSize::new(100), 0, 0, 0);
        while at < items.len() {
            let next = items.len().min(at + usize::try_from(size.get()).unwrap());
            if items[at..next].iter().sum::<usize>() > limit {
                assert!(size.shrink());
                failed += 1;
            } else {
                size.succeeded();
                pages += 1;
                at = next;
            }
        }
        (pages, failed)
    }

    #[test]
    fn pages_grow_again_after_a_stretch_of_large_items() {
        assert_eq!(listed(&[1; 1_000], 100), (10, 0));
        let mut items = vec![90; 30];
        items.extend(vec![1; 20_000]);
        let (pages, failed) = listed(&items, 100);
        assert!(pages < 250 && failed < 10, "{pages} {failed}");
        // Where only single items fit, few tries fail.
        let (pages, failed) = listed(&[90; 1_600], 100);
        assert!(pages == 1_600 && failed < 110, "{failed}");
        assert!(!PageSize::new(1).shrink());
    }

    #[test]
    fn pages_and_bytes_are_limited() {
        let mut pages = Pages::new("list");
        let taken = (0..=MOST_PAGES).find(|number| pages.advance(1, Bytes::from(number.to_string())).is_err());
        assert_eq!(taken, Some(MOST_PAGES));
        let mut pages = Pages::of_items("list", Duration::from_hours(1));
        assert!(pages.take(MOST_BYTES).is_ok());
        assert!(pages.take(1).is_err());
    }
}
