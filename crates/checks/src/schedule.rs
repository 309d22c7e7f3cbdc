//! When the next check is due: `inter`, `fastinter`, `downinter`, `spread-checks`, and the spread of the first ones.

use crate::RiseFall;
use std::time::Duration;

/// The intervals of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    pub inter: Duration,
    /// While going up or down.
    pub fastinter: Option<Duration>,
    /// While down and failing.
    pub downinter: Option<Duration>,
}

impl Intervals {
    /// The interval in force.
    pub fn current(&self, counter: RiseFall) -> Duration {
        if counter.is_full() {
            self.inter
        } else if counter.health() == 0 {
            self.downinter.unwrap_or(self.inter)
        } else {
            self.fastinter.unwrap_or(self.inter)
        }
    }
}

/// `interval`, up to `percent` (0..=50) longer or shorter; `random` is uniform.
pub fn jittered(interval: Duration, percent: u32, random: u32) -> Duration {
    if percent == 0 {
        return interval;
    }
    let millis = interval.as_millis() as u64;
    let most = millis * u64::from(percent.min(50)) / 100;
    let cut = (2 * u128::from(most) * u128::from(random) / u128::from(u32::MAX)) as u64;
    Duration::from_millis((millis + most).saturating_sub(cut).max(1))
}

/// How long after the start the `position`-th of `count` checks (health checks and agents, in configuration order)
/// runs first: spread over its own interval, at most `max_spread`.
pub fn first_delay(
    interval: Duration,
    position: usize,
    count: usize,
    max_spread: Option<Duration>,
) -> Duration {
    let window = max_spread.map_or(interval, |max| interval.min(max));
    let millis = window.as_millis() * position as u128 / count.max(1) as u128;
    Duration::from_millis(millis as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    // row: 97
    #[test]
    fn the_interval_depends_on_where_the_server_stands() {
        let intervals = Intervals { inter: ms(300), fastinter: Some(ms(100)), downinter: Some(ms(500)) };
        let at = |health| intervals.current(RiseFall::with_health(3, 3, health));
        assert_eq!([0, 1, 2, 3, 4, 5].map(at), [ms(500), ms(100), ms(100), ms(100), ms(100), ms(300)]);
    }

    #[test]
    fn without_downinter_a_dead_server_is_checked_at_inter() {
        let intervals = Intervals { inter: ms(300), fastinter: Some(ms(100)), downinter: None };
        assert_eq!(intervals.current(RiseFall::with_health(2, 2, 0)), ms(300));
    }

    // Recorded: ten servers at `inter 2000` start 200 ms apart; three with 2000, 1000 and 3000 at 0, 333 and 2000.
    #[test]
    fn first_checks_are_spread_over_the_interval() {
        assert_eq!(first_delay(ms(2000), 9, 10, None), ms(1800));
        assert_eq!(first_delay(ms(1000), 1, 3, None), ms(333));
        assert_eq!(first_delay(ms(3000), 2, 3, None), ms(2000));
        assert_eq!(first_delay(ms(2000), 9, 10, Some(ms(500))), ms(450));
    }

    // row: 62
    #[test]
    fn spread_checks_stays_within_its_percentage() {
        assert_eq!(jittered(ms(1000), 0, 77), ms(1000));
        assert_eq!(jittered(ms(1000), 50, 0), ms(1500));
        assert_eq!(jittered(ms(1000), 50, u32::MAX), ms(500));
        assert_eq!(jittered(ms(1000), 5, u32::MAX / 2), ms(1001));
    }
}
