//! The time of the current turn of the thread's loop: read once when the loop wakes up, as HAProxy does, and not for each
//! of the six moments of a request that a log line or a timeout may ask for. A turn runs at most sixty-one tasks before
//! the loop looks for events again, so the time is late by less than what those take.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A turn begins. Threads that never call this have the exact time.
pub fn turn() {
    TURN.set(Some(Instant::now()));
}

/// When the current turn began.
pub fn now() -> Instant {
    TURN.get().unwrap_or_else(Instant::now)
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
    fn a_busy_loop_turns_too() {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_unpark(super::turn)
                .build()
                .expect("a runtime");
            // Tasks that are always ready: the loop never sleeps.
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                for _ in 0..200 {
                    tokio::task::spawn_local(async {
                        for _ in 0..200 {
                            std::hint::black_box(std::iter::repeat_n(1u32, 2_000).sum::<u32>());
                            tokio::task::yield_now().await;
                        }
                    });
                }
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                    assert!(super::now().elapsed() < Duration::from_millis(500), "late by much");
                }
            });
        })
        .join()
        .expect("no assertion failed");
    }
}
