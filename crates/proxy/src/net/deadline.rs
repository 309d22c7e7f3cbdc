//! One timer for a connection, moved lazily: a deadline that only moves later costs nothing until it would fire.

use crate::registry::Control;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::time::Sleep;

/// The deadline of whatever a connection waits for now.
///
/// ```text
///   set(later)   : remember it; the timer still fires at the old, earlier time and is then moved
///   set(earlier) : move the timer
///   set(None)    : remember; a firing timer is ignored
/// ```
/// Must be polled by one task only: the waker is registered once per arming.
#[derive(Debug)]
pub struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Option<Instant>,
    /// When `sleep` fires; meaningful while `registered`.
    armed: Option<Instant>,
    registered: bool,
    control: Option<Rc<Control>>,
}

impl Deadline {
    pub fn new() -> Deadline {
        Deadline { sleep: None, at: None, armed: None, registered: false, control: None }
    }

    /// A deadline that also passes when `control` is told to end.
    pub fn controlled(control: Rc<Control>) -> Deadline {
        Deadline { control: Some(control), ..Deadline::new() }
    }

    /// From here on it also passes when `control` is told to end.
    pub fn control(&mut self, control: Rc<Control>) {
        self.at = None;
        self.control = Some(control);
    }

    /// Waits for nothing any more. The timer stays as it is: used again by the same task, it costs nothing.
    pub fn forget(&mut self) {
        self.at = None;
        self.control = None;
    }

    pub fn set(&mut self, at: Option<Instant>) {
        self.at = at;
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(control) = &self.control {
            if control.is_killed() {
                return Poll::Ready(());
            }
            control.attach(context.waker());
        }
        let Some(at) = self.at else { return Poll::Pending };
        if self.registered
            && let Some(armed) = self.armed
            && armed <= at
        {
            // The timer wakes this task no later than needed; until then there is nothing to look at.
            let sleep = self.sleep.as_mut().expect("an armed timer exists");
            if !sleep.is_elapsed() && sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        loop {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            let target = tokio::time::Instant::from_std(at);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(target),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(target))),
            }
            self.armed = Some(at);
            self.registered = true;
            let sleep = self.sleep.as_mut().expect("set above");
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Deadline::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    #[test]
    fn a_deadline_moved_later_fires_only_at_the_later_time() {
        run(async {
            let start = Instant::now();
            let mut deadline = Deadline::new();
            deadline.set(Some(start + Duration::from_millis(10)));
            poll_fn(|context| Poll::Ready(deadline.poll(context).is_pending())).await;
            deadline.set(Some(start + Duration::from_millis(40)));
            poll_fn(|context| deadline.poll(context)).await;
            assert!(start.elapsed() >= Duration::from_millis(40));
        });
    }

    #[test]
    fn a_deadline_moved_earlier_fires_at_the_earlier_time() {
        run(async {
            let start = Instant::now();
            let mut deadline = Deadline::new();
            deadline.set(Some(start + Duration::from_secs(60)));
            poll_fn(|context| Poll::Ready(deadline.poll(context).is_pending())).await;
            deadline.set(Some(start + Duration::from_millis(10)));
            poll_fn(|context| deadline.poll(context)).await;
            assert!(start.elapsed() < Duration::from_secs(5));
        });
    }

    #[test]
    fn no_deadline_never_fires() {
        run(async {
            let mut deadline = Deadline::new();
            deadline.set(Some(Instant::now()));
            deadline.set(None);
            assert!(poll_fn(|context| Poll::Ready(deadline.poll(context).is_pending())).await);
        });
    }
}
