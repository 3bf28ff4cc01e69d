//! The configuration: reads a TOML file into valid settings.
//!
//! Architecture Invariant: opens only the configuration and the files of secrets and certificates, and checks whether other files exist; it never
//! uses the network. It returns valid [`Settings`], or every [`Problem`] of the file.

mod app_secret;
mod changes;
mod check;
mod client_certificate;
mod cloud;
mod credential;
mod duration;
mod excerpt;
mod exposure;
mod federated_token;
mod file;
mod listen;
mod managed_identity;
mod microsoft;
mod notify;
mod problem;
mod proxy;
mod recipients;
mod review;
mod secret_file;
mod settings;
mod shown;
mod source;
mod teleport;
mod template;
mod unknown;
mod upgrade;

pub use app_secret::AppSecret;
pub use changes::Changes;
pub use check::{Loaded, known_keys, load};
pub use client_certificate::ClientCertificate;
pub use credential::AppCredential;
pub use federated_token::FederatedToken;
pub use managed_identity::{IdentityEndpoint, ManagedIdentity};
pub use notify::{Attention, DigestSettings, EscalationSettings, NotifySettings};
pub use problem::{Problem, Problems};
pub use proxy::Proxies;
pub use recipients::{OWN_TENANT, VALID_RECIPIENTS};
pub use review::{ReviewSettings, TlsFiles};
pub use settings::{
    Credentials, Endpoints, GraphInstallations, HostPort, Limits, LogFormat, LogOutput, LogSettings, Login,
    MicrosoftSettings, Proxy, ProxyKind, Settings, TeleportSettings, Upgrade,
};
pub use template::{ChosenCredential, Template};
