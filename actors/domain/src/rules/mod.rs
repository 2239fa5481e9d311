//! What follows from the state of a session: gates, submissions, phases, timers. These functions read the state and
//! never change it. Commands decide by them, and views show them.

mod coverage;
mod gate;
mod gates;
mod listed;
mod phase;
mod submissions;
mod tending;
mod timers;

pub(crate) use coverage::{Coverage, CoverageRow};
pub(crate) use gate::Gate;
pub use gates::BlockedReason;
pub(crate) use gates::PARTNER_READY;
pub(crate) use gates::{Blocked, Gates};
pub use listed::ListEntry;
pub(crate) use submissions::Submission;
