//! The reminder of the Access Lists that an owner has to review.

use std::iter;

use jiff::Timestamp;

use crate::domain::card::elements::{heading, small};
use crate::domain::card::message::SUMMARY;
use crate::domain::card::schema::{Action, ActionSet, Container, Element, TextBlock};
use crate::domain::card::text::{plain, squeezed};
use crate::domain::card::view::Detail;
use crate::domain::card::{Card, CardCluster, Message, time};

/// The number of lists that a card shows.
const SHOWN: usize = 10;

const REVIEW: &str = "Review in Teleport";

/// An Access List whose review is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueList<'a> {
    /// The ID of the list.
    pub name: &'a str,
    pub title: &'a str,
    pub due: Timestamp,
    /// The number of members, if it is known.
    pub members: Option<u32>,
}

/// Draws the reminder of these lists for one of their owners. The lists that are due first come first.
pub fn access_lists(cluster: &CardCluster, lists: &[DueList<'_>], now: Timestamp) -> Message {
    let mut lists = lists.to_vec();
    lists.sort_by_key(|list| (list.due, list.name));
    let drawing = Drawing {
        cluster,
        lists: &lists,
        now,
    };
    Message::fitting(&drawing.sentence(squeezed, SUMMARY), |detail| drawing.draw(detail))
}

struct Drawing<'a> {
    cluster: &'a CardCluster,
    lists: &'a [DueList<'a>],
    now: Timestamp,
}

impl Drawing<'_> {
    fn draw(&self, detail: Detail) -> Card {
        let shown = SHOWN.min(detail.resources);
        let mut body = self.head(detail);
        match self.lists {
            [list] => body.extend(self.facts(list)),
            lists => body.extend(lists.iter().take(shown).map(|list| self.list(list, detail))),
        }
        let hidden = self.lists.len().saturating_sub(shown);
        if hidden > 0 {
            body.push(small(format!("{hidden} more in Teleport"), true));
        }
        let owned = if self.lists.len() == 1 {
            "this Access List"
        } else {
            "these Access Lists"
        };
        body.push(small(format!("You are an owner of {owned}."), true));
        body.push(small(plain(&self.cluster.name, detail.name), false));
        let link = match self.lists {
            [list] => self.cluster.list_link(list.name),
            _ => None,
        };
        let fallback = match &link {
            Some(url) => format!("{}. Review it in Teleport: {url}", self.sentence(plain, detail.name)),
            None => format!("{}. Review in Teleport.", self.sentence(plain, detail.name)),
        };
        let action = link.map(|url| Action::OpenUrl { title: REVIEW, url });
        Card::new(body, action.into_iter().collect(), fallback)
    }

    /// Returns whether the lists are overdue, and what the owner is to do.
    fn head(&self, detail: Detail) -> Vec<Element> {
        let (status, color) = if self.overdue() > 0 {
            ("⚠️ Review overdue", "Attention")
        } else {
            ("🔔 Review due", "Accent")
        };
        let status = TextBlock {
            text: status.to_owned(),
            weight: Some("Bolder"),
            color: Some(color),
            ..TextBlock::default()
        };
        let subject = match self.lists {
            [list] => format!("the Access List {}", plain(shown_title(list), detail.name)),
            lists => format!("{} Access Lists", lists.len()),
        };
        let heading = TextBlock {
            spacing: Some("Small"),
            ..heading(format!("Review {subject}"))
        };
        vec![status.into(), heading.into()]
    }

    /// Returns one of several lists: its title, the facts, and a button.
    fn list(&self, list: &DueList<'_>, detail: Detail) -> Element {
        let title = TextBlock {
            text: plain(shown_title(list), detail.name),
            weight: Some("Bolder"),
            wrap: true,
            ..TextBlock::default()
        };
        let button = self.cluster.list_link(list.name).map(|url| {
            Element::ActionSet(ActionSet {
                actions: vec![Action::OpenUrl { title: REVIEW, url }],
                ..ActionSet::default()
            })
        });
        let items = iter::once(title.into()).chain(self.facts(list)).chain(button);
        Element::Container(Container {
            items: items.collect(),
            ..Container::default()
        })
    }

    /// Returns when the review is due, and the number of members.
    fn facts(&self, list: &DueList<'_>) -> [Element; 1] {
        let is_overdue = list.due < self.now;
        let due = if is_overdue {
            format!("Overdue since {}", time::with_age(list.due, self.now))
        } else {
            format!("Due {}", time::with_distance(list.due, self.now))
        };
        let members = match list.members {
            None => String::new(),
            Some(1) => " · 1 member".to_owned(),
            Some(count) => format!(" · {count} members"),
        };
        let facts = TextBlock {
            text: format!("{due}{members}"),
            color: is_overdue.then_some("Attention"),
            spacing: Some("Small"),
            wrap: true,
            ..TextBlock::default()
        };
        [facts.into()]
    }

    fn overdue(&self) -> usize {
        self.lists.iter().filter(|list| list.due < self.now).count()
    }

    /// Says in one sentence without a full stop what is due; `write` makes the title safe for its place.
    fn sentence(&self, write: fn(&str, usize) -> String, limit: usize) -> String {
        match (self.lists, self.overdue()) {
            ([list], 0) => {
                let title = write(shown_title(list), limit);
                format!(
                    "Review of the Access List {title} is due on {}",
                    time::written(list.due)
                )
            }
            ([list], _) => {
                let title = write(shown_title(list), limit);
                format!(
                    "Review of the Access List {title} is overdue since {}",
                    time::written(list.due)
                )
            }
            (lists, 0) => format!("Reviews of {} Access Lists are due", lists.len()),
            (lists, overdue) if overdue == lists.len() => format!("Reviews of {overdue} Access Lists are overdue"),
            (lists, overdue) => format!(
                "Reviews of {} Access Lists are due, {overdue} of them overdue",
                lists.len()
            ),
        }
    }
}

