//! Events over a sliding period, counted as HAProxy counts them: the running period in full, the one before it in
//! proportion to how much of it the window still covers. Two words per rate; time is milliseconds of the table.

use super::entry::RateState;

/// Words of an entry that one rate takes.
pub(super) const RATE_WORDS: usize = 2;

/// Reads a rate.
///
/// ```text
/// words[0]: start of the running period, ms     words[1]: events in it << 32 | events in the one before
/// ```
pub(super) fn read(words: &[u64], period_ms: u64, now_ms: u64) -> u64 {
    let (running, before) = (words[1] >> 32, words[1] & u64::from(u32::MAX));
    let elapsed = now_ms.saturating_sub(words[0]);
    let (running, before, remaining) = if elapsed <= period_ms {
        (running, before, period_ms - elapsed)
    } else if elapsed <= 2 * period_ms {
        (0, running, 2 * period_ms - elapsed)
    } else {
        return 0;
    };
    // A single event is not scaled down to nothing, or low rates would flap between 0 and 1.
    if running == 0 && before <= 1 {
        return before;
    }
    running + before * remaining / period_ms
}

/// HAProxy keeps a lock in the lowest bit of the time, so its periods start at even milliseconds.
fn even(now_ms: u64) -> u64 {
    now_ms & !1
}

/// Counts `events` more.
pub(super) fn add(words: &mut [u64], period_ms: u64, now_ms: u64, events: u64) {
    let elapsed = now_ms.saturating_sub(words[0]);
    if elapsed >= period_ms {
        let before = if elapsed < 2 * period_ms { words[1] >> 32 } else { 0 };
        words[0] = even(if elapsed < 2 * period_ms { words[0] + period_ms } else { now_ms });
        words[1] = before;
    }
    let running = ((words[1] >> 32) as u32).wrapping_add(events as u32);
    words[1] = u64::from(running) << 32 | (words[1] & u64::from(u32::MAX));
}

/// How a rate stands, for peers.
pub(super) fn state(words: &[u64], now_ms: u64) -> RateState {
    RateState {
        // HAProxy's clock has 32 bits; an age beyond says only that nothing counts any more.
        age_ms: u32::try_from(now_ms.saturating_sub(words[0])).unwrap_or(i32::MAX as u32),
        running: (words[1] >> 32) as u32,
        before: words[1] as u32,
    }
}

/// Takes over what a peer told.
pub(super) fn restore(words: &mut [u64], now_ms: u64, state: RateState) {
    words[0] = even(now_ms.saturating_sub(u64::from(state.age_ms)));
    words[1] = u64::from(state.running) << 32 | u64::from(state.before);
}

/// Starts over with `events` in the running period.
pub(super) fn set(words: &mut [u64], now_ms: u64, events: u64) {
    words[0] = even(now_ms);
    words[1] = (events & u64::from(u32::MAX)) << 32;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read from HAProxy 2.6.12 every 205 ms after `set table … data.conn_rate 1 data.sess_rate 2
    /// data.http_req_rate 1000` with a period of 2 s; the entry expires after 10 s, so its `exp` tells the time.
    const RECORDED: &[(u64, [u64; 3])] = &[
        (9994, [1, 2, 1000]),
        (8150, [1, 2, 1000]),
        (7945, [1, 1, 972]),
        (7740, [1, 1, 869]),
        (7125, [1, 1, 562]),
        (6919, [1, 0, 459]),
        (6301, [1, 0, 150]),
        (6089, [1, 0, 44]),
        (5872, [0, 0, 0]),
    ];

    #[test]
    fn rates_fade_as_in_haproxy() {
        for (slot, events) in [(0, 1), (1, 2), (2, 1000)] {
            let mut words = [0; RATE_WORDS];
            set(&mut words, 1_001, events);
            for (exp, values) in RECORDED {
                assert_eq!(read(&words, 2_000, 1_001 + 10_000 - exp), values[slot], "{events} at exp={exp}");
            }
        }
    }

    #[test]
    fn a_new_period_keeps_the_one_before_and_forgets_older_ones() {
        let mut words = [0; RATE_WORDS];
        add(&mut words, 1_000, 10_000, 4);
        add(&mut words, 1_000, 10_500, 4);
        assert_eq!(read(&words, 1_000, 10_900), 8);
        add(&mut words, 1_000, 11_500, 1);
        assert_eq!(read(&words, 1_000, 11_500), 5);
        add(&mut words, 1_000, 20_000, 1);
        assert_eq!(read(&words, 1_000, 20_000), 1);
    }
}
