//! What the store says, read without an actor: a session's state, the answers kept for `Idempotency-Key`s, nicknames, and why a partner was
//! told as they were.

pub mod explain;
pub mod idempotency;
pub(crate) mod nicknames;
mod session;

pub use self::session::{Damage, Stored, read};
pub(crate) use self::session::{StateForMembers, account_work, events_page, read_event, read_for_members};
