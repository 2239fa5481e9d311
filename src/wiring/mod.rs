//! Where the rooms meet: what HTTP asks for, served by the coordinator, the push sender and the realtime providers. Nothing is
//! decided here.

pub mod accounts;
pub mod readiness;
pub mod realtime;
pub mod sessions;
