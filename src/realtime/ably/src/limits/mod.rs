//! Limits of each client, and of all clients together. Everything that waits or is kept is counted in bytes. Every
//! frame has a price, and the server reads a client more slowly that spends too fast.

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

/// Memory budgets of all connections and channels.
#[derive(Debug)]
pub struct Memory {
    /// Logs and presence sets of channels.
    pub kept: Arc<Budget>,
    /// Frames that wait for clients.
    pub outbound: Arc<Budget>,
    /// Incomplete frames.
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

    /// Updates the metrics.
    pub fn measure(&self) {
        for (kind, budget) in [("kept", &self.kept), ("outbound", &self.outbound), ("partial", &self.partial)] {
            metrics::gauge!("tandem_realtime_bytes", "kind" => kind).set(budget.taken() as f64);
        }
    }
}
