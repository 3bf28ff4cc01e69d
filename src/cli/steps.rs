//! What `configure` prints: what was done, and the next steps.

use std::path::Path;

use uuid::Uuid;

use crate::cli::configure::{ARCHIVE, CONFIGURATION, ROLE};
use crate::cli::output::say;

/// What was done, and with which values.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that one line depends on")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a> {
    pub(super) dir: &'a Path,
    pub(super) app_id: Uuid,
    pub(super) tenant_id: Uuid,
    pub(super) teams_app_id: Uuid,
    /// The directory existed.
    pub(super) existed: bool,
    /// The configuration existed, and was kept.
    pub(super) kept: bool,
    /// The configuration that was written has a client secret.
    pub(super) has_secret: bool,
    /// Reviews in Teams were prepared.
    pub(super) review: bool,
    /// The configuration enables reviews in Teams.
    pub(super) enabled: bool,
}

impl Steps<'_> {
    /// Prints all of it.
    pub(super) fn print(self) {
        let dir = self.dir.display();
        if self.existed {
            say!("[1] Using directory: {dir}");
        } else {
            say!("[1] Created target directory: {dir}");
        }
        if self.kept {
            say!("[2] Kept the existing {CONFIGURATION}");
        } else {
            say!("[2] Generated configuration files");
        }
        say!("[3] Copied assets");
        say!("[4] Created {ARCHIVE}");
        say!("");
        say!("TeamsAppID: {}", self.teams_app_id);
        say!("");
        say!("Next steps:");
        say!("");
        for (number, step) in self.next().iter().enumerate() {
            say!("  {}. {step}", number + 1);
        }
        if self.has_secret {
            say!("");
            say!(
                "A managed identity, a federated token or a certificate is safer than a client secret. docs/credentials.md says \
                 which one to choose."
            );
        }
        if self.review {
            say!("");
            say!(
                "Reviews in Teams need Teleport 18.11 or newer. Read docs/reviewing-in-teams.md before you start the daemon."
            );
            say!(
                "Such reviews do not require MFA. The credentials of teleport-msteams are enough to review for every user that \
                 submit_for_users in the role names."
            );
        }
    }

    fn next(self) -> Vec<String> {
        let Self { app_id, tenant_id, .. } = self;
        let dir = self.dir.display();
        let consent = format!("https://login.microsoftonline.com/{tenant_id}/adminconsent?client_id={app_id}");
        let mut steps = vec![
            format!("In Azure, ask an administrator to grant admin consent for the app's permissions:\n     {consent}"),
            format!(
                "In Teams, upload {dir}/{ARCHIVE} to the app catalog:\n     \
                 https://admin.teams.microsoft.com/policies/manage-apps"
            ),
            "Add the app to each team whose channels should be notified.".to_owned(),
            format!("In Teleport, create the role and the user: tctl create -f {dir}/{ROLE}"),
            "Issue an identity of that user with tbot, or: tctl auth sign --user=teleport-msteams --out=identity"
                .to_owned(),
            format!(
                "Set addr, identity and [role_to_recipients] in {dir}/{CONFIGURATION}, and move it to \
                 /etc/{CONFIGURATION}"
            ),
        ];
        if self.review {
            steps.extend(self.for_reviews());
        }
        steps.push("Check the setup: teleport-msteams validate --all".to_owned());
        steps.push("Start the daemon: teleport-msteams start".to_owned());
        steps
    }

    fn for_reviews(self) -> Vec<String> {
        let mut steps = Vec::new();
        if !self.enabled {
            steps.push(format!("Set enabled = true in [review] in {CONFIGURATION}"));
        }
        steps.extend([
            "Pass HTTPS requests for a public host name on to the address in [review] listen, with a reverse proxy or an \
             ingress"
                .to_owned(),
            "In Azure, set the messaging endpoint of the bot (Configuration): https://HOST/api/messages".to_owned(),
            "In Teleport, give each reviewer the trait teams_user_id: the user ID (object ID) in Microsoft Entra ID"
                .to_owned(),
        ]);
        steps
    }
}
