//! Checks that the program can open enough files and sockets.

use std::os::unix::net::UnixStream;

/// The minimum for one daemon: connections to Teleport and Microsoft, file watches, the log, and the runtime's own files.
const NEEDED: usize = 32;

/// Opens the required number of sockets, and closes them. This runs first because parts of the runtime panic without their
/// files, and later failures would look like network errors.
///
/// # Errors
/// The limit is too low.
pub(super) fn check() -> anyhow::Result<()> {
    // Socket pairs need neither a file nor a network, which a container may lack.
    let mut pairs = Vec::with_capacity(NEEDED / 2);
    while pairs.len() * 2 < NEEDED {
        match UnixStream::pair() {
            Ok(pair) => pairs.push(pair),
            Err(error) => anyhow::bail!(
                "could not open enough files and sockets: {} of {NEEDED} ({error}); raise the limit \
                 (`ulimit -n`, `LimitNOFILE=` of the unit)",
                pairs.len() * 2
            ),
        }
    }
    Ok(())
}
