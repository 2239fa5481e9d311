//! How fast one connection is read. Frames have prices; who has spent too much waits, and what it sends waits with it. A connection that has
//! many frames at hand lets others have their turn between them.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Instant,
};
use tandem_intake::{Bucket, Handle};

use super::{Account, LimitsConfig};
use crate::protocol::{Action, ErrorInfo};

/// What a connection may spend before others have their turn.
const TURN: u64 = 48;
/// Bytes that cost as much as the smallest frame.
pub const BYTES_PER_UNIT: usize = 8 * 1024;

/// What a frame costs, before what it brings up is known. MESSAGE has a rate of its own.
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

/// Why a frame is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// Its header says that it is larger than frames may be.
    TooLarge,
    /// Its header is none that a client may send.
    Malformed,
    /// Too many frames are incomplete at the moment.
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

    /// Pays for work.
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

    /// Whether so many bytes more may be published.
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

    /// Pays for bytes that are brought up.
    pub fn spend_bytes(&self, bytes: usize) {
        let units = (bytes / BYTES_PER_UNIT) as u64;
        if units > 0 {
            self.spend(units);
        }
    }

    /// Until when nothing more is read.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waits_until.get()
    }

    pub(super) fn go_on(&self) {
        self.waits_until.set(None);
        if let Some(handle) = &self.handle {
            handle.go_on();
        }
    }

    pub(super) fn pause(&self) {
        if let Some(handle) = &self.handle {
            handle.pause();
        }
    }

    /// Whether it is the others' turn. Then the next turn begins.
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
