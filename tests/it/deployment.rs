//! The chart, the alerts, the dashboard and the README agree with the binary.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use teleport_msteams::config;
use teleport_msteams::msteams::PERMISSIONS;

use crate::health;
use crate::support::{Town, private_folder};
use crate::world::identity::Validity;
use crate::world::tenant::ClientCertificate;

/// Where the chart mounts what the configuration names.
const MOUNTS: &str = "/var/lib/teleport/plugins/msteams";

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Takes the program's file out of rendered objects.
fn configuration(rendered: &str) -> String {
    let lines = rendered
        .lines()
        .skip_while(|line| !line.contains("teleport-msteams.toml: |"));
    let inside = lines
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    inside.fold(String::new(), |text, line| text + line.trim_start() + "\n")
}

#[test]
fn every_configuration_that_the_chart_renders_is_valid() {
    let mounts = private_folder();
    fs::create_dir(mounts.path().join("appSecret")).unwrap();
    for key in ["appSecret", "client-secret", "password"] {
        fs::write(mounts.path().join("appSecret").join(key), "secret").unwrap();
    }
    let a_year = Validity {
        from: -60,
        to: 365 * 86_400,
    };
    let certificate = ClientCertificate::new("K1", a_year).pem();
    fs::write(mounts.path().join("appSecret/app.pem"), certificate).unwrap();
    let token = mounts.path().join("token");
    fs::write(&token, "a.b.c").unwrap();
    let environment = |name: &str| (name == "AZURE_FEDERATED_TOKEN_FILE").then(|| token.display().to_string());
    let mut rendered = 0;
    for entry in fs::read_dir(file("tests/fixtures/chart")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".golden.yaml") {
            continue;
        }
        let text = configuration(&fs::read_to_string(&path).unwrap());
        let text = text.replace(MOUNTS, mounts.path().to_str().unwrap());
        let here = mounts.path().join("teleport-msteams.toml");
        fs::write(&here, text).unwrap();
        let loaded =
            config::load(&here, &environment).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        let mut warnings = loaded.warnings;
        // The guide's own example mixes two tenants.
        warnings.retain(|warning| !warning.message.contains("belongs to another tenant"));
        assert_eq!(warnings, [], "{}", path.display());
        rendered += 1;
    }
    assert_eq!(rendered, 8);
}

#[tokio::test]
async fn alerts_and_the_dashboard_use_only_metrics_that_exist() {
    let mut town = Town::build().await;
    let review = "[review]\nenabled = true\nlisten = \"127.0.0.1:0\"";
    let config = format!("{}\n{review}", town.config());
    let address = health::start_with(&mut town, &config).await;
    town.daemon().says("Keys that verify requests from Teams fetched").await;
    let (_, served) = health::ask(&address, "GET", "/metrics").await;
    town.finish().await;
    let names: BTreeSet<_> = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .flat_map(|(name, kind)| match kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
            _ => vec![name.to_owned()],
        })
        .collect();
    let query = Regex::new(r"(teleport_msteams_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r#"([a-z_]+)=~?"([a-z_|]+)""#).unwrap();
    for path in ["examples/prometheus-rules.yaml", "examples/grafana-dashboard.json"] {
        let text = fs::read_to_string(file(path)).unwrap().replace("\\\"", "\"");
        let mut asked = 0;
        for found in query.captures_iter(&text) {
            let name = &found[1];
            assert!(names.contains(name), "{path}: {name} is not served:\n{served}");
            let labels = found.get(2).map(|labels| labels.as_str()).unwrap_or_default();
            for pair in label.captures_iter(labels) {
                for value in pair[2].split('|') {
                    let pair = format!("{}=\"{value}\"", &pair[1]);
                    let there = served
                        .lines()
                        .any(|line| line.starts_with(name) && line.contains(&pair));
                    assert!(there, "{path}: {name} has no {pair}:\n{served}");
                }
            }
            asked += 1;
        }
        assert!(asked > 15, "{path}: {asked}");
    }
}

#[test]
fn the_readme_lists_the_permissions_that_the_program_needs() {
    let readme = fs::read_to_string(file("README.md")).unwrap();
    let step = readme.split("application permissions of").nth(1).unwrap();
    let step = step.split("\n2. ").next().unwrap();
    let (everyone, channels) = step.split_once("for channels").unwrap();
    let listed = |text: &str| -> BTreeSet<String> {
        let names = Regex::new(r"`([A-Za-z]+(?:\.[A-Za-z]+)+)`").unwrap();
        names.captures_iter(text).map(|found| found[1].to_owned()).collect()
    };
    for (text, for_channels) in [(everyone, false), (channels, true)] {
        let needed = PERMISSIONS
            .iter()
            .filter(|permission| permission.for_channels == for_channels);
        let needed: BTreeSet<_> = needed.map(|permission| permission.least.to_owned()).collect();
        assert_eq!(listed(text), needed, "for channels: {for_channels}");
    }
}
