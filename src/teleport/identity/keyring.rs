//! The newest valid credentials, shared by all connections.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock;
use crate::config::{Credentials, TeleportSettings};
use crate::teleport::identity::{Identity, IdentityError};

/// Credentials that may be renewed in their files. Clones share them.
///
/// An invalid file never replaces valid credentials.
#[derive(Clone, Debug)]
pub struct Keyring {
    credentials: Arc<Credentials>,
    follows: bool,
    newest: watch::Sender<Arc<Identity>>,
}

impl Keyring {
    /// Loads the files for the first time.
    pub(in crate::teleport) async fn load(settings: &TeleportSettings) -> Result<Self, IdentityError> {
        let identity = Identity::load(&settings.credentials).await?;
        identity.check_time(clock::now())?;
        Ok(Self {
            credentials: Arc::new(settings.credentials.clone()),
            follows: settings.refresh.is_some(),
            newest: watch::Sender::new(Arc::new(identity)),
        })
    }

    pub fn newest(&self) -> Arc<Identity> {
        Arc::clone(&self.newest.borrow())
    }

    /// Returns a receiver of every renewal from now on.
    pub(in crate::teleport) fn renewals(&self) -> watch::Receiver<Arc<Identity>> {
        self.newest.subscribe()
    }

    pub(in crate::teleport) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Reads the files again, and uses new credentials from then on.
    pub(in crate::teleport) async fn refresh(&self) -> Result<(), IdentityError> {
        if !self.follows {
            return Ok(());
        }
        let read = Identity::load(&self.credentials).await?;
        if read.is_same(&self.newest.borrow()) {
            return Ok(());
        }
        read.check_time(clock::now())?;
        self.newest.send_replace(Arc::new(read));
        Ok(())
    }

    /// Returns the credentials for a new connection: those in the files now, or the previous ones while the files are
    /// being written.
    pub(in crate::teleport) async fn for_connection(&self, now: Timestamp) -> Result<Arc<Identity>, IdentityError> {
        let refreshed = self.refresh().await;
        let newest = self.newest();
        match (newest.check_time(now), refreshed) {
            (Ok(()), _) => Ok(newest),
            // An error in the files is more useful than the expiry of the old credentials.
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }
}
