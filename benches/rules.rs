//! Measures the evaluation of a thousand Access Monitoring Rules for one Access Request, on one core.
//!
//! `cargo bench --bench rules` prints a table. It asserts nothing.

#![expect(clippy::print_stdout, reason = "the table goes to the terminal")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use teleport_msteams::clock;
use teleport_msteams::domain::request::{AccessRequest, RequestId};
use teleport_msteams::domain::rules::{CompiledRule, Labels, Rule, RuleAnswer, Schedule, Shift, Subject, dict_of};

const RULES: usize = 1_000;

/// The number of runs; the table shows the fastest and the median.
const RUNS: usize = 101;

/// Typical conditions; the number makes each one different.
const CONDITIONS: [fn(usize) -> String; 5] = [
    |n| format!("access_request.spec.roles.contains(\"role-{n}\")"),
    |n| format!("contains_any(access_request.spec.roles, set(\"role-{n}\", \"role-{n}-admin\", \"dba-{n}\"))"),
    |n| {
        format!(
            "access_request.spec.resource_labels_union[\"env\"].contains(\"env-{n}\") && !user.traits[\"team\"].contains(\"x\")"
        )
    },
    |n| format!("regexp.match(set(access_request.spec.request_reason), \"^(?s:.*INC-{n}[0-9]+.*)$\")"),
    |n| {
        format!(
            "contains_all(user.traits[\"team\"], set(\"core\", \"team-{n}\")) || \
             email.local(set(access_request.spec.user)).contains(\"user-{n}\")"
        )
    },
];

fn main() {
    let request = request();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let traits = BTreeMap::from([("team".to_owned(), texts(&["core", "edge", "sre"]))]);
    let labels = BTreeMap::from([
        ("env".to_owned(), "prod".to_owned()),
        ("team".to_owned(), "core".to_owned()),
    ]);
    let subject = Subject::new(&request, dict_of(&traits), Ok(Labels::of([&labels])));
    println!(
        "{:<44} {:>12} {:>12}",
        format!("{RULES} rules, one request"),
        "quickest",
        "median"
    );
    for (name, rules) in [
        ("by role", rules(&CONDITIONS[..1], false)),
        ("five kinds of conditions", rules(&CONDITIONS, false)),
        ("five kinds of conditions, with a schedule", rules(&CONDITIONS, true)),
    ] {
        let run = || {
            let matching = rules.iter().filter(|rule| rule.answer(&subject) == RuleAnswer::Matches);
            black_box(matching.count());
        };
        report(name, run);
    }
    let all = raw(&CONDITIONS, true);
    report("the same, compiled anew", || {
        for rule in &all {
            black_box(CompiledRule::new(rule.clone(), &clock::zone));
        }
    });
}

fn report(name: &str, mut run: impl FnMut()) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("{name:<44} {:>12.2?} {:>12.2?}", times[0], times[RUNS / 2]);
}

fn rules(conditions: &[fn(usize) -> String], with_schedule: bool) -> Vec<CompiledRule> {
    let all = raw(conditions, with_schedule).into_iter();
    all.map(|rule| CompiledRule::new(rule, &clock::zone)).collect()
}

fn raw(conditions: &[fn(usize) -> String], with_schedule: bool) -> Vec<Rule> {
    let shift = Shift {
        weekday: "Tuesday".to_owned(),
        start: "00:00".to_owned(),
        end: "23:59".to_owned(),
    };
    let schedule = Schedule {
        timezone: "Europe/Berlin".to_owned(),
        shifts: vec![shift],
    };
    let schedules = BTreeMap::from([("day".to_owned(), schedule)]);
    let rule = |n: usize| Rule {
        name: format!("rule-{n}"),
        subjects: vec!["access_request".to_owned()],
        condition: conditions[n % conditions.len()](n),
        plugin: "msteams".to_owned(),
        recipients: vec![format!("oncall-{n}@example.com")],
        schedules: if with_schedule {
            schedules.clone()
        } else {
            BTreeMap::new()
        },
    };
    (0..RULES).map(rule).collect()
}

fn request() -> AccessRequest {
    AccessRequest {
        roles: (0..5).map(|n| format!("role-{}", n * 5)).collect(),
        reason: "The index of orders is broken since the release of this morning, see INC-12345".to_owned(),
        // A Tuesday.
        created: Timestamp::from_second(1_769_479_920).ok(),
        ..AccessRequest::new(
            RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11"),
            "bob@example.com",
        )
    }
}
