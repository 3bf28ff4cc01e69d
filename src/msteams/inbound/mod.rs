//! What Microsoft Teams sends to the bot: proves that a request comes from Teams, and reads it.
//!
//! The order of a request is fixed by the types. [`Bearer`] is the token as it arrived; with a key from [`KeyCache`] it
//! becomes [`Verified`] ([`KeyCache::verify`] does both); only that opens the body, as an [`Event`]. An [`InvokeAnswer`]
//! is what the person who pressed a button sees.
//!
//! Architecture Invariant: there is no other way to an [`Event`] than through a verified signature. Everything but the
//! fetch of the keys is pure: the time, the keys and our own identity are parameters. Nothing of a token reaches an
//! error or a log line. Serves only tokens of the Bot connector, never those of Entra.

mod answer;
mod fields;
mod key_cache;
mod key_source;
mod keys;
mod message;
mod press;
mod refusal;
mod schedule;
mod service_url;
mod token;

pub use answer::{InvokeAnswer, Reply};
pub use key_cache::{KeyCache, NoKey};
pub use key_source::KeySource;
pub use keys::{InvalidKeys, Key, KeySet, Unusable};
pub use message::{BodyRefusal, Chat, ChatKind, Event, Installation, Service};
pub use press::{BadPress, Person, Press, Submit, Trigger};
pub use refusal::Refusal;
pub use token::{Audience, Bearer, TokenRefusal, Verified, read_anything};
