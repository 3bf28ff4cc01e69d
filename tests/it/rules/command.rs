//! `rules check` and `rules test`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::run;
use crate::rules::vectors::vectors;
use crate::support::Program;

/// Runs `rules` with arguments, some of which name files of the directory.
async fn rules(arguments: &[&str]) -> (Option<i32>, String, String) {
    run(&[&["rules"], arguments].concat()).await
}

fn write(folder: &TempDir, name: &str, content: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn here(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(path)
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn every_mistake_is_reported_with_its_position_and_the_nearest_name() {
    let file = here("tests/fixtures/rules/mistakes.yaml");
    let (status, stdout, stderr) = rules(&["check", &file]).await;
    assert_eq!(status, Some(1));
    insta::assert_snapshot!("rules_check", stdout.replace(&file, "rules.yaml"));
    assert_eq!(stderr, "ERROR: 4 rules: 7 mistakes, 6 warnings\n");
}

#[tokio::test]
async fn mistakes_in_json_and_in_yaml_itself_have_places_too() {
    let folder = tempfile::tempdir().unwrap();
    for (content, expected) in [
        (
            r#"[{"kind": "access_monitoring_rule", "version": "v1", "metadata": {"name": "j"}, "spec": {"subjects": ["access_request"], "condition": "\"x\" == is_emty(\"y\")", "notification": {"name": "msteams", "recipients": ["a@example.com"]}}}]"#,
            ":1:145: there is no function is_emty; did you mean is_empty?",
        ),
        ("kind: [", ":2:1: this is not YAML"),
        (
            "spec:\n  condition: !is_empty(x)",
            ":2:14: YAML takes `!is_empty(x)` for a tag; put the text in quotes",
        ),
        ("a: &x 1\nb: *x", ":2:4: aliases are not read"),
        (
            "kind: access_monitoring_rule",
            ":1:1: version is missing; write version: v1",
        ),
    ] {
        let file = write(&folder, "rules.yaml", content);
        let (status, stdout, _) = rules(&["check", &file]).await;
        assert_eq!(status, Some(1), "{content}");
        assert!(stdout.contains(expected), "{expected} is not in {stdout}");
    }
}

#[tokio::test]
async fn exactly_what_teleport_rejects_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    for vector in vectors("validation") {
        let file = write(&folder, "rule.json", &vector["rule"].to_string());
        let (status, stdout, stderr) = rules(&["check", &file]).await;
        let expected = if vector["expect"] == "ok" { Some(0) } else { Some(1) };
        assert_eq!(status, expected, "{vector}\n{stdout}{stderr}");
    }
}

#[tokio::test]
async fn valid_rules_pass_and_other_resources_are_ignored() {
    let (status, stdout, stderr) = rules(&["check", &here("examples/rules/rules.yaml")]).await;
    assert_eq!(
        (status, stdout.as_str(), stderr.as_str()),
        (Some(0), "3 rules: no mistakes, no warnings\n", "")
    );
    let folder = tempfile::tempdir().unwrap();
    let role = write(&folder, "role.yaml", "kind: role\nversion: v8\nspec: {x: 1}\n");
    let (status, stdout, _) = rules(&["check", &role]).await;
    assert_eq!(status, Some(1));
    assert!(
        stdout.ends_with(": \"role\" is not an Access Monitoring Rule, skipped\n"),
        "{stdout}"
    );
    let request = here("examples/rules/request.json");
    let (status, stdout, _) = rules(&["test", &role, "--request", &request]).await;
    assert_eq!(status, Some(0));
    assert!(stdout.ends_with("No one would be notified\n"), "{stdout}");
    let (status, _, stderr) = rules(&["check", "/no/such/file"]).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("could not read /no/such/file"), "{stderr}");
}

