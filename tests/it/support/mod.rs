//! A pretend world with the real daemon in it, and assertions about the cards that reviewers see.

mod daemon;
mod program;
mod records;
pub(crate) mod secrets;
mod sight;
mod town;
mod warnings;

pub(crate) use daemon::Daemon;
pub(crate) use program::{Ended, Program, Running};
pub(crate) use records::Left;
pub(crate) use sight::{Row, newest, rows};
pub(crate) use town::{ALICE, BOB, Town, fails, for_alice, private_folder};
