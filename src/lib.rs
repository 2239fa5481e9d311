//! The shell of Tandem: everything around [`tandem_actors`] that touches the outside. Only what other crates, tests and
//! benches use is public.

mod acme;
mod auth;
mod backups;
mod breaker;
pub mod cli;
pub mod config;
mod connections;
mod console;
mod debug;
mod demo;
mod files;
mod fleet;
mod http;
mod limits;
mod meters;
mod network;
mod operator;
pub mod push;
pub mod realtime;
mod retry_after;
pub mod secret;
mod secrets;
mod server;
pub use tandem_store as store;
mod system;
mod telemetry;
pub mod tls;
mod traces;
mod users;
mod version;

/// What the fuzz targets call.
#[cfg(fuzzing)]
pub mod fuzz_tests {
    pub use crate::{
        auth::fuzz_tests::{bearer, jwks},
        config::fuzz_tests::config,
        http::fuzz_tests::body,
        realtime::fuzz_tests::webhook,
    };
}
