//! The embedded realtime endpoint, from outside: with the official SDK and with bare WebSockets.

mod coordinator;
pub mod node;
mod raw;
mod restart;
mod sdk;
mod wire;
