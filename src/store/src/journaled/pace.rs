//! The pace of the journal. The engine gets the rows of a whole generation at once, and meanwhile the next generation
//! grows. Groups pause while it grows faster than the engine writes. Otherwise they would all stand still when there is
//! no more room, until the last row of the generation is written.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::recent::{Generation, RecentSize};

/// The longest pause before a group. The engine gets the machine's time meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);
/// A group pauses at most for this multiple of the time that the engine takes for as many bytes. So many small groups
/// are not slower than one large one: there are small groups where few commands run at a time.
const TIMES: f64 = 2.0;
/// Bytes of the journal whose rows the engine writes in a second, before there was a checkpoint.
const RATE: f64 = 4.0 * 1024.0 * 1024.0;
/// The largest part of the room for recent rows that a generation is meant to take.
const GENERATION: f64 = 3.0 / 8.0;
/// How far the journal may be ahead of the engine without a pause, as a part of that room.
const HEAD_START: f64 = 1.0 / 32.0;
/// The further part in which the pauses become longer. They must become so slowly, because a jump of the pause is a
/// jump of everybody's latency.
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
    /// How long it took breaks while it wrote rows, and after that.
    breaks: [Duration; 2],
    last: Option<Checkpoint>,
}

/// A complete checkpoint.
#[derive(Clone, Copy)]
struct Checkpoint {
    /// How long it wrote rows.
    writing: Duration,
    /// How long it took after that.
    rest: Duration,
    /// Bytes of the journal whose rows it wrote.
    bytes: u64,
}

impl Checkpoint {
    /// Bytes of the journal in a second.
    fn rate(&self) -> f64 {
        self.bytes as f64 / (self.writing + self.rest).as_secs_f64().max(f64::MIN_POSITIVE)
    }
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

    /// The checkpoint of this generation is complete.
    pub fn end(&self, generation: &Generation) {
        let progress = &mut *self.0.lock();
        if let (Some(began), Some(rest_began)) = (progress.began, progress.rest_began) {
            let [writing, rest] = [rest_began - began, rest_began.elapsed()];
            let [writing, rest] = [writing.saturating_sub(progress.breaks[0]), rest.saturating_sub(progress.breaks[1])];
            progress.last = Some(Checkpoint { writing, rest, bytes: generation.journal });
        }
        *progress = Progress { last: progress.last, ..Progress::default() };
    }

    /// How long a group with so many bytes waits so that the engine keeps up.
    pub fn pause(&self, amount: &RecentSize, limit: u64, bytes: usize) -> Duration {
        let progress = self.0.lock();
        let part = Self::need(&progress, amount, limit);
        let rate = progress.last.map_or(RATE, |last| last.rate()).max(1.0);
        LONGEST_PAUSE.min(Duration::from_secs_f64(TIMES * bytes as f64 / rate)).mul_f64(part)
    }

    /// Whether the checkpoint may take a break: the journal is not about to wait for it.
    pub fn has_time(&self, amount: &RecentSize, limit: u64) -> bool {
        let progress = self.0.lock();
        let frozen = amount.bytes - amount.active;
        bytes_ahead(amount.active, frozen, progress.part_done(frozen), limit) < limit as f64 * HEAD_START / 2.0
    }

    /// The checkpoint took a break. It says nothing about the engine's rate.
    pub fn note_break(&self, took: Duration) {
        let progress = &mut *self.0.lock();
        progress.breaks[usize::from(progress.rest_began.is_some())] += took;
    }

    /// Whether groups wait at present.
    pub fn slows_groups(&self, amount: &RecentSize, limit: u64) -> bool {
        Self::need(&self.0.lock(), amount, limit) > 0.0
    }

