//! What is read when somebody asks for metrics, since it changes all the time.

use std::fmt;

/// The state of the work at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    pub open_requests: usize,
    pub unfinished_requests: usize,
    /// Requests that wait for their turn under Microsoft's limits.
    pub queued_for_graph: usize,
    pub queued_for_bot: usize,
}

/// Where readings are taken.
pub(super) struct Source(Box<dyn Fn() -> Readings + Send + Sync>);

impl Source {
    pub(super) fn new(read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }

    pub(super) fn read(&self) -> Readings {
        (self.0)()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
