//! Prints the story to the terminal, and waits until each expected state is reached.

use std::time::Duration;
use std::time::Instant;

use anyhow::bail;

use crate::sandbox::Sandbox;
use crate::view::View;

/// The time limit for each expected state; longer than any scene needs.
const TIMEOUT: Duration = Duration::from_secs(15);

pub struct Narrator {
    sandbox: Sandbox,
    begun: Instant,
}

impl Narrator {
    pub fn new(sandbox: Sandbox) -> Self {
        let begun = Instant::now();
        Self { sandbox, begun }
    }

    /// Prints what happens next.
    pub fn say(&self, what: &str) {
        self.print("  ", what);
    }

    /// Waits until `condition` holds, and prints `what`.
    ///
    /// # Errors
    /// The condition does not hold in time; the error contains the actual state.
    pub async fn see(&self, what: &str, condition: impl Fn(&View) -> bool) -> anyhow::Result<()> {
        let mut changes = self.sandbox.changes();
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            let view = self.sandbox.view();
            if condition(&view) {
                self.print("✓ ", what);
                return Ok(());
            }
            let Ok(next_view) = tokio::time::timeout_at(deadline, changes.next()).await else {
                self.print("✗ ", what);
                let (seconds, picture) = (TIMEOUT.as_secs(), picture(&view));
                bail!("{what}: not reached within {seconds} s; the actual state is:\n{picture}");
            };
            next_view?;
        }
    }

    #[expect(clippy::print_stdout, reason = "the story goes to the terminal")]
    fn print(&self, mark: &str, what: &str) {
        println!("{:6.2}s {mark}{what}", self.begun.elapsed().as_secs_f32());
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Returns a short list of all requests and cards.
pub fn picture(view: &View) -> String {
    let mut lines = vec![format!("daemon {} {}", view.daemon.state, view.daemon.note)];
    for request in &view.requests {
        lines.push(format!("request {} of {}: {}", request.id, request.user, request.stage));
        for (chat, card) in view.cards_of(&request.id) {
            let versions = card.versions.len();
            lines.push(format!("    {chat} shows {} (version {versions})", card.says));
        }
    }
    lines.join("\n")
}
