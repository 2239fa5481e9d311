//! How connected partners hear of their session: channel names, tokens, and the providers that carry the events.

pub mod channels;
pub mod cloud;
pub mod config;
pub mod embedded;
pub mod key;
pub mod provider;
pub mod token;
pub mod webhook;

pub use self::{
    config::{Config, ProviderKind},
    key::ApiKey,
    provider::Provider,
};
