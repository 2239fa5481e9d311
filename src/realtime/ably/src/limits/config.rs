//! Section `realtime.embedded.limits` of the configuration.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Sockets that one client id may have open.
    pub connections_per_user: usize,
    /// Connections that one client id may make in a second; ten times as many at once.
    pub connects_per_user: u64,
    /// Attachments of one connection.
    pub attachments: usize,
    /// Names under which one connection may attach to the same channel, as `[?rewind=1]name`.
    pub names_per_channel: usize,
    /// What a connection, and all connections of one client id together, may spend in a second on other frames than MESSAGE. A HEARTBEAT costs
    /// 1, an ATTACH 10 and what it replays. Faster clients are read more slowly.
    pub frame_rate: u64,
    /// Bytes per second that a connection, and all of one client id together, may publish; twice as many at once.
    pub inbound_bytes: u64,
    /// Bytes on persisted channels that one client id may have stored within `history`.
    pub stored_bytes_per_user: u64,
    /// The same for all clients together.
    pub stored_bytes: u64,
    /// Bytes of one channel's log in memory.
    pub log_bytes: usize,
    /// Bytes of one channel's presence set.
    pub presence_bytes: usize,
    /// Bytes of all logs and presence sets in memory.
    pub kept_bytes: usize,
    /// Bytes that may wait for all connections together.
    pub outbound_bytes: usize,
    /// Bytes of frames that are not complete yet.
    pub partial_bytes: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections_per_user: 128,
            connects_per_user: 10,
            attachments: 1_000,
            names_per_channel: 8,
            frame_rate: 2_000,
            inbound_bytes: 4 << 20,
            stored_bytes_per_user: 128 << 20,
            stored_bytes: 2 << 30,
            log_bytes: 16 << 20,
            presence_bytes: 1 << 20,
            kept_bytes: 96 << 20,
            outbound_bytes: 96 << 20,
            partial_bytes: 32 << 20,
        }
    }
}
