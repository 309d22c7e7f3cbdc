//! Statistics counters: one block per worker thread, written by its owner without atomic read-modify-write, summed
//! when somebody asks.

use super::kept::Kept;
use rules::ProxyId;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Only the owning worker calls this: load and store, no bus lock.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

macro_rules! counters {
    ($(#[$meta:meta])* $name:ident, $sum:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name { $($(#[$doc])* pub $field: Counter,)* pub responses: [Counter; 6] }

        /// The same counters, summed over the workers.
        #[derive(Debug, Default, Clone, PartialEq, Eq)]
        pub struct $sum { $($(#[$doc])* pub $field: u64,)* pub responses: [u64; 6] }

        impl $name {
            /// Adds this block to `sum`.
            pub fn add_to(&self, sum: &mut $sum) {
                $(sum.$field += self.$field.get();)*
                for (total, counter) in sum.responses.iter_mut().zip(&self.responses) {
                    *total += counter.get();
                }
            }

            pub fn reset(&self) {
                $(self.$field.reset();)*
                for counter in &self.responses {
                    counter.reset();
                }
            }
        }
    };
}

counters! {
    /// What a frontend counts. `responses`: 1xx, 2xx, 3xx, 4xx, 5xx, other.
    FrontendCounters, FrontendTotals {
        connections,
        sessions,
        requests,
        bytes_in,
        bytes_out,
        denied_requests,
        denied_responses,
        failed_requests,
        denied_connections,
        denied_sessions,
        intercepted,
        failed_rewrites,
        internal_errors,
        cache_lookups,
        cache_hits,
        compressed_in,
        compressed_out,
        compressed_bypass,
        compressed_responses,
        tls_sessions,
        tls_resumed,
        tls_failed,
        http2_headers,
        http2_data,
        http2_settings,
        http2_resets,
        http2_goaways,
        http2_connection_errors,
        http2_stream_errors,
        http2_resets_sent,
        http2_goaways_sent,
        http2_connections_begun,
        http2_connections_ended,
        http2_streams_begun,
        http2_streams_ended,
    }
}

counters! {
    /// What a backend counts. `responses`: 1xx, 2xx, 3xx, 4xx, 5xx, other.
    BackendCounters, BackendTotals {
        sessions,
        balanced,
        requests,
        bytes_in,
        bytes_out,
        denied_requests,
        denied_responses,
        failed_connections,
        failed_responses,
        retries,
        redispatches,
        client_aborts,
        server_aborts,
        connects,
        reused,
        failed_rewrites,
        internal_errors,
        cache_lookups,
        cache_hits,
        compressed_in,
        compressed_out,
        compressed_bypass,
        compressed_responses,
        tls_sessions,
        tls_resumed,
        tls_failed,
        http2_headers,
        http2_data,
        http2_settings,
        http2_resets,
        http2_goaways,
        http2_connection_errors,
        http2_stream_errors,
        http2_resets_sent,
        http2_goaways_sent,
        http2_connections_begun,
        http2_connections_ended,
        http2_streams_begun,
        http2_streams_ended,
    }
}

counters! {
    /// What a server counts. `responses`: 1xx, 2xx, 3xx, 4xx, 5xx, other.
    ServerCounters, ServerTotals {
        sessions,
        balanced,
        requests,
        bytes_in,
        bytes_out,
        denied_responses,
        failed_connections,
        failed_responses,
        retries,
        redispatches,
        client_aborts,
        server_aborts,
        connects,
        reused,
        failed_rewrites,
        internal_errors,
        tls_sessions,
        tls_resumed,
        tls_failed,
    }
}

counters! {
    /// What a listener counts, with `option socket-stats`. `responses` stays empty.
    ListenerCounters, ListenerTotals {
        connections,
        bytes_in,
        bytes_out,
        denied_requests,
        denied_responses,
        failed_requests,
        denied_connections,
        denied_sessions,
        failed_rewrites,
    }
}

/// All counters of one worker thread. Each block is shared with the configurations before and after a reload, by name: the
/// thread goes on writing to it, whichever of them a request runs under.
#[derive(Debug)]
pub struct WorkerCounters {
    /// By `ProxyId`.
    pub frontends: Box<[Arc<FrontendCounters>]>,
    pub backends: Box<[Arc<BackendCounters>]>,
    /// By `ProxyId` and the position of the `bind` line; none where nobody asked for them.
    pub listeners: Box<[Box<[Arc<ListenerCounters>]>]>,
    /// By `ServerState::slot`; grows when servers are added at run time.
    pub servers: boxcar::Vec<Arc<ServerCounters>>,
    totals: Arc<WorkerTotals>,
}

/// What a worker thread counts as a whole.
#[derive(Debug, Default)]
pub struct WorkerTotals {
    pub connections: Counter,
    pub tls_connections: Counter,
    pub requests: Counter,
    pub bytes_out: Counter,
}

impl Deref for WorkerCounters {
    type Target = WorkerTotals;

    fn deref(&self) -> &WorkerTotals {
        &self.totals
    }
}

impl WorkerCounters {
    /// `listeners`: how many each proxy counts.
    pub fn new(listeners: &[usize], servers: usize) -> WorkerCounters {
        let proxies = listeners.len();
        let of_proxy = |count: &usize| (0..*count).map(|_| Arc::default()).collect();
        let counters = WorkerCounters {
            frontends: (0..proxies).map(|_| Arc::default()).collect(),
            backends: (0..proxies).map(|_| Arc::default()).collect(),
            listeners: listeners.iter().map(of_proxy).collect(),
            servers: boxcar::Vec::with_capacity(servers),
            totals: Arc::default(),
        };
        counters.grow(servers);
        counters
    }

    /// The same thread's counters under another configuration: `kept` says where each block was before, if anywhere.
    pub fn after(before: &WorkerCounters, listeners: &[usize], kept: &Kept) -> WorkerCounters {
        let carry = |at: &Option<ProxyId>| at.map(ProxyId::index);
        WorkerCounters {
            frontends: (kept.frontends.iter())
                .map(|at| carry(at).map_or_else(Arc::default, |at| Arc::clone(&before.frontends[at])))
                .collect(),
            backends: (kept.backends.iter())
                .map(|at| carry(at).map_or_else(Arc::default, |at| Arc::clone(&before.backends[at])))
                .collect(),
            listeners: (listeners.iter().zip(&kept.listeners))
                .map(|(count, places)| {
                    let known = |place: usize| {
                        let (proxy, index) = (*places.get(place)?)?;
                        before.listeners[proxy.index()].get(index as usize).map(Arc::clone)
                    };
                    (0..*count).map(|place| known(place).unwrap_or_default()).collect()
                })
                .collect(),
            servers: (kept.servers.iter())
                .map(|slot| {
                    slot.and_then(|slot| before.servers.get(slot as usize))
                        .map_or_else(Arc::default, Arc::clone)
                })
                .collect(),
            totals: Arc::clone(&before.totals),
        }
    }

    /// Makes room for server slots below `count`. Called before the new server is visible.
    pub fn grow(&self, count: usize) {
        while self.servers.count() < count {
            self.servers.push(Arc::default());
        }
    }
}

/// Index into a `responses` array.
pub fn response_class(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status / 100 - 1),
        _ => 5,
    }
}

/// Events per second over a sliding second, shared by all threads: the current second's count plus the part of the
/// previous second's that the window still covers.
#[derive(Debug, Default)]
pub struct Rate {
    second: AtomicU32,
    current: AtomicU32,
    previous: AtomicU32,
    max: AtomicU32,
}

impl Rate {
    /// `now_ms`: milliseconds of the process clock. Returns the rate including this event.
    pub fn add(&self, now_ms: u64) -> u32 {
        self.rotate(now_ms);
        self.current.fetch_add(1, Relaxed);
        let rate = self.get(now_ms);
        if rate > self.max.load(Relaxed) {
            self.max.store(rate, Relaxed);
        }
        rate
    }

    /// Many events at once, such as bytes. Their maximum is not kept.
    pub fn add_many(&self, now_ms: u64, count: u64) {
        self.rotate(now_ms);
        self.current.fetch_add(count as u32, Relaxed);
    }

    pub fn get(&self, now_ms: u64) -> u32 {
        self.rotate(now_ms);
        let elapsed = (now_ms % 1000) as u32;
        let previous = self.previous.load(Relaxed);
        self.current.load(Relaxed) + (u64::from(previous) * u64::from(1000 - elapsed) / 1000) as u32
    }

    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    pub fn reset_max(&self) {
        self.max.store(0, Relaxed);
    }

    fn rotate(&self, now_ms: u64) {
        let now = (now_ms / 1000) as u32;
        let then = self.second.load(Relaxed);
        if then == now {
            return;
        }
        if self.second.compare_exchange(then, now, Relaxed, Relaxed).is_ok() {
            let ended = self.current.swap(0, Relaxed);
            self.previous.store(if now == then.wrapping_add(1) { ended } else { 0 }, Relaxed);
        }
    }
}

/// A number of things that exist now, with the highest value seen.
#[derive(Debug, Default)]
pub struct Gauge {
    now: AtomicU32,
    max: AtomicU32,
}

impl Gauge {
    /// Returns the value after the increment.
    pub fn increment(&self) -> u32 {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        if now > self.max.load(Relaxed) {
            self.max.store(now, Relaxed);
        }
        now
    }

    pub fn decrement(&self) -> u32 {
        self.now.fetch_sub(1, Relaxed).wrapping_sub(1)
    }

    pub fn get(&self) -> u32 {
        self.now.load(Relaxed)
    }

    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// `clear counters`: the peak starts again from the present value.
    pub fn reset_max(&self) {
        self.max.store(self.get(), Relaxed);
    }
}

/// The average over about the last 1024 events, as the statistics page shows times.
#[derive(Debug, Default)]
pub struct Average {
    sum: AtomicU32,
    max: AtomicU32,
}

/// Window of [`Average`], in events.
const AVERAGE_WINDOW: u32 = 1024;

impl Average {
    pub fn add(&self, value: u32) {
        let sum = self.sum.load(Relaxed);
        // Racing writers may lose a sample; the average does not notice.
        self.sum.store(sum.saturating_sub(sum.div_ceil(AVERAGE_WINDOW)).saturating_add(value), Relaxed);
        if value > self.max.load(Relaxed) {
            self.max.store(value, Relaxed);
        }
    }

    /// The largest value seen.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    pub fn reset_max(&self) {
        self.max.store(0, Relaxed);
    }

    pub fn get(&self) -> u32 {
        (u64::from(self.sum.load(Relaxed)) + u64::from(AVERAGE_WINDOW) / 2) as u32 / AVERAGE_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_slides_over_the_second() {
        let rate = Rate::default();
        for _ in 0..100 {
            rate.add(5_900);
        }
        assert_eq!(rate.get(5_950), 100);
        assert_eq!(rate.get(6_500), 50, "half of the previous second is still in the window");
        assert_eq!(rate.get(8_000), 0);
        assert_eq!(rate.max(), 100);
    }

    #[test]
    fn responses_are_classed_by_their_first_digit() {
        assert_eq!([100, 204, 301, 404, 503, 600, 0].map(response_class), [0, 1, 2, 3, 4, 5, 5]);
    }
}
