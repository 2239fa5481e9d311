//! A set of serials. Clients number frames without gaps, so a few ranges hold them.

use std::collections::BTreeMap;

/// The largest number of ranges. If there are more gaps, the lowest serials are forgotten.
const MOST: usize = 1_024;

/// Ranges by their first serial, with their last one. They neither overlap nor touch.
#[derive(Debug, Default)]
pub struct Serials(BTreeMap<u64, u64>);

impl Serials {
    pub fn contains(&self, serial: u64) -> bool {
        self.0.range(..=serial).next_back().is_some_and(|(_, last)| serial <= *last)
    }

    pub fn insert(&mut self, serial: u64) {
        if self.contains(serial) {
            return;
        }
        let before = self.0.range(..serial).next_back().map(|(first, last)| (*first, *last));
        let first = before.filter(|(_, last)| last + 1 == serial).map_or(serial, |(first, _)| first);
        let last = serial.checked_add(1).and_then(|next| self.0.remove(&next)).unwrap_or(serial);
        self.0.insert(first, last);
        debug_assert!(
            self.0.range(..first).next_back().is_none_or(|(_, before)| before + 1 < first),
            "ranges neither overlap nor touch"
        );
        if self.0.len() > MOST {
            self.0.pop_first();
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_known_in_any_order_of_arrival() {
        let mut serials = Serials::default();
        for serial in [5, 0, 1, 7, 6, 3, u64::MAX, 5] {
            serials.insert(serial);
        }
        let known: Vec<u64> = (0..10).filter(|serial| serials.contains(*serial)).collect();
        assert_eq!(known, [0, 1, 3, 5, 6, 7]);
        assert!(serials.contains(u64::MAX));
        assert_eq!(serials.0.len(), 4, "neighbours are one range");
    }

    #[test]
    fn gaps_take_bounded_memory() {
        let mut serials = Serials::default();
        (0..3 * MOST as u64).for_each(|n| serials.insert(2 * n));
        assert_eq!(serials.0.len(), MOST);
        assert!(serials.contains(2 * (3 * MOST as u64 - 1)) && !serials.contains(0));
    }
}
