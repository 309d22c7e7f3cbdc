//! What one checker has come to, for those who ask: written by its task, read by the loop.

use keepalived_config::model::{Check, CheckKind};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Of one checker, since the configuration was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub has_run: bool,
    /// Failures of the current try; before the first result all that there may be, since that one counts at once.
    pub retries: u32,
    /// What it adds to the weight.
    pub offset: i64,
    /// When its program was started last, since 1970.
    pub started: Duration,
    /// How its program ended.
    pub exit_code: i32,
    /// What the kernel said of its connection.
    pub errno: Option<i32>,
}

impl Standing {
    pub fn new(check: &Check, has_run: bool) -> Self {
        // As the machine begins.
        let is_tried_again = matches!(check.kind, CheckKind::Smtp { .. });
        let retries = if has_run || is_tried_again { 0 } else { check.timing.retry };
        Self { has_run, retries, ..Self::default() }
    }
}

/// Where a checker of the configuration stands.
#[derive(Debug)]
pub struct Checking {
    /// Pool, real server, check.
    pub place: (usize, usize, usize),
    /// False while `ha_suspend` holds it back.
    pub is_active: bool,
    pub standing: Standing,
}

/// Between a checker's task and the loop.
pub(super) type Shared = Rc<RefCell<Standing>>;
