//! Access Monitoring Rules.

mod command;
mod language;
mod routing;
mod vectors;
