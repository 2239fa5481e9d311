//! Nothing that strangers, or one user, send, withhold or flood ends the node or slows the others.

mod bodies;
mod connections;
mod flood;
mod raw;
mod shares;
