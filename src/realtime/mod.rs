//! Realtime: how connected partners hear of their session. Channel names, tokens, and the providers that carry the
//! events.

pub mod channels;
pub mod cloud;
pub(crate) mod config;
pub mod embedded;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
pub(crate) mod key;
pub(crate) mod provider;
pub mod token;
pub(crate) mod webhook;

pub use self::key::ApiKey;
pub(crate) use self::{
    config::{ProviderKind, RealtimeSettings},
    provider::{HistoryNotDeleted, Provider, RealtimeTokens, TokensNotEnded},
};
