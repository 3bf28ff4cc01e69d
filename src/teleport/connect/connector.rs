//! Opens connections for the HTTP/2 client, each with the newest credentials.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::TokioIo;

use crate::clock;
use crate::teleport::connect::route::{ConnectError, Route};
use crate::teleport::connect::routes::Routes;
use crate::teleport::connect::stream::{AuthStream, LastAlert};
use crate::teleport::identity::{Identity, Keyring};

/// Opens connections. Clones share their state.
#[derive(Clone, Debug)]
pub(in crate::teleport) struct Connector {
    keyring: Keyring,
    routes: Routes,
    alert: LastAlert,
    last: Arc<Mutex<Option<Connection>>>,
}

/// The route and the credentials of the last connection.
#[derive(Clone, Debug)]
pub(in crate::teleport) struct Connection {
    pub(in crate::teleport) route: Route,
    pub(in crate::teleport) identity: Arc<Identity>,
}

type Opening = Pin<Box<dyn Future<Output = Result<TokioIo<AuthStream>, ConnectError>> + Send>>;

impl Connector {
    pub(in crate::teleport) fn new(keyring: Keyring, routes: Routes) -> Self {
        Self {
            keyring,
            routes,
            alert: LastAlert::default(),
            last: Arc::default(),
        }
    }

    /// Opens a connection. Does not dial with credentials that are known to have expired.
    pub(in crate::teleport) fn open(&self) -> Opening {
        let this = self.clone();
        Box::pin(async move {
            let identity = this.keyring.for_connection(clock::now()).await?;
            let (route, stream) = this.routes.connect(&identity).await?;
            let connection = Connection { route, identity };
            *this.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            Ok(TokioIo::new(AuthStream::new(stream, this.alert)))
        })
    }

    pub(in crate::teleport) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(in crate::teleport) fn alert(&self) -> &LastAlert {
        &self.alert
    }

    /// Returns the last connection that was opened, if any.
    pub(in crate::teleport) fn last(&self) -> Option<Connection> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
