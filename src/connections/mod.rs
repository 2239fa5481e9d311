//! Limits for client connections: how many there may be, in all and from one address, and how long each may keep the
//! node waiting. When the node is full, connections that wait for their client are closed; connections with a request
//! under way are not.
//!
//! [`Registry`] holds all connections, [`tandem_intake::Handle`] is the shared state of one, [`GuardedSocket`] is its
//! socket, and [`listen`] serves HTTP over them.

pub(crate) mod listen;
mod passed;
mod refusal;
mod registry;
mod stream;
mod sweep;

pub use self::{
    passed::{PassedConnections, pass_to},
    refusal::failure,
    registry::{ConnectionLimits, ForwardedRequest, Registry, SocketPlace},
    stream::GuardedSocket,
};
