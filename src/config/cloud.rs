//! Microsoft's clouds and the addresses of their services (`@microsoft/teams.api` 2.1.0, and Graph's list of deployments).

use crate::config::GraphInstallations;

/// One cloud; `bot` is `None` where Microsoft documents no address for proactive messages.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) name: &'static str,
    pub(super) login: &'static str,
    pub(super) graph: &'static str,
    pub(super) installations: GraphInstallations,
    /// Whether Graph has presence (`cloudcommunications-getpresencesbyuserid.md` in microsoft-graph-docs-contrib).
    pub(super) presence: bool,
    pub(super) bot: Option<&'static str>,
    pub(super) bot_scope: &'static str,
    /// The base URL of the `OpenID` metadata of the Bot connector.
    pub(super) openid: &'static str,
    /// The issuer of the connector's tokens.
    pub(super) issuer: &'static str,
    /// Begins the links that open Teams (`@microsoft/teams-js` 2.58, valid origins).
    pub(super) teams: &'static str,
}

pub(super) const CLOUDS: [Cloud; 5] = [
    Cloud {
        name: "public",
        login: "https://login.microsoftonline.com",
        graph: "https://graph.microsoft.com",
        installations: GraphInstallations::All,
        presence: true,
        bot: Some("https://smba.trafficmanager.net/teams"),
        bot_scope: "https://api.botframework.com/.default",
        openid: "https://login.botframework.com",
        issuer: "https://api.botframework.com",
        teams: "https://teams.microsoft.com",
    },
    Cloud {
        name: "gcc",
        login: "https://login.microsoftonline.com",
        graph: "https://graph.microsoft.com",
        installations: GraphInstallations::All,
        presence: true,
        bot: Some("https://smba.infra.gcc.teams.microsoft.com/teams"),
        bot_scope: "https://api.botframework.com/.default",
        openid: "https://login.botframework.com",
        issuer: "https://api.botframework.com",
        teams: "https://teams.microsoft.com",
    },
    Cloud {
        name: "gcc-high",
        login: "https://login.microsoftonline.us",
        graph: "https://graph.microsoft.us",
        installations: GraphInstallations::OfTeams,
        presence: true,
        bot: Some("https://smba.infra.gov.teams.microsoft.us/teams"),
        bot_scope: "https://api.botframework.us/.default",
        openid: "https://login.botframework.azure.us",
        issuer: "https://api.botframework.us",
        teams: "https://gov.teams.microsoft.us",
    },
    Cloud {
        name: "dod",
        login: "https://login.microsoftonline.us",
        graph: "https://dod-graph.microsoft.us",
        installations: GraphInstallations::OfTeams,
        presence: true,
        bot: Some("https://smba.infra.dod.teams.microsoft.us/teams"),
        bot_scope: "https://api.botframework.us/.default",
        openid: "https://login.botframework.azure.us",
        issuer: "https://api.botframework.us",
        teams: "https://dod.teams.microsoft.us",
    },
    Cloud {
        name: "china",
        login: "https://login.partner.microsoftonline.cn",
        graph: "https://microsoftgraph.chinacloudapi.cn",
        installations: GraphInstallations::None,
        presence: false,
        bot: None,
        bot_scope: "https://api.botframework.azure.cn/.default",
        openid: "https://login.botframework.azure.cn",
        issuer: "https://api.botframework.azure.cn",
        teams: "https://teams.microsoftonline.cn",
    },
];

/// Returns whether Graph of the cloud with this name has presence.
pub(super) fn has_presence(name: &str) -> bool {
    CLOUDS.iter().any(|cloud| cloud.name == name && cloud.presence)
}
