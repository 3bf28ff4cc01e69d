//! What the body of a verified request is read as.

use serde_json::{Value, json};
use teleport_msteams::domain::review::{REASON_INPUT, REQUEST_DATA, VERB_DATA, Verb};
use teleport_msteams::msteams::inbound::{
    BadPress, BodyRefusal, Chat, ChatKind, Event, Installation, Person, Press, Reply, Submit, Trigger,
};

use super::signer::{Signer, vectors};
use super::{PERSON, REQUEST, audience, constant, press, read, set, verified};

fn changed(change: &Value) -> Value {
    let mut body = press();
    for (path, value) in change.as_object().unwrap() {
        let value = match value.as_str() {
            Some("OTHER_TENANT") => json!(constant("other_tenant")),
            Some("upper(TENANT)") => json!(constant("tenant").to_uppercase()),
            Some("28:OTHER_APP") => json!(format!("28:{}", constant("other_app"))),
            _ => value.clone(),
        };
        set(&mut body, path, value);
    }
    body
}

/// Returns the outcome in the words of the vectors.
fn verdict(outcome: &Result<Event, u16>) -> String {
    match outcome {
        Ok(event) => match event.standard_reply() {
            None => "accept".to_owned(),
            Some(Reply::Invoke(_)) => "invoke-error".to_owned(),
            Some(Reply::Empty) => "200-empty".to_owned(),
            Some(Reply::NotImplemented) => "501".to_owned(),
        },
        Err(status) => format!("refuse-{status}"),
    }
}

