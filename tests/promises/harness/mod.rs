//! The outside world of the promises: it starts the real binary, speaks to it as the app does, and stands in for Expo.

mod ably;
mod answer;
mod console;
mod conversation;
mod described;
mod expo;
mod partner;
mod process;
mod routes;
mod server;
mod token;
pub mod views;
mod wait;

pub use ably::Realtime;
pub use answer::{Answer, has, items, text};
pub use console::Console;
pub use conversation::{Conversation, Member, strategies_of, three_ideas};
pub use expo::Expo;
pub use partner::{Partner, Request, http_from, http_once};
pub use process::{Finished, Printed, Running, run, tandem};
pub use routes::{GET_ROUTES, SESSION_ROUTES, all_routes, fill};
pub use server::{SECRET, Server, Setup, server, shared};
pub use token::{Claims, now, sign};
pub use wait::{DEADLINE, eventually, in_time};
