//! Applies a reloaded configuration to the running daemon.

use crate::config::{Credentials, Endpoints, MicrosoftSettings, Settings, TeleportSettings};

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
            app_secret,
            tenant_id,
            teams_app_id,
            endpoints,
            // The environment of a process does not change.
            proxies: _,
        } = new;
        self.fixed("msapi.app_id", current.app_id == app_id);
        self.fixed("msapi.tenant_id", current.tenant_id == tenant_id);
        self.fixed("msapi.teams_app_id", current.teams_app_id == teams_app_id);
        let Endpoints {
            login,
            graph,
            bot,
            graph_scope,
            bot_scope,
        } = &endpoints;
        let old = &current.endpoints;
        let same = (&old.login, &old.graph, &old.bot, &old.graph_scope, &old.bot_scope)
            == (login, graph, bot, graph_scope, bot_scope);
        self.fixed("msapi.cloud, region or endpoints", same);
        self.live("msapi.app_secret", &mut current.app_secret, app_secret);
    }
}
