//! What the store holds, read without an actor: the state of a session, the answers for `Idempotency-Key`s, nicknames,
//! and the delivery decisions of each event.

pub mod explain;
pub mod idempotency;
pub(crate) mod nicknames;
mod session;

pub(crate) use self::session::{Damage, StoredSession, read};
pub(crate) use self::session::{StateForMembers, account_work, events_page, read_event, read_for_members};
