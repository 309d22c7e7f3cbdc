//! What we say in SETTINGS, from `tune.h2.*`.

use ::http2::Bounds;
use haproxy_config::model::{Http2Side, Tune};

/// Unread bytes of all streams of a connection together, at most: what `max-concurrent-streams` windows would add up
/// to is more than one client may hold of our memory.
const CONNECTION_WINDOW_MAX: u32 = 2 << 20;

/// For connections of clients.
pub fn client_side(tune: &Tune) -> Bounds {
    bounds(tune, &tune.http2_frontend.over(tune.http2))
}

/// For connections to servers, which open no streams.
pub fn server_side(tune: &Tune) -> Bounds {
    Bounds { max_concurrent_streams: 0, ..bounds(tune, &tune.http2_backend.over(tune.http2)) }
}

fn bounds(tune: &Tune, side: &Http2Side) -> Bounds {
    let all = side.initial_window_size.saturating_mul(side.max_concurrent_streams.max(1));
    Bounds {
        header_table_size: tune.http2_header_table_size,
        max_concurrent_streams: side.max_concurrent_streams,
        initial_window_size: side.initial_window_size,
        connection_window: all.min(CONNECTION_WINDOW_MAX).max(side.initial_window_size),
        max_frame_size: tune.http2_max_frame_size,
        max_header_list_size: tune.bufsize as u32,
    }
}
