//! The embedded realtime endpoint, from outside: with the official SDK and with bare WebSockets.

pub mod node;
mod sdk;
