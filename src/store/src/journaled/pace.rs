//! The pace of the journal. The engine gets the rows of a whole generation at once, and meanwhile the next generation
//! grows. Groups pause while it grows faster than the engine writes. Otherwise they would all stand still when there is
//! no more room, until the last row of the generation is written.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::recent::RecentSize;

/// The longest pause before a group. The engine gets the machine's time meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);
/// The largest part of the room for recent rows that a generation is meant to take.
const GENERATION: f64 = 3.0 / 8.0;
/// How far the journal may be ahead of the engine without a pause, as a part of that room.
const HEAD_START: f64 = 1.0 / 32.0;
/// The further part in which the pauses become longer. They must become so slowly: a group has all the commands that
/// have come meanwhile, so a jump of the pause is a jump of everybody's latency.
const RAMP: f64 = 1.0 / 4.0;
/// The part of a checkpoint's time in which rows are written, before there was a checkpoint.
const WRITING: f64 = 0.7;

/// How far the checkpoint is, and how long groups wait for it.
#[derive(Default)]
pub(super) struct Pace(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Bytes of the generation that are in the engine.
    written: usize,
    began: Option<Instant>,
    /// Since when all rows are in the engine, while digests and files are being written.
    rest_began: Option<Instant>,
    last: Option<CheckpointTimes>,
}

/// How long a checkpoint wrote rows, and how long its rest took.
#[derive(Clone, Copy)]
struct CheckpointTimes {
    writing: Duration,
    rest: Duration,
}

impl Pace {
    /// The engine gets a generation, from its begin.
    pub fn begin(&self) {
        let progress = &mut *self.0.lock();
        *progress = Progress { began: Some(Instant::now()), last: progress.last, ..Progress::default() };
    }

    /// So many more bytes of the generation are in the engine.
    pub fn note_written(&self, bytes: usize) {
        self.0.lock().written += bytes;
    }

    /// All rows of the generation are in the engine.
    pub fn begin_rest(&self) {
        self.0.lock().rest_began = Some(Instant::now());
    }

    /// The checkpoint is complete.
    pub fn end(&self) {
        let progress = &mut *self.0.lock();
        if let (Some(began), Some(rest_began)) = (progress.began, progress.rest_began) {
            progress.last = Some(CheckpointTimes { writing: rest_began - began, rest: rest_began.elapsed() });
        }
        *progress = Progress { last: progress.last, ..Progress::default() };
    }

    /// How long a group waits so that the engine keeps up.
    pub fn pause(&self, amount: &RecentSize, limit: u64) -> Duration {
        let frozen = amount.bytes - amount.active;
        pause(amount.active, frozen, self.0.lock().part_done(frozen), limit)
    }
}

impl Progress {
    /// The part of the checkpoint's time that is over.
    fn part_done(&self, frozen: usize) -> f64 {
        let writing = self.last.map_or(WRITING, |last| {
            last.writing.as_secs_f64() / (last.writing + last.rest).as_secs_f64().max(f64::MIN_POSITIVE)
        });
        let Some(rest_began) = self.rest_began else {
            return writing * (self.written as f64 / frozen.max(1) as f64).min(1.0);
        };
        let rest = self.last.map_or(Duration::ZERO, |last| last.rest);
        let part = (rest_began.elapsed().as_secs_f64() / rest.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        writing + (1.0 - writing) * part
    }
}

/// While a generation is being written, the next one may grow to the size it is meant to have, and no faster. A small
/// generation takes nearly as long as a large one, so the next one is not meant to be as small.
fn pause(active: usize, frozen: usize, done: f64, limit: u64) -> Duration {
    let limit = limit as f64;
    let most = limit * GENERATION;
    let allowed = if frozen == 0 { most } else { most * done };
    let ahead = active as f64 - allowed - limit * HEAD_START;
    LONGEST_PAUSE.mul_f64((ahead / (limit * RAMP)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_wait_while_they_are_ahead_of_the_engine() {
        let wait = |frozen, done, active| pause(active, frozen, done, 320).as_millis();
        assert_eq!([wait(0, 0.0, 130), wait(0, 0.0, 170)], [0, 150], "a generation is about to be written");
        assert_eq!([wait(80, 0.0, 10), wait(80, 0.5, 50), wait(80, 1.0, 90)], [0, 0, 0], "a head start");
        assert_eq!([wait(80, 0.0, 18), wait(80, 0.0, 50), wait(80, 0.0, 130)], [30, 150, 300]);
        assert_eq!([wait(80, 0.5, 78), wait(80, 1.0, 138)], [30, 30], "as fast as the engine");
        assert_eq!(
            [wait(240, 0.0, 50), wait(240, 1.0, 170)],
            [150, 150],
            "a large generation is not followed by a larger one"
        );
    }

    #[test]
    fn a_checkpoint_goes_on_when_its_rows_are_written() {
        let pace = Pace::default();
        let amount = |active| RecentSize { bytes: 80 + active, active, ..RecentSize::default() };
        let done = |pace: &Pace| pace.0.lock().part_done(80);
        pace.begin();
        pace.note_written(40);
        assert!((done(&pace) - WRITING / 2.0).abs() < 0.01);
        pace.begin_rest();
        assert!(done(&pace) > WRITING, "and nothing is known of the rest");
        pace.end();
        {
            let last = CheckpointTimes { writing: Duration::from_secs(3600), rest: Duration::from_secs(3600) };
            pace.0.lock().last = Some(last);
        }
        pace.begin();
        pace.note_written(80);
        assert!((done(&pace) - 0.5).abs() < 0.01, "as the last one");
        pace.begin_rest();
        assert!((0.5..0.51).contains(&done(&pace)));
        assert!(pace.pause(&amount(100), 320) > Duration::ZERO);
        pace.0.lock().last = Some(CheckpointTimes { writing: Duration::from_secs(1), rest: Duration::ZERO });
        assert!((done(&pace) - 1.0).abs() < 0.01, "longer than the last one");
        assert_eq!(pace.pause(&amount(100), 320), Duration::ZERO);
    }
}
