//! Guards against mass unregistration. A few unregistered devices are normal. If many are unregistered at once, the
//! service or its credentials are probably wrong, and believing it would end all pushes for good.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;

/// The verdicts about devices in the last hour, in slices of five minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    slices: Vec<Slice>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    begins: Timestamp,
    alive: u32,
    dead: u32,
}

const SLICE: Duration = Duration::from_secs(5 * 60);
const WINDOW: Duration = Duration::from_secs(60 * 60);
const AT_LEAST: u32 = 20;

impl Guard {
    pub fn saw_registered(&mut self, now: Timestamp) {
        self.slice(now).alive += 1;
    }

    pub fn saw_unregistered(&mut self, now: Timestamp) {
        self.slice(now).dead += 1;
    }

    /// The slice of this moment. Drops slices that are too old.
    fn slice(&mut self, now: Timestamp) -> &mut Slice {
        self.slices.retain(|slice| now.since(slice.begins) < WINDOW);
        if self.slices.last().is_none_or(|slice| now.since(slice.begins) >= SLICE) {
            self.slices.push(Slice { begins: now, alive: 0, dead: 0 });
        }
        self.slices.last_mut().expect("a slice was added if there was none")
    }

    /// Whether more than a fifth of at least twenty devices were unregistered within the hour.
    pub fn suspects_the_service(&self, now: Timestamp) -> bool {
        let recent = self.slices.iter().filter(|slice| now.since(slice.begins) < WINDOW);
        let (alive, dead) = recent.fold((0, 0), |(alive, dead), slice| (alive + slice.alive, dead + slice.dead));
        alive + dead >= AT_LEAST && dead * 5 > alive + dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(minutes: u64) -> Timestamp {
        Timestamp::from_millis(0) + Duration::from_secs(minutes * 60)
    }

    #[test]
    fn more_than_a_fifth_of_at_least_twenty_within_an_hour_is_suspicious() {
        for (alive, dead, suspicious) in
            [(0, 19, false), (0, 20, true), (16, 4, false), (15, 5, true), (80, 20, false), (79, 21, true)]
        {
            let mut guard = Guard::default();
            (0..alive).for_each(|_| guard.saw_registered(after(0)));
            (0..dead).for_each(|_| guard.saw_unregistered(after(3)));
            assert_eq!(guard.suspects_the_service(after(4)), suspicious, "{dead} of {}", alive + dead);
            assert!(!guard.suspects_the_service(after(70)), "an hour later it is forgotten");
        }
    }
}
