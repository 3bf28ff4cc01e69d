//! The addresses of the Bot connector that Microsoft names for conversations: by region, and by tenant.
//!
//! Architecture Invariant: the token of the connector goes to the configured scheme, host and port only. What is learned is
//! a path there. Limited in number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::debug;
use url::Url;

use crate::msteams::conversation::channel_of;

/// Largest number of conversations. When it is reached, all are forgotten; the configured address serves them too.
const MOST: usize = 10_000;

/// The longest path. Documented ones have a region and a tenant ID.
const LONGEST_PATH: usize = 256;

pub(crate) struct ServiceUrls {
    configured: Url,
    /// By conversation; the threads of a channel have the channel's.
    learned: Mutex<HashMap<String, Url>>,
}

impl ServiceUrls {
    pub(crate) fn new(configured: &Url) -> Self {
        Self {
            configured: configured.clone(),
            learned: Mutex::default(),
        }
    }

    /// Returns the address for a conversation.
    pub(crate) fn of(&self, conversation: &str) -> Url {
        let learned = self.lock();
        learned
            .get(channel_of(conversation))
            .unwrap_or(&self.configured)
            .clone()
    }

    /// Uses the address that Microsoft named for a conversation, if it is on the configured host.
    ///
    /// Source: `bots/how-to/conversations/send-proactive-messages.md` in MicrosoftDocs/msteams-docs: the address of an
    /// activity is preferred to the global one, and may change.
    pub(crate) fn learn(&self, conversation: &str, stated: &str) {
        let Some(url) = self.on_own_host(stated) else {
            debug!("Address of the Bot connector ignored, because it is not on the configured host");
            return;
        };
        let key = channel_of(conversation);
        let mut learned = self.lock();
        if url.path().trim_end_matches('/') == self.configured.path().trim_end_matches('/') {
            learned.remove(key);
            return;
        }
        if learned.get(key) == Some(&url) {
            return;
        }
        if learned.len() >= MOST {
            learned.clear();
        }
        debug!(
            conversation = key,
            path = url.path(),
            "Address of the Bot connector learned"
        );
        learned.insert(key.to_owned(), url);
    }

    /// Returns the address that serves every conversation.
    pub(crate) fn configured(&self) -> &Url {
        &self.configured
    }

    /// Forgets an address because a call to it failed, and returns whether it was a learned one. A newer one stays.
    pub(crate) fn forget(&self, conversation: &str, failed: &Url) -> bool {
        let key = channel_of(conversation);
        let mut learned = self.lock();
        if learned.get(key) == Some(failed) {
            learned.remove(key);
        }
        *failed != self.configured
    }

    /// Returns the configured address with the path of another one, if both have the same host and port, and the other one
    /// is as safe.
    fn on_own_host(&self, stated: &str) -> Option<Url> {
        let configured = &self.configured;
        let stated = Url::parse(stated).ok()?;
        let is_safe = stated.scheme() == "https" || stated.scheme() == configured.scheme();
        let is_plain = stated.username().is_empty()
            && stated.password().is_none()
            && stated.query().is_none()
            && stated.fragment().is_none()
            && stated.path().len() <= LONGEST_PATH;
        let has_host = stated.host() == configured.host() && stated.port() == configured.port();
        (is_safe && is_plain && has_host).then(|| {
            let mut url = configured.clone();
            url.set_path(stated.path());
            url
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Url>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msteams::paths::join;

    const GLOBAL: &str = "https://smba.trafficmanager.net/teams";

    #[track_caller]
    fn check(configured: &str, stated: &str, expected: &str) {
        let urls = ServiceUrls::new(&Url::parse(configured).unwrap());
        urls.learn("a:1", stated);
        let url = join(&urls.of("a:1"), &["v3", "conversations", "a:1", "activities"], None);
        assert_eq!(url.as_str(), format!("{expected}/v3/conversations/a%3A1/activities"));
    }

    #[test]
    fn an_address_with_any_path_on_the_configured_host_is_learned() {
        for path in [
            "emea",
            "amer/",
            "apac/11111111-2222-3333-4444-555555555555/",
            "de/a/b/c",
        ] {
            let stated = format!("https://smba.trafficmanager.net/{path}");
            check(GLOBAL, &stated, stated.trim_end_matches('/'));
            check(&format!("{GLOBAL}/"), &stated, stated.trim_end_matches('/'));
        }
        check("https://h:8443/x/", "https://h:8443/", "https://h:8443");
        // On loopback, the configured scheme stays.
        check(
            "http://127.0.0.1:80/bot",
            "http://127.0.0.1/emea/",
            "http://127.0.0.1/emea",
        );
        check(
            "http://127.0.0.1:8080/bot",
            "https://127.0.0.1:8080/emea",
            "http://127.0.0.1:8080/emea",
        );
    }

    #[test]
    fn every_other_address_is_ignored() {
        for stated in [
            "",
            "emea",
            "http://smba.trafficmanager.net/emea/",
            "https://smba.trafficmanager.net.evil.example/emea/",
            "https://evil.example/smba.trafficmanager.net/",
            "https://smba.trafficmanager.net:8443/emea/",
            "https://smba.trafficmanager.net@evil.example/emea/",
            "https://user@smba.trafficmanager.net/emea/",
            "https://smba.trafficmanager.net/emea/?to=evil",
            "https://smba.trafficmanager.net/emea/#evil",
            "https://smba.infra.gcc.teams.microsoft.com/teams",
            &format!("https://smba.trafficmanager.net/{}", "x".repeat(LONGEST_PATH)),
        ] {
            check(GLOBAL, stated, GLOBAL);
        }
        check(
            "https://gateway.example/bot",
            &format!("{GLOBAL}/emea"),
            "https://gateway.example/bot",
        );
    }

    #[test]
    fn the_newest_address_counts_until_it_is_forgotten() {
        let urls = ServiceUrls::new(&Url::parse(GLOBAL).unwrap());
        let at = |path: &str| format!("https://smba.trafficmanager.net/{path}");
        urls.learn("19:x@thread.tacv2;messageid=1", &at("emea/"));
        assert_eq!(urls.of("19:x@thread.tacv2").as_str(), at("emea/"));
        urls.learn("19:x@thread.tacv2", &at("amer/"));
        assert_eq!(urls.of("19:x@thread.tacv2;messageid=2").as_str(), at("amer/"));
        assert_eq!(urls.of("a:1").as_str(), GLOBAL);
        urls.learn("19:x@thread.tacv2", &at("teams/"));
        assert_eq!(urls.of("19:x@thread.tacv2").as_str(), GLOBAL);
        urls.learn("a:1", &at("emea"));
        let emea = urls.of("a:1");
        urls.learn("a:1", &at("amer"));
        let amer = urls.of("a:1");
        assert!(urls.forget("a:1", &emea));
        assert_eq!(urls.of("a:1"), amer);
        assert!(urls.forget("a:1", &amer));
        assert_eq!(urls.of("a:1").as_str(), GLOBAL);
        assert!(!urls.forget("a:1", urls.configured()));
    }

    #[test]
    fn the_number_of_addresses_is_limited() {
        let urls = ServiceUrls::new(&Url::parse(GLOBAL).unwrap());
        for number in 0..=MOST {
            urls.learn(&format!("a:{number}"), "https://smba.trafficmanager.net/emea/");
            assert!(urls.lock().len() <= MOST);
        }
        assert_eq!(urls.lock().len(), 1);
    }
}
