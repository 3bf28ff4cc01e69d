//! Teleport's own answers to hundreds of rules, in `tests/fixtures/rules/vectors.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;
use teleport_msteams::domain::recipients::{Address, RoutingTable, SuggestedReviewers};
use teleport_msteams::domain::request::{AccessRequest, RequestId};
use teleport_msteams::domain::rules::{
    Answer, CompiledRule, Condition, Dict, FailureKind, Labels, Route, Rule, RuleAnswer, Schedule, Shift, Subject,
    dict_of,
};

/// Every vector of one part of the file.
pub(super) fn vectors(part: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules/vectors.json");
    let all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    all[part].as_array().unwrap().clone()
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn lists(value: &Value) -> BTreeMap<String, Vec<String>> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, list)| (key.clone(), texts(list))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> Option<Timestamp> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap())
}

fn request(value: &Value) -> AccessRequest {
    AccessRequest {
        roles: texts(&value["roles"]),
        reason: text(&value["request_reason"]),
        suggested_reviewers: texts(&value["suggested_reviewers"]),
        system_annotations: lists(&value["system_annotations"]),
        created: time(&value["creation_time"]),
        expires: time(&value["expiry"]),
        ..AccessRequest::new(RequestId::new("r"), text(&value["user"]))
    }
}

fn subject(vector: &Value) -> Subject {
    let labels = Labels {
        union: dict(&vector["request"]["resource_labels_union"]),
        intersection: dict(&vector["request"]["resource_labels_intersection"]),
    };
    Subject::new(&request(&vector["request"]), dict(&vector["user_traits"]), Ok(labels))
}

fn dict(value: &Value) -> Dict {
    dict_of(&lists(value))
}

/// Checks all vectors and reports each wrong one, grouped by subject.
fn check(vectors: &[Value], answer: impl Fn(&Value) -> Value) {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for vector in vectors {
        let got = answer(vector);
        if got != vector["expect"] {
            let id = text(&vector["id"]);
            let group = id.split('-').next().unwrap().to_owned();
            let line = format!(
                "{id}: got {got}, expected {}: {} {}",
                vector["expect"], vector["expr"], vector["note"]
            );
            wrong.entry(group).or_default().push(line);
        }
    }
    assert!(wrong.is_empty(), "{} vectors: {wrong:#?}", vectors.len());
}

#[test]
fn every_condition_has_the_answer_that_teleport_gives() {
    check(&vectors("conditions"), |vector| {
        let failed = |kind: &str| Value::from(format!("error:{kind}"));
        let condition = match Condition::new(vector["expr"].as_str().unwrap()) {
            Ok(condition) => condition,
            Err(error) => return failed(error.kind.as_str()),
        };
        match condition.holds(&subject(vector)) {
            Ok(answer) => Value::from(answer == Answer::Yes),
            Err(error) => failed(error.kind.as_str()),
        }
    });
}

#[test]
fn a_condition_that_is_neither_true_nor_false_is_reported_as_unknown() {
    for vector in vectors("conditions") {
        let Ok(condition) = Condition::new(vector["expr"].as_str().unwrap()) else {
            continue;
        };
        if let Ok(answer) = condition.holds(&subject(&vector)) {
            let expected = vector["non_boolean"].as_bool().unwrap_or(false);
            assert_eq!(answer == Answer::NotBoolean, expected, "{vector}");
        }
    }
}

