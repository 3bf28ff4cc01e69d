//! Tests of `groups.rs`.

use super::*;

const GROUP: &str = "a36aec2e-f11c-4219-b79a-19ffff57de70";

fn groups() -> Groups {
    let groups = Groups::new(&Limits::default());
    groups.were_read(&[GROUP.to_owned()]);
    groups
}

fn addresses(people: &[&str]) -> Vec<Address> {
    people.iter().map(|text| Address::parse(text).unwrap()).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside failures")]
fn listed(people: &[&str], is_cut: bool) -> Result<Members, Error> {
    let people = addresses(people);
    Ok(Members { people, is_cut })
}

fn failed(meaning: Meaning) -> Result<Members, Error> {
    Err(Error::of_members(meaning))
}

/// Records a read, and returns what is logged at level WARN, and whether requests are planned again.
fn take(groups: &Groups, found: Result<Members, Error>, is_example: bool) -> (Option<Lack>, bool) {
    match groups.take(GROUP, found, |_| is_example).unwrap() {
        Taken::Read { news, has_changed, .. } => (news, has_changed),
        Taken::Failed {
            error,
            is_news,
            has_changed,
            ..
        } => (is_news.then_some(Lack::Failed(error.meaning())), has_changed),
    }
}

/// Returns the number of members that requests are planned with, and whether that is all.
async fn known(groups: &Groups) -> (usize, bool) {
    let mut members = GroupMembers::default();
    // A request may have been planned before.
    members.put(GROUP, addresses(&["old@b.c"]).into());
    let has_all = groups.find(&[GROUP.to_owned()], Duration::ZERO, &mut members).await;
    let group = Address::parse(&format!("group:{GROUP}")).unwrap();
    (members.expand(vec![group]).len(), has_all)
}

#[tokio::test]
async fn members_stay_current_during_an_outage_and_not_after_a_refusal() {
    for (meaning, expected, has_changed) in [
        (Meaning::Unreachable, (2, true), false),
        (Meaning::Credentials, (2, true), false),
        (Meaning::Throttled, (2, true), false),
        (Meaning::NotFound, (0, false), true),
        (Meaning::Denied, (0, false), true),
        (Meaning::Rejected, (0, false), true),
    ] {
        let groups = groups();
        assert_eq!(take(&groups, listed(&["a@b.c", "b@b.c"], false), true), (None, true));
        assert_eq!(
            take(&groups, failed(meaning), false),
            (None, has_changed),
            "{meaning:?}"
        );
        assert_eq!(known(&groups).await, expected, "{meaning:?}");
        assert_eq!(
            take(&groups, listed(&["a@b.c", "b@b.c"], false), true),
            (None, has_changed)
        );
        assert_eq!(known(&groups).await, (2, true));
    }
}

#[test]
fn a_lack_is_logged_when_it_differs_from_the_last_one_that_was_logged() {
    let groups = groups();
    let reports = |found, is_example| take(&groups, found, is_example).0;
    assert_eq!(reports(listed(&["a@b.c"], true), true), Some(Lack::Cut));
    assert_eq!(reports(listed(&["a@b.c"], true), true), None);
    // The outage itself is logged, so this group is not an example.
    assert_eq!(reports(failed(Meaning::Unreachable), false), None);
    let denied = Some(Lack::Failed(Meaning::Denied));
    assert_eq!(reports(failed(Meaning::Denied), true), denied);
    assert_eq!(reports(failed(Meaning::Denied), true), None);
    assert_eq!(reports(listed(&[], false), true), Some(Lack::Empty));
    assert_eq!(reports(listed(&["a@b.c"], false), true), None);
    assert_eq!(reports(failed(Meaning::Denied), true), denied);
}

#[test]
fn further_groups_are_omitted_with_one_warning() {
    let groups = groups();
    let ids = (0..MOST).map(|number| format!("a36aec2e-f11c-4219-b79a-{number:012}"));
    let ids: Vec<_> = ids.collect();
    groups.were_read(&ids[..MOST - 1]);
    assert!(!groups.is_full.load(Ordering::Relaxed));
    groups.were_read(&ids);
    assert!(groups.is_full.load(Ordering::Relaxed));
    assert_eq!(groups.lock().len(), MOST);
}
