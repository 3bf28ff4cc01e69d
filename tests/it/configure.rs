//! `configure`: what it writes, and what it rejects.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use teleport_msteams::config;
use teleport_msteams::msteams::{Interaction, Package};

use crate::process::run;
use crate::support::{ALICE, Program, Town};
use crate::world::cluster::Draft;

const APP: &str = "11111111-1111-4111-8111-111111111111";
const TENANT: &str = "22222222-2222-4222-8222-222222222222";
const TEAMS_APP: &str = "33333333-3333-4333-8333-333333333333";

/// Runs `configure` for a directory with the secret in the environment.
async fn configure(dir: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = dir.to_str().unwrap();
    let arguments = [&["configure", dir, "--appID", APP, "--tenantID", TENANT], more].concat();
    Program::new(&arguments)
        .env("AZURE_APPSECRET", "hush~\"plantedsecret")
        .run()
        .await
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_directory_holds_all_files_of_the_guide_and_only_its_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/assets");
    let (status, stdout, stderr) = configure(&dir, &["--teamsAppID", TEAMS_APP]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("configure", stdout.replace(dir.to_str().unwrap(), "DIR"));
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "app.zip",
        "color.png",
        "manifest.json",
        "outline.png",
        "teleport-msteams-role.yaml",
        "teleport-msteams.toml",
    ];
    assert_eq!(names, expected);
    assert_eq!(mode(&dir), 0o700);
    for name in names {
        assert_eq!(mode(&dir.join(name)), 0o600);
    }
    let package = Package::new(APP.parse().unwrap(), TEAMS_APP.parse().unwrap(), Interaction::None);
    assert_eq!(fs::read(dir.join("app.zip")).unwrap(), package.archive());
    let loaded = config::load(&dir.join("teleport-msteams.toml"), &|_| None).unwrap();
    let microsoft = loaded.settings.microsoft;
    assert_eq!((microsoft.app_id.as_str(), microsoft.tenant_id.as_str()), (APP, TENANT));
    assert_eq!(microsoft.teams_app_id, TEAMS_APP);
    assert_eq!(microsoft.credential.secrets()[0].value.expose(), "hush~\"plantedsecret");
}

#[tokio::test]
async fn reviews_in_teams_are_prepared_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("assets");
    let name = dir.to_str().unwrap();
    let (status, stdout, stderr) = configure(&dir, &["--teamsAppID", TEAMS_APP, "--review"]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("configure_review", stdout.replace(name, "DIR"));
    let package = Package::new(APP.parse().unwrap(), TEAMS_APP.parse().unwrap(), Interaction::Buttons);
    assert_eq!(fs::read(dir.join("app.zip")).unwrap(), package.archive());
    let role = fs::read_to_string(dir.join("teleport-msteams-role.yaml")).unwrap();
    assert!(role.contains("submit_for_users: [\"*\"]"), "{role}");
    let file = dir.join("teleport-msteams.toml");
    let text = fs::read_to_string(&file).unwrap();
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["review"]["enabled"].as_bool(), Some(true));

    // The app of an enabled configuration must stay interactive.
    let (status, _, stderr) = configure(&dir, &["--force"]).await;
    assert_eq!(status, Some(0));
    assert!(stderr.contains("enables [review]"), "{stderr}");
    fs::write(&file, text.replace("enabled = true", "enabled = false")).unwrap();
    let (status, _, stderr) = configure(&dir, &["--force"]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let (status, stdout, _) = configure(&dir, &["--force", "--review"]).await;
    assert_eq!(status, Some(0));
    assert!(stdout.contains("Set enabled = true in [review]"), "{stdout}");
}

