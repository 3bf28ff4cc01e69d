//! What lies beside the binary agrees with it.

use std::fs;
use std::path::{Path, PathBuf};

use teleport_msteams::config;

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
fn the_program_takes_every_configuration_that_the_chart_renders() {
    let mounts = tempfile::tempdir().unwrap();
    fs::create_dir(mounts.path().join("appSecret")).unwrap();
    for key in ["appSecret", "client-secret", "password"] {
        fs::write(mounts.path().join("appSecret").join(key), "secret").unwrap();
    }
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
        let loaded = config::load(&here, &|_| None).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        assert_eq!(loaded.warnings, [], "{}", path.display());
        rendered += 1;
    }
    assert_eq!(rendered, 5);
}
