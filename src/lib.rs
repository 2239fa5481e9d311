//! Tandem, the shell around [`tandem_actors`]: whatever touches the outside.

pub mod auth;
mod breaker;
pub mod cli;
pub mod config;
pub mod connections;
pub mod debug;
pub mod demo;
pub mod files;
pub mod http;
pub mod limits;
mod meters;
mod network;
pub mod operator;
pub mod push;
pub mod realtime;
mod retry_after;
pub mod secret;
pub mod secrets;
pub mod server;
pub use tandem_store as store;
pub mod system;
pub mod telemetry;
pub mod tls;
pub mod users;
