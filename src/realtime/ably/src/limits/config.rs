//! Limits of clients. In Tandem: section `realtime.embedded.limits`.

use serde::{Deserialize, Serialize};

/// How much one client may use, and all clients together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The largest number of open sockets of one client id.
    pub connections_per_user: usize,
    /// Connections that one client id may make in a second. Ten times as many may come at once.
    pub connects_per_user: u64,
    /// The largest number of attachments of one connection.
    pub attachments: usize,
    /// The largest number of names under which one connection may attach to the same channel, as `[?rewind=1]name`.
    pub names_per_channel: usize,
    /// Work per second for frames other than MESSAGE, of one connection and of all connections of one client id. A
    /// HEARTBEAT costs 1, an ATTACH 10 and what it replays. The server reads faster clients more slowly.
    pub frame_rate: u64,
    /// Bytes per second that one connection, and all connections of one client id, may publish. Twice as many may
    /// come at once.
    pub inbound_bytes: u64,
    /// Bytes that one client id may have stored on persisted channels within `history`.
    pub stored_bytes_per_user: u64,
    /// The same for all clients together.
    pub stored_bytes: u64,
    /// Bytes of one channel's log in memory.
    pub log_bytes: usize,
    /// Bytes of one channel's presence set.
    pub presence_bytes: usize,
    /// Bytes of all logs and presence sets in memory.
    pub kept_bytes: usize,
    /// Bytes that wait for all connections together.
    pub outbound_bytes: usize,
    /// Bytes of incomplete frames.
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
