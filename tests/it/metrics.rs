//! The metrics and their format.

use std::collections::{BTreeMap, BTreeSet};

use crate::health::{ask, start, until};
use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::Draft;
use crate::world::tenant::{Fault, Rule};

const PREFIX: &str = "teleport_msteams_";

/// Metrics of the process, which Prometheus' conventions name without a prefix.
const PROCESS: [&str; 7] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];

/// Labels that Prometheus and its operator set on every target: one of ours with the same name is renamed to `exported_…`.
const TARGET_LABELS: [&str; 7] = [
    "endpoint",
    "service",
    "pod",
    "container",
    "namespace",
    "job",
    "instance",
];

/// A metric's name, and its type and help.
#[derive(Debug, Default)]
struct Family {
    help: Option<String>,
    kind: Option<String>,
    samples: usize,
}

/// Parses the text as Prometheus does, and returns everything that is wrong with it.
fn mistakes(text: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((what, rest)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let family = families.entry(name.to_owned()).or_default();
            let place = match what {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                _ => {
                    mistakes.push(format!("{line}: neither HELP nor TYPE"));
                    continue;
                }
            };
            if place.replace(rest.to_owned()).is_some() {
                mistakes.push(format!("{name} has two lines of {what}"));
            }
            if family.samples > 0 {
                mistakes.push(format!("{name} is not in one piece"));
            }
            name.clone_into(&mut current);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or((line, ""));
        if value.parse::<f64>().is_err() {
            mistakes.push(format!("{line}: {value:?} is no number"));
        }
        if !seen.insert(series.to_owned()) {
            mistakes.push(format!("{series} is there twice"));
        }
        let name = series.split('{').next().unwrap_or_default();
        for label in TARGET_LABELS {
            if series.contains(&format!("{{{label}=")) || series.contains(&format!(",{label}=")) {
                mistakes.push(format!("{series}: {label} is a label of targets"));
            }
        }
        let family = families.entry(current.clone()).or_default();
        family.samples += 1;
        let histogram = family.kind.as_deref() == Some("histogram");
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| name.strip_suffix(end) == Some(current.as_str()));
        if name != current && !(histogram && of_histogram) {
            mistakes.push(format!("{series} does not belong to {current}"));
        }
    }
    for (name, family) in &families {
        let kind = family.kind.as_deref().unwrap_or_default();
        let name_is = |end: &str| name.ends_with(end);
        let wrong = [
            (
                !name.starts_with(PREFIX) && !PROCESS.contains(&name.as_str()),
                "lacks the prefix",
            ),
            (family.help.as_deref().is_none_or(str::is_empty), "has no help"),
            (!["counter", "gauge", "histogram"].contains(&kind), "has no type"),
            (family.samples == 0, "has no samples"),
            (
                (kind == "counter") != name_is("_total"),
                "ends in _total if and only if it counts",
            ),
            (kind == "histogram" && !name_is("_seconds"), "measures without a unit"),
            (
                name.contains("timestamp") && !name_is("_timestamp_seconds"),
                "is a time without a unit",
            ),
            (
                ["_milliseconds", "_ms", "_minutes", "_hours"]
                    .iter()
                    .any(|end| name_is(end)),
                "has a unit that is no base unit",
            ),
            (
                name.chars()
                    .any(|letter| !(letter.is_ascii_lowercase() || letter == '_')),
                "is no name",
            ),
        ];
        let wrong = wrong.into_iter().filter(|(wrong, _)| *wrong);
        mistakes.extend(wrong.map(|(_, what)| format!("{name} {what}")));
    }
    mistakes
}

#[test]
fn the_format_check_finds_mistakes() {
    for (text, expected) in [
        ("# HELP a_b x\n# TYPE a_b gauge\na_b 1\n", "a_b lacks the prefix"),
        ("# TYPE teleport_msteams_b gauge\nteleport_msteams_b 1\n", "has no help"),
        (
            "# HELP teleport_msteams_b x\n# TYPE teleport_msteams_b counter\nteleport_msteams_b 1\n",
            "_total",
        ),
        (
            "# HELP teleport_msteams_b x\n# TYPE teleport_msteams_b gauge\nteleport_msteams_b 1\nteleport_msteams_b 1\n",
            "twice",
        ),
        (
            "# HELP teleport_msteams_b x\n# TYPE teleport_msteams_b gauge\nteleport_msteams_c 1\n",
            "does not belong",
        ),
        (
            "# HELP teleport_msteams_b x\n# TYPE teleport_msteams_b gauge\nteleport_msteams_b one\n",
            "is no number",
        ),
        (
            "# HELP teleport_msteams_b x\n# TYPE teleport_msteams_b gauge\nteleport_msteams_b{a=\"x\",endpoint=\"y\"} 1\n",
            "endpoint is a label of targets",
        ),
    ] {
        let found = mistakes(text).join("\n");
        assert!(found.contains(expected), "{found:?} for {text}");
    }
}

