//! What the benches share: a load generator that is cheaper than what it drives, the server as a process of its own,
//! the machine's own limits measured in the same run, and tables.
#![allow(dead_code, reason = "each bench uses its part")]

pub mod args;
pub mod arrivals;
pub mod baseline;
pub mod compare;
pub mod driver;
pub mod frames;
pub mod growth;
pub mod hostile;
pub mod hot;
pub mod load;
pub mod node;
pub mod peers;
pub mod postgres;
pub mod process;
pub mod rooms;
pub mod socket;
pub mod stored;
pub mod table;
pub mod targets;
pub mod world;
