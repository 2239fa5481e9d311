//! A server that the unmodified Ably SDK connects to.
//!
//! # What it serves
//! - WebSocket and REST in JSON and MessagePack, protocol version 6 (the SDKs of older versions from 1.2 on work too).
//! - Keys, tokens (`requestToken`), JWTs (HS256), capabilities, revocation, in-band AUTH, AUTH asked for before a token
//!   expires.
//! - Channels: modes, `rewind`, parameters in names, filtered channels, publish with and without attachment, echo,
//!   extras, opaque encodings, binary data across formats, ids chosen by clients (a repetition is delivered once),
//!   continuity by channel serial.
//! - Presence: enter, update, leave, on behalf of others, paged sync, grace for lost sockets, history.
//! - Resume and recover of connections for `connection_state_ttl`, also across a restart of the node (main app).
//! - Events without an SDK: server-sent events and JSON lines.
//! - History with paging, batch publish and presence, channel status and enumeration, unenveloped publish.
//! - Rights that follow the application: a token loses a right as soon as the application withdraws it.
//! - Persistence of the channels of configured namespaces, with their presence sets. Other channels need no disk,
//!   except for the handover of a graceful stop.
//! - Test apps (`sandbox`), isolated from each other, in memory only.
//!
//! # What it does not serve
//! - LiveObjects, annotations, updating and deleting messages, push administration: refused with 40300.
//! - Delta compression: ATTACHED comes with an error 40300, and messages come whole.
//! - Comet transports, metachannels (`[meta]…`: 40010), encrypted or embedded JWTs.
//! - Statistics: `GET /stats` returns an empty list, except for test apps.
//!
//! # How it is built
//! The server stands alone. [`Application`] is the interface to the application that it serves, and
//! [`storage::Storage`] keeps its rows. [`protocol`] knows the wire and nothing else. [`auth`] decides who may do
//! what. A [`hub`] is one app with its channels and connections. A [`channel`] has a log, subscribers and members
//! behind one lock. A [`connection`] outlives its sockets. A [`socket`] is an actor. An [`outbox`] lies between
//! channels and a socket, so that a slow reader slows nobody. [`rest`] has the routes, and [`endpoint`] is the server
//! as a whole.

mod application;
mod auth;
mod channel;
mod config;
mod connection;
mod endpoint;
mod event_stream;
mod history;
mod hub;
mod limits;
mod log;
mod outbox;
mod paging;
mod persist;
mod presence;
mod protocol;
mod publication;
mod random;
mod rate;
mod replies;
mod rest;
mod socket;
mod stats;
pub mod storage;
mod time;

pub use self::{
    application::{Application, ChannelBinding, EventRef, PresenceChange, Rights},
    auth::{APP_NONCE_PREFIX, ApiKey, Capability, hmac_sha256},
    config::{Config, InvalidConfig, KeyConfig, Namespace},
    endpoint::{ChannelOverview, ConnectionOverview, CredentialsOverview, Endpoint, Overview, PendingWrite, StartPage},
    limits::LimitsConfig,
    protocol::{ErrorInfo, Format, PresenceMessage},
    time::Timestamp,
};

/// What the fuzz targets call.
#[cfg(fuzzing)]
pub mod fuzz_tests {
    pub use crate::{
        auth::fuzz_tests::{capability, token_request},
        channel::fuzz_tests::{channel_name, filter},
        protocol::exercise::{frame_json, frame_msgpack},
        rest::fuzz_tests::{rest_body, rest_query},
    };
}
