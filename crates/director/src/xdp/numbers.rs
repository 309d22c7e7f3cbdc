//! Numbers and ranges that are given out and come back. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// How long a range or record that was replaced stays as it is: a program that runs meanwhile may still read it.
const COOLING: Duration = Duration::from_millis(50);

/// Numbers below a limit. The longest unused is given out first.
#[derive(Debug)]
pub struct Numbers(VecDeque<u32>);

impl Numbers {
    pub fn new(max: u32, used: &BTreeSet<u32>) -> Self {
        Self((0..max).filter(|number| !used.contains(number)).collect())
    }

    pub fn take(&mut self) -> Option<u32> {
        self.0.pop_front()
    }

    pub fn give_back(&mut self, number: u32) {
        self.0.push_back(number);
    }
}

/// Where slots are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: u32,
    pub length: u32,
}

/// Ranges of one array.
#[derive(Debug)]
pub struct Ranges {
    max: u32,
    used: Vec<Range>,
    /// Free from a time on; oldest first.
    cooling: VecDeque<(Instant, Range)>,
}

impl Ranges {
    pub fn new(max: u32, mut used: Vec<Range>) -> Self {
        used.retain(|range| range.length > 0);
        used.sort_unstable_by_key(|range| range.first);
        Self { max, used, cooling: VecDeque::new() }
    }

    /// The first gap that is long enough.
    pub fn take(&mut self, now: Instant, length: u32) -> Option<Range> {
        self.cool(now);
        if length == 0 {
            return Some(Range { first: 0, length });
        }
        let mut first = 0;
        let mut place = self.used.len();
        for (at, range) in self.used.iter().enumerate() {
            if range.first - first >= length {
                place = at;
                break;
            }
            first = range.first + range.length;
        }
        if self.max - first < length {
            return None;
        }
        let range = Range { first, length };
        self.used.insert(place, range);
        Some(range)
    }

    pub fn give_back(&mut self, now: Instant, range: Range) {
        if range.length > 0 {
            self.cooling.push_back((now + COOLING, range));
        }
    }

    fn cool(&mut self, now: Instant) {
        while let Some((free, range)) = self.cooling.front().copied()
            && free <= now
        {
            self.cooling.pop_front();
            if let Ok(at) = self.used.binary_search_by_key(&range.first, |used| used.first) {
                self.used.remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fill_gaps_once_they_have_cooled() {
        let start = Instant::now();
        let mut ranges = Ranges::new(10, Vec::new());
        let first = ranges.take(start, 4).expect("room");
        let second = ranges.take(start, 4).expect("room");
        assert_eq!((first.first, second.first), (0, 4));
        assert_eq!(ranges.take(start, 4), None);
        ranges.give_back(start, first);
        assert_eq!(ranges.take(start, 3), None, "a program may still read it");
        assert_eq!(ranges.take(start + COOLING, 3), Some(Range { first: 0, length: 3 }));
        assert_eq!(ranges.take(start + COOLING, 2), Some(Range { first: 8, length: 2 }));
    }

    #[test]
    fn numbers_come_back_last() {
        let mut numbers = Numbers::new(4, &BTreeSet::from([1]));
        assert_eq!((numbers.take(), numbers.take()), (Some(0), Some(2)));
        numbers.give_back(0);
        assert_eq!((numbers.take(), numbers.take(), numbers.take()), (Some(3), Some(0), None));
    }
}
