//! Runs work that can block, such as reading files, outside the few threads that serve all connections.
//!
//! Architecture Invariant: knows nothing of the program.

use std::panic::resume_unwind;

/// Runs a closure on a thread for blocking work, and returns its result. A panic continues in the caller.
///
/// If the runtime ends first, this never returns.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test runtime has one thread for everything else.
    #[tokio::test]
    async fn work_that_blocks_keeps_no_other_task_from_running() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let blocked = apart(move || receiver.recv());
        let other = async { sender.send("went on").unwrap() };
        let (result, ()) = tokio::join!(blocked, other);
        assert_eq!(result, Ok("went on"));
    }
}
