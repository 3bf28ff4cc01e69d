//! A pretend Microsoft tenant: tokens, Graph and the Bot connector over plain HTTP, with one shared state.

mod bot;
mod call;
mod faults;
mod graph;
mod handle;
mod limits;
mod login;
mod server;
mod state;

pub use call::Call;
pub use faults::{Chance, Fault, Rule, TenantFaults};
pub use handle::{Tenant, TenantOptions};
pub use state::{Card, User};