#[tokio::test]
async fn the_configuration_it_writes_starts() {
    let mut town = Town::build().await;
    let dir = town.folder.path().join("assets");
    let options = town.tenant.options();
    let arguments = [
        "configure",
        dir.to_str().unwrap(),
        "--appID",
        &options.app_id,
        "--tenantID",
        &options.tenant_id,
        "--teamsAppID",
        &options.teams_app_id,
        "--appSecret",
        &options.app_secret,
    ];
    let (status, _, stderr) = run(&arguments).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let text = fs::read_to_string(dir.join("teleport-msteams.toml")).unwrap();
    let identity = town.folder.path().join("identity");
    let endpoints = format!(
        "[msapi.endpoints]\nlogin = \"{}\"\ngraph = \"{}\"\nbot = \"{}\"\n[role_to_recipients]",
        town.tenant.login(),
        town.tenant.graph(),
        town.tenant.bot()
    );
    let text = text
        .replace("localhost:3025", &town.cluster.address())
        .replace("identity = \"identity\"", &format!("identity = {identity:?}"))
        .replace("[role_to_recipients]", &endpoints)
        .replace("foo@example.com", ALICE);
    town.start_daemon_with(&text).await;
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_existing_directory_is_used_only_on_request_and_its_secret_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("assets");
    // An empty one is as good as none.
    fs::create_dir(&dir).unwrap();
    assert_eq!(configure(&dir, &[]).await.0, Some(0));
    let (status, stdout, stderr) = configure(&dir, &[]).await;
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains("exists; choose a new directory, or use --force"),
        "{stderr}"
    );

    let file = dir.join("teleport-msteams.toml");
    let mut edited = fs::read_to_string(&file).unwrap();
    edited.push_str("# mine\n");
    fs::write(&file, &edited).unwrap();
    let archive = fs::read(dir.join("app.zip")).unwrap();
    fs::remove_file(dir.join("app.zip")).unwrap();
    let (status, stdout, _) = configure(&dir, &["--force"]).await;
    assert_eq!(status, Some(0));
    assert!(stdout.contains("Kept the existing teleport-msteams.toml"), "{stdout}");
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert_eq!(fs::read(dir.join("app.zip")).unwrap(), archive, "the same Teams app");

    let (status, _, stderr) = configure(&dir, &["--force", "--managedIdentity", "true"]).await;
    assert_eq!(status, Some(0));
    assert!(stderr.contains("is kept, so the credential is not written"), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);

    let (status, _, stderr) = configure(&dir, &["--force", "--teamsAppID", TEAMS_APP]).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("omit --teamsAppID"), "{stderr}");
    fs::write(&file, "[msapi]\n").unwrap();
    let (status, _, stderr) = configure(&dir, &["--force"]).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("no valid msapi.teams_app_id"), "{stderr}");
}

#[tokio::test]
async fn the_secret_is_read_from_a_file_or_reported_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("assets");
    let file = folder.path().join("secret");
    let file = file.to_str().unwrap();
    let with_file = ["--appSecretFile", file];
    let (status, _, stderr) = configure(&dir, &with_file).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("could not read the client secret from"), "{stderr}");
    fs::write(file, " \n").unwrap();
    let (status, _, stderr) = configure(&dir, &with_file).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("is empty"), "{stderr}");
    assert!(!dir.exists(), "nothing half made is left");
    fs::write(file, "from a file\n").unwrap();
    assert_eq!(configure(&dir, &with_file).await.0, Some(0));
    let text = fs::read_to_string(dir.join("teleport-msteams.toml")).unwrap();
    assert!(text.contains(&format!("app_secret = \"{file}\"")), "{text}");
    assert!(!text.contains("from a file"));

    let other = folder.path().join("other");
    let arguments = [
        "configure",
        other.to_str().unwrap(),
        "--appID",
        APP,
        "--tenantID",
        TENANT,
    ];
    let (status, _, stderr) = run(&arguments).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("no client secret; set AZURE_APPSECRET"), "{stderr}");
    assert!(!other.exists());
}

#[tokio::test]
async fn wrong_ids_and_directories_are_reported() {
    let (status, _, stderr) = run(&["configure", "x", "--appID", "no", "--tenantID", TENANT]).await;
    assert_eq!(status, Some(2));
    assert!(
        stderr.contains("invalid value 'no' for '--appID <ID>': expected an ID such as"),
        "{stderr}"
    );
    let (status, _, stderr) = run(&["configure", "x", "--appID", "", "--tenantID", TENANT]).await;
    assert_eq!(status, Some(2));
    assert!(
        stderr.contains("it is empty; check that the variable it comes from is set"),
        "{stderr}"
    );
    let (status, _, stderr) = run(&["configure", "x", "--appID", APP, "--tenantID", "contoso.com"]).await;
    assert_eq!(status, Some(2));
    assert!(
        stderr.contains("it is a domain; expected an ID") && stderr.contains("tenant ID"),
        "{stderr}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (status, _, stderr) = configure(&file.join("below"), &[]).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("could not create the directory"), "{stderr}");
}

#[tokio::test]
async fn scripts_for_the_go_plugin_find_the_texts_they_replace() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("assets");
    assert_eq!(configure(&dir, &[]).await.0, Some(0));
    let text = fs::read_to_string(dir.join("teleport-msteams.toml")).unwrap();
    for part in [
        "addr = \"localhost:3025\"",
        "identity = \"identity\"",
        "\"*\" = [\"foo@example.com\"]",
    ] {
        assert_eq!(text.matches(part).count(), 1, "{part}: {text}");
    }
    let loaded = config::load(&dir.join("teleport-msteams.toml"), &|_| None).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let placeholder = warnings
        .iter()
        .any(|warning| warning.contains("still has the placeholder value foo@example.com"));
    assert!(placeholder, "{warnings:?}");
}