#[tokio::test]
async fn rules_test_prints_who_is_notified_and_why_other_rules_do_not_match() {
    let file = here("examples/rules/rules.yaml");
    let request = here("examples/rules/request.json");
    let (status, stdout, stderr) = rules(&["test", &file, "--request", &request]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("rules_test", stdout);
    let resources = here("examples/rules/resources.json");
    let traits = here("examples/rules/traits.json");
    let more = [
        "--resources",
        &resources,
        "--traits",
        &traits,
        "--at",
        "2026-01-27T12:00:00Z",
    ];
    let (status, stdout, _) = rules(&[&["test", &file, "--request", &request], &more[..]].concat()).await;
    assert_eq!(status, Some(0));
    insta::assert_snapshot!("rules_test_by_day", stdout);
}

/// Writes a request as `tctl` prints it.
fn printed(request: &Value) -> Value {
    json!([{
        "kind": "access_request",
        "version": "v3",
        "metadata": {"name": "r", "expires": request["expiry"]},
        "spec": {
            "user": request["user"],
            "roles": request["roles"],
            "created": request["creation_time"],
            "request_reason": request["request_reason"],
            "suggested_reviewers": request["suggested_reviewers"],
            "system_annotations": request["system_annotations"],
        },
    }])
}

#[tokio::test]
async fn rules_test_routes_as_teleport_does_and_prints_json() {
    let folder = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for vector in vectors("recipients") {
        let is_plain = vector["plugin"]["name"] == "msteams"
            && vector["traits_status"] == "ok"
            && vector["resources_status"] == "ok"
            && vector["rules_permitted"] == true;
        if !is_plain {
            continue;
        }
        tried += 1;
        let rules_file = write(&folder, "rules.json", &vector["rules"].to_string());
        let request = write(&folder, "request.json", &printed(&vector["request"]).to_string());
        let traits = write(&folder, "traits.json", &vector["user_traits"].to_string());
        let table = vector["plugin"]["role_to_recipients"].as_object().unwrap();
        let table: Vec<_> = table.iter().map(|(role, list)| format!("{role:?} = {list}")).collect();
        let config = write(
            &folder,
            "config.toml",
            &format!(
                "[teleport]\naddr = \"teleport.example.com:443\"\nidentity = \"/identity\"\n[msapi]\n\
                 app_id = \"11111111-1111-4111-8111-111111111111\"\napp_secret = \"plantedsecret\"\n\
                 tenant_id = \"22222222-2222-4222-8222-222222222222\"\n\
                 teams_app_id = \"33333333-3333-4333-8333-333333333333\"\n[role_to_recipients]\n{}\n",
                table.join("\n")
            ),
        );
        let arguments = [
            "test",
            &rules_file,
            "--request",
            &request,
            "--traits",
            &traits,
            "-c",
            &config,
            "--json",
        ];
        let (status, stdout, stderr) = rules(&arguments).await;
        let warning = match vector["rules"].as_array().unwrap().len() {
            0 => "WARNING: no rule was found\n",
            _ => "",
        };
        assert_eq!((status, stderr.as_str()), (Some(0), warning), "{vector}");
        let answer: Value = serde_json::from_str(&stdout).unwrap();
        let expected = &vector["expect"];
        assert_eq!(answer["source"], expected["source"], "{vector}\n{stdout}");
        assert_eq!(
            set(&answer["recipients"]),
            set(&expected["recipients"]),
            "{vector}\n{stdout}"
        );
        let named = answer["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["matches"] == true);
        let named: BTreeSet<_> = named.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(named, set(&expected["matched_rules"]), "{vector}\n{stdout}");
    }
    assert!(tried > 15, "{tried}");
}

fn set(value: &Value) -> BTreeSet<String> {
    let texts = value.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rules_test_names_the_class_of_every_failure() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str, condition: &str, timezone: &str| {
        let shifts = json!([{"weekday": "Tuesday", "start": "00:00", "end": "23:59"}]);
        json!({
            "kind": "access_monitoring_rule", "version": "v1", "metadata": {"name": name},
            "spec": {
                "subjects": ["access_request"], "condition": condition,
                "notification": {"name": "msteams", "recipients": ["a@example.com"]},
                "schedules": {"s": {"time": {"timezone": timezone, "shifts": shifts}}},
            },
        })
    };
    let all = json!([
        rule("parse", "true &&", "UTC"),
        rule("type", "!\"x\"", "UTC"),
        rule("eval", "choose()", "UTC"),
        rule("schedule", "true", "nowhere"),
        rule("none", "\"not a boolean\"", "UTC"),
    ]);
    let file = write(&folder, "rules.json", &all.to_string());
    let request = here("examples/rules/request.json");
    let (status, stdout, _) = rules(&["test", &file, "--request", &request, "--json"]).await;
    assert_eq!(status, Some(0));
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    for (index, kind) in ["parse", "type", "eval", "schedule"].into_iter().enumerate() {
        assert_eq!(answer["rules"][index]["error"]["kind"], kind, "{stdout}");
        assert_eq!(answer["rules"][index]["matches"], false, "{stdout}");
    }
    assert_eq!(
        answer["rules"][4],
        json!({
            "name": "none", "ours": true, "matches": false, "error": null,
            "reason": "its condition is neither true nor false",
        })
    );
    assert_eq!(answer["source"], "none");
}

#[tokio::test]
async fn unusable_inputs_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = here("examples/rules/rules.yaml");
    let request = here("examples/rules/request.json");
    for (content, part) in [
        ("{", "request.json: EOF while parsing"),
        ("[{}, {}]", "contains 2 requests; keep one"),
        ("{}", "is not an Access Request: missing field `spec`"),
        (
            r#"{"spec": {"created": "yesterday"}}"#,
            "spec.created: \"yesterday\" is not a time",
        ),
    ] {
        let bad = write(&folder, "request.json", content);
        let (status, stdout, stderr) = rules(&["test", &file, "--request", &bad]).await;
        assert_eq!((status, stdout.as_str()), (Some(1), ""));
        assert!(
            stderr.contains("request.json") && stderr.contains(part),
            "{part} is not in {stderr}"
        );
    }
    let (status, _, stderr) = rules(&["test", &file, "--request", &request, "--at", "now"]).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("--at: \"now\" is not a time such as"), "{stderr}");
}

