//! What one client may ask of the endpoint, and what all of them may. Everything that waits or is kept is counted in bytes; everything that is
//! done for a client has a price, and a client that spends faster than it earns is read more slowly.

mod account;
mod config;
mod frame_limiter;
mod pace;

use std::sync::Arc;
use tandem_intake::Budget;

pub use self::{
    account::{Account, Accounts, SocketSlot},
    config::LimitsConfig,
    frame_limiter::FrameLimiter,
    pace::{FrameFault, ReadingPace, price},
};

/// Memory that all connections and channels share.
#[derive(Debug)]
pub struct Memory {
    /// Logs and presence sets of channels.
    pub kept: Arc<Budget>,
    /// What waits for clients.
    pub outbound: Arc<Budget>,
    /// Frames that are not complete yet.
    pub partial: Arc<Budget>,
}

impl Memory {
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            kept: Budget::new(config.kept_bytes),
            outbound: Budget::new(config.outbound_bytes),
            partial: Budget::new(config.partial_bytes),
        }
    }

    /// Puts what is held at the moment into the metrics.
    pub fn measure(&self) {
        for (kind, budget) in [("kept", &self.kept), ("outbound", &self.outbound), ("partial", &self.partial)] {
            metrics::gauge!("tandem_realtime_bytes", "kind" => kind).set(budget.taken() as f64);
        }
    }
}
