//! The command line: arguments, commands and their output.
//!
//! Architecture Invariant: the only module that prints, and that reads arguments and the environment.

mod app_credential;
mod args;
mod configure;
mod configured;
mod environment;
mod explain;
mod length;
mod manual;
mod open_files;
mod output;
mod report;
mod role;
mod rules;
mod start;
mod steps;
mod uninstall;
mod validate;
mod version;

pub use args::run;
