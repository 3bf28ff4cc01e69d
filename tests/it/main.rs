//! Features, tested through the program's edges.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod access_lists;
mod architecture;
mod cards;
mod causes;
mod clouds;
mod configure;
mod credentials;
mod delegated;
mod deployment;
mod destinations;
mod diagnostics;
mod digest;
mod documentation;
mod exit;
mod explain;
mod fairness;
mod faults;
mod fixtures;
mod gateways;
mod go_plugin;
mod groups;
mod health;
mod identities;
mod inbound;
mod independence;
mod language;
mod lifecycle;
mod log;
mod lookups;
mod messages;
mod metrics;
mod microsoft;
mod mistakes;
mod model;
mod notifications;
mod outages;
mod output;
mod permissions;
mod process;
mod recipients;
mod reconnect;
mod reload;
mod renewal;
mod requests;
mod resync;
mod review;
mod routes;
mod rules;
mod service_urls;
mod startup;
mod story;
mod support;
mod uninstall;
mod upgrades;
mod validate;
#[cfg(debug_assertions)]
mod watchdog;

pub(crate) use ::world;
