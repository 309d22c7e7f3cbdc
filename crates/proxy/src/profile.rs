//! How often tasks are called, and what they cost: `cpu_calls` and its like, `profiling.tasks`. Tasks are wrapped only
//! where an expression of the configuration asks for it.

use parking_lot::Mutex;
use rules::TaskCost;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Instant;

thread_local! {
    static CURRENT: Cell<Running> = const { Cell::new(Running::NOTHING) };
}

/// The task that is running on this thread.
#[derive(Debug, Clone, Copy)]
struct Running {
    cost: TaskCost,
    /// Where its time is measured: when this call began.
    since: Option<Instant>,
    /// What the cost was before this call.
    before: TaskCost,
}

impl Running {
    const NOTHING: Running = {
        let nothing = TaskCost { calls: 0, cpu_ns: 0, latency_ns: 0 };
        Running { cost: nothing, since: None, before: nothing }
    };
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The cost of the task that is running, this call included as far as it has got.
pub fn current() -> TaskCost {
    let running = CURRENT.get();
    let now = running.since.map_or(0, nanoseconds);
    TaskCost { cpu_ns: running.cost.cpu_ns + now, ..running.cost }
}

/// What the running task had cost when this call began: where a new stream counts from.
pub fn before_this_call() -> TaskCost {
    CURRENT.get().before
}

/// Remembers when a task was woken.
struct Alarm {
    inner: Waker,
    woken: Mutex<Option<Instant>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Alarm>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Alarm>) {
        self.woken.lock().get_or_insert_with(Instant::now);
        self.inner.wake_by_ref();
    }
}

/// Runs `task`, counting its calls, and measuring them while `is_on` says so.
pub fn counted<T>(task: impl Future<Output = T>, is_on: impl Fn() -> bool) -> impl Future<Output = T> {
    run(task, is_on, Instant::now())
}

/// `woken`: it waits for its first call since then.
async fn run<T>(task: impl Future<Output = T>, is_on: impl Fn() -> bool, woken: Instant) -> T {
    let mut woken = Some(woken);
    let mut task = pin!(task);
    let mut cost = TaskCost::default();
    let mut alarm: Option<Arc<Alarm>> = None;
    poll_fn(move |context| {
        let before = cost;
        cost.calls += 1;
        let since = is_on().then(Instant::now);
        let outer = CURRENT.replace(Running { cost, since, before });
        let polled = match since {
            None => task.as_mut().poll(context),
            Some(_) => {
                let alarm = armed(&mut alarm, context);
                if let Some(woken) = alarm.woken.lock().take().or(woken.take()) {
                    cost.latency_ns += nanoseconds(woken);
                    CURRENT.set(Running { cost, since, before });
                }
                let waker = Waker::from(Arc::clone(alarm));
                task.as_mut().poll(&mut Context::from_waker(&waker))
            }
        };
        cost.cpu_ns += since.map_or(0, nanoseconds);
        CURRENT.set(outer);
        polled
    })
    .await
}

/// The alarm in front of the task's waker.
fn armed<'a>(alarm: &'a mut Option<Arc<Alarm>>, context: &Context<'_>) -> &'a Arc<Alarm> {
    if alarm.as_ref().is_none_or(|alarm| !alarm.inner.will_wake(context.waker())) {
        *alarm = None;
    }
    alarm.get_or_insert_with(|| Arc::new(Alarm { inner: context.waker().clone(), woken: Mutex::new(None) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn calls_are_counted_and_times_are_measured_where_that_is_on() {
        for is_on in [false, true] {
            let task = async {
                let first = current();
                tokio::task::yield_now().await;
                let second = before_this_call();
                std::thread::sleep(Duration::from_millis(2));
                (first, second, current())
            };
            let (first, second, last) = counted(task, || is_on).await;
            assert_eq!((first.calls, second.calls, last.calls), (1, 1, 2));
            assert_eq!(last.since(second).calls, 1);
            assert_eq!(last.since(second).cpu_ns >= 2_000_000, is_on, "{last:?}");
            assert_eq!(last.latency_ns > 0, is_on, "{last:?}");
        }
        assert_eq!(current(), TaskCost::default(), "nothing is left behind");
    }
}
