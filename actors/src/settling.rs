//! The settled time: a wall time that follows no jump at once. A machine's clock may be wrong for a while: before the
//! network has set it, after a suspension, or by mistake. What cannot be undone (ending a session, deleting something)
//! waits until a jump has lasted. Everything else follows the clock as it is.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// A smaller difference is no jump: clocks drift, and a restarted node was away for a moment.
const TOLERANCE: Duration = Duration::from_secs(120);
/// Longer steps are not counted in full: the process was suspended.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// A clock that follows the wall clock with the help of a monotonic clock.
#[derive(Debug)]
pub struct SettledClock {
    /// The settled time.
    certain: Timestamp,
    looked_at: Duration,
    /// Since when the wall clock differs from the settled time, and by how many milliseconds.
    jumped: Option<(Duration, i64)>,
    /// How long a jump has to last.
    believed_after: Duration,
}

impl SettledClock {
    /// `known` is the settled time of the previous run. Without it the wall clock counts as it is.
    pub fn new(known: Option<Timestamp>, wall: Timestamp, uptime: Duration, believed_after: Duration) -> Self {
        Self { certain: known.unwrap_or(wall), looked_at: uptime, jumped: None, believed_after }
    }

    /// The settled time. To be called about once a second.
    pub fn look(&mut self, wall: Timestamp, uptime: Duration) -> Timestamp {
        self.certain = self.certain + uptime.saturating_sub(self.looked_at).min(LONGEST_STEP);
        self.looked_at = uptime;
        let ahead = wall.as_millis().saturating_sub(self.certain.as_millis());
        if is_small(ahead) {
            self.certain = wall;
            self.jumped = None;
            return self.certain;
        }
        match self.jumped {
            Some((since, before)) if is_small(ahead.saturating_sub(before)) => {
                if uptime.saturating_sub(since) >= self.believed_after {
                    self.certain = wall;
                    self.jumped = None;
                }
            }
            Some(_) | None => {
                tracing::warn!(
                    ahead_ms = ahead,
                    "the clock has jumped; no session ends and nothing is deleted by the new time until it has lasted"
                );
                self.jumped = Some((uptime, ahead));
            }
        }
        self.certain.min(wall)
    }
}

fn is_small(difference: i64) -> bool {
    u128::from(difference.unsigned_abs()) <= TOLERANCE.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn start() -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000)
    }

    /// A second of uptime each, with the wall clock `ahead` of it.
    fn pass(settling: &mut SettledClock, from: u64, seconds: u64, ahead: Duration) -> Timestamp {
        let look = |second| {
            let uptime = Duration::from_secs(second);
            settling.look(start() + uptime + ahead, uptime)
        };
        (from + 1..=from + seconds).map(look).last().unwrap()
    }

    #[test]
    fn the_settled_time_follows_a_correct_clock() {
        let mut settling = SettledClock::new(None, start(), Duration::ZERO, HOUR);
        assert_eq!(pass(&mut settling, 0, 100, Duration::ZERO), start() + Duration::from_secs(100));
        assert_eq!(pass(&mut settling, 100, 1, Duration::from_secs(60)), start() + Duration::from_secs(161));
    }

    #[test]
    fn a_jump_that_is_undone_has_no_effect() {
        let mut settling = SettledClock::new(None, start(), Duration::ZERO, HOUR);
        pass(&mut settling, 0, 10, Duration::ZERO);
        assert_eq!(pass(&mut settling, 10, 3, 100 * DAY), start() + Duration::from_secs(13));
        assert_eq!(pass(&mut settling, 13, 1, Duration::ZERO), start() + Duration::from_secs(14));
    }

    #[test]
    fn a_lasting_jump_takes_effect_in_the_end() {
        let mut settling = SettledClock::new(None, start(), Duration::ZERO, HOUR);
        let before = pass(&mut settling, 0, 3_600, DAY);
        assert!(before < start() + DAY);
        assert!(pass(&mut settling, 3_600, 2, DAY) >= start() + DAY);
    }

    #[test]
    fn a_clock_that_is_wrong_at_the_start_does_not_count_at_once() {
        let known = start() + Duration::from_secs(1);
        let mut settling = SettledClock::new(Some(known), start() + 100 * DAY, Duration::ZERO, HOUR);
        assert!(pass(&mut settling, 0, 60, 100 * DAY) < start() + HOUR);
        let mut soon = SettledClock::new(Some(known), start() + Duration::from_secs(90), Duration::ZERO, HOUR);
        assert_eq!(pass(&mut soon, 0, 1, Duration::from_secs(90)), start() + Duration::from_secs(91));
    }

    #[test]
    fn the_settled_time_is_never_later_than_the_clock() {
        let mut settling = SettledClock::new(Some(start() + HOUR), start(), Duration::ZERO, HOUR);
        assert_eq!(pass(&mut settling, 0, 5, Duration::ZERO), start() + Duration::from_secs(5));
    }

    #[test]
    fn a_suspension_of_the_machine_does_not_count_in_full() {
        let mut settling = SettledClock::new(None, start(), Duration::ZERO, HOUR);
        let asleep = 30 * DAY;
        assert!(settling.look(start() + asleep, asleep) <= start() + LONGEST_STEP);
    }
}
