//! How busy a worker thread is, measured only when somebody asks.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The shortest time over which the share is measured.
const WINDOW: Duration = Duration::from_millis(500);

/// The thread's share of time on a CPU.
#[derive(Debug)]
pub struct BusyMeter {
    since: Cell<Instant>,
    cpu_then: Cell<Duration>,
    percent: Cell<u32>,
}

impl Default for BusyMeter {
    fn default() -> Self {
        BusyMeter { since: Cell::new(Instant::now()), cpu_then: Cell::new(cpu_time()), percent: Cell::new(0) }
    }
}

/// Time that the calling thread has spent on a CPU.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // The kernel gives no negative parts.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

impl BusyMeter {
    /// Percent of the last window, which ended when somebody asked after at least half a second. Belongs to the
    /// calling thread.
    pub fn percent(&self) -> u32 {
        let now = Instant::now();
        let elapsed = now - self.since.get();
        if elapsed >= WINDOW {
            let cpu = cpu_time();
            let busy = cpu.saturating_sub(self.cpu_then.get());
            self.percent.set((busy.as_micros() * 100 / elapsed.as_micros()).min(100) as u32);
            self.since.set(now);
            self.cpu_then.set(cpu);
        }
        self.percent.get()
    }
}
