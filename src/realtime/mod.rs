//! Realtime: how connected partners hear of their session. Channel names, tokens, and the providers that carry the
//! events.

pub mod channels;
pub mod cloud;
pub mod config;
pub mod embedded;
pub mod key;
pub mod provider;
pub mod token;
pub mod webhook;

pub use self::{
    config::{ProviderKind, RealtimeSettings},
    key::ApiKey,
    provider::Provider,
};
