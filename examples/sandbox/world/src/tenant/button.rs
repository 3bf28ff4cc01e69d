//! The buttons of a card, as a client finds them.

use serde_json::{Map, Value};

/// A button, with what a press of it carries.
pub(super) struct Button {
    pub(super) action: Value,
    /// The `data` of the action, with the inputs.
    pub(super) data: Value,
}

/// Finds a button by its title or verb, also inside the parts that other buttons unfold, and fills in the inputs.
///
/// Of several buttons, returns the first whose card has all of these inputs; the others keep their initial values.
pub(super) fn find(card: &Value, button: &str, inputs: &[(&str, &str)]) -> Option<Button> {
    search(card, &Map::new(), &|action, known| {
        let is_it = action["title"] == button || action["verb"] == button;
        is_it && inputs.iter().all(|(id, _)| known.contains_key(*id))
    })
    .map(|(action, known)| {
        let mut data = match &action["data"] {
            Value::Object(data) => data.clone(),
            _ => Map::new(),
        };
        if action["associatedInputs"] != "none" {
            data.extend(known);
            data.extend(inputs.iter().map(|(id, text)| ((*id).to_owned(), Value::from(*text))));
        }
        Button {
            action,
            data: Value::Object(data),
        }
    })
}

/// Searches a card; `outer` are the inputs of the cards around it.
fn search(
    card: &Value,
    outer: &Map<String, Value>,
    fits: &impl Fn(&Value, &Map<String, Value>) -> bool,
) -> Option<(Value, Map<String, Value>)> {
    let mut known = outer.clone();
    gather(&card["body"], &mut known);
    let mut actions = Vec::new();
    all_actions(card, &mut actions);
    let presses = |action: &&&Value| matches!(action["type"].as_str(), Some("Action.Execute" | "Action.Submit"));
    let found = actions.iter().filter(presses).find(|action| fits(action, &known));
    if let Some(action) = found {
        return Some(((*action).clone(), known));
    }
    let unfold = |action: &&Value| search(&action["card"], &known, fits);
    actions.iter().find_map(unfold)
}

/// Collects the inputs of a card with their initial values, without those of the cards inside it.
fn gather(part: &Value, inputs: &mut Map<String, Value>) {
    match part {
        Value::Array(parts) => parts.iter().for_each(|part| gather(part, inputs)),
        Value::Object(fields) => {
            let kind = part["type"].as_str().unwrap_or_default();
            if let (true, Some(id)) = (kind.starts_with("Input."), part["id"].as_str()) {
                let initial = part["value"].as_str().unwrap_or_default();
                inputs.insert(id.to_owned(), Value::from(initial));
            }
            if kind != "Action.ShowCard" {
                fields.values().for_each(|part| gather(part, inputs));
            }
        }
        _ => {}
    }
}

/// Collects the actions of a card and its action sets, without those of the cards inside it.
fn all_actions<'a>(part: &'a Value, actions: &mut Vec<&'a Value>) {
    match part {
        Value::Array(parts) => parts.iter().for_each(|part| all_actions(part, actions)),
        Value::Object(fields) => {
            if part["type"].as_str().is_some_and(|kind| kind.starts_with("Action.")) {
                actions.push(part);
            } else {
                fields.values().for_each(|part| all_actions(part, actions));
            }
        }
        _ => {}
    }
}
