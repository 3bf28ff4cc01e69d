//! The configuration: from a TOML file to settings that are whole and valid.
//!
//! Architecture Invariant: opens the configuration and the files of secrets, nothing else; never the network.

mod settings;

pub use settings::{
    Credentials, Endpoints, Limits, LogFormat, LogOutput, LogSettings, MicrosoftSettings, Settings, TeleportSettings,
};
