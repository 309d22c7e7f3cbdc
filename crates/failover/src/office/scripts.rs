//! `vrrp_script`: when each one runs, and whether it counts as good. Pure but for being told the time: starting programs
//! is the office's.

use super::programs::Ended;
use keepalived_config::model::Script;
use std::time::Instant;

/// What a run changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// From bad or unknown to good.
    Good,
    /// From good or unknown to bad.
    Bad,
}

/// Good, bad, or not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Unknown,
    Good,
    Bad,
}

/// One script's course.
#[derive(Debug, Clone)]
pub struct Course {
    pub script: Script,
    pub standing: Standing,
    /// Runs in a row that speak against the standing.
    against: u32,
    next: Instant,
    pub is_running: bool,
    pub last: Option<Ended>,
}

impl Course {
    /// A script that runs first now.
    pub fn new(script: Script, now: Instant) -> Self {
        let standing = if script.init_fail { Standing::Bad } else { Standing::Unknown };
        Self { script, standing, against: 0, next: now, is_running: false, last: None }
    }

    /// The same script after a reload: what was known of it stays (keepalived says "considered successful on reload").
    pub fn carry_over(&mut self, before: &Self) {
        self.standing = before.standing;
        self.against = before.against;
        self.is_running = before.is_running;
        self.last = before.last;
        if self.script.interval == before.script.interval {
            self.next = before.next;
        }
    }

    /// When it is to be started; `None` while it runs.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.is_running).then_some(self.next)
    }

    /// It was started. Runs keep their rhythm, and are never made up for.
    pub fn started(&mut self, now: Instant) {
        self.is_running = true;
        self.next += self.script.interval;
        if self.next <= now {
            self.next = now + self.script.interval;
        }
    }

    /// It could not be started: that counts as a failure.
    pub fn not_started(&mut self, now: Instant) -> Option<Change> {
        self.started(now);
        self.ended(Ended::Exited(NOT_FOUND))
    }

    /// A run ended.
    pub fn ended(&mut self, how: Ended) -> Option<Change> {
        self.is_running = false;
        self.last = Some(how);
        let good = how == Ended::Exited(0);
        match (self.standing, good) {
            (Standing::Good, true) | (Standing::Bad, false) => {
                self.against = 0;
                None
            }
            // The first run decides alone.
            (Standing::Unknown, _) => Some(self.become_known(good)),
            (Standing::Bad, true) => self.count(self.script.rise, good),
            (Standing::Good, false) => self.count(self.script.fall, good),
        }
    }

    fn count(&mut self, needed: u32, good: bool) -> Option<Change> {
        self.against += 1;
        (self.against >= needed.max(1)).then(|| self.become_known(good))
    }

    fn become_known(&mut self, good: bool) -> Change {
        self.against = 0;
        self.standing = if good { Standing::Good } else { Standing::Bad };
        if good { Change::Good } else { Change::Bad }
    }

    /// keepalived's number: 0 to rise + fall − 1; from `rise` on it is good.
    pub fn result(&self) -> u32 {
        match self.standing {
            Standing::Unknown => self.script.rise.saturating_sub(1),
            Standing::Bad => self.against,
            Standing::Good => (self.script.rise + self.script.fall).saturating_sub(1 + self.against),
        }
    }
}

/// The shell's exit code for a program that is not there.
const NOT_FOUND: i32 = 127;

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_config::model::{Command, RunAs};
    use std::time::Duration;

    fn course(rise: u32, fall: u32, init_fail: bool) -> Course {
        let script = Script {
            name: "chk".to_owned(),
            span: diag::Span {
                file: diag::Sources::default().add("keepalived.conf", Vec::new()),
                start: 0,
                end: 0,
            },
            command: Command { words: vec!["/bin/true".to_owned()], run_as: RunAs { user: 0, group: 0 } },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            weight: 0,
            reverse: false,
            rise,
            fall,
            init_fail,
        };
        Course::new(script, Instant::now())
    }

    const GOOD: Ended = Ended::Exited(0);
    const BAD: Ended = Ended::Exited(1);

    #[test]
    fn the_first_run_decides_then_rise_and_fall_count() {
        let mut course = course(2, 3, false);
        assert_eq!(course.ended(GOOD), Some(Change::Good));
        assert_eq!([BAD, BAD, GOOD, BAD, BAD].map(|how| course.ended(how)), [None, None, None, None, None]);
        assert_eq!(course.ended(BAD), Some(Change::Bad));
        assert_eq!(course.result(), 0);
        assert_eq!(course.ended(GOOD), None);
        assert_eq!(course.ended(GOOD), Some(Change::Good));
        assert_eq!(course.result(), 4);
    }

    #[test]
    fn a_script_that_starts_as_failed_must_rise() {
        let mut course = course(2, 1, true);
        assert_eq!(course.ended(GOOD), None);
        assert_eq!(course.ended(GOOD), Some(Change::Good));
    }

    #[test]
    fn a_run_that_lasts_skips_no_beat_and_makes_none_up() {
        let mut course = course(1, 1, false);
        let start = course.deadline().expect("at once");
        course.started(start);
        assert_eq!(course.deadline(), None);
        course.ended(GOOD);
        assert_eq!(course.deadline(), Some(start + Duration::from_secs(1)));
        let late = start + Duration::from_secs(5);
        course.started(late);
        course.ended(GOOD);
        assert_eq!(course.deadline(), Some(late + Duration::from_secs(1)));
    }
}
