//! The Access Monitoring Rules of the cluster.

use crate::domain::rules::{Rule, SUBJECT};
use crate::teleport::client::LARGEST_MESSAGE;
use crate::teleport::wire::teleport::accessmonitoringrules::v1::access_monitoring_rules_service_client::AccessMonitoringRulesServiceClient;
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

/// Rules in one page; as many as Teleport's own plugins ask for.
const PAGE: i64 = 1000;

impl Client {
    /// Lists the rules for requests that are to notify through a plugin; what a server lists beyond them is left out.
    ///
    /// # Errors
    /// `Denied` if the role may not read them, `Unsupported` if the server knows no rules.
    pub async fn list_rules(&self, plugin: &str) -> Result<Vec<Rule>, Error> {
        let doing = "list access monitoring rules";
        let mut service =
            AccessMonitoringRulesServiceClient::new(self.channel()).max_decoding_message_size(LARGEST_MESSAGE);
        let (mut rules, mut page_token, mut filtered) = (Vec::new(), String::new(), true);
        loop {
            let page = if filtered {
                let query = types::ListRulesWithFilterRequest {
                    page_size: PAGE,
                    page_token: page_token.clone(),
                    subjects: vec![SUBJECT.to_owned()],
                    notification_name: plugin.to_owned(),
                };
                self.call(doing, service.list_access_monitoring_rules_with_filter(query))
                    .await
            } else {
                let query = types::ListRulesRequest {
                    page_size: PAGE,
                    page_token: page_token.clone(),
                };
                self.call(doing, service.list_access_monitoring_rules(query)).await
            };
            let page = match page {
                Err(error) if filtered && error.meaning() == Meaning::Unsupported => {
                    filtered = false;
                    continue;
                }
                page => page?,
            };
            let listed = page.rules.into_iter().filter_map(convert::rule);
            rules.extend(listed.filter(|rule| rule.belongs_to(plugin)));
            if page.next_page_token.is_empty() {
                return Ok(rules);
            }
            page_token = page.next_page_token;
        }
    }
}
