//! What the actors promise, with real actors and journal over a store in memory.

mod clock;
mod commands;
mod costs;
mod crashes;
mod delivery;
mod sweep;
mod world;
