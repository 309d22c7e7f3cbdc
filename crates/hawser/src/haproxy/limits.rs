//! How many descriptors and connections the process can have: HAProxy's arithmetic, checked against 2.6.

/// Descriptors for standard streams, timers and the like, before any listener.
const BASE_DESCRIPTORS: u64 = 10;
/// Per thread: one poller and a pipe to wake it.
const DESCRIPTORS_PER_THREAD: u64 = 3;
/// The smallest automatic maxconn.
const MAXCONN_MIN: u64 = 100;

/// What needs descriptors besides connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    pub threads: u64,
    pub listeners: u64,
    /// Health and agent checks: one connection each.
    pub checks: u64,
    /// Connections to the runtime API that may be open (`stats maxconn`), 0 without a stats socket.
    pub statistics_connections: u64,
    /// Some proxy may splice.
    pub splices: bool,
    pub maxpipes: Option<u64>,
}

impl Demand {
    fn fixed(&self) -> u64 {
        BASE_DESCRIPTORS
            + self.listeners
            + self.checks
            + self.statistics_connections
            + DESCRIPTORS_PER_THREAD * self.threads
    }

    /// maxconn for a limit of `descriptors`.
    pub fn maxconn_for(&self, descriptors: u64) -> u64 {
        let remaining = descriptors.saturating_sub(self.fixed());
        let maxconn = match (self.splices, self.maxpipes) {
            // Half of the connections get a pipe: two and a half descriptors each.
            (true, None) => remaining * 2 / 5,
            (true, Some(pipes)) if pipes * 2 < remaining => (remaining - pipes * 2) / 2,
            (true, Some(_)) | (false, _) => remaining / 2,
        };
        maxconn.max(MAXCONN_MIN)
    }

    /// The descriptors that `maxconn` connections need.
    pub fn descriptors_for(&self, maxconn: u64) -> u64 {
        let pipes = match (self.splices, self.maxpipes) {
            (true, None) => maxconn / 4,
            // Counted even where nothing splices.
            (_, Some(pipes)) => pipes,
            (false, None) => 0,
        };
        self.fixed() + maxconn * 2 + pipes * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: Demand = Demand {
        threads: 2,
        listeners: 2,
        checks: 2,
        statistics_connections: 0,
        splices: false,
        maxpipes: None,
    };

    // row: 57
    #[test]
    fn automatic_maxconn_is_haproxys() {
        for (limit, maxconn) in [(1000, 490), (5000, 2490), (20_000, 9990)] {
            assert_eq!(RECORDED.maxconn_for(limit), maxconn);
            assert_eq!(Demand { maxpipes: Some(10), ..RECORDED }.maxconn_for(limit), maxconn);
        }
        assert_eq!(Demand { splices: true, ..RECORDED }.maxconn_for(5000), 1992);
        let with_stats = Demand { listeners: 2, checks: 0, statistics_connections: 10, ..RECORDED };
        assert_eq!(with_stats.maxconn_for(20_000), 9986);
    }

    #[test]
    fn a_given_maxconn_needs_the_descriptors_that_haproxy_asks_for() {
        assert_eq!(Demand { maxpipes: Some(10), ..RECORDED }.descriptors_for(600), 1240);
    }

    #[test]
    fn a_tiny_limit_still_serves_some() {
        assert_eq!(RECORDED.maxconn_for(10), MAXCONN_MIN);
    }
}
