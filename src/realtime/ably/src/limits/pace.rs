//! How fast the server reads one connection. Each frame has a price. A client that has spent too much must wait. A
//! connection with many frames at hand lets other connections run in between.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Instant,
};
use tandem_intake::{Bucket, Handle};

use super::{Account, LimitsConfig};
use crate::protocol::{Action, ErrorInfo};

/// The work of a connection before other connections run.
const TURN: u64 = 48;
/// Bytes that cost one unit.
pub const BYTES_PER_UNIT: usize = 8 * 1024;

/// The price of a frame, without the price of what it replays. MESSAGE has a limit of its own.
pub fn price(action: Option<Action>) -> u64 {
    match action {
        Some(Action::Message) => 0,
        Some(Action::Attach) => 10,
        Some(Action::Detach | Action::Sync) => 5,
        Some(Action::Presence) => 3,
        Some(Action::Auth) => 20,
        _ => 1,
    }
}

/// Why a frame is not read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// Its header announces too many bytes.
    TooLarge,
    /// Its header is invalid.
    Malformed,
    /// Too many frames are incomplete.
    NoRoom,
}

#[derive(Debug)]
pub struct ReadingPace {
    own: RefCell<Bucket>,
    bytes: RefCell<Bucket>,
    account: Option<Arc<Account>>,
    handle: Option<Handle>,
    spent_in_turn: Cell<u64>,
    waits_until: Cell<Option<Instant>>,
    frame_fault: Cell<Option<FrameFault>>,
}

impl ReadingPace {
    pub fn new(config: &LimitsConfig, account: Option<Arc<Account>>, handle: Option<Handle>) -> Self {
        let now = Instant::now();
        Self {
            own: RefCell::new(Bucket::new(config.frame_rate, config.frame_rate.saturating_mul(2), now)),
            bytes: RefCell::new(Bucket::new(config.inbound_bytes, config.inbound_bytes.saturating_mul(2), now)),
            account,
            handle,
            spent_in_turn: Cell::new(0),
            waits_until: Cell::new(None),
            frame_fault: Cell::new(None),
        }
    }

    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Charges work.
    pub fn spend(&self, units: u64) {
        self.spent_in_turn.set(self.spent_in_turn.get() + units.max(1));
        if units == 0 {
            return;
        }
        let now = Instant::now();
        let own = self.own.borrow_mut().owe(units, now);
        let users = self.account.as_ref().map_or(own, |account| account.spend(units, now));
        let wait = own.max(users);
        if !wait.is_zero() {
            metrics::counter!("tandem_realtime_slowed_total").increment(1);
            self.waits_until.set(Some(now + wait));
        }
    }

    /// Charges published bytes.
    ///
    /// # Errors
    /// 42910
    pub fn publish(&self, bytes: usize, config: &LimitsConfig) -> Result<(), ErrorInfo> {
        if !self.bytes.borrow_mut().take(bytes as u64, Instant::now()) {
            let most = config.inbound_bytes;
            return Err(ErrorInfo::rate_exceeded(format!("more than {most} bytes per second were published")));
        }
        self.account.as_ref().map_or(Ok(()), |account| account.publish(bytes, config))
    }

    /// Charges bytes that a frame causes to be sent.
    pub fn spend_bytes(&self, bytes: usize) {
        let units = (bytes / BYTES_PER_UNIT) as u64;
        if units > 0 {
            self.spend(units);
        }
    }

    /// The time until which nothing is read.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waits_until.get()
    }

    /// Ends the wait. Returns the time until which the caller waits in its place.
    pub fn take_wait(&self) -> Option<Instant> {
        self.waits_until.take()
    }

    pub(super) fn resume(&self) {
        self.waits_until.set(None);
        if let Some(handle) = &self.handle {
            handle.resume();
        }
    }

    pub(super) fn pause(&self) {
        if let Some(handle) = &self.handle {
            handle.pause();
        }
    }

    /// Whether other connections must run now. If so, the count starts again.
    pub(super) fn yields(&self) -> bool {
        let over = self.spent_in_turn.get() >= TURN;
        if over {
            self.spent_in_turn.set(0);
        }
        over
    }

    pub(super) fn fail(&self, frame_fault: FrameFault) {
        self.frame_fault.set(Some(frame_fault));
    }

    pub fn frame_fault(&self) -> Option<FrameFault> {
        self.frame_fault.get()
    }
}
