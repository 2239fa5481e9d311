//! The wire protocol: Ably's frames as values, in JSON and MessagePack. No I/O, no clock, no state. Any bytes give a
//! frame or an error and never a panic. The memory is at most a small multiple of the input.

mod content;
pub(crate) mod data;
pub(crate) mod error;
pub(crate) mod flags;
pub(crate) mod format;
pub(crate) mod frame;
pub(crate) mod lenient;
pub(crate) mod message;
pub(crate) mod presence;
pub(crate) mod serial;
mod surrogates;

#[cfg(test)]
mod any_bytes;
#[cfg(any(test, fuzzing))]
pub mod exercise;

pub use content::content_of;
pub use data::Data;
pub use error::ErrorInfo;
pub use flags::Modes;
pub use format::Format;
pub use frame::{Action, Inbound, Outbound};
pub use message::{InboundMessage, Message};
pub use presence::{InboundPresence, PresenceAction, PresenceMessage};
pub use serial::ChannelSerial;

/// The largest sum of names, data, client ids and extras of one publish.
pub const MAX_MESSAGE_SIZE: usize = 65_536;
/// The largest frame.
pub const MAX_FRAME_SIZE: usize = 524_288;
