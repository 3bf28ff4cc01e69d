//! Access Monitoring Rules.

mod routing;
mod vectors;
