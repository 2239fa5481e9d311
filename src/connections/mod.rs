//! Connections from outside, from the moment they are accepted: how many there may be, in all and from one address, and how long each may keep
//! the node waiting. A connection that waits for its client makes room when the node is full; one that works for its client does not.
//!
//! [`Registry`] knows them all, [`tandem_intake::Handle`] is what others know of one, [`Guarded`] is its socket, [`listen`] serves HTTP over them.

pub mod listen;
mod registry;
mod stream;
mod sweep;

pub use self::{
    registry::{Admitted, ConnectionLimits, Forwarded, ConnectionRefusal, Registry},
    stream::Guarded,
};
