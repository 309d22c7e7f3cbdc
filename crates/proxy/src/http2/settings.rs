//! What we say in SETTINGS, and the bounds that keep one peer from costing more than its share.

use haproxy_config::model::{Http2Side, Tune};

/// Unread bytes of all streams of a connection together, at most: what `max-concurrent-streams` windows would add up
/// to is more than one client may hold of our memory.
const CONNECTION_WINDOW_MAX: u32 = 2 << 20;

/// Bytes of a stream that wait for the connection to take them.
const SEND_BUFFER_MAX: usize = 128 * 1024;

/// Streams reset by the peer before we looked at them: more of them close the connection (rapid reset, CVE-2023-44487).
const UNSEEN_RESETS_MAX: usize = 50;

/// Streams that we reset and still remember, so that late frames are told from wrong ones.
const REMEMBERED_RESETS_MAX: usize = 50;

/// Streams that break the protocol before the connection is closed.
const BROKEN_STREAMS_MAX: usize = 512;

fn connection_window(side: &Http2Side) -> u32 {
    side.initial_window_size.saturating_mul(side.max_concurrent_streams.max(1)).min(CONNECTION_WINDOW_MAX)
}

/// For connections of clients.
pub fn server_builder(tune: &Tune) -> h2::server::Builder {
    let side = &tune.http2_frontend.over(tune.http2);
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(side.initial_window_size)
        .initial_connection_window_size(connection_window(side).max(side.initial_window_size))
        .max_concurrent_streams(side.max_concurrent_streams)
        .max_frame_size(tune.http2_max_frame_size)
        .header_table_size(tune.http2_header_table_size)
        .max_header_list_size(tune.bufsize as u32)
        .max_send_buffer_size(SEND_BUFFER_MAX)
        .max_concurrent_reset_streams(REMEMBERED_RESETS_MAX)
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(Some(BROKEN_STREAMS_MAX));
    builder.enable_connect_protocol();
    builder
}

/// For connections to servers.
pub fn client_builder(tune: &Tune) -> h2::client::Builder {
    let side = &tune.http2_backend.over(tune.http2);
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(side.initial_window_size)
        .initial_connection_window_size(connection_window(side).max(side.initial_window_size))
        .max_concurrent_streams(0)
        .initial_max_send_streams(side.max_concurrent_streams as usize)
        .max_frame_size(tune.http2_max_frame_size)
        .header_table_size(tune.http2_header_table_size)
        .max_header_list_size(tune.bufsize as u32)
        .max_send_buffer_size(SEND_BUFFER_MAX);
    builder
}