fn pressed(outcome: Result<Event, u16>) -> Press {
    match outcome.unwrap() {
        Event::Press(press) => press,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_body_of_the_vectors_gets_its_verdict() {
    let signer = Signer::new();
    let checks = vectors()["activity_checks"].as_array().unwrap();
    for check in checks {
        let outcome = read(&signer, &changed(&check["change"]));
        let name = check["name"].as_str().unwrap();
        if check["want"] == "same answer, acted once" {
            // What identifies a press is the same in both deliveries.
            let [first, second] = [read(&signer, &press()), outcome].map(pressed);
            let key = |press: &Press| (press.request.clone(), press.person.clone(), press.verb);
            assert_eq!(key(&first), key(&second), "{name}");
            continue;
        }
        assert_eq!(verdict(&outcome), check["want"], "{name}: {outcome:?}");
    }
    assert_eq!(checks.len(), 17);
}

fn alice() -> Person {
    Person {
        object_id: PERSON.to_owned(),
        user: "29:1uMV".to_owned(),
    }
}

#[test]
fn a_press_is_read_with_person_request_and_reason() {
    let signer = Signer::new();
    let press = pressed(read(&signer, &press()));
    assert_eq!(press.id, "f:17b96347-e8b4-f340-10bc-eb52fc1a6ad4");
    assert_eq!((press.verb, press.request.as_str()), (Verb::Approve, REQUEST));
    assert_eq!(press.reason.as_deref(), Some("on call"));
    assert_eq!((&press.person, press.conversation.as_str()), (&alice(), "a:17vx"));
    assert_eq!(
        (press.message.as_deref(), press.trigger),
        (Some("1767765488332"), Trigger::Manual)
    );
    assert_eq!(press.verified().service_url(), constant("service_url"));
}

#[test]
fn optional_parts_of_a_press_may_be_absent() {
    let signer = Signer::new();
    for (path, value) in [
        ("value.trigger", Value::Null),
        ("replyToId", Value::Null),
        ("value.action.id", Value::Null),
        ("value.action.data.reason", Value::Null),
        ("value.action.data.reason", json!("  ")),
        ("from.aadObjectId", json!(PERSON.to_uppercase())),
        ("conversation.conversationType", json!(7)),
        ("entities", json!("odd")),
        ("channelData.legacy", json!([[]])),
    ] {
        let press = pressed(read(&signer, &changed(&json!({path: value}))));
        assert_eq!((press.trigger, press.person), (Trigger::Manual, alice()), "{path}");
        assert!(press.reason.is_none() || path != "value.action.data.reason");
    }
    let refresh = pressed(read(&signer, &changed(&json!({"value.trigger": "automatic"}))));
    assert_eq!(refresh.trigger, Trigger::Automatic);
    let deny = pressed(read(&signer, &changed(&json!({"value.action.verb": "deny"}))));
    assert_eq!((deny.verb, deny.verb.as_str()), (Verb::Deny, "deny"));
}

#[test]
fn a_press_that_cannot_be_understood_is_answered_but_does_nothing() {
    let signer = Signer::new();
    for (path, value, expected) in [
        ("from", Value::Null, BadPress::NoPerson),
        ("from.id", Value::Null, BadPress::NoPerson),
        ("from.aadObjectId", json!(format!("{{{PERSON}}}")), BadPress::NoPerson),
        ("from.aadObjectId", json!(PERSON.replace('-', "")), BadPress::NoPerson),
        ("from.aadObjectId", json!(7), BadPress::Field("from.aadObjectId")),
        ("value", json!("approve"), BadPress::Field("value.authentication")),
        ("value.action", Value::Null, BadPress::Action),
        ("value.action.type", json!("Action.OpenUrl"), BadPress::Action),
        ("value.action.verb", Value::Null, BadPress::Verb),
        ("value.action.verb", json!("APPROVE"), BadPress::Verb),
        (
            "value.action.verb",
            json!(["approve"]),
            BadPress::Field("value.action.verb"),
        ),
        ("value.action.data", Value::Null, BadPress::Field("value.action.data")),
        (
            "value.action.data",
            json!(REQUEST),
            BadPress::Field("value.action.data"),
        ),
        ("value.action.data.request", Value::Null, BadPress::Request),
        ("value.action.data.request", json!(""), BadPress::Request),
        ("value.action.data.request", json!("a b"), BadPress::Request),
        ("value.action.data.request", json!("x".repeat(129)), BadPress::Request),
        (
            "value.action.data.reason",
            json!(1),
            BadPress::Field("value.action.data.reason"),
        ),
        ("value.trigger", json!("other"), BadPress::Field("value.trigger")),
        ("value.authentication", json!({"token": "x"}), BadPress::SignIn),
        ("value.state", json!("123456"), BadPress::SignIn),
        ("id", Value::Null, BadPress::Field("id")),
        ("conversation.id", Value::Null, BadPress::Field("conversation.id")),
        ("replyToId", json!(1), BadPress::Field("replyToId")),
    ] {
        let event = read(&signer, &changed(&json!({path: value}))).unwrap();
        let expected = Event::BadPress {
            problem: expected,
            awaits_answer: true,
        };
        assert_eq!(event, expected, "{path} {value}");
        let reply = event.standard_reply().unwrap();
        assert_eq!((reply.status(), reply.body().is_empty()), (200, false));
    }
}

/// A press of an `Action.Submit`, which arrives as a message.
fn submit() -> Value {
    let mut body = press();
    set(&mut body, "type", json!("message"));
    set(&mut body, "name", Value::Null);
    let value = json!({VERB_DATA: "deny", REQUEST_DATA: REQUEST, REASON_INPUT: "no"});
    set(&mut body, "value", value);
    body
}

#[test]
fn a_fallback_button_is_read_but_is_not_a_press() {
    let signer = Signer::new();
    let Event::Submit(Submit {
        press,
        is_message: true,
    }) = read(&signer, &submit()).unwrap()
    else {
        panic!("it is a press of Action.Submit");
    };
    assert_eq!((press.verb, press.reason.as_deref()), (Verb::Deny, Some("no")));
    assert_eq!((press.request.as_str(), press.person), (REQUEST, alice()));
    let mut body = submit();
    set(&mut body, "value", json!({"other": "app"}));
    let event = read(&signer, &body).unwrap();
    let expected = Event::BadPress {
        problem: BadPress::Request,
        awaits_answer: false,
    };
    assert_eq!((event.standard_reply(), event), (Some(Reply::Empty), expected));
    // The same action inside an invoke, with the verb in its data.
    let data = json!({VERB_DATA: "deny", REQUEST_DATA: REQUEST});
    let change = json!({"value.action.type": "Action.Submit", "value.action.verb": null, "value.action.data": data});
    let event = read(&signer, &changed(&change)).unwrap();
    assert!(
        matches!(&event, Event::Submit(Submit { press, is_message: false }) if press.verb == Verb::Deny),
        "{event:?}"
    );
}

/// An activity without a value.
fn activity(kind: &str, change: &Value) -> Value {
    let mut body = changed(change);
    set(&mut body, "type", json!(kind));
    set(&mut body, "value", Value::Null);
    body
}

fn chat() -> Chat {
    Chat {
        conversation: "a:17vx".to_owned(),
        kind: Some(ChatKind::Personal),
        person: Some(alice()),
    }
}

#[test]
fn an_installation_names_the_conversation_and_the_person() {
    let signer = Signer::new();
    let installation = || Installation {
        chat: chat(),
        team: None,
    };
    let bot = || json!([{"id": "29:other"}, {"id": format!("28:{}", constant("app_id"))}]);
    for (kind, change, expected) in [
        (
            "installationUpdate",
            json!({"action": "add"}),
            Event::Installed(installation()),
        ),
        (
            "installationUpdate",
            json!({"action": "add-upgrade"}),
            Event::Installed(installation()),
        ),
        (
            "installationUpdate",
            json!({"action": "remove"}),
            Event::Uninstalled(installation()),
        ),
        (
            "installationUpdate",
            json!({"action": "remove-upgrade"}),
            Event::Uninstalled(installation()),
        ),
        ("installationUpdate", json!({"action": "new"}), Event::Other),
        (
            "conversationUpdate",
            json!({"membersAdded": bot()}),
            Event::Installed(installation()),
        ),
        (
            "conversationUpdate",
            json!({"membersRemoved": bot()}),
            Event::Uninstalled(installation()),
        ),
        (
            "conversationUpdate",
            json!({"membersAdded": [{"id": "29:other"}]}),
            Event::Other,
        ),
        (
            "conversationUpdate",
            json!({"channelData.eventType": "channelCreated"}),
            Event::Other,
        ),
    ] {
        let event = read(&signer, &activity(kind, &change)).unwrap();
        assert_eq!(event, expected, "{kind} {change}");
        assert_eq!(event.standard_reply(), Some(Reply::Empty));
    }
    let change = json!({
        "action": "add",
        "conversation.id": "19:a@thread.tacv2",
        "conversation.conversationType": "channel",
        "channelData.team": {"aadGroupId": "0f0f"},
        "from.aadObjectId": null,
    });
    let expected = Installation {
        chat: Chat {
            conversation: "19:a@thread.tacv2".to_owned(),
            kind: Some(ChatKind::Channel),
            person: None,
        },
        team: Some("0f0f".to_owned()),
    };
    let event = read(&signer, &activity("installationUpdate", &change)).unwrap();
    assert_eq!(event, Event::Installed(expected));
}

#[test]
fn a_message_is_known_to_be_one_but_not_read() {
    let signer = Signer::new();
    let change = json!({"text": "hello", "conversation.conversationType": "groupChat"});
    let expected = Chat {
        kind: Some(ChatKind::Group),
        ..chat()
    };
    let event = read(&signer, &activity("message", &change)).unwrap();
    assert_eq!(event, Event::Text(expected));
    for kind in [
        "messageReaction",
        "messageUpdate",
        "typing",
        "event",
        "endOfConversation",
        "",
    ] {
        assert_eq!(read(&signer, &activity(kind, &json!({}))), Ok(Event::Other), "{kind}");
    }
    let event = read(&signer, &changed(&json!({"name": "task/fetch"}))).unwrap();
    assert_eq!(event, Event::OtherInvoke("task/fetch".to_owned()));
    assert_eq!(event.standard_reply().map(|reply| reply.status()), Some(501));
}

#[test]
fn a_refused_body_has_its_status_and_reason() {
    let signer = Signer::new();
    for (path, value, expected, status) in [
        ("channelId", json!("webchat"), BodyRefusal::Channel, 401),
        ("channelId", json!(1), BodyRefusal::Field("channelId"), 400),
        (
            "serviceUrl",
            json!("https://evil.example/"),
            BodyRefusal::ServiceUrl,
            401,
        ),
        ("serviceUrl", Value::Null, BodyRefusal::ServiceUrl, 401),
        (
            "channelData",
            json!("odd"),
            BodyRefusal::Field("channelData.tenant.id"),
            400,
        ),
        ("channelData.tenant.id", json!(""), BodyRefusal::Tenant, 403),
        ("recipient", Value::Null, BodyRefusal::Recipient, 403),
        ("recipient.id", json!(constant("app_id")), BodyRefusal::Recipient, 403),
        ("type", json!(1), BodyRefusal::Field("type"), 400),
        ("name", json!({}), BodyRefusal::Field("name"), 400),
    ] {
        let body = changed(&json!({path: value})).to_string();
        let refusal = Event::read(body.as_bytes(), verified(&signer), &audience()).unwrap_err();
        assert_eq!((refusal, refusal.status()), (expected, status), "{path} {value}");
        assert!(!refusal.to_string().contains("evil"));
    }
    for body in ["", "[]", "null", "\"text\"", "{", "{}x"] {
        let refusal = Event::read(body.as_bytes(), verified(&signer), &audience()).unwrap_err();
        assert_eq!((refusal, refusal.status()), (BodyRefusal::NotJson, 400), "{body}");
    }
    for (kind, change) in [
        ("installationUpdate", json!({"action": 1})),
        ("installationUpdate", json!({"action": "add", "conversation.id": null})),
        ("conversationUpdate", json!({"membersAdded": "x"})),
        ("conversationUpdate", json!({"membersAdded": ["x"]})),
        ("conversationUpdate", json!({"membersRemoved": [{"id": 1}]})),
        ("message", json!({"conversation.id": ""})),
    ] {
        assert_eq!(read(&signer, &activity(kind, &change)), Err(400), "{kind} {change}");
    }
}
