//! What frontends and backends count of HTTP/2, in the order of the columns of `show stat`.

use super::counters::{BackendCounters, BackendTotals, FrontendCounters, FrontendTotals};
use http2::Counts;

macro_rules! http2_counts {
    ($counters:ident, $totals:ident) => {
        impl $counters {
            /// Adds what a connection has counted.
            pub fn note_http2(&self, counts: &Counts) {
                for (counter, count) in [
                    (&self.http2_headers, counts.headers),
                    (&self.http2_data, counts.data),
                    (&self.http2_settings, counts.settings),
                    (&self.http2_resets, counts.resets),
                    (&self.http2_goaways, counts.goaways),
                    (&self.http2_connection_errors, counts.connection_errors),
                    (&self.http2_stream_errors, counts.stream_errors),
                    (&self.http2_resets_sent, counts.resets_sent),
                    (&self.http2_goaways_sent, counts.goaways_sent),
                    (&self.http2_streams_begun, counts.streams_begun),
                    (&self.http2_streams_ended, counts.streams_ended),
                ] {
                    if count > 0 {
                        counter.add(count.into());
                    }
                }
            }
        }

        impl $totals {
            /// The columns from `h2_headers_rcvd` on.
            pub fn http2(&self) -> [u64; 13] {
                [
                    self.http2_headers,
                    self.http2_data,
                    self.http2_settings,
                    self.http2_resets,
                    self.http2_goaways,
                    self.http2_connection_errors,
                    self.http2_stream_errors,
                    self.http2_resets_sent,
                    self.http2_goaways_sent,
                    self.http2_connections_begun.saturating_sub(self.http2_connections_ended),
                    self.http2_streams_begun.saturating_sub(self.http2_streams_ended),
                    self.http2_connections_begun,
                    self.http2_streams_begun,
                ]
            }
        }
    };
}

http2_counts!(FrontendCounters, FrontendTotals);
http2_counts!(BackendCounters, BackendTotals);
