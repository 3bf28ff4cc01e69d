//! Finds the known name that a wrong one probably stands for.
//!
//! Architecture Invariant: knows nothing of the program.

/// The least similarity of two names, from 0 to 1: two letters of five may differ, and swapped neighbours count once.
const ALIKE: f64 = 0.6;

/// A known name of at least this length matches a longer name that begins with it.
const SHORTEST_BEGINNING: usize = 4;

/// Returns the known name that is most similar to a wrong one, ignoring case, or `None` if none is similar enough.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        // The beginning of a long name is wrong more often than its end.
        let is_end = name.strip_suffix(&wrong).is_some_and(|head| head.ends_with('.'));
        // Some add words to a short name.
        let is_longer = name.len() >= SHORTEST_BEGINNING && wrong.starts_with(&name);
        if is_end {
            1.0
        } else if is_longer {
            strsim::normalized_damerau_levenshtein(&wrong, &name).max(ALIKE)
        } else {
            strsim::normalized_damerau_levenshtein(&wrong, &name)
        }
    };
    let scored = known.into_iter().map(|name| (likeness(name), name));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_most_of_its_letters_or_by_its_end() {
        let known = ["access_request.spec.roles", "user.traits", "app_id"];
        for (wrong, expected) in [
            ("access_request.spec.role", Some("access_request.spec.roles")),
            ("roles", Some("access_request.spec.roles")),
            ("User.Triats", Some("user.traits")),
            ("app_di", Some("app_id")),
            ("app_id_of_the_bot", Some("app_id")),
            ("weekday", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, known), expected, "{wrong}");
        }
    }
}
