//! Slow start and dynamic connection limits: what a server may take at a given moment.
//!
//! Owns the arithmetic of `slowstart`, `minconn`, `maxconn` and `fullconn`. Never reads a clock: time comes in as
//! what has passed since the server came up.

use std::time::Duration;

use crate::WEIGHT_SCALE;

/// `slowstart`: the time during which weight and connection limit of a returning server grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    seconds: u64,
}

/// How often the weight of a starting server is worth computing again.
pub const STEP: Duration = Duration::from_secs(1);

impl SlowStart {
    /// The ramp over `duration`, rounded up to whole seconds as HAProxy does; `None` when there is none.
    pub fn new(duration: Duration) -> Option<SlowStart> {
        let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
        (seconds > 0).then_some(SlowStart { seconds })
    }

    /// Whether the ramp is over `elapsed` after the server came up.
    pub fn is_over(&self, elapsed: Duration) -> bool {
        elapsed.as_secs() >= self.seconds
    }

    /// The share of its weight that a server gets, in sixteenths (1..=16): what
    /// [`Picker::set_ramp`](crate::Picker::set_ramp) takes.
    pub fn ramp(&self, elapsed: Duration) -> u8 {
        if self.is_over(elapsed) {
            return WEIGHT_SCALE as u8;
        }
        // Below the scale, because elapsed < seconds: the first step is one sixteenth, never zero.
        (u64::from(WEIGHT_SCALE) * elapsed.as_secs() / self.seconds) as u8 + 1
    }

    /// The share of `limit` connections that a server takes `elapsed` after it came up; at least one.
    pub fn limit(&self, limit: u32, elapsed: Duration) -> u32 {
        if self.is_over(elapsed) {
            return limit;
        }
        let percent = 100 * elapsed.as_secs() / self.seconds;
        ((u64::from(limit) * percent / 100) as u32).max(1)
    }
}

/// The column `throttle` of the statistics, in percent: the share of `weight` that a ramp of so many sixteenths
/// leaves in force, rounded down except for the smallest weights.
pub fn throttle_percent(weight: u16, sixteenths: u8) -> u32 {
    if weight == 0 {
        return 100;
    }
    let weight = u32::from(weight);
    (100 * weight * u32::from(sixteenths) + WEIGHT_SCALE - 1) / (WEIGHT_SCALE * weight)
}

/// Connection limits of a server and its backend, in connections; a `maxconn` of 0 means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `minconn`: the limit on an idle backend; 0 means the same as `maxconn`.
    pub minconn: u32,
    /// `maxconn`: the limit on a full backend.
    pub maxconn: u32,
    /// `fullconn` of the backend: with this many connections servers get their whole `maxconn`.
    pub fullconn: u32,
}

impl Limits {
    /// The limit that holds while the backend has `backend_connections`, before slow start.
    pub fn at(&self, backend_connections: u32) -> u32 {
        if self.minconn == 0 || self.minconn >= self.maxconn || backend_connections >= self.fullconn {
            return self.maxconn;
        }
        let share = u64::from(backend_connections) * u64::from(self.maxconn) / u64::from(self.fullconn);
        self.minconn.max(share as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    // row: 111
    #[test]
    fn weight_grows_in_sixteenths_from_one_to_all() {
        let ramp = SlowStart::new(seconds(32)).expect("a duration above zero");
        assert_eq!(ramp.ramp(seconds(0)), 1);
        assert_eq!(ramp.ramp(seconds(2)), 2);
        assert_eq!(ramp.ramp(seconds(16)), 9);
        assert_eq!(ramp.ramp(seconds(31)), 16);
        assert_eq!(ramp.ramp(seconds(32)), 16);
        assert!(!ramp.is_over(Duration::from_millis(31_999)));
        assert!(ramp.is_over(seconds(32)));
    }

    // row: 111
    #[test]
    fn connection_limit_grows_in_percent_and_never_reaches_zero() {
        let ramp = SlowStart::new(seconds(30)).expect("a duration above zero");
        assert_eq!(ramp.limit(100, seconds(0)), 1);
        assert_eq!(ramp.limit(100, seconds(15)), 50);
        assert_eq!(ramp.limit(100, seconds(30)), 100);
    }

    #[test]
    fn part_of_a_second_counts_as_a_whole_one() {
        assert_eq!(SlowStart::new(Duration::from_millis(1500)), SlowStart::new(seconds(2)));
        assert_eq!(SlowStart::new(Duration::ZERO), None);
    }

    #[test]
    fn limit_follows_the_load_of_the_backend_between_minconn_and_maxconn() {
        let limits = Limits { minconn: 10, maxconn: 100, fullconn: 1000 };
        assert_eq!(limits.at(0), 10);
        assert_eq!(limits.at(500), 50);
        assert_eq!(limits.at(1000), 100);
        assert_eq!(Limits { minconn: 0, ..limits }.at(0), 100);
    }
}
