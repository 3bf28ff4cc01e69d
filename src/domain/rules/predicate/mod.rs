//! The language of conditions: text to tree to code to an answer.
//!
//! Architecture Invariant: knows no rule and no request beyond the [`Subject`](crate::domain::rules::Subject) that it
//! evaluates against. Nothing is evaluated that was not checked, and no text makes it panic or loop.

mod arguments;
mod call;
mod check;
mod email;
mod error;
mod eval;
mod functions;
mod go_pattern;
mod instant;
mod letters;
mod parse;
mod pattern;
mod program;
mod syntax;
mod texts;
mod token;
mod value;
mod version;

pub use error::{Error, ErrorKind, Span};
pub use parse::parse;
pub use program::{Answer, Condition};
pub use syntax::{Expr, Node};
pub use value::{Dict, Set};
