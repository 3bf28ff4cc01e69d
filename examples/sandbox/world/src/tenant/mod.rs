//! A pretend Microsoft tenant: tokens, Graph, the Bot connector in both directions and its keys over plain HTTP, with one shared state.

mod assertion;
mod batch;
mod bot;
mod button;
mod call;
mod client_certificate;
mod cloud;
mod faults;
mod graph;
mod groups;
mod handle;
mod inbound;
mod limits;
mod login;
mod managed_identity;
mod manager;
mod openid;
mod places;
mod presence;
mod server;
pub mod signer;
mod state;
mod thread;
mod users;
mod versions;
mod wire;

pub use assertion::FederatedCredential;
pub use call::Call;
pub use client_certificate::ClientCertificate;
pub use cloud::Cloud;
pub use faults::{Chance, Fault, Rule, TenantFaults};
pub use handle::{Tenant, TenantOptions};
pub use inbound::{Delivery, Inbound, Repeat};
pub use state::{Card, Text, User};
pub use wire::{Answer, NoAnswer};
