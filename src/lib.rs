//! Tandem, the shell around [`tandem_actors`]: whatever touches the outside.

pub mod auth;
pub mod http;
pub mod push;
pub mod realtime;
pub mod recent;
pub mod store;
pub mod tls;
pub mod users;
