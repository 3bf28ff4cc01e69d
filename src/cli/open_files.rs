//! Whether the program may open as many files and sockets as it needs.

use std::os::unix::net::UnixStream;

/// What one daemon needs at the least: connections to Teleport and Microsoft, the watches on its files, its log, and the
/// runtime's own.
const NEEDED: usize = 32;

/// Opens as many as are needed, and closes them. Later is too late: parts of the runtime panic if they cannot have theirs,
/// and what fails after them would be blamed on the network.
///
/// # Errors
/// There are too few.
pub(super) fn check() -> anyhow::Result<()> {
    // Pairs of sockets need nothing beside them, neither a file nor a network: a container may have none.
    let mut pairs = Vec::with_capacity(NEEDED / 2);
    while pairs.len() * 2 < NEEDED {
        match UnixStream::pair() {
            Ok(pair) => pairs.push(pair),
            Err(error) => anyhow::bail!(
                "only {} more files and sockets can be opened, and {NEEDED} are needed ({error}); raise the limit \
                 (`ulimit -n`, `LimitNOFILE=` of the unit)",
                pairs.len() * 2
            ),
        }
    }
    Ok(())
}
