//! Test doubles for the ports of [`tandem_actors`].

mod clock;
pub mod fixture;
mod ids;
pub mod postgres;
mod providers;
mod store;

pub use self::{
    clock::{ManualClock, WallClock},
    ids::CountingIds,
    providers::{RecordingRealtime, UsersWithDevices},
    store::MemoryStore,
};
