//! Every route to the cluster, each from the configuration to a card.

mod balancers;
mod journey;
mod plain;
mod proxies;
