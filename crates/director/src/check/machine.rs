//! When a check runs, and when its result counts.
//!
//! ```text
//!  warm-up ─► check ─┬─ passed ──────────────► up,   again after delay_loop
//!                    └─ failed ─┬─ was up and retries left ─► again after delay_before_retry
//!                               └─ else ─────► down, again after delay_loop
//! ```
//!
//! The first check of all counts at once, as with keepalived: whoever is gone at the start needs no second look.

use keepalived_config::model::CheckTiming;
use std::time::Instant;

/// What a result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The server is up now, or proven so for the first time.
    Up,
    /// The server is down now.
    Down,
    /// A failure that does not count yet.
    Retrying,
    /// As before.
    Same,
}

/// One check's clock and memory.
#[derive(Debug)]
pub struct Machine {
    timing: CheckTiming,
    due: Option<Instant>,
    is_up: bool,
    has_run: bool,
    retries: u32,
}

impl Machine {
    /// `random` in 0.0..1.0 spreads the first checks over the warm-up.
    pub fn new(timing: CheckTiming, is_alpha: bool, now: Instant, random: f64) -> Self {
        let due = Some(now + timing.warmup.mul_f64(random.clamp(0.0, 1.0)));
        Self { timing, due, is_up: !is_alpha, has_run: false, retries: timing.retry }
    }

    /// As the same check of the configuration before left it.
    pub fn resume(timing: CheckTiming, is_up: bool, now: Instant, random: f64) -> Self {
        Self { is_up, has_run: true, retries: 0, ..Self::new(timing, false, now, random) }
    }

    /// When the next check is due; `None` while one runs.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// A check starts.
    pub fn begin(&mut self) {
        self.due = None;
    }

    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Whether a check has counted before.
    pub fn has_run(&self) -> bool {
        self.has_run
    }

    /// The first check is tried again too (SMTP_CHECK).
    pub fn retry_first(&mut self) {
        if !self.has_run {
            self.retries = 0;
        }
    }

    /// Failures of this try.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Whether a failure now would say something new.
    pub fn is_open(&self) -> bool {
        self.is_up || !self.has_run
    }

    /// The check that ran has ended.
    pub fn handle_result(&mut self, now: Instant, passed: bool) -> Verdict {
        let is_first = !self.has_run;
        if !passed && self.is_open() && self.retries < self.timing.retry {
            self.retries += 1;
            self.due = Some(now + self.timing.delay_before_retry);
            return Verdict::Retrying;
        }
        self.retries = 0;
        let was_up = self.is_up;
        self.has_run = true;
        self.is_up = passed;
        self.due = Some(now + self.timing.delay_loop);
        match (was_up, passed) {
            (false, true) => Verdict::Up,
            (true, true) if is_first => Verdict::Up,
            (true, false) => Verdict::Down,
            (false, false) if is_first => Verdict::Down,
            (true, true) | (false, false) => Verdict::Same,
        }
    }

    /// A part of a check has passed, and the rest waits its turn: the next URL, after `delay_loop` or at once.
    pub fn handle_part(&mut self, now: Instant, at_once: bool) {
        self.due = Some(if at_once { now } else { now + self.timing.delay_loop });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn timing() -> CheckTiming {
        CheckTiming {
            delay_loop: 10 * SECOND,
            connect_timeout: 5 * SECOND,
            retry: 2,
            delay_before_retry: SECOND,
            warmup: 10 * SECOND,
            alpha: false,
            log_all_failures: false,
        }
    }

    /// When a server that dies right after a check is down, if each attempt takes `attempt` to fail.
    fn window(timing: CheckTiming, attempt: Duration) -> Duration {
        let start = Instant::now();
        let mut machine = Machine::new(timing, false, start, 0.0);
        machine.begin();
        machine.handle_result(start, true);
        for _ in 0..100 {
            let due = machine.poll_timeout().expect("it goes on");
            machine.begin();
            if let Verdict::Down = machine.handle_result(due + attempt, false) {
                return due + attempt - start;
            }
        }
        panic!("never down");
    }

    // row: 282
    // The figures of docs/migration-keepalived.md.
    #[test]
    fn the_window_before_removal_is_the_documented_sum() {
        let tutorial = CheckTiming {
            connect_timeout: 10 * SECOND,
            retry: 3,
            delay_before_retry: 3 * SECOND,
            ..timing()
        };
        assert_eq!(window(tutorial, tutorial.connect_timeout), 59 * SECOND);
        assert_eq!(window(tutorial, Duration::ZERO), 19 * SECOND);
        let short = CheckTiming {
            delay_loop: SECOND,
            connect_timeout: SECOND,
            retry: 1,
            delay_before_retry: SECOND,
            ..timing()
        };
        assert_eq!([window(short, SECOND), window(short, Duration::ZERO)], [4 * SECOND, 2 * SECOND]);
    }

    // row: 264, 270, 279, 282
    #[test]
    fn a_server_is_down_after_its_retries_and_up_after_one_success() {
        let mut now = Instant::now();
        let mut machine = Machine::new(timing(), false, now, 0.5);
        assert_eq!(machine.poll_timeout(), Some(now + 5 * SECOND), "within the warm-up");
        machine.begin();
        assert_eq!(machine.poll_timeout(), None);
        assert_eq!(machine.handle_result(now, true), Verdict::Up, "proven");
        assert_eq!(machine.handle_result(now, true), Verdict::Same);
        for _ in 0..2 {
            assert_eq!(machine.handle_result(now, false), Verdict::Retrying);
            assert_eq!(machine.poll_timeout(), Some(now + SECOND));
            now += SECOND;
        }
        assert_eq!(machine.handle_result(now, false), Verdict::Down);
        assert_eq!(machine.poll_timeout(), Some(now + 10 * SECOND));
        assert_eq!(machine.handle_result(now, false), Verdict::Same, "no retries while down");
        assert_eq!(machine.handle_result(now, true), Verdict::Up);
    }

    #[test]
    fn a_success_forgets_the_retries() {
        let now = Instant::now();
        let mut machine = Machine::resume(timing(), true, now, 0.0);
        machine.handle_result(now, false);
        machine.handle_result(now, false);
        assert_eq!(machine.handle_result(now, true), Verdict::Same);
        assert_eq!(machine.handle_result(now, false), Verdict::Retrying);
        assert_eq!(machine.handle_result(now, false), Verdict::Retrying);
        assert_eq!(machine.handle_result(now, false), Verdict::Down);
    }

    #[test]
    fn the_first_check_counts_at_once_unless_it_is_to_be_tried_again() {
        let now = Instant::now();
        let mut machine = Machine::new(timing(), false, now, 0.0);
        assert_eq!(machine.handle_result(now, false), Verdict::Down);
        let mut machine = Machine::new(timing(), false, now, 0.0);
        machine.retry_first();
        assert_eq!(machine.handle_result(now, false), Verdict::Retrying);
        assert_eq!(machine.handle_result(now, false), Verdict::Retrying);
        assert_eq!(machine.handle_result(now, false), Verdict::Down);
    }

    #[test]
    fn an_alpha_server_must_be_proven_first() {
        let now = Instant::now();
        let mut machine = Machine::new(timing(), true, now, 0.0);
        assert_eq!(machine.handle_result(now, false), Verdict::Down);
        assert_eq!(machine.handle_result(now, false), Verdict::Same);
        assert_eq!(machine.handle_result(now, true), Verdict::Up);
    }
}
