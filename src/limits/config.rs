//! Section `limits` of the configuration.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tandem_intake::{Budget, DEFAULT_BYTES, DEFAULT_GRACE, DEFAULT_LEAST_RATE, Intake};

use super::{Admission, NodeLimits, connections_that_fit};
use crate::{
    connections::{ConnectionLimits, Registry},
    network::Network,
};

/// Bytes of heads of requests that may be under way.
const HEADS: usize = 32 << 20;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Connections in all. Fewer, if the process may not open so many files.
    pub connections: usize,
    /// Connections from one address; behind a proxy, requests and WebSockets of one address at a time.
    pub connections_per_address: usize,
    /// Addresses and networks whose connections `connections_per_address` does not count.
    pub uncounted_addresses: Vec<Network>,
    /// Requests that run at a time.
    pub requests: usize,
    /// Requests that may wait for their turn.
    pub requests_waiting: usize,
    /// Requests of one user that run at a time, while few users have requests.
    pub requests_per_user: usize,
    /// Requests of one user that may wait for their turn.
    pub requests_per_user_waiting: usize,
    /// How long a request may wait for its turn.
    #[serde(with = "humantime_serde")]
    pub request_patience: Duration,
    /// How long a request's body may take beyond what its bytes take at `least_rate`.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Bytes per second that a client must send of a body, and take of an answer.
    pub least_rate: u64,
    /// Bytes of bodies that may be under way.
    pub body_bytes: usize,
    /// Bytes of large answers that may be under way.
    pub answer_bytes: usize,
    /// Bytes that may wait for clients that do not read their answers.
    pub unread_bytes: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let networks = ["127.0.0.0/8", "::1/128"];
        let network = |text: &&str| Network::try_from((*text).to_owned()).ok();
        Self {
            connections: 16_384,
            connections_per_address: 2_048,
            uncounted_addresses: networks.iter().filter_map(network).collect(),
            requests: 512,
            requests_waiting: 512,
            requests_per_user: 32,
            requests_per_user_waiting: 256,
            request_patience: Duration::from_secs(2),
            body_timeout: DEFAULT_GRACE,
            least_rate: DEFAULT_LEAST_RATE,
            body_bytes: DEFAULT_BYTES,
            answer_bytes: 64 << 20,
            unread_bytes: 64 << 20,
        }
    }
}

impl LimitSettings {
    pub fn intake(&self) -> Intake {
        Intake::new(self.body_timeout, self.least_rate, self.body_bytes)
    }

    /// The limits of a node. `head` is how long the head of a request may take, `idle` how long a connection may wait
    /// for one.
    pub fn limits(&self, trusted_proxies: &[Network], head: Duration, idle: Duration) -> NodeLimits {
        let limits = ConnectionLimits {
            most: connections_that_fit(self.connections),
            most_from_one: self.connections_per_address,
            uncounted: [&self.uncounted_addresses[..], trusted_proxies].concat(),
            head,
            idle,
            least_rate: self.least_rate,
            heads: HEADS,
            unread: self.unread_bytes,
        };
        NodeLimits {
            connections: Registry::new(limits),
            intake: Arc::new(self.intake()),
            admission: Admission::new(self),
            answers: Budget::new(self.answer_bytes),
        }
    }
}
