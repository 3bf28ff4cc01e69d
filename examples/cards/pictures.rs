//! Pictures of the cards, drawn by Microsoft's renderer in chromium (`tests/peers/pictures.cjs`).

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// Draws each `NAME.json` of the directory as `NAME.png`, and returns what there is to report: the number of pictures, or
/// which program was missing.
///
/// # Errors
///
/// If everything is installed but a card cannot be drawn.
pub(crate) fn draw(directory: &Path) -> anyhow::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/run");
    let output = match Command::new("bash").arg(script).arg("pictures").arg(directory).output() {
        Ok(output) => output,
        Err(error) => {
            return Ok(format!(
                "skipped: pictures of the cards (bash cannot be started: {error})\n"
            ));
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "could not draw the cards: {}", errors.trim());
    String::from_utf8(output.stdout).context("the report of the pictures is not UTF-8")
}
