//! `configure`: generates the configuration, the Teams app package and the role in a new directory.

use std::fs;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context as _, bail};
use uuid::Uuid;

use crate::cli::app_credential::CredentialOptions;
use crate::cli::output::complain;
use crate::cli::role::role;
use crate::cli::steps::Steps;
use crate::config::{ChosenCredential, Template};
use crate::msteams::{Interaction, Package};

pub(super) const CONFIGURATION: &str = "teleport-msteams.toml";
pub(super) const ARCHIVE: &str = "app.zip";
pub(super) const ROLE: &str = "teleport-msteams-role.yaml";

/// Only the owner can read the files, because one of them may contain the client secret.
const PRIVATE_DIRECTORY: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

const WRITE_BY_GROUP: u32 = 0o020;
const WRITE_BY_OTHERS: u32 = 0o002;

/// In a directory with this bit, only the owner of an entry can rename or remove it.
const STICKY: u32 = 0o1000;

/// The superuser, who can write everywhere.
const SUPERUSER: u32 = 0;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  teleport-msteams configure assets --appID ID --tenantID ID
      prompts for the client secret without showing it
  teleport-msteams configure assets --appID ID --tenantID ID --appSecretFile /run/secrets/teams
      reads the secret from a file, and writes its path to the configuration
  teleport-msteams configure assets --appID ID --tenantID ID --clientCertificate /run/secrets/app.pem
      uses a certificate instead of a client secret; docs/credentials.md compares the credentials
  teleport-msteams configure assets --appID ID --tenantID ID --force
      regenerates app.zip for the same Teams app and keeps the configuration
  teleport-msteams configure assets --appID ID --tenantID ID --review
      also prepares buttons on the cards, with which reviewers approve and deny requests")]
pub(super) struct Options {
    /// Directory to create
    dir: PathBuf,
    /// Application (client) ID of the Azure bot
    #[arg(long = "appID", value_name = "ID", value_parser = id)]
    app_id: Uuid,
    /// Directory (tenant) ID
    #[arg(long = "tenantID", value_name = "ID", value_parser = tenant)]
    tenant_id: Uuid,
    #[command(flatten)]
    credential: CredentialOptions,
    /// ID of an existing Teams app whose package is updated. If omitted, a new ID is generated
    #[arg(long = "teamsAppID", value_name = "ID", value_parser = id)]
    teams_app_id: Option<Uuid>,
    /// Use an existing directory: regenerate the package, and keep an existing configuration
    #[arg(long)]
    force: bool,
    #[arg(
        long,
        help = "Prepare reviews in Teams: an interactive app, a role that submits reviews, and [review] in the configuration"
    )]
    review: bool,
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let dir = &self.dir;
        let existed = dir.symlink_metadata().is_ok();
        let is_empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        if existed && !is_empty && !self.force {
            bail!(
                "could not configure: {} exists; choose a new directory, or use --force to regenerate its package",
                dir.display()
            );
        }
        if existed {
            check_directory(dir)?;
        }
        check_parents(dir)?;
        let kept = Kept::read(&dir.join(CONFIGURATION))?;
        let teams_app_id = match (self.teams_app_id, &kept) {
            (Some(wanted), Some(kept)) if wanted != kept.teams_app_id => bail!(
                "could not configure: {} is for the Teams app {}; omit --teamsAppID, or move that file",
                dir.join(CONFIGURATION).display(),
                kept.teams_app_id
            ),
            (_, Some(kept)) => kept.teams_app_id,
            (Some(wanted), None) => wanted,
            (None, None) => Uuid::new_v4(),
        };
        let interaction = if self.review {
            Interaction::Buttons
        } else {
            Interaction::None
        };
        let package = Package::new(self.app_id, teams_app_id, interaction);
        let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
        let mut has_secret = false;
        if kept.is_some() && self.credential.is_given() {
            complain!(
                "WARNING: {} is kept, so the credential is not written; edit [msapi] in this file to change it",
                dir.join(CONFIGURATION).display()
            );
        }
        if kept.is_none() {
            let credential = self.credential.chosen()?;
            has_secret = matches!(credential, ChosenCredential::Secret(_));
            let template = Template {
                app_id: &self.app_id.to_string(),
                tenant_id: &self.tenant_id.to_string(),
                teams_app_id: &teams_app_id.to_string(),
                credential: &credential,
                reviews: self.review,
            };
            files.push((CONFIGURATION, template.text().into_bytes()));
        }
        files.extend(package.files().map(|(name, bytes)| (name, bytes.to_vec())));
        files.push((ROLE, role(self.review).into_bytes()));
        files.push((ARCHIVE, package.archive()));
        check_links(dir, &files)?;
        let written = write(dir, &files);
        if written.is_err() && !existed {
            // An incomplete directory would block the next attempt, which also reports if the directory cannot be removed.
            let _ = fs::remove_dir_all(dir);
        }
        written?;
        let steps = Steps {
            dir,
            app_id: self.app_id,
            tenant_id: self.tenant_id,
            teams_app_id,
            existed,
            kept: kept.is_some(),
            has_secret,
            review: self.review,
            enabled: kept.as_ref().map_or(self.review, |kept| kept.has_reviews),
        };
        steps.print();
        if !self.review && kept.is_some_and(|kept| kept.has_reviews) {
            complain!(
                "WARNING: {CONFIGURATION} enables [review], but the buttons of cards need an interactive app; run configure \
                 --force --review"
            );
        }
        Ok(())
    }
}

