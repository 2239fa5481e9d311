//! The heart of Tandem: the session domain, and the actors that hold, persist and tell it. Knows no HTTP, no sled, no
//! Ably, no Expo: those are served through [`ports`].
//!
//! A command's way: [`Coordinator::execute`] puts it into the session's inbox ([`supervisor`]), its [`session`] actor decides on the
//! state in memory and hands events and index rows to the [`journal`], which writes many sessions' commits with one flush. What tells
//! anybody of the change (the answer, reads that saw it, publications, pushes) waits at the [`gate`] until then.

mod accounts;
pub mod backoff;
mod badge;
pub mod coordinator;
mod erasure;
pub mod explain;
pub mod failpoint;
pub mod gate;
pub mod housekeeping;
pub mod idempotency;
mod index;
pub mod journal;
pub mod keys;
pub mod list;
pub mod messages;
mod nicknames;
pub mod outbox;
mod pairs;
pub mod people;
pub mod ports;
pub mod presence;
mod quota;
pub mod records;
pub mod session;
pub mod settling;
pub mod stored;
pub mod supervisor;
mod sweep;

pub use tandem_domain as domain;

pub use coordinator::Coordinator;
pub use erasure::Erasure;
pub use list::ListFilter;
pub use messages::{IdempotencyKey, Refusal, Reply};
pub use people::{PeopleFilter, WithPerson};
pub use supervisor::Arbiters;
