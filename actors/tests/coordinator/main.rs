//! What the actors promise, with real actors and journal over a store in memory.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as promised")]

mod clock;
mod commands;
mod costs;
mod crashes;
mod delivery;
mod retention;
mod sweep;
mod world;
