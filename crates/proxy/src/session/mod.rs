//! Connections of clients, from accept to close.
//!
//! ```text
//!  accept ─► handshake (PROXY protocol) ─► mode http: http1.rs, a loop over requests; http2.rs, a task for each
//!                                          │   route.rs      rules choose a backend or an answer
//!                                          │   dispatch.rs   a server: persistence, balancing, queue, connect, retry
//!                                          │   exchange.rs   request out, response in, bodies both ways (flow.rs)
//!                                          └ mode tcp: tcp.rs, two flows
//! ```

mod activity;
mod balancing;
mod bandwidth;
mod body;
mod caching;
mod choice;
mod client;
mod compress;
mod content;
mod copies;
mod dispatch;
mod exchange;
mod flow;
mod handshake;
mod http1;
mod http2;
mod log;
mod multiplex;
mod persist;
mod proxy_header;
mod reply;
mod response;
mod response_body;
mod route;
mod rules;
mod runner;
mod secure;
mod secure_server;
mod service;
mod spelling;
mod statistics;
mod stick;
mod tcp;
mod trace;
mod tracking;
mod transaction;
mod tunnel;

pub use client::{Client, serve};

/// Bytes of a head as HAProxy counts them in logs and statistics (`%B`, `%U`, `bin`, `bout`): names and values without
/// what stands between them, and a fixed part. What only manages the connection is not counted.
fn counted_head(head: &http::Head) -> u64 {
    const FIXED: u64 = 21;
    // Two blanks and CR LF of the start line, the empty line; colon, blank and CR LF of each field.
    let between = 6 + 4 * head.field_count();
    let managing: usize = if head.has(http::FieldKind::Connection) {
        head.fields_with_kind()
            .filter(|(kind, _, value)| {
                let hop = |token: &[u8]| {
                    token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive")
                };
                *kind == http::FieldKind::Connection && http::Values::new(value).all(hop)
            })
            .map(|(_, name, value)| name.len() + value.len())
            .sum()
    } else {
        0
    };
    head.wire_len().saturating_sub(between + managing) as u64 + FIXED
}