/// Parses an ID of Azure or Teams.
fn id(text: &str) -> Result<Uuid, String> {
    if text.trim().is_empty() {
        return Err("it is empty; check that the variable it comes from is set".to_owned());
    }
    let expected = "expected an ID such as 11111111-2222-4333-8444-555555555555";
    text.trim().parse().map_err(|_| expected.to_owned())
}

/// Parses the ID of a tenant, and explains the error if the text is a domain.
fn tenant(text: &str) -> Result<Uuid, String> {
    id(text).map_err(|expected| {
        if text.contains('.') {
            format!("it is a domain; {expected}, which the overview of Microsoft Entra ID shows as the tenant ID")
        } else {
            expected
        }
    })
}

/// The relevant content of an existing configuration.
struct Kept {
    teams_app_id: Uuid,
    has_reviews: bool,
}

impl Kept {
    /// Reads the file, if there is one.
    fn read(file: &Path) -> anyhow::Result<Option<Self>> {
        if !file.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        let found = text.parse::<toml::Table>().ok().and_then(|table| {
            let id = table.get("msapi")?.get("teams_app_id")?.as_str()?;
            let enabled = table.get("review").and_then(|review| review.get("enabled")?.as_bool());
            Some(Self {
                teams_app_id: id.parse().ok()?,
                has_reviews: enabled.unwrap_or(false),
            })
        });
        match found {
            Some(kept) => Ok(Some(kept)),
            None => bail!(
                "could not configure: {} contains no valid msapi.teams_app_id; fix it, or move the file",
                file.display()
            ),
        }
    }
}

/// Writes the files. Each file appears under its name when it is complete, and replaces an existing file, never the target of
/// a link.
fn write(dir: &Path, files: &[(&str, Vec<u8>)]) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(PRIVATE_DIRECTORY);
    builder
        .create(dir)
        .with_context(|| format!("could not create the directory {}", dir.display()))?;
    for (name, bytes) in files {
        let path = dir.join(name);
        let new = dir.join(format!(".{name}.{}", Uuid::new_v4()));
        let written = write_new(&new, bytes).and_then(|()| fs::rename(&new, &path));
        if written.is_err() {
            // The file may not exist; the error is reported below.
            let _ = fs::remove_file(&new);
        }
        written.with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

/// Creates a new file, and does not follow a link.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_FILE)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(PRIVATE_FILE))?;
    file.write_all(bytes)
}

/// Rejects a directory in which other users of the machine could replace or read the secret, and a link to a directory.
fn check_directory(dir: &Path) -> anyhow::Result<()> {
    // A slash or a dot at the end would follow the link.
    let bare: PathBuf = dir.components().collect();
    if bare.symlink_metadata().is_ok_and(|facts| facts.is_symlink()) {
        bail!(
            "could not configure: {} is a symbolic link; pass its target, or a new directory",
            bare.display()
        );
    }
    let facts = fs::metadata(dir).with_context(|| format!("could not read {}", dir.display()))?;
    let shown = dir.display();
    // The owner of `/proc/self` is the user of this process.
    let own = fs::metadata("/proc/self").map_or(facts.uid(), |process| process.uid());
    let mode = facts.mode() & 0o7777;
    if ![own, SUPERUSER].contains(&facts.uid()) {
        bail!("could not configure: {shown} belongs to another user; choose a new directory");
    }
    if mode & WRITE_BY_OTHERS != 0 {
        bail!(
            "could not configure: every user of this machine can write to {shown} (mode {mode:o}); run chmod 700 {shown}, or \
             choose a new directory"
        );
    }
    if mode & WRITE_BY_GROUP != 0 {
        complain!("WARNING: the group of {shown} can write to it (mode {mode:o}); run chmod 700 {shown}");
    }
    Ok(())
}

/// Warns about parent directories in which other users of the machine could replace this directory. A mounted volume often has
/// such a mode, so it is not rejected.
fn check_parents(dir: &Path) -> anyhow::Result<()> {
    let whole = absolute(dir).with_context(|| format!("could not find {}", dir.display()))?;
    let exists = whole.ancestors().skip(1).find_map(|parent| parent.canonicalize().ok());
    for parent in exists.iter().flat_map(|parent| parent.ancestors()) {
        let mode = parent.metadata().map_or(0, |facts| facts.mode() & 0o7777);
        if mode & WRITE_BY_OTHERS != 0 && mode & STICKY == 0 {
            let shown = parent.display();
            complain!(
                "WARNING: every user of this machine can replace {}, because every user can write to {shown} (mode {mode:o}); \
                 run chmod o-w {shown}, or choose a directory elsewhere",
                dir.display()
            );
        }
    }
    Ok(())
}

/// Rejects links with the name of a file to write: their targets may not be private.
fn check_links(dir: &Path, files: &[(&str, Vec<u8>)]) -> anyhow::Result<()> {
    for (name, _) in files {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok_and(|facts| facts.is_symlink()) {
            bail!(
                "could not configure: {} is a link; remove it, or choose another directory",
                path.display()
            );
        }
    }
    Ok(())
}
