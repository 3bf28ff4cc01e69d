//! Access Monitoring Rules.

mod vectors;
