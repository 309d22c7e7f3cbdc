//! Rates per second from counters that only grow, as IPVS estimates them: a look every two seconds, a quarter of the
//! difference each time. Pure.

use netlink::ipvs::Statistics;

/// Seconds between looks.
pub const INTERVAL_SECONDS: u64 = 2;

/// What is known of one real server's rates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    last: [u64; 5],
    average: [f64; 5],
}

impl Rates {
    /// Takes what is counted now.
    pub fn look(&mut self, counted: [u64; 5]) {
        for ((average, last), now) in self.average.iter_mut().zip(&mut self.last).zip(counted) {
            let rate = now.saturating_sub(*last) as f64 / INTERVAL_SECONDS as f64;
            *average += (rate - *average) / 4.0;
            *last = now;
        }
    }

    /// Adds the rates to statistics.
    pub fn fill(&self, statistics: &mut Statistics) {
        let [connections, packets_in, packets_out, bytes_in, bytes_out] =
            self.average.map(|average| average.round() as u64);
        statistics.connection_rate += connections;
        statistics.packet_rate_in += packets_in;
        statistics.packet_rate_out += packets_out;
        statistics.byte_rate_in += bytes_in;
        statistics.byte_rate_out += bytes_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_reached_in_time() {
        let mut rates = Rates::default();
        for look in 1..=30 {
            rates.look([look * 20, 0, 0, look * 2000, 0]);
        }
        let mut statistics = Statistics::default();
        rates.fill(&mut statistics);
        assert_eq!((statistics.connection_rate, statistics.byte_rate_in), (10, 1000));
    }
}
