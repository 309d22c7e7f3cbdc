//! Whether an instance knows what the others know: it learns from the process it replaces, else from another instance,
//! and gives up when nobody teaches it.
//!
//! ```text
//!  Local ── 5 s, or there is nobody ──► Remote ── 5 s without a teacher ──► Done
//!    └──────── taught in full ────────────┴──────────────────────────────────┘
//! ```

use crate::RESYNC_TIMEOUT;
use std::time::Instant;

/// Who may teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The process that this one replaces.
    Local,
    Remote,
}

/// How far learning is.
#[derive(Debug, Clone)]
pub struct Resync {
    /// `None`: done.
    from: Option<Source>,
    /// Somebody was asked and has not finished.
    is_assigned: bool,
    deadline: Instant,
    timed_out: bool,
}

impl Resync {
    /// `replaces`: there may be a process that this one replaces.
    pub fn new(replaces: bool, now: Instant) -> Resync {
        let from = if replaces { Source::Local } else { Source::Remote };
        Resync { from: Some(from), is_assigned: false, deadline: now + RESYNC_TIMEOUT, timed_out: false }
    }

    /// Whether this instance knows all it can: what it teaches is complete then.
    pub fn is_done(&self) -> bool {
        self.from.is_none()
    }

    /// Whether it is done because nobody taught it.
    pub fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    /// Whether somebody of that kind should be asked now. Who was told `true` asks, and says how it ended.
    pub fn assign(&mut self, source: Source) -> bool {
        let wanted = self.from == Some(source) && !self.is_assigned;
        self.is_assigned |= wanted;
        wanted
    }

    /// The teacher has finished; `full`: it knew all itself.
    pub fn taught(&mut self, full: bool, now: Instant) {
        self.is_assigned = false;
        if full {
            self.from = None;
        } else {
            self.deadline = now + RESYNC_TIMEOUT;
        }
    }

    /// The teacher went away.
    pub fn lost(&mut self, now: Instant) {
        self.is_assigned = false;
        self.deadline = now + RESYNC_TIMEOUT;
    }

    /// When [`handle_timeout`](Resync::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.from.is_some() && !self.is_assigned).then_some(self.deadline)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_assigned || now < self.deadline {
            return;
        }
        self.from = match self.from {
            Some(Source::Local) => Some(Source::Remote),
            Some(Source::Remote) => {
                self.timed_out = true;
                None
            }
            None => None,
        };
        self.deadline = now + RESYNC_TIMEOUT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_predecessor_is_waited_for_then_the_others_then_nobody() {
        let start = Instant::now();
        let mut resync = Resync::new(true, start);
        assert!(!resync.assign(Source::Remote));
        let after = start + RESYNC_TIMEOUT;
        resync.handle_timeout(after);
        assert!(!resync.assign(Source::Local));
        assert!(resync.assign(Source::Remote));
        assert!(!resync.assign(Source::Remote), "one teacher at a time");
        assert_eq!(resync.poll_timeout(), None);
        resync.lost(after);
        assert_eq!(resync.poll_timeout(), Some(after + RESYNC_TIMEOUT));
        resync.handle_timeout(after + RESYNC_TIMEOUT);
        assert!(resync.is_done() && resync.has_timed_out());
    }

    #[test]
    fn a_teacher_who_does_not_know_all_is_not_enough() {
        let start = Instant::now();
        let mut resync = Resync::new(false, start);
        assert!(resync.assign(Source::Remote));
        resync.taught(false, start + Duration::from_secs(1));
        assert!(!resync.is_done());
        assert!(resync.assign(Source::Remote));
        resync.taught(true, start + Duration::from_secs(2));
        assert!(resync.is_done() && !resync.has_timed_out());
    }
}
