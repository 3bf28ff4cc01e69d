//! The Access Monitoring Rules of the cluster.

use prost::Message as _;

use crate::domain::rules::{Rule, SUBJECT};
use crate::teleport::damaged::Kind;
use crate::teleport::pages::Pages;
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

/// Number of rules per page, as in Teleport's own plugins.
const PAGE: i64 = 1000;

const FILTERED: &str =
    "/teleport.accessmonitoringrules.v1.AccessMonitoringRulesService/ListAccessMonitoringRulesWithFilter";
const ALL: &str = "/teleport.accessmonitoringrules.v1.AccessMonitoringRulesService/ListAccessMonitoringRules";

impl Client {
    /// Lists the rules that notify about requests through `plugin`. Other rules that a server lists are skipped.
    ///
    /// # Errors
    /// `Denied` if the role may not read them, `Unsupported` if the server does not know rules.
    pub async fn list_rules(&self, plugin: &str) -> Result<Vec<Rule>, Error> {
        let doing = "list access monitoring rules";
        let (mut rules, mut pages, mut filtered) = (Vec::new(), Pages::new(doing), true);
        loop {
            let page = if filtered {
                let query = types::ListRulesWithFilterRequest {
                    page_size: PAGE,
                    page_token: pages.key(),
                    subjects: vec![SUBJECT.to_owned()],
                    notification_name: plugin.to_owned(),
                };
                self.ask(doing, FILTERED, query).await
            } else {
                let query = types::ListRulesRequest {
                    page_size: PAGE,
                    page_token: pages.key(),
                };
                self.ask(doing, ALL, query).await
            };
            let page: types::ListRulesResponse = match page {
                Err(error) if filtered && error.meaning() == Meaning::Unsupported => {
                    filtered = false;
                    continue;
                }
                page => page?,
            };
            let read = |bytes| self.damaged().take(Kind::Rule, bytes, convert::rule(bytes));
            let listed = page.rules.iter().filter_map(read);
            rules.extend(listed.filter(|rule| rule.belongs_to(plugin)));
            if !pages.advance(page.encoded_len(), page.next_page_token)? {
                return Ok(rules);
            }
        }
    }
}
