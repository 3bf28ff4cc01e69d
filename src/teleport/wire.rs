//! The generated client and messages of `proto/`.

#![expect(clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]

pub(super) mod proto {
    include!(concat!(env!("OUT_DIR"), "/client/proto.rs"));
}

pub(super) mod types {
    include!(concat!(env!("OUT_DIR"), "/client/types.rs"));
}

/// The small services, in modules as deep as their packages.
pub(super) mod teleport {
    pub mod accessmonitoringrules {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/client/teleport.accessmonitoringrules.v1.rs"));
        }
    }

    pub mod userloginstate {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/client/teleport.userloginstate.v1.rs"));
        }
    }

    pub mod users {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/client/teleport.users.v1.rs"));
        }
    }
}
