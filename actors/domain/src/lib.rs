//! The pure domain: no clock, no I/O, no async. [`Session::decide`] turns a command into events or a [`Rejection`],
//! [`Session::apply`] folds events into the state, and [`view`] shows each partner only what that partner may see.

#![warn(unreachable_pub, clippy::wildcard_enum_match_arm)]

pub mod agreement;
pub mod app;
mod apply;
pub mod command;
pub mod consents;
mod context;
mod empathy;
pub mod event;
mod history;
pub mod ids;
pub mod invitation;
mod member;
pub mod needs;
pub mod private_text;
mod query;
mod rejection;
pub mod routing;
mod rules;
#[cfg(feature = "schema")]
mod schema;
mod session;
mod side;
pub mod stage;
pub mod stage4;
pub mod strategy;
pub mod tending;
pub mod time;
mod timer;
pub mod view;

pub use command::{Command, CreateSession};
pub use context::{Actor, Caller, Context, DomainSettings, Ids, Privacy};
pub use event::{Announcement, Audience, Event, EventBody, EventName};
pub use query::Query;
pub use rejection::{Code, Rejection};
pub use rules::{BlockedReason, ListEntry};
pub use session::Session;
pub use timer::Timer;
pub use view::Answer;