#[tokio::test]
async fn terraform_is_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "resource \"teleport_access_monitoring_rule\" \"night\" {\n  version = \"v1\"\n}\n";
    for text in [
        rule.to_owned(),
        format!("# rules of the night\n\n{rule}"),
        format!("terraform {{\n}}\n{rule}"),
    ] {
        let file = write(&folder, "rule.tf", &text);
        let (status, stdout, stderr) = rules(&["check", &file]).await;
        assert_eq!(status, Some(1));
        let expected = "Terraform is not supported; use YAML or JSON as `tctl get access_monitoring_rule` prints it";
        assert_eq!(stdout, format!("{file}: {expected}\n"));
        assert_eq!(stderr, "ERROR: no rules: 1 mistake, no warnings\n");
        let request = here("examples/rules/request.json");
        let (status, _, stderr) = rules(&["test", &file, "--request", &request]).await;
        assert_eq!(status, Some(1));
        assert_eq!(stderr, format!("ERROR: could not read {file}: {expected}\n"));
    }
}

#[tokio::test]
async fn manifests_of_the_operator_are_rules_and_a_misspelt_plugin_is_questioned() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: resources.teleport.dev/v1\nkind: TeleportAccessMonitoringRuleV1\n\
                    metadata: {name: m, namespace: teleport}\nspec:\n  subjects: [access_request]\n  \
                    condition: contains(access_request.spec.roles, \"dba\")\n  \
                    notification: {name: msteam, recipients: [a@example.com]}\n";
    let file = write(&folder, "rules.yaml", manifest);
    let (status, stdout, _) = rules(&["check", &file]).await;
    assert_eq!(status, Some(0), "{stdout}");
    assert!(
        stdout.contains("rules for \"msteam\"; did you mean msteams?"),
        "{stdout}"
    );
    assert!(stdout.ends_with("1 rule: no mistakes, 1 warning\n"), "{stdout}");
    let (status, stdout, _) = rules(&["check", &file, "--json"]).await;
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(status, Some(0));
    assert_eq!((&lines[0]["line"], &lines[0]["status"]), (&json!(7), &json!("warning")));
    let summary = json!({"check": "summary", "status": "warning", "rules": 1, "failed": 0, "warnings": 1});
    assert_eq!(lines[1..], [summary]);
    // The tests run it without stdin.
    let (status, stdout, stderr) = rules(&["check", "-"]).await;
    assert_eq!(status, Some(1));
    assert_eq!(stdout, "stdin: no rule was found\n");
    assert_eq!(stderr, "ERROR: no rule was found\n");
}

#[tokio::test]
async fn rules_of_several_documents_are_read_from_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str| {
        format!(
            "kind: access_monitoring_rule\nversion: v1\nmetadata: {{name: {name}}}\nspec:\n  subjects: [access_request]\n  \
             condition: \"true\"\n  notification: {{name: msteams, recipients: [a@example.com]}}\n"
        )
    };
    let manifest = "apiVersion: resources.teleport.dev/v1\nkind: TeleportAccessMonitoringRuleV1\nmetadata: {name: three}\nspec:\n  \
                    subjects: [access_request]\n  condition: \"true\"\n  \
                    notification: {name: msteams, recipients: [a@example.com]}\n";
    let stream = format!("{}---\n{}---\nkind: role\n---\n{manifest}", rule("one"), rule("two"));
    let file = write(&folder, "stream.yaml", &stream);
    let program = Program::new(&["rules", "check", "-"]).stdin_from(std::fs::File::open(&file).unwrap());
    let (status, stdout, stderr) = program.run().await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(
        stdout.contains("\"role\" is not an Access Monitoring Rule, skipped"),
        "{stdout}"
    );
    assert!(stdout.contains("3 rules"), "{stdout}");
    // As `tctl get --format=json` prints them.
    let list = r#"[{"kind": "access_monitoring_rule", "version": "v1", "metadata": {"name": "one"}, "spec": {
        "subjects": ["access_request"], "condition": "access_request.spec.role.contains(\"dba\")",
        "notification": {"name": "msteams", "recipients": ["a@example.com"]}}}]"#;
    let file = write(&folder, "list.json", list);
    let program = Program::new(&["rules", "check", "-"]).stdin_from(std::fs::File::open(&file).unwrap());
    let (status, stdout, _) = program.run().await;
    assert_eq!(status, Some(1));
    assert!(
        stdout.contains("stdin:2:") && stdout.contains("did you mean access_request.spec.roles?"),
        "{stdout}"
    );
}
