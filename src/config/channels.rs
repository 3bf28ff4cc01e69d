//! Links to channels of another organisation.

use url::Url;

use crate::config::file::Notes;
use crate::domain::recipients::RoutingTable;

/// Warns of each link whose `tenantId` is not ours: the app of one tenant cannot post in another.
pub(super) fn foreign(routing: &RoutingTable, tenant: &str, notes: &mut Notes) {
    // A tenant may also be written as a domain, which cannot be compared.
    if uuid::Uuid::try_parse(tenant).is_err() {
        return;
    }
    for address in routing.addresses().iter().filter(|address| address.channel().is_some()) {
        let Ok(link) = Url::parse(address.as_str()) else {
            continue;
        };
        let named = link.query_pairs().find(|(key, _)| key == "tenantId");
        if let Some((_, other)) = named.filter(|(_, id)| !id.is_empty() && !id.eq_ignore_ascii_case(tenant)) {
            let message = format!("{} is a channel of the tenant {other:?}", address.as_str());
            let remedy = "copy the link of a channel of [msapi] tenant_id";
            notes.warning("role_to_recipients", message, remedy);
        }
    }
}