    fn need(progress: &Progress, amount: &RecentSize, limit: u64) -> f64 {
        let frozen = amount.bytes - amount.active;
        need_of_pause(amount.active, frozen, progress.part_done(frozen), limit)
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
        let worked = rest_began.elapsed().saturating_sub(self.breaks[1]);
        let part = (worked.as_secs_f64() / rest.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        writing + (1.0 - writing) * part
    }
}

/// How much groups have to pause, from 0 to 1. While a generation is being written, the next one may grow to the size
/// it is meant to have, and no faster. A small generation takes nearly as long as a large one, so the next one is not
/// meant to be as small.
fn need_of_pause(active: usize, frozen: usize, done: f64, limit: u64) -> f64 {
    let ahead = bytes_ahead(active, frozen, done, limit);
    let limit = limit as f64;
    ((ahead - limit * HEAD_START) / (limit * RAMP)).clamp(0.0, 1.0)
}

/// How far the journal is ahead of the engine. Negative: the engine has time.
fn bytes_ahead(active: usize, frozen: usize, done: f64, limit: u64) -> f64 {
    let most = limit as f64 * GENERATION;
    let allowed = if frozen == 0 { most } else { most * done };
    active as f64 - allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_wait_while_they_are_ahead_of_the_engine() {
        let need = |frozen, done, active| (need_of_pause(active, frozen, done, 320) * 100.0).round() as u32;
        assert_eq!([need(0, 0.0, 130), need(0, 0.0, 170)], [0, 50], "a generation is about to be written");
        assert_eq!([need(80, 0.0, 10), need(80, 0.5, 50), need(80, 1.0, 90)], [0, 0, 0], "a head start");
        assert_eq!([need(80, 0.0, 18), need(80, 0.0, 50), need(80, 0.0, 130)], [10, 50, 100]);
        assert_eq!([need(80, 0.5, 78), need(80, 1.0, 138)], [10, 10], "as fast as the engine");
        assert_eq!(
            [need(240, 0.0, 50), need(240, 1.0, 170)],
            [50, 50],
            "a large generation is not followed by a larger one"
        );
    }

    fn set_last(pace: &Pace, writing: u64, rest: u64, bytes: u64) {
        let [writing, rest] = [writing, rest].map(Duration::from_secs);
        pace.0.lock().last = Some(Checkpoint { writing, rest, bytes });
    }

    #[test]
    fn a_group_pauses_by_its_bytes_as_the_engine_writes_them() {
        let pace = Pace::default();
        let need_of_a_half = RecentSize { bytes: 170, active: 170, ..RecentSize::default() };
        let pause = |bytes| pace.pause(&need_of_a_half, 320, bytes).as_millis();
        set_last(&pace, 3, 1, 4_000_000);
        assert_eq!([pause(0), pause(10_000), pause(20_000)], [0, 10, 20], "as long as the engine takes for them");
        assert_eq!(pause(10_000_000), 150, "and not much longer in large groups");
        set_last(&pace, 0, 0, 0);
        assert_eq!(pause(10_000), 150, "an engine that has written nothing yet");
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
        pace.end(&Generation::default());
        set_last(&pace, 3600, 3600, 0);
        pace.begin();
        pace.note_written(80);
        assert!((done(&pace) - 0.5).abs() < 0.01, "as the last one");
        pace.begin_rest();
        assert!((0.5..0.51).contains(&done(&pace)));
        assert!(pace.slows_groups(&amount(100), 320));
        set_last(&pace, 1, 0, 0);
        assert!((done(&pace) - 1.0).abs() < 0.01, "longer than the last one");
        assert!(!pace.slows_groups(&amount(100), 320));
    }

    #[test]
    fn a_checkpoint_has_time_long_before_a_group_waits() {
        let pace = Pace::default();
        let amount = |active| RecentSize { bytes: 80 + active, active, ..RecentSize::default() };
        let state = |active| (pace.has_time(&amount(active), 320), pace.slows_groups(&amount(active), 320));
        pace.begin();
        assert_eq!([state(0), state(5), state(11)], [(true, false), (false, false), (false, true)]);
        pace.note_written(80);
        assert_eq!([state(80), state(90), state(100)], [(true, false), (false, false), (false, true)]);
    }

    #[test]
    fn breaks_say_nothing_about_the_engine() {
        let pace = Pace::default();
        pace.begin();
        pace.note_break(Duration::from_secs(9));
        pace.begin_rest();
        pace.note_break(Duration::from_secs(9));
        assert!(pace.0.lock().part_done(80) < 1.0, "the rest has not even begun");
        pace.end(&Generation::default());
        let last = pace.0.lock().last.unwrap();
        assert_eq!((last.writing, last.rest), (Duration::ZERO, Duration::ZERO), "there were only breaks");
    }
}
