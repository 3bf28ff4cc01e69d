//! Bounds of a list that comes in pages, or item by item.
//!
//! A server that names the same next page again and again, or always another one, would otherwise keep us busy until the memory ends.

use prost::bytes::Bytes;

use crate::teleport::lossy::text;
use crate::teleport::{Error, Meaning};

/// A hundred times more than any cluster has.
const MOST_PAGES: usize = 2_000;

/// Items of a list that does not come in pages.
const MOST_ITEMS: usize = 200_000;

/// All pages together.
const MOST_BYTES: usize = 1 << 30;

/// Counts what was read of one list.
#[derive(Debug)]
pub(super) struct Pages {
    doing: &'static str,
    most: usize,
    parts: usize,
    bytes: usize,
    /// The key that the last page was asked for with.
    key: Bytes,
}

impl Pages {
    pub(super) fn new(doing: &'static str) -> Self {
        Self {
            doing,
            most: MOST_PAGES,
            parts: 0,
            bytes: 0,
            key: Bytes::new(),
        }
    }

    pub(super) fn of_items(doing: &'static str) -> Self {
        Self {
            most: MOST_ITEMS,
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
        Ok(())
    }

    fn endless(&self, why: &str) -> Error {
        Error::new(Meaning::Protocol, self.doing, format!("the list does not end: {why}"))
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

    #[test]
    fn there_is_an_end_to_pages_and_to_bytes() {
        let mut pages = Pages::new("list");
        let taken = (0..=MOST_PAGES).find(|number| pages.turn(1, Bytes::from(number.to_string())).is_err());
        assert_eq!(taken, Some(MOST_PAGES));
        let mut pages = Pages::of_items("list");
        assert!(pages.take(MOST_BYTES).is_ok());
        assert!(pages.take(1).is_err());
    }
}
