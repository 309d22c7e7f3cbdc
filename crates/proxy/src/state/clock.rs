//! The process clock: one base for monotonic and wall time, so that a log line needs no second look at a clock.

use rules::WallTime;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall times are derived from monotonic ones by an offset that is measured again every second, so that a clock
/// that is set or slewed is followed.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    start_wall: WallTime,
    /// Wall time of `start`, nanoseconds since the epoch.
    offset_ns: AtomicU64,
}

/// Milliseconds of the process clock at its start: ten years.
const BEFORE_START_MS: u64 = 10 * 365 * 86_400_000;

impl Clock {
    pub fn start() -> Clock {
        let wall = wall_now();
        Clock {
            start: Instant::now(),
            start_wall: WallTime(wall),
            offset_ns: AtomicU64::new(wall.as_nanos() as u64),
        }
    }

    /// Measures the offset again.
    pub fn follow(&self) {
        let elapsed = self.start.elapsed();
        self.offset_ns.store(wall_now().saturating_sub(elapsed).as_nanos() as u64, Relaxed);
    }

    pub fn started(&self) -> Instant {
        self.start
    }

    pub fn started_wall(&self) -> WallTime {
        self.start_wall
    }

    /// Wall time of `at`.
    pub fn wall(&self, at: Instant) -> WallTime {
        let base = Duration::from_nanos(self.offset_ns.load(Relaxed));
        WallTime(base + at.saturating_duration_since(self.start))
    }

    /// Milliseconds since the start: the clock of rates. Starts years above zero: state files tell of changes that
    /// were before the start.
    pub fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_millis() as u64 + BEFORE_START_MS
    }
}

fn wall_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}
