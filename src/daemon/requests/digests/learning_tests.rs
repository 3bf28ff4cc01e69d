//! What a replica learns from records and events.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_requests_on_a_card_of_another_process_are_learned_from_all_records() {
    let digests = digests();
    digests.learn_all(&records(&[(1, Stage::Denied)]), "me");
    assert!(
        digests.lock().digests.is_empty(),
        "without a pending request it does not change"
    );
    digests.learn_all(&records(&[(1, Stage::Denied), (2, Stage::Pending)]), "me");
    assert!(digests.is_complete(only(&digests)));
    assert_eq!(
        draw(&mut change(&digests, 2, Stage::Pending, Urgency::Review)),
        "1 Access Request needs review"
    );
    assert_eq!(digests.lock().by_request.len(), 2);
    drop(change(&digests, 2, Stage::Denied, Urgency::Resolution));
    advance(Duration::from_hours(1)).await;
    digests.tidy();
    let table = digests.lock();
    assert!(table.digests.is_empty() && table.by_card.is_empty() && table.by_request.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_resolved_line_that_changes_keeps_the_other_lines() {
    let digests = digests();
    let mut ticket = change(&digests, 1, Stage::Denied, Urgency::Resolution);
    assert!(!digests.is_complete(ticket.digest()));
    let all = [1, 2, 3].map(|number| (number, Stage::Approved));
    digests.learn_members(&records(&all), "me", Some(ticket.digest()));
    assert!(digests.is_complete(ticket.digest()));
    assert_eq!(draw(&mut ticket), "All 3 Access Requests are resolved");
}

#[tokio::test(start_paused = true)]
async fn a_line_says_what_the_request_says_if_it_is_known() {
    let digests = digests();
    let cluster = Resource {
        cluster: "teleport.example.com".to_owned(),
        kind: "db".to_owned(),
        name: "orders".to_owned(),
        sub_resource: String::new(),
        constraints: None,
    };
    let of_db = |number| AccessRequest {
        resources: vec![cluster.clone()],
        ..AccessRequest::new(id(number), "bob")
    };
    // One request is observed after its record was read.
    digests.learn_all(&records(&[(1, Stage::Pending), (2, Stage::Pending)]), "me");
    digests.observe(&Arc::new(of_db(1)));
    digests.observe(&Arc::new(AccessRequest {
        roles: vec!["dba".to_owned()],
        ..AccessRequest::new(id(2), "bob")
    }));
    let ticket = change(&digests, 2, Stage::Denied, Urgency::Resolution);
    let card = serde_json::to_string(&draft(&ticket).message.card).unwrap();
    assert!(
        card.contains("bob requests access to database orders") && card.contains("bob requested dba"),
        "{card}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_card_with_two_conversation_ids_is_one_card() {
    let at = |conversation: &str| (conversation.to_owned(), "1".to_owned());
    let moved = [
        (1, record_at(&at("19:c"), ALICE, Stage::Denied, "me")),
        (2, record_at(&at("a:c"), "Alice@example.com", Stage::Pending, "me")),
        (3, record_at(&at("19:c"), ALICE, Stage::Denied, "me")),
        // Another recipient, whose chat has a message with the same ID.
        (4, record_at(&at("19:d"), "bob@example.com", Stage::Pending, "me")),
    ];
    let fresh = digests();
    fresh.learn_all(&encoded(moved.clone()), "me");
    assert_eq!(fresh.lock().digests.len(), 2);
    let title = "1 Access Request needs review";
    let lines = |digests: &Digests, conversation: &str, stage| {
        let line = line(digests, 1, stage);
        let mut ticket = digests.change(at(conversation), ALICE, line, Urgency::Resolution);
        let lines = digests.lock().digests[&ticket.digest()].lines.len();
        assert_eq!(draw(&mut ticket), title);
        lines
    };
    assert_eq!(lines(&fresh, "19:c", Stage::Approved), 3);
    assert_eq!(lines(&fresh, "a:c", Stage::Denied), 3);
    // The records arrive one after another, and two recipients have different addresses for one conversation.
    let later = digests();
    for (number, record) in &moved[..3] {
        later.learn(&id(*number), &record_at(&at("19:c"), ALICE, Stage::Pending, "me"), "me");
        later.learn(&id(*number), record, "me");
    }
    let other = record_at(&at("a:c"), "alice@corp.example.com", Stage::Pending, "me");
    later.learn(&id(5), &other, "me");
    later.learn(
        &id(6),
        &record_at(&at("b:c"), "alice@old.example.com", Stage::Pending, "me"),
        "me",
    );
    assert_eq!(later.lock().digests.len(), 2);
    later.learn(&id(6), &record_at(&at("b:c"), ALICE, Stage::Pending, "me"), "me");
    let merged = only(&later);
    assert_eq!(later.lock().digests[&merged].lines.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn more_cards_than_are_known_make_none_of_them_partial() {
    let digests = digests();
    let records = (0..2_200).map(|number| {
        let card = ("c".to_owned(), (number / 2 % 1_100).to_string());
        (number, record_at(&card, ALICE, Stage::Pending, "me"))
    });
    // Teleport lists them in any order: here, the first halves of all cards before the second halves.
    let records: Vec<_> = records.collect();
    let (even, odd): (Vec<_>, Vec<_>) = records.into_iter().partition(|(number, _)| number % 2 == 0);
    let sorted = even.into_iter().chain(odd).map(|(_, record)| record);
    digests.learn_all(&encoded(sorted.enumerate()), "me");
    let table = digests.lock();
    assert_eq!(table.digests.len(), 1_000);
    assert!(
        table
            .digests
            .values()
            .all(|digest| digest.is_complete && digest.lines.len() == 2)
    );
}

#[tokio::test(start_paused = true)]
async fn what_another_replica_draws_makes_the_own_drawing_stale() {
    let digests = digests();
    digests.learn(&id(1), &record(Stage::Pending, "me"), "me");
    draw(&mut change(&digests, 1, Stage::Pending, Urgency::Review));
    digests.learn(&id(1), &record(Stage::Pending, "me"), "me");
    assert!(digests.all_behind().is_empty() && !is_wanted(&digests).await);
    // It adds a request, which the own drawing lacks.
    digests.learn(&id(2), &record(Stage::Pending, "other"), "me");
    assert!(is_wanted(&digests).await);
    assert_eq!(catch_up(&digests), "2 Access Requests need review");
    // It shows a result that this replica knows, and has not drawn.
    digests.observe(&Arc::new(AccessRequest {
        stage: Stage::Denied,
        ..AccessRequest::new(id(1), "bob")
    }));
    assert!(!is_wanted(&digests).await, "a job of the request draws it");
    digests.learn(&id(1), &record(Stage::Denied, "other"), "me");
    assert!(is_wanted(&digests).await);
    assert_eq!(catch_up(&digests), "1 Access Request needs review");
    // It shows a result that this replica has drawn, perhaps with an older state of another request.
    draw(&mut change(&digests, 2, Stage::Denied, Urgency::Resolution));
    digests.learn(&id(2), &record(Stage::Denied, "other"), "me");
    assert!(!is_wanted(&digests).await, "the next listing is soon enough");
    assert_eq!(catch_up(&digests), "All 2 Access Requests are resolved");
    // An older record does not remove a request.
    digests.learn(&id(2), &Record::default(), "me");
    assert!(digests.all_behind().is_empty() && !is_wanted(&digests).await);
}

#[tokio::test(start_paused = true)]
async fn the_replica_that_began_a_card_corrects_the_drawings_of_others() {
    let digests = digests();
    (0..2).for_each(|number| alone(&digests, number));
    draw(&mut shared(&digests, 2));
    draw(&mut shared(&digests, 3));
    digests.learn(&id(2), &record(Stage::Pending, "me"), "me");
    assert!(!is_wanted(&digests).await);
    digests.learn(&id(2), &record(Stage::Denied, "other"), "me");
    assert!(is_wanted(&digests).await);
    assert_eq!(catch_up(&digests), "1 Access Request needs review");
    digests.learn(&id(2), &record(Stage::Denied, "other"), "me");
    assert!(!is_wanted(&digests).await);
}
