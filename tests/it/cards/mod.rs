//! What reviewers read on cards, and every kind of card against the gallery in `docs/cards`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Town, for_alice, newest};
use crate::world::cluster::Draft;

mod facts;
mod names;
mod people;

#[path = "../../../examples/cards/kinds.rs"]
mod kinds;

#[test]
fn every_kind_of_card_looks_as_in_the_gallery() {
    let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cards");
    for kind in kinds::kinds() {
        let file = gallery.join(format!("{}.json", kind.name));
        let expected: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap_or_default()).unwrap_or_default();
        let card = serde_json::to_value(&kind.message.card).unwrap();
        assert_eq!(
            card, expected["card"],
            "{}: {} Run `cargo run --example cards` and look.",
            kind.name, kind.title
        );
        assert_eq!(kind.message.summary, expected["summary"], "{}", kind.name);
        assert!(!kind.title.is_empty() && gallery.join(format!("{}.png", kind.name)).exists());
    }
    let files = fs::read_dir(&gallery).unwrap().map(|file| file.unwrap().path());
    let cards = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    assert_eq!(cards.count(), kinds::kinds().len());
}

fn asking_for(resources: &[(&str, &str)]) -> Draft {
    let resources = resources
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()));
    Draft {
        resources: resources.collect(),
        ..for_alice()
    }
}

/// Returns the newest card of a recipient, as JSON.
fn card(town: &Town, who: &str) -> String {
    town.chat(who)
        .last()
        .map(|card| newest(card).to_string())
        .unwrap_or_default()
}