#[test]
fn every_schedule_covers_what_teleport_says() {
    check(&vectors("schedules"), |vector| {
        let rule = Rule {
            condition: "true".to_owned(),
            schedules: BTreeMap::from([("s".to_owned(), schedule(&vector["schedule"]))]),
            ..Rule::default()
        };
        let made = serde_json::json!({"request": {"creation_time": vector["instant"]}});
        match compile(rule).answer(&subject(&made)) {
            RuleAnswer::Matches => Value::from(true),
            RuleAnswer::OffDuty => Value::from(false),
            RuleAnswer::Failed(failure) if failure.kind == FailureKind::Schedule => Value::from("error:eval"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn labels_of_several_resources_are_put_together() {
    check(&vectors("labels"), |vector| {
        let resources = vector["resources"].as_array().unwrap();
        let resources: Vec<BTreeMap<String, String>> = resources
            .iter()
            .map(|resource| serde_json::from_value(resource["labels"].clone()).unwrap())
            .collect();
        let labels = Labels::of(&resources);
        let shown = |dict: &Dict| -> Value {
            let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
            let entries = dict
                .iter()
                .map(|(key, set)| (text(key), set.iter().map(text).collect::<Vec<_>>().into()));
            Value::Object(entries.collect())
        };
        let mut expected = vector["expect"].clone();
        for list in expected.as_object_mut().unwrap().values_mut() {
            for values in list.as_object_mut().unwrap().values_mut() {
                let mut sorted = texts(values);
                sorted.sort();
                *values = sorted.into();
            }
        }
        let got = serde_json::json!({"union": shown(&labels.union), "intersection": shown(&labels.intersection)});
        if got == expected { vector["expect"].clone() } else { got }
    });
}

#[test]
fn every_request_goes_to_the_recipients_that_teleport_notifies() {
    let mine = vectors("recipients")
        .into_iter()
        .filter(|vector| vector["plugin"]["style"] == "msteams");
    check(&mine.collect::<Vec<_>>(), |vector| {
        let plugin = vector["plugin"]["name"].as_str().unwrap();
        let request = request(&vector["request"]);
        let mut traits = dict(&vector["user_traits"]);
        if vector["traits_status"] == "access_denied" {
            traits.clear();
        }
        let labels = Err("not looked up".to_owned());
        let subject = Subject::new(&request, traits, labels);
        let readable = vector["rules_permitted"] == true && vector["traits_status"] != "error";
        let rules = vector["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|_| readable)
            .map(rule);
        let rules: Vec<_> = rules.filter(|rule| rule.belongs_to(plugin)).map(compile).collect();
        let is_match = |rule: &&CompiledRule| rule.answer(&subject) == RuleAnswer::Matches;
        let matching: Vec<&CompiledRule> = rules.iter().filter(is_match).collect();
        let route = Route::new(
            matching.iter().copied(),
            &table(&vector["plugin"]["role_to_recipients"]),
            &request,
            &SuggestedReviewers::default(),
        );
        let notified: BTreeSet<&str> = route.recipients.addresses.iter().map(Address::as_str).collect();
        let mut expected = vector["expect"].clone();
        let wanted = texts(&expected["recipients"]);
        if wanted.iter().map(String::as_str).collect::<BTreeSet<_>>() == notified {
            expected["recipients"] = vector["expect"]["recipients"].clone();
        } else {
            expected["recipients"] = Value::from(notified.into_iter().collect::<Vec<_>>());
        }
        let names = matching.iter().map(|rule| rule.rule().name.as_str());
        expected["matched_rules"] = Value::from(names.collect::<Vec<_>>());
        expected["source"] = Value::from(route.source.as_str());
        expected
    });
}

fn compile(rule: Rule) -> CompiledRule {
    CompiledRule::new(rule, &|name| {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(zone)
    })
}

fn table(value: &Value) -> RoutingTable {
    let addresses =
        |texts: Vec<String>| -> Vec<Address> { texts.iter().map(|text| Address::parse(text).unwrap()).collect() };
    let mut roles: BTreeMap<_, _> = lists(value)
        .into_iter()
        .map(|(role, list)| (role, addresses(list)))
        .collect();
    let others = roles.remove("*").unwrap_or_default();
    RoutingTable::new(roles, others)
}

fn schedule(value: &Value) -> Schedule {
    let shift = |shift: &Value| Shift {
        weekday: text(&shift["weekday"]),
        start: text(&shift["start"]),
        end: text(&shift["end"]),
    };
    Schedule {
        timezone: text(&value["timezone"]),
        shifts: value["shifts"].as_array().into_iter().flatten().map(shift).collect(),
    }
}

fn rule(value: &Value) -> Rule {
    let spec = &value["spec"];
    let schedules = spec["schedules"].as_object().into_iter().flatten();
    Rule {
        name: text(&value["metadata"]["name"]),
        subjects: texts(&spec["subjects"]),
        condition: text(&spec["condition"]),
        plugin: text(&spec["notification"]["name"]),
        recipients: texts(&spec["notification"]["recipients"]),
        schedules: schedules
            .map(|(name, written)| (name.clone(), schedule(&written["time"])))
            .collect(),
    }
}

#[test]
fn labels_that_are_not_known_concern_only_the_rules_that_ask_for_them() {
    let request = request(&vectors("recipients")[0]["request"]);
    let subject = Subject::new(&request, Dict::new(), Err("access denied".to_owned()));
    let verdict = |condition: &str| {
        let rule = Rule {
            condition: condition.to_owned(),
            ..Rule::default()
        };
        compile(rule).answer(&subject)
    };
    assert_eq!(verdict("true"), RuleAnswer::Matches);
    assert_eq!(
        verdict(
            r#"access_request.spec.roles.contains("dev") || access_request.spec.resource_labels_union.env.contains("x")"#
        ),
        RuleAnswer::Matches
    );
    let RuleAnswer::Failed(failure) = verdict("is_empty(access_request.spec.resource_labels_union.env)") else {
        panic!("it does not fail");
    };
    assert!(failure.message.contains("unknown: access denied"), "{failure:?}");
}
