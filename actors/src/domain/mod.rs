//! The domain, pure: no clock, no I/O, no async.

pub mod ids;
pub mod time;
pub mod words;
