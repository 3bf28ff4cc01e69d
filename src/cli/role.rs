//! The role and the user that `configure` writes.

const ROLE: &str = include_str!("role.yaml");

/// What the role contains, and what a role that submits reviews contains in its place.
const FOR_REVIEWS: [(&str, &str); 2] = [
    (
        "\
      - resources: [user_login_state, user]
        verbs: [read]
",
        "\
      - resources: [user_login_state]
        verbs: [read]
      # To find the user who presses a button, too.
      - resources: [user]
        verbs: [list, read]
",
    ),
    (
        "\
    # review_requests:
    #   preview_as_roles: [a-role-that-sees-them]
",
        "\
    review_requests:
      # preview_as_roles: [a-role-that-sees-them]
      # The users whose reviews the plugin submits when they press a button; \"*\" is every local user. Their own roles
      # determine which requests they can review. Name the reviewers instead to limit what stolen credentials can do.
      submit_for_users: [\"*\"]
",
    ),
];

/// Returns the YAML for `tctl create -f`.
pub(super) fn role(submits_reviews: bool) -> String {
    let replaced = FOR_REVIEWS.iter().filter(|_| submits_reviews);
    replaced.fold(ROLE.to_owned(), |text, (plain, reviews)| text.replace(plain, reviews))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_submits_reviews_grants_more() {
        assert_eq!(role(false), ROLE);
        for (plain, _) in FOR_REVIEWS {
            assert_eq!(ROLE.matches(plain).count(), 1, "{plain}");
        }
        insta::assert_snapshot!("role_for_reviews", role(true));
    }
}
