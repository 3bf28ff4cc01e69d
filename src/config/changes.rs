//! Applies a reloaded configuration to the running daemon.

use crate::config::{Credentials, MicrosoftSettings, ReviewSettings, Settings, TeleportSettings};

/// The changes of a reloaded configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys whose new value is active now.
    pub applied: Vec<&'static str>,
    /// Keys whose new value takes effect after a restart.
    pub after_restart: Vec<&'static str>,
}

impl Settings {
    /// Applies the settings that can change at run time. Returns which keys changed, and which need a restart.
    pub fn apply(&mut self, new: Self) -> Changes {
        let Self {
            preload,
            diagnostics,
            teleport,
            microsoft,
            routing,
            notify,
            escalation,
            digest,
            review,
            log,
            // These come from the environment and the program, not from the file.
            fail_fast: _,
            limits: _,
        } = new;
        let mut changes = Changes::default();
        changes.fixed("diag_addr", self.diagnostics == diagnostics);
        changes.teleport(&self.teleport, &teleport);
        changes.microsoft(&mut self.microsoft, microsoft);
        changes.live("preload", &mut self.preload, preload);
        changes.live("role_to_recipients", &mut self.routing, routing);
        changes.live("notify", &mut self.notify, notify);
        changes.live("escalation", &mut self.escalation, escalation);
        changes.live("digest", &mut self.digest, digest);
        changes.review(&mut self.review, review);
        changes.live("log", &mut self.log, log);
        changes
    }
}

impl Changes {
    fn live<T: PartialEq>(&mut self, key: &'static str, current: &mut T, new: T) {
        if *current != new {
            *current = new;
            self.applied.push(key);
        }
    }

    fn fixed(&mut self, key: &'static str, same: bool) {
        if !same {
            self.after_restart.push(key);
        }
    }

    fn teleport(&mut self, current: &TeleportSettings, new: &TeleportSettings) {
        let TeleportSettings {
            address,
            credentials,
            refresh,
            // The environment of a process does not change.
            upgrade: _,
            proxy: _,
            web_authorities: _,
        } = new;
        let key = match credentials {
            Credentials::Identity(_) => "teleport.identity",
            Credentials::Tls { .. } => "teleport.client_key, client_crt or root_cas",
        };
        self.fixed("teleport.addr", current.address == *address);
        self.fixed(key, current.credentials == *credentials);
        let refresh_keys = "teleport.refresh_identity or refresh_identity_interval";
        self.fixed(refresh_keys, current.refresh == *refresh);
    }

    fn microsoft(&mut self, current: &mut MicrosoftSettings, new: MicrosoftSettings) {
        let MicrosoftSettings {
            app_id,
            credential,
            tenant_id,
            teams_app_id,
            endpoints,
            upgrade_app,
            // The environment of a process does not change.
            proxies: _,
        } = new;
        self.fixed("msapi.app_id", current.app_id == app_id);
        self.fixed("msapi.tenant_id", current.tenant_id == tenant_id);
        self.fixed("msapi.teams_app_id", current.teams_app_id == teams_app_id);
        self.fixed("msapi.cloud, region or endpoints", current.endpoints == endpoints);
        self.fixed("msapi.upgrade_app", current.upgrade_app == upgrade_app);
        let key = credential.key();
        self.live(key, &mut current.credential, credential);
    }

    /// The port is opened at the start only. So reviews can be turned off at run time, but not on.
    fn review(&mut self, current: &mut ReviewSettings, new: ReviewSettings) {
        let ReviewSettings {
            enabled,
            listen,
            path,
            tls,
            user_id_trait,
            allow_email_username_match,
            reason,
        } = new;
        if enabled {
            self.fixed("review.enabled", current.enabled);
        } else {
            self.live("review.enabled", &mut current.enabled, false);
        }
        self.fixed("review.listen", current.listen == listen);
        self.fixed("review.path", current.path == path);
        self.fixed("review.certificate or key", current.tls == tls);
        self.live("review.teams_user_id_trait", &mut current.user_id_trait, user_id_trait);
        let match_names = &mut current.allow_email_username_match;
        self.live(
            "review.allow_email_username_match",
            match_names,
            allow_email_username_match,
        );
        self.live("review.reason", &mut current.reason, reason);
    }
}
