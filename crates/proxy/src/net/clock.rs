//! The time of the current turn of the thread's loop: read when the loop wakes up, as HAProxy does, and not for each of the
//! six moments of a request that a log line or a timeout may ask for. A loop that is never idle may turn without telling, so
//! that the time is read anew after every few questions, too.

use std::cell::Cell;
use std::time::Instant;

/// Questions that one reading answers: those of two or three requests.
const ANSWERS_MAX: u32 = 16;

thread_local! {
    /// With the answers left. Threads that never turn have the exact time.
    static TURN: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
}

/// A turn begins.
pub fn turn() {
    TURN.set(Some((Instant::now(), ANSWERS_MAX)));
}

/// When the current turn began, or later.
pub fn now() -> Instant {
    TURN.with(|turn| match turn.get() {
        None => Instant::now(),
        Some((read, left)) if left > 0 => {
            turn.set(Some((read, left - 1)));
            read
        }
        Some(_) => {
            let read = Instant::now();
            turn.set(Some((read, ANSWERS_MAX)));
            read
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    #[test]
    fn time_stands_still_within_a_turn_only() {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .on_thread_unpark(super::turn)
                .build()
                .expect("a runtime");
            let start = Instant::now();
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let woken = super::now();
                assert!(woken >= start + Duration::from_millis(20), "the loop has turned");
                std::thread::sleep(Duration::from_millis(5));
                assert_eq!(super::now(), woken, "the same turn");
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(super::now() >= woken + Duration::from_millis(5), "the next one");
            });
        })
        .join()
        .expect("no assertion failed");
    }

    #[test]
    fn a_loop_that_never_rests_has_the_time_after_a_few_questions() {
        std::thread::spawn(|| {
            super::turn();
            let first = super::now();
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(super::now(), first);
            for _ in 0..super::ANSWERS_MAX {
                super::now();
            }
            assert!(super::now() >= first + Duration::from_millis(5));
        })
        .join()
        .expect("no assertion failed");
    }
}
