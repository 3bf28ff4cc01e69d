//! A pretend world: a Teleport cluster and a Microsoft tenant that speak the real protocols on loopback sockets, with
//! switchable faults.
//!
//! The sandbox shows it on a page; the tests run the daemon in it. It knows nothing of the daemon.

use std::future::Future;

pub mod balancer;
pub mod cluster;
pub mod corporate;
pub mod gate;
pub mod identity;
pub mod port;
pub mod proxy;
pub mod reading;
pub mod ssh_port;
pub mod tenant;
pub mod web;

/// A part of every secret of this world except keys, so that a log with this text contains a secret.
pub const PLANTED: &str = "plantedsecret";

/// Teleport's messages of `proto/types.proto`.
#[expect(clippy::pedantic, reason = "generated code")]
pub mod types {
    include!(concat!(env!("OUT_DIR"), "/types.rs"));
}

/// Teleport's messages and service of `proto/auth.proto`.
#[expect(clippy::all, clippy::pedantic, clippy::allow_attributes, reason = "generated code")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/proto.rs"));
}

/// The small services, in modules as deep as their packages.
#[expect(clippy::pedantic, clippy::allow_attributes, reason = "generated code")]
pub mod teleport {
    pub mod accesslist {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/teleport.accesslist.v1.rs"));
        }
    }

    pub mod accessmonitoringrules {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/teleport.accessmonitoringrules.v1.rs"));
        }
    }

    pub mod userloginstate {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/teleport.userloginstate.v1.rs"));
        }
    }

    pub mod users {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/teleport.users.v1.rs"));
        }
    }
}

/// Returns the current time.
pub fn now() -> std::time::SystemTime {
    #[expect(clippy::disallowed_methods, reason = "the pretend world is not the daemon")]
    std::time::SystemTime::now()
}

/// Runs a future in the background until it completes.
pub fn spawn<F>(future: F)
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    #[expect(clippy::disallowed_methods, reason = "the pretend world is not the daemon")]
    drop(tokio::spawn(future));
}
