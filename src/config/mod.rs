//! The configuration: from a TOML file to settings that are whole and valid.
//!
//! Architecture Invariant: opens the configuration and the files of secrets, nothing else, and checks whether other files are
//! there; never the network. Either there are valid [`Settings`], or every [`Problem`] of the file at once.

mod changes;
mod check;
mod cloud;
mod duration;
mod excerpt;
mod exposure;
mod file;
mod microsoft;
mod problem;
mod proxy;
mod recipients;
mod settings;
mod shown;
mod source;
mod teleport;
mod template;
mod unknown;
mod upgrade;

pub use changes::Changes;
pub use check::{Loaded, load};
pub use problem::{Problem, Problems};
pub use proxy::Proxies;
pub use settings::{
    AppSecret, Credentials, Endpoints, HostPort, Limits, LogFormat, LogOutput, LogSettings, Login, MicrosoftSettings,
    Proxy, ProxyKind, Settings, TeleportSettings, Upgrade,
};
pub use template::Template;
