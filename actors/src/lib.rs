//! The heart of Tandem: the session domain, and the actors that hold, persist and tell it. Knows no HTTP, no sled, no
//! Ably, no Expo: those are served through [`ports`].

pub mod domain;
pub mod journal;
pub mod keys;
pub mod ports;
pub mod records;
