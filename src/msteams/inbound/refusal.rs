//! Why a request is not served, whichever check refused it.
//!
//! Architecture Invariant: the status is all that the sender learns; the reason is for our log only.

use std::{error, fmt};

use crate::msteams::inbound::key_cache::NoKey;
use crate::msteams::inbound::message::BodyRefusal;
use crate::msteams::inbound::token::TokenRefusal;

/// Why a request is refused. The answer has a status and an empty body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    Token(TokenRefusal),
    Key(NoKey),
    Body(BodyRefusal),
}

impl Refusal {
    /// Returns the HTTP status of the answer. Without a valid token, it is 401, or 503 while there are no keys.
    pub fn status(self) -> u16 {
        match self {
            Self::Token(_) => 401,
            Self::Key(reason) => reason.status(),
            Self::Body(reason) => reason.status(),
        }
    }
}

impl From<TokenRefusal> for Refusal {
    fn from(reason: TokenRefusal) -> Self {
        Self::Token(reason)
    }
}

impl From<NoKey> for Refusal {
    fn from(reason: NoKey) -> Self {
        Self::Key(reason)
    }
}

impl From<BodyRefusal> for Refusal {
    fn from(reason: BodyRefusal) -> Self {
        Self::Body(reason)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(reason) => reason.fmt(f),
            Self::Key(reason) => reason.fmt(f),
            Self::Body(reason) => reason.fmt(f),
        }
    }
}

impl error::Error for Refusal {}
