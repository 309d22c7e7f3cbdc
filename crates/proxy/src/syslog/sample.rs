//! `sample RANGES:SIZE`: which messages of each round of `SIZE` are sent.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts messages and picks those in range. Shared by all threads.
#[derive(Debug)]
pub struct Sampler {
    /// 1-based, inclusive.
    ranges: Box<[(u32, u32)]>,
    size: u32,
    seen: AtomicU32,
}

impl Sampler {
    /// A `size` of 0 is taken as 1.
    pub fn new(ranges: &[(u32, u32)], size: u32) -> Sampler {
        Sampler { ranges: ranges.into(), size: size.max(1), seen: AtomicU32::new(0) }
    }

    /// Whether the next message is sent.
    pub fn picks(&self) -> bool {
        // Wraps inside the round, so that the end of u32 does not shift the pattern.
        let advance = |seen: u32| Some(if seen + 1 >= self.size { 0 } else { seen + 1 });
        let before =
            self.seen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance).unwrap_or_default();
        let position = before + 1;
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_sends_the_positions_named() {
        // Recorded: `sample 1-2,4:5` sent 6 of 10 messages.
        let sampler = Sampler::new(&[(1, 2), (4, 4)], 5);
        let picked: Vec<bool> = (0..10).map(|_| sampler.picks()).collect();
        let round = [true, true, false, true, false];
        assert_eq!(picked, [round, round].concat());
    }
}