#[tokio::test]
async fn the_text_has_the_prometheus_format_before_and_after_events() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    let (status, text) = ask(&address, "GET", "/metrics").await;
    assert_eq!((status, mistakes(&text)), (200, Vec::new()));
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    let (_, text) = ask(&address, "GET", "/metrics").await;
    assert_eq!(mistakes(&text), Vec::<String>::new());
    town.finish().await;
}

/// Returns the value of a series.
fn value<'a>(text: &'a str, series: &str) -> &'a str {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(PREFIX)?.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}"))
}

#[tokio::test]
async fn throttling_retries_and_tokens_are_counted_by_service() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    town.tenant.faults(|faults| {
        faults.rules = vec![
            Rule::some(1, "POST", "/activities", Fault::Status(429, Some(1))),
            Rule::some(1, "POST", "/activities", Fault::Status(503, None)),
        ];
    });
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    let (_, text) = ask(&address, "GET", "/metrics").await;
    for (series, expected) in [
        ("throttles_total{api=\"bot\"}", "1"),
        ("throttles_total{api=\"graph\"}", "0"),
        ("retries_total{api=\"bot\"}", "2"),
        ("retries_total{api=\"teleport\"}", "0"),
        ("token_refreshes_total{api=\"bot\",outcome=\"done\"}", "1"),
        ("token_refreshes_total{api=\"graph\",outcome=\"done\"}", "1"),
        ("token_refreshes_total{api=\"graph\",outcome=\"failed\"}", "0"),
        ("queued_calls{api=\"bot\"}", "0"),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    town.expects_warnings(&["Service throttles requests service=\"Bot connector\""]);
    town.finish().await;
}

#[tokio::test]
async fn queued_work_is_measured_at_each_scrape() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    // Two may be in flight to one chat; the third is queued.
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/activities", Fault::Hang)]);
    for _ in 0..3 {
        town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
    }
    until(&address, "/metrics", |_, text| {
        value(text, "unfinished_requests") == "3"
            && value(text, "open_requests") == "3"
            && value(text, "queued_calls{api=\"bot\"}") == "1"
    })
    .await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(ALICE, &["PENDING", "PENDING", "PENDING"]).await;
    until(&address, "/metrics", |_, text| {
        value(text, "unfinished_requests") == "0"
    })
    .await;
    town.expects_warnings(&["Service fails, retrying service=\"Bot connector\""]);
    town.allows_warnings(&["Microsoft did not confirm a card"]);
    town.finish().await;
}

#[tokio::test]
async fn the_process_is_measured_at_each_scrape() {
    let mut town = Town::build().await;
    let before = teleport_msteams::clock::now().as_second();
    let address = start(&mut town).await;
    let measure = async |name: &str| {
        let (_, text) = ask(&address, "GET", "/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse::<f64>()
            .unwrap()
    };
    for name in PROCESS {
        assert!(measure(name).await > 0.0, "{name}");
    }
    let now = teleport_msteams::clock::now().as_second();
    let started = measure("process_start_time_seconds").await;
    #[expect(clippy::cast_precision_loss, reason = "a time of day is small enough")]
    let bounds = (before as f64 - 1.0)..=(now as f64 + 1.0);
    assert!(bounds.contains(&started), "{started} is not in {bounds:?}");
    assert!(measure("process_open_fds").await <= measure("process_max_fds").await);
    // The work of this test is seen; its processor's time grows in hundredths of a second.
    let spent = measure("process_cpu_seconds_total").await;
    let later = async { while measure("process_cpu_seconds_total").await <= spent {} };
    let grown = tokio::time::timeout(std::time::Duration::from_secs(20), later).await;
    assert!(grown.is_ok(), "{spent} s and no more");
    town.finish().await;
}
