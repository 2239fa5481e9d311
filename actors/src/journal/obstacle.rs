//! The reasons for which the journal refuses commits, and what a caller learns of them.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Why the journal refuses commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The store failed, or the node is stopping.
    Failed,
    /// A write has not returned for too long.
    Stalled,
    /// The disk is almost full.
    NoRoom,
    /// The queue is full.
    Busy,
}

impl Obstacle {
    /// The reason that the caller sees.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Failed => "the server cannot store anything; try again",
            Self::Stalled => {
                "the server's store does not answer; try again, with the same Idempotency-Key if you sent one"
            }
            Self::NoRoom => "the server's disk is almost full; what is stored can be read, nothing can be changed",
            Self::Busy => "the journal is full; try again",
        }
    }

    /// Whether only the disk is the cause: the journal resumes by itself when the disk works again or has room.
    pub fn passes_by_itself(self) -> bool {
        matches!(self, Self::Stalled | Self::NoRoom)
    }

    /// When the caller should try again.
    pub fn retry_after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Failed | Self::Busy => 1,
            Self::Stalled => 5,
            Self::NoRoom => 30,
        })
    }
}

/// The state of the disk, as the writer's thread and the watches of the disk report it.
#[derive(Debug)]
pub(super) struct DiskState {
    origin: Instant,
    /// Milliseconds from the origin to the beginning of the current write, plus one; 0 if there is none.
    writing_since: AtomicU64,
    no_room: AtomicBool,
    /// The store has refused the last group: too much waits behind it.
    behind: AtomicBool,
    stall_after: Duration,
}

impl DiskState {
    pub(super) fn new(stall_after: Duration) -> Self {
        Self {
            origin: Instant::now(),
            writing_since: AtomicU64::new(0),
            no_room: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            stall_after,
        }
    }

    pub(super) fn write_begins(&self) {
        let since = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.writing_since.store(since + 1, Ordering::Release);
    }

    pub(super) fn write_ended(&self) {
        self.writing_since.store(0, Ordering::Release);
    }

    /// How long the current write has taken, if that is too long.
    pub(super) fn stalled(&self) -> Option<Duration> {
        let since = self.writing_since.load(Ordering::Acquire).checked_sub(1)?;
        let lasts = self.origin.elapsed().saturating_sub(Duration::from_millis(since));
        (lasts >= self.stall_after).then_some(lasts)
    }

    pub(super) fn set_no_room(&self, no_room: bool) {
        self.no_room.store(no_room, Ordering::Release);
    }

    pub(super) fn has_no_room(&self) -> bool {
        self.no_room.load(Ordering::Acquire)
    }

    pub(super) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Release);
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }
}
