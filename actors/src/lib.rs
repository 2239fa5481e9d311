//! The heart of Tandem: the session domain, and the actors that hold, persist and tell it. Knows no HTTP, no sled, no
//! Ably, no Expo: those are served through [`ports`].
//!
//! A command's way: [`Coordinator::execute`] puts it into the session's inbox ([`supervisor`]), its [`session`] actor decides on the
//! state in memory and hands events and index rows to the [`journal`], which writes many sessions' commits with one flush. What tells
//! anybody of the change (the answer, reads that saw it, publications, pushes) waits at the [`gate`] until then.

pub mod backoff;
mod coordinator;
pub mod failpoint;
pub mod journal;
mod messages;
pub mod ports;
mod rows;
pub mod session;
pub mod settling;
mod stored;
pub mod supervisor;
mod trace;

pub use tandem_domain as domain;

pub use coordinator::{Badge, Coordinator, Erasure, ListFilter, SessionsPage, noted_time, people};
pub use messages::{IdempotencyKey, Refusal, Reply};
pub use people::{PeopleFilter, WithPerson};
pub use rows::{keys, records};
pub use session::HeartbeatAnswer;
pub use stored::{explain, idempotency};
pub use supervisor::Arbiters;
pub use trace::RequestId;
