//! What is turned on besides the cards for reviewers.

use crate::cli::length::length;
use crate::cli::validate::results::counted;
use crate::config::{DigestSettings, EscalationSettings, NotifySettings, Settings};

/// Returns what the configuration turns on; `None` if it is nothing.
pub(super) fn notifications(settings: &Settings) -> Option<String> {
    let NotifySettings {
        attention: _,
        requester,
        remind_after,
        remind_before_expiry,
        grace,
        access_ends,
        access_lists,
        out_of_office,
        instructions: _,
    } = &settings.notify;
    let after: Vec<_> = remind_after.iter().copied().map(length).collect();
    let parts = [
        requester.then(|| "requester".to_owned()),
        (!after.is_empty()).then(|| format!("reminders after {}", after.join(", "))),
        remind_before_expiry.map(|early| format!("reminder {} before a request expires", length(early))),
        settings.escalation.as_ref().map(escalation),
        access_ends.map(|early| format!("{} before access ends", length(early))),
        access_lists.then(|| "reviews of Access Lists".to_owned()),
        out_of_office.then(|| "delegates of recipients who are out of office".to_owned()),
        settings
            .digest
            .map(|DigestSettings { above }| format!("digest above {above} cards")),
        grace.map(|grace| format!("grace {}", length(grace))),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn escalation(settings: &EscalationSettings) -> String {
    let EscalationSettings {
        after,
        routing,
        manager,
    } = settings;
    let recipients = routing.addresses().len();
    let to = match (recipients, manager) {
        (0, true) => "managers".to_owned(),
        (recipients, true) => format!("{} and managers", counted(recipients, "recipient")),
        (recipients, false) => counted(recipients, "recipient"),
    };
    format!("escalation after {} to {to}", length(*after))
}
