//! Tells the story on the terminal, and waits for what it says to become true.

use std::time::Duration;
use std::time::Instant;

use anyhow::bail;

use crate::sandbox::Sandbox;
use crate::view::View;

/// Longer than any scene needs, shorter than a person's patience.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Narrator {
    sandbox: Sandbox,
    begun: Instant,
}

impl Narrator {
    pub fn new(sandbox: Sandbox) -> Self {
        let begun = Instant::now();
        Self { sandbox, begun }
    }

    /// Says what happens now.
    pub fn tell(&self, what: &str) {
        self.print("  ", what);
    }

    /// Waits until `condition` holds, and says so.
    ///
    /// # Errors
    /// It does not hold in time; the error tells what was the case instead.
    pub async fn see(&self, what: &str, condition: impl Fn(&View) -> bool) -> anyhow::Result<()> {
        let mut changes = self.sandbox.changes();
        let last_look = tokio::time::Instant::now() + PATIENCE;
        loop {
            let view = self.sandbox.view();
            if condition(&view) {
                self.print("✓ ", what);
                return Ok(());
            }
            let Ok(something) = tokio::time::timeout_at(last_look, changes.next()).await else {
                self.print("✗ ", what);
                let (patience, picture) = (PATIENCE.as_secs(), picture(&view));
                bail!("{what}: not seen within {patience} s; instead:\n{picture}");
            };
            something?;
        }
    }

    #[expect(clippy::print_stdout, reason = "the story is told to the person at the terminal")]
    fn print(&self, mark: &str, what: &str) {
        println!("{:6.2}s {mark}{what}", self.begun.elapsed().as_secs_f32());
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Lists every request and every card in a few words.
pub fn picture(view: &View) -> String {
    let mut lines = vec![format!("daemon {} {}", view.daemon.state, view.daemon.note)];
    for request in &view.requests {
        lines.push(format!("request {} of {}: {}", request.id, request.user, request.stage));
        for (chat, card) in view.cards_of(&request.id) {
            let versions = card.versions.len();
            lines.push(format!("    {chat} reads {} (version {versions})", card.says));
        }
    }
    lines.join("\n")
}
