//! Tandem, the shell around [`tandem_actors`]: whatever touches the outside.

pub mod auth;
pub mod cli;
pub mod config;
pub mod http;
pub mod push;
pub mod realtime;
pub mod secrets;
pub mod store;
pub mod telemetry;
