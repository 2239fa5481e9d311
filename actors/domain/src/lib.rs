//! The pure domain: no clock, no I/O, no async. [`Session::decide`] turns a command into events or a [`Rejection`],
//! [`Session::apply`] folds events into the state, and [`view`] shows each partner only what that partner may see.

pub mod agreement;
pub mod app;
mod apply;
pub mod command;
pub mod consents;
pub mod context;
pub mod empathy;
pub mod event;
pub mod ids;
pub mod invitation;
pub mod member;
pub mod needs;
pub mod private_text;
pub mod query;
pub mod rejection;
pub mod routing;
pub mod rules;
#[cfg(feature = "schema")]
mod schema;
pub mod session;
pub mod side;
pub mod stage;
pub mod stage4;
pub mod strategy;
pub mod tending;
pub mod time;
pub mod timer;
pub mod view;

pub use command::{Command, CreateSession};
pub use context::{Actor, Caller, Context, Ids, Privacy, Settings};
pub use event::{Announcement, Audience, Event, EventBody, EventName};
pub use query::Query;
pub use rejection::{Code, Rejection};
pub use session::Session;
pub use timer::Timer;
pub use view::Answer;
