//! Counts frames that cost work and carry nothing: PING, SETTINGS, PRIORITY, RST_STREAM, DATA without bytes, frames for
//! streams that are over, frames that nobody knows.

use crate::frame::Reason;
use std::time::{Duration, Instant};

/// Such frames that a peer may send in a window. Clients that measure the bandwidth send a PING for each round trip, a
/// download that a user abandons many RST_STREAM: both stay far below.
const IDLE_FRAMES_MAX: u32 = 10_000;

/// The time over which they are counted.
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Meter {
    seen: u32,
    began: Instant,
}

impl Meter {
    pub fn new(now: Instant) -> Meter {
        Meter { seen: 0, began: now }
    }

    /// Counts one.
    ///
    /// # Errors
    /// There were too many.
    pub fn count(&mut self, now: Instant) -> Result<(), Reason> {
        self.seen += 1;
        if self.seen <= IDLE_FRAMES_MAX {
            return Ok(());
        }
        if now.saturating_duration_since(self.began) < WINDOW {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        self.began = now;
        self.seen = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_only_when_it_is_fast() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        for _ in 0..IDLE_FRAMES_MAX {
            assert_eq!(meter.count(begun), Ok(()));
        }
        assert_eq!(meter.count(begun + WINDOW / 2), Err(Reason::ENHANCE_YOUR_CALM));
        assert_eq!(meter.count(begun + WINDOW), Ok(()));
        assert_eq!(meter.count(begun + WINDOW), Ok(()));
    }
}
