//! Bounds of a list that comes in pages, or item by item.
//!
//! A server that names the same next page again and again, or always another one, would otherwise keep us busy until the memory ends.

use std::time::Duration;

use prost::bytes::Bytes;
use tokio::time::Instant;

use crate::teleport::lossy::text;
use crate::teleport::{Error, Meaning};

/// A hundred times more than any cluster has.
const MOST_PAGES: usize = 2_000;

/// Items of a list that does not come in pages.
const MOST_ITEMS: usize = 200_000;

/// All pages together.
const MOST_BYTES: usize = 1 << 30;

/// Pages that have to work before a larger one is tried, at most.
const LONGEST_CAUTION: u32 = 16;

/// Counts what was read of one list.
#[derive(Debug)]
pub(super) struct Pages {
    doing: &'static str,
    most: usize,
    parts: usize,
    bytes: usize,
    /// The key that the last page was asked for with.
    key: Bytes,
    /// When a list that comes item by item began, and how long it may take.
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

    /// Begins a list that comes item by item and may take so long altogether.
    pub(super) fn of_items(doing: &'static str, longest: Duration) -> Self {
        Self {
            most: MOST_ITEMS,
            time: Some((Instant::now(), longest)),
            ..Self::new(doing)
        }
    }

    /// Returns the key of the page that is next.
    pub(super) fn key(&self) -> String {
        text(&self.key)
    }

    /// Takes a page and the key of the next one; `false` if it was the last.
    ///
    /// # Errors
    /// The list does not end.
    pub(super) fn turn(&mut self, bytes: usize, next: Bytes) -> Result<bool, Error> {
        self.take(bytes)?;
        if !next.is_empty() && next == self.key {
            return Err(self.endless("a page names itself as the next one"));
        }
        self.key = next;
        Ok(!self.key.is_empty())
    }

    /// Takes an item, or a page of which nothing else matters.
    ///
    /// # Errors
    /// The list does not end.
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

/// How many items to ask for at a time. A page that exceeds a limit is asked for in smaller ones; after those, the size grows
/// again, so that one stretch of large items does not make a list of thousands of pages.
#[derive(Debug)]
pub(super) struct PageSize {
    most: i32,
    now: i32,
    /// Pages of this size that worked in a row.
    worked: u32,
    /// As many have to work before a larger page is tried; more after each try that failed.
    caution: u32,
    /// No page of this size has worked since the size grew.
    is_try: bool,
}

impl PageSize {
    pub(super) fn new(most: i32) -> Self {
        Self {
            most,
            now: most,
            worked: 0,
            caution: 1,
            is_try: false,
        }
    }

    pub(super) fn get(&self) -> i32 {
        self.now
    }

    /// Takes a page that exceeded a limit; `false` if it cannot be smaller.
    pub(super) fn shrink(&mut self) -> bool {
        if self.now <= 1 {
            return false;
        }
        if std::mem::take(&mut self.is_try) {
            self.caution = self.caution.saturating_mul(2).min(LONGEST_CAUTION);
        }
        self.now = (self.now / 10).max(1);
        self.worked = 0;
        true
    }

    /// Takes a page that worked.
    pub(super) fn worked(&mut self) {
        if std::mem::take(&mut self.is_try) {
            self.caution = 1;
        }
        self.worked += 1;
        if self.now < self.most && self.worked >= self.caution {
            self.now = self.now.saturating_mul(10).min(self.most);
            self.worked = 0;
            self.is_try = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_with_an_empty_key_and_never_goes_in_circles() {
        let mut pages = Pages::new("list");
        assert!(pages.turn(1, Bytes::from_static(b"a")).unwrap());
        assert_eq!(pages.key(), "a");
        let error = pages.turn(1, Bytes::from_static(b"a")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not list: the list does not end: a page names itself as the next one"
        );
        assert!(!pages.turn(1, Bytes::new()).unwrap());
    }

    /// Lists items of these sizes from a server whose pages have a limit; returns how many pages worked and how many failed.
    fn listed(items: &[usize], limit: usize) -> (usize, usize) {
        let (mut size, mut at, mut pages, mut failed) = (PageSize::new(100), 0, 0, 0);
        while at < items.len() {
            let next = items.len().min(at + usize::try_from(size.get()).unwrap());
            if items[at..next].iter().sum::<usize>() > limit {
                assert!(size.shrink());
                failed += 1;
            } else {
                size.worked();
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
        // Where nothing but single items fit, few tries are in vain.
        let (pages, failed) = listed(&[90; 1_600], 100);
        assert!(pages == 1_600 && failed < 110, "{failed}");
        assert!(!PageSize::new(1).shrink());
    }

    #[test]
    fn there_is_an_end_to_pages_and_to_bytes() {
        let mut pages = Pages::new("list");
        let taken = (0..=MOST_PAGES).find(|number| pages.turn(1, Bytes::from(number.to_string())).is_err());
        assert_eq!(taken, Some(MOST_PAGES));
        let mut pages = Pages::of_items("list", Duration::from_hours(1));
        assert!(pages.take(MOST_BYTES).is_ok());
        assert!(pages.take(1).is_err());
    }
}
