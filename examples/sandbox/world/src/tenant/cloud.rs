//! Microsoft's clouds, as the pretend tenant knows them.
//!
//! Sources: `cloud-environment.js` of `@microsoft/teams.api` 2.1.0, and `concepts/teamwork-national-cloud-differences.md` of
//! microsoft-graph-docs-contrib. The daemon's own table is not used here: a fake that reads it could not reveal a mistake in it.

use std::collections::BTreeSet;

use crate::tenant::Tenant;

/// The cloud of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    #[default]
    Public,
    Gcc,
    GccHigh,
    Dod,
    China,
}

impl Cloud {
    pub const ALL: [Self; 5] = [Self::Public, Self::Gcc, Self::GccHigh, Self::Dod, Self::China];

    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Gcc => "gcc",
            Self::GccHigh => "gcc-high",
            Self::Dod => "dod",
            Self::China => "china",
        }
    }

    /// Returns the scopes of tokens for Graph and for the Bot connector.
    pub fn scopes(self) -> [&'static str; 2] {
        match self {
            Self::Public | Self::Gcc => [
                "https://graph.microsoft.com/.default",
                "https://api.botframework.com/.default",
            ],
            Self::GccHigh => [
                "https://graph.microsoft.us/.default",
                "https://api.botframework.us/.default",
            ],
            Self::Dod => [
                "https://dod-graph.microsoft.us/.default",
                "https://api.botframework.us/.default",
            ],
            Self::China => [
                "https://microsoftgraph.chinacloudapi.cn/.default",
                "https://api.botframework.azure.cn/.default",
            ],
        }
    }

    /// Returns the host of links that open Teams.
    pub fn links(self) -> &'static str {
        match self {
            Self::Public | Self::Gcc => "teams.microsoft.com",
            Self::GccHigh => "gov.teams.microsoft.us",
            Self::Dod => "dod.teams.microsoft.us",
            Self::China => "teams.microsoftonline.cn",
        }
    }

    /// Returns the issuer of the tokens that the Bot connector sends.
    pub(super) fn issuer(self) -> &'static str {
        match self {
            Self::Public | Self::Gcc => "https://api.botframework.com",
            Self::GccHigh | Self::Dod => "https://api.botframework.us",
            Self::China => "https://api.botframework.azure.cn",
        }
    }

    pub(super) fn graph_scope(self) -> &'static str {
        self.scopes()[0]
    }

    pub(super) fn bot_scope(self) -> &'static str {
        self.scopes()[1]
    }

    /// Returns whether Graph serves an application that reads or changes installations for users.
    pub(super) fn has_installations_for_users(self) -> bool {
        matches!(self, Self::Public | Self::Gcc)
    }

    /// Returns whether Graph serves an application that reads installations in teams.
    pub(super) fn has_installations_in_teams(self) -> bool {
        self != Self::China
    }
}

impl Tenant {
    /// Returns the scopes of all tokens that were issued.
    pub fn issued_scopes(&self) -> BTreeSet<String> {
        self.change_quietly(|world| world.tokens.values().map(|token| token.scope.clone()).collect())
    }

    /// Serves the Bot connector below another path too, such as `emea`, and returns the base URL.
    pub fn serve_bot_at(&self, path: &str) -> String {
        self.change(|world| {
            world.bot_paths.push(path.trim_matches('/').to_owned());
            format!("{}/bot/{path}", world.base)
        })
    }

    /// Answers every opened chat with this address of the Bot connector.
    pub fn set_service_url(&self, url: Option<&str>) {
        self.change(|world| world.service_url = url.map(str::to_owned));
    }
}
