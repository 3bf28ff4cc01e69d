//! The application permissions of Microsoft Graph.

use crate::cli::validate::results::CheckResults;
use crate::config::GraphInstallations;
use crate::domain::recipients::Address;
use crate::msteams::{
    FIND_BY_ALIAS, FIND_BY_NAME, FIND_MANAGER, LIST_HIDDEN_MEMBERS, LIST_MEMBERS, PERMISSIONS, Permission,
    READ_PRESENCE, UPGRADE_IN_TEAMS,
};

/// What a configuration uses.
#[derive(Clone, Copy)]
pub(super) struct Uses<'a> {
    /// Every recipient.
    pub(super) addresses: &'a [Address],
    pub(super) managers: bool,
    pub(super) presence: bool,
    pub(super) installations: GraphInstallations,
    pub(super) upgrades: bool,
}

/// Checks the permissions that the token for Graph lists, for what the configuration needs.
pub(super) fn permissions(granted: Option<&[String]>, uses: Uses<'_>, results: &mut CheckResults) {
    let check = "permissions in Microsoft Graph";
    let needed = needed(uses);
    let Some(granted) = granted else {
        results.warning(check, "the token does not list the granted permissions", None);
        return;
    };
    let has = |name: &str| granted.iter().any(|granted| granted == name);
    for permission in &needed {
        let Permission {
            purpose,
            least,
            broader,
            ..
        } = permission;
        if has(least) {
            results.ok(check, format!("{least}, to {purpose}"));
        } else if let Some(instead) = broader.iter().find(|name| has(name)) {
            results.ok(check, format!("{instead}, to {purpose}"));
        } else {
            let hint = hint!("Add it to the app registration as an application permission and give admin consent");
            results.failed(
                check,
                format!("{least} is missing; it is needed to {purpose}"),
                Some(hint),
            );
        }
    }
    let has_groups = uses.addresses.iter().any(|address| address.group().is_some());
    for name in granted {
        let optional = [&FIND_BY_ALIAS]
            .into_iter()
            .chain(has_groups.then_some(&LIST_HIDDEN_MEMBERS));
        let mut useful = PERMISSIONS.iter().chain(optional);
        if useful.any(|permission| permission.least == name) {
            continue;
        }
        // The last one needs the most.
        let mut serving = needed.iter().rev().copied().chain(&PERMISSIONS);
        if let Some(Permission { least, .. }) = serving.find(|permission| permission.serves(name)) {
            let hint = hint_with!("Replace it with {least}");
            results.warning(check, format!("{name} grants more than needed"), Some(&hint));
        } else {
            let hint = hint!("Remove it from the app registration");
            results.warning(check, format!("{name} is not needed"), Some(hint));
        }
    }
}

/// Returns the permissions that the configuration needs.
fn needed(uses: Uses<'_>) -> Vec<&'static Permission> {
    let any = |is: fn(&Address) -> bool| uses.addresses.iter().any(is);
    let channels = any(Address::is_channel);
    let mut needed: Vec<_> = PERMISSIONS.iter().collect();
    needed.retain(|permission| channels || !permission.for_channels);
    if any(|address| address.named_channel().is_some()) {
        needed.extend(&FIND_BY_NAME);
    }
    if any(|address| address.group().is_some()) {
        needed.push(&LIST_MEMBERS);
    }
    needed.extend(uses.managers.then_some(&FIND_MANAGER));
    needed.extend(uses.presence.then_some(&READ_PRESENCE));
    needed.extend((uses.upgrades && channels).then_some(&UPGRADE_IN_TEAMS));
    needed.retain(|permission| permission.has_use(uses.installations));
    needed
}
