//! What clients send, read within limits of size, time and memory. Shared by Tandem's own routes and by the Ably
//! server.
//!
//! [`read`] reads the body of a request, [`Budget`] bounds what all clients together make the node hold, [`Bucket`]
//! bounds how fast one client may act, and [`Handle`] is the connection that a request came over.

mod body;
mod bucket;
mod budget;
#[cfg(any(test, fuzzing))]
pub mod fuzz_tests;
mod handle;
mod inflate;

pub use self::{
    body::{DEFAULT_BYTES, DEFAULT_GRACE, DEFAULT_LEAST_RATE, Intake, IntakeError, Sender, read},
    bucket::Bucket,
    budget::{Budget, Share},
    handle::{Handle, Phase, UnderWay, now},
};
