//! How connected partners hear of their session: channel names, tokens, and the providers that carry the events.

pub mod channels;
pub mod embedded;
pub mod token;
