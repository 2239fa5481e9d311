//! What the actors promise, with real actors and journal over a store in memory.

mod commands;
mod crashes;
mod delivery;
mod store;
mod sweep;
mod world;