/// Returns the title of a list, or its ID if it has none.
fn shown_title<'a>(list: &DueList<'a>) -> &'a str {
    if list.title.trim().is_empty() {
        list.name
    } else {
        list.title
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::card::message::{LARGEST_CARD, utf16_bytes};

    fn cluster(web: bool) -> CardCluster {
        CardCluster {
            name: "teleport.example.com".to_owned(),
            web: web.then(|| "https://teleport.example.com".to_owned()),
            plugin: String::new(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-26T07:38:00Z".parse().unwrap()
    }

    fn list<'a>(name: &'a str, title: &'a str, days: i64) -> DueList<'a> {
        DueList {
            name,
            title,
            due: now() + SignedDuration::from_hours(24 * days),
            members: Some(12),
        }
    }

    fn json(message: &Message) -> String {
        serde_json::to_string(&message.card).unwrap()
    }

    #[test]
    fn one_list_is_the_heading_and_several_have_their_own_buttons() {
        let one = access_lists(&cluster(true), &[list("0d7f", "Database people", 3)], now());
        assert_eq!(
            one.summary,
            "Review of the Access List Database people is due on 29 Nov 2026 07:38 UTC"
        );
        let card = json(&one);
        for part in [
            "🔔 Review due",
            "Review the Access List Database people",
            "Due 29 Nov 2026 07:38 UTC (in 3 days) · 12 members",
            "https://teleport.example.com/web/accesslists/0d7f",
            "You are an owner of this Access List.",
        ] {
            assert!(card.contains(part), "{part} is not in {card}");
        }
        let lists = [list("b", "Later", 3), list("a", "", -2)];
        let two = access_lists(&cluster(true), &lists, now());
        assert_eq!(two.summary, "Reviews of 2 Access Lists are due, 1 of them overdue");
        let card = json(&two);
        assert!(
            card.contains("⚠️ Review overdue") && card.contains("Review 2 Access Lists"),
            "{card}"
        );
        assert!(card.contains("Overdue since 24 Nov 2026 07:38 UTC (2 days)"), "{card}");
        assert!(card.find("accesslists/a").unwrap() < card.find("accesslists/b").unwrap());
        assert_eq!(
            card.matches(REVIEW).count(),
            3,
            "two buttons and the fallback text: {card}"
        );
    }

    #[test]
    fn a_cluster_without_a_web_ui_has_no_links_and_many_lists_are_counted() {
        let names: Vec<_> = (0..25).map(|number| format!("list-{number:02}")).collect();
        let lists: Vec<_> = names.iter().map(|name| list(name, name, -1)).collect();
        let message = access_lists(&cluster(false), &lists, now());
        assert_eq!(message.summary, "Reviews of 25 Access Lists are overdue");
        let card = json(&message);
        assert!(
            !card.contains("https://teleport") && card.contains("15 more in Teleport"),
            "{card}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_reminder_fits_and_its_texts_are_no_markup(
            piece in prop_oneof![Just("🧨".to_owned()), Just("\"[x](https://e.example)<at>".to_owned()), "\\PC{1,8}"],
            many in 1_usize..40,
        ) {
            let long = piece.repeat(4_000 / piece.len());
            let lists = vec![list(&long, &long, -1); many];
            let message = access_lists(&cluster(true), &lists, now());
            prop_assert!(utf16_bytes(&message.card) <= LARGEST_CARD);
            prop_assert!(message.summary.chars().count() <= SUMMARY + 1);
            let card = json(&message);
            prop_assert!(!card.contains("[x](") && !card.contains("<at>"), "{}", card);
        }
    }
}
