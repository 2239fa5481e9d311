//! The ports: what the actors need from the outside, as traits. Each trait is implemented by one room of the shell.

mod clock;
mod push;
mod realtime;
mod store;

use std::pin::Pin;

pub use tandem_domain::Ids;

pub use self::{
    clock::{Clock, Uptime},
    push::{Devices, Push, PushCheck, PushVerdict},
    realtime::{
        Channel, PresenceChange, PresenceMember, PresenceSink, PresenceSource, Publication, Realtime, RealtimeError,
    },
    store::{Change, Claim, Commit, Direction, Fence, Key, OwnerEpoch, Store, StoreError, StoreFault, Verdict},
};

/// A future that a trait object returns.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;