#[tokio::test]
async fn links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["teleport-msteams.toml", "app.zip", "manifest.json"] {
        for exists in [false, true] {
            let dir = folder.path().join(format!("{name}-{exists}"));
            fs::create_dir(&dir).unwrap();
            let elsewhere = folder.path().join(format!("elsewhere-{name}-{exists}"));
            if exists {
                fs::write(&elsewhere, "theirs").unwrap();
            }
            symlink(&elsewhere, dir.join(name)).unwrap();
            let (status, _, stderr) = configure(&dir, &["--force"]).await;
            assert_eq!(status, Some(1), "{stderr}");
            let is_kept = exists && name == "teleport-msteams.toml";
            let part = if is_kept {
                "no valid msapi.teams_app_id"
            } else {
                "is a link; remove it"
            };
            assert!(stderr.contains(part), "{stderr}");
            let now = fs::read_to_string(&elsewhere).ok();
            assert_eq!(now.as_deref(), exists.then_some("theirs"), "{name}");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing half made is left");
        }
    }
}

#[tokio::test]
async fn a_directory_that_is_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = folder.path().join("assets");
    symlink(&elsewhere, &link).unwrap();
    for dir in [link.clone(), link.join("")] {
        for more in [&[][..], &["--force"]] {
            let (status, _, stderr) = configure(&dir, more).await;
            assert_eq!(status, Some(1), "{stderr}");
            assert!(
                stderr.contains("assets is a symbolic link; pass its target"),
                "{stderr}"
            );
            assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn a_parent_in_which_others_can_replace_the_directory_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("shared");
    fs::create_dir(&parent).unwrap();
    for (mode, warned) in [(0o777, true), (0o1777, false), (0o775, false)] {
        fs::set_permissions(&parent, fs::Permissions::from_mode(mode)).unwrap();
        let dir = parent.join(format!("{mode:o}/assets"));
        let (status, _, stderr) = configure(&dir, &[]).await;
        assert_eq!(status, Some(0), "{stderr}");
        let part = format!("every user can write to {} (mode {mode:o})", parent.display());
        assert_eq!(stderr.contains(&part), warned, "{stderr}");
    }
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("assets");
    fs::create_dir(&dir).unwrap();
    let set = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o1777, 0o702] {
        set(mode);
        let (status, _, stderr) = configure(&dir, &["--force"]).await;
        assert_eq!(status, Some(1));
        assert!(
            stderr.contains("every user of this machine can write to") && stderr.contains("chmod 700"),
            "{stderr}"
        );
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }
    set(0o770);
    let (status, _, stderr) = configure(&dir, &[]).await;
    assert_eq!(status, Some(0));
    assert!(stderr.starts_with("WARNING: the group of "), "{stderr}");
    assert_eq!(mode(&dir.join("app.zip")), 0o600);
}

#[tokio::test]
async fn completions_and_man_pages_come_from_the_same_definitions() {
    for (shell, word) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef teleport-msteams"),
        ("fish", "complete -c"),
    ] {
        let (status, stdout, _) = run(&["completions", shell]).await;
        assert_eq!(status, Some(0));
        assert!(
            stdout.contains(word) && stdout.contains("configure"),
            "{shell}: {stdout}"
        );
    }
    let (status, stdout, _) = run(&["man"]).await;
    assert_eq!(status, Some(0));
    let title = stdout.lines().find(|line| line.starts_with(".TH")).unwrap();
    assert!(title.starts_with(".TH teleport-msteams 1 "), "{title}");
    let source = concat!("teleport-msteams ", env!("CARGO_PKG_VERSION"));
    assert!(title.contains(source) && title.contains("User Commands"), "{title}");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    assert_eq!(run(&["man", "--dir", dir.to_str().unwrap()]).await.0, Some(0));
    let page = fs::read_to_string(dir.join("teleport-msteams-configure.1")).unwrap();
    assert!(
        page.contains("appSecretFile") && page.contains(".SH NOTES AND EXAMPLES"),
        "{page}"
    );
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.iter().all(|name| !name.contains("-help")), "{names:?}");
    assert!(
        names.contains(&"teleport-msteams-rules-check.1".to_owned()),
        "{names:?}"
    );
}
