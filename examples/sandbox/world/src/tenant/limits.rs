//! Microsoft's documented limits on messages, as sliding windows.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Messages of the app per window.
const OF_THE_APP: [(usize, u64); 1] = [(50, 1)];

/// Messages to one conversation per window.
const OF_A_CONVERSATION: [(usize, u64); 4] = [(7, 1), (8, 2), (60, 30), (1_800, 3_600)];

#[derive(Default)]
pub(super) struct Limits {
    app: Log,
    conversations: HashMap<String, Log>,
}

#[derive(Default)]
struct Log(VecDeque<Instant>);

impl Limits {
    /// Counts a message, unless it exceeds a limit.
    pub(super) fn take(&mut self, conversation: &str) -> bool {
        let now = Instant::now();
        let log = self.conversations.entry(conversation.to_owned()).or_default();
        if log.is_full(now, &OF_A_CONVERSATION) || self.app.is_full(now, &OF_THE_APP) {
            return false;
        }
        log.0.push_back(now);
        self.app.0.push_back(now);
        true
    }
}

impl Log {
    fn is_full(&mut self, now: Instant, windows: &[(usize, u64)]) -> bool {
        let longest = windows.iter().map(|(_, seconds)| *seconds).max().unwrap_or_default();
        while self
            .0
            .front()
            .is_some_and(|at| now - *at >= Duration::from_secs(longest))
        {
            self.0.pop_front();
        }
        windows.iter().any(|(most, seconds)| {
            let inside = self
                .0
                .iter()
                .rev()
                .take_while(|at| now - **at < Duration::from_secs(*seconds));
            inside.count() >= *most
        })
    }
}
