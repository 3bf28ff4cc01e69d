//! Long content: about five lines, then a button that shows all.

use crate::domain::card::schema::{Action, ActionSet, Container, Element, TextBlock, Toggle};

/// Characters of a text that are about five lines of a card on a phone.
pub(super) const LINES_OF_TEXT: usize = 200;

/// Entries of a list that are shown at first.
const ENTRIES: usize = 5;

/// A list that may be longer than what is shown at first.
#[derive(Debug)]
pub(super) struct LongList {
    /// The entries that can be shown.
    entries: Vec<String>,
    /// The number of all entries.
    count: usize,
}

/// The elements of one long content by their IDs: what is shown at first, all of it, and the buttons of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long {
    word: &'static str,
    short: &'static str,
    all: &'static str,
    show_all: &'static str,
    show_less: &'static str,
}

impl Long {
    pub(super) const REASON: Self = Self {
        word: "",
        short: "reason",
        all: "reason-all",
        show_all: "reason-show-all",
        show_less: "reason-show-less",
    };
    pub(super) const ROLES: Self = Self {
        word: "roles",
        short: "",
        all: "roles-all",
        show_all: "roles-show-all",
        show_less: "roles-show-less",
    };
    pub(super) const RESOURCES: Self = Self {
        word: "resources",
        short: "",
        all: "resources-all",
        show_all: "resources-show-all",
        show_less: "resources-show-less",
    };

    /// Returns a shortened text with a button that replaces it with the whole text.
    pub(super) fn of_text(self, short: String, all: String) -> Vec<Element> {
        let block = |text, id, hidden| {
            Element::from(TextBlock {
                text,
                wrap: true,
                id: Some(id),
                hidden,
                ..TextBlock::default()
            })
        };
        let mut elements = vec![block(short, self.short, false), block(all, self.all, true)];
        elements.extend(self.buttons("Show all".to_owned()));
        elements
    }

    /// Creates a list of `count` entries, of which `entries` can be shown.
    pub(super) fn of_list(entries: Vec<String>, count: usize) -> LongList {
        LongList { entries, count }
    }

    /// Returns the button that shows all, and a hidden one that goes back.
    fn buttons(self, title: String) -> [Element; 2] {
        let ids = [self.short, self.all, self.show_all, self.show_less];
        let targets: Vec<_> = ids.into_iter().filter(|id| !id.is_empty()).collect();
        let button = |id, title: String, hidden| {
            Element::ActionSet(ActionSet {
                actions: vec![Action::Toggle(Toggle {
                    title,
                    target_elements: targets.clone(),
                })],
                id: Some(id),
                hidden,
            })
        };
        [
            button(self.show_all, title, false),
            button(self.show_less, "Show less".to_owned(), true),
        ]
    }
}

impl LongList {
    /// Returns the entries that are shown at first: five, or fewer if they are long.
    pub(super) fn at_first(&self) -> &[String] {
        let mut left = LINES_OF_TEXT;
        let mut shown = 0;
        for entry in self.entries.iter().take(ENTRIES) {
            let length = entry.chars().count();
            if shown > 0 && length > left {
                break;
            }
            left = left.saturating_sub(length);
            shown += 1;
        }
        &self.entries[..shown]
    }

    /// Returns the entries that are shown at first, and the number of the others; empty if there are none.
    pub(super) fn short(&self) -> String {
        let shown = self.at_first().join(", ");
        match self.count - self.at_first().len() {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }

    /// Returns a button that shows the other entries, as `draw` draws them; nothing if all are shown at first.
    pub(super) fn show_all(&self, long: Long, draw: impl FnOnce(&[String]) -> Vec<Element>) -> Vec<Element> {
        let rest = &self.entries[self.at_first().len()..];
        let hidden = self.count - self.entries.len();
        if rest.is_empty() && hidden == 0 {
            return Vec::new();
        }
        let mut items = draw(rest);
        if hidden > 0 {
            items.push(Element::from(TextBlock {
                text: format!("{hidden} more in Teleport"),
                is_subtle: true,
                wrap: true,
                ..TextBlock::default()
            }));
        }
        let all = Container {
            items,
            spacing: Some("None"),
            id: Some(long.all),
            hidden: true,
            ..Container::default()
        };
        let mut elements = vec![Element::Container(all)];
        let title = match hidden {
            0 => format!("Show all {} {}", self.count, long.word),
            _ => format!("Show {} of {} {}", self.entries.len(), self.count, long.word),
        };
        elements.extend(long.buttons(title));
        elements
    }
}
