//! The embedded realtime endpoint, from outside: with the official SDK and with bare WebSockets.

mod continuity;
mod coordinator;
mod event_stream;
mod handover;
mod limits;
mod members;
pub mod node;
mod raw;
mod reference;
mod rest;
mod restart;
mod resume;
mod rights;
mod sdk;
mod serials;
mod wire;
