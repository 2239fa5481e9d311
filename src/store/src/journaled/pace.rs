//! The pace of the journal. The engine gets the rows of a whole generation at once, and meanwhile the next generation
//! grows. Groups pause while it grows faster than the engine writes.

use std::time::Duration;

use crate::recent::RecentSize;

/// The longest pause before a group. The engine gets the machine's time meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);
/// The part of a checkpoint's time in which rows are written. In the rest the engine syncs.
const WRITING: f64 = 0.6;
/// How far the next generation may be ahead of the engine, as a part of its room; and the further part in which the
/// pauses become longer.
const HEAD_START: f64 = 0.2;

/// How long a group waits so that the engine keeps up: while the engine writes a generation, the next one may fill what
/// is left of `limit` only as fast. Otherwise all groups would stand still at the limit until the last row is written.
pub(super) fn pause(amount: &RecentSize, limit: u64) -> Duration {
    let frozen = amount.bytes - amount.active;
    if frozen == 0 {
        return Duration::ZERO;
    }
    let part = |bytes: usize, of: u64| bytes as f64 / of.max(1) as f64;
    let taken = part(amount.active, limit.saturating_sub(frozen as u64));
    let ahead = taken - WRITING * part(amount.written, frozen as u64) - HEAD_START;
    LONGEST_PAUSE.mul_f64((ahead / HEAD_START).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_wait_while_they_are_ahead_of_the_engine() {
        let wait = |frozen, written, active| {
            pause(&RecentSize { bytes: frozen + active, active, written, ..RecentSize::default() }, 200).as_millis()
        };
        assert_eq!(wait(0, 0, 150), 0, "the engine has nothing to write");
        assert_eq!(wait(100, 0, 20), 0, "a head start");
        assert_eq!([wait(100, 0, 30), wait(100, 0, 40), wait(100, 0, 60)], [75, 150, 150]);
        assert_eq!([wait(100, 50, 50), wait(100, 100, 80)], [0, 0], "as fast as the engine");
        assert_eq!([wait(100, 100, 90), wait(100, 100, 150), wait(300, 0, 50)], [75, 150, 150], "little room is left");
    }
}
