//! Frames of HTTP/2 as a peer may send them, to either side, in pieces as a socket gives them.

use http2::{Bounds, Connection, Opened, PREFACE, Role, StreamKey};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

const BOUNDS: Bounds = Bounds {
    header_table_size: 4096,
    max_concurrent_streams: 8,
    initial_window_size: 65_535,
    connection_window: 65_535,
    max_frame_size: 16_384,
    max_header_list_size: 4096,
};

/// SETTINGS without a setting, so that what follows is looked at.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// The first byte says which side we are, and how the rest is cut.
pub fn http2_frames(bytes: &[u8]) {
    let Some((&first, frames)) = bytes.split_first() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let now = Instant::now();
    let whole = converse(role, frames, usize::MAX, now);
    let pieces = converse(role, frames, usize::from(first >> 1) % 40 + 1, now);
    assert_eq!(whole, pieces, "however the bytes are cut, the answer is the same");
    well_formed(&whole, role);
}

/// All that is said, when streams are answered at once and read at the end.
fn converse(role: Role, frames: &[u8], cut: usize, now: Instant) -> Vec<u8> {
    let mut connection = Connection::new(role, BOUNDS, now);
    let context = &mut Context::from_waker(Waker::noop());
    let mut streams: Vec<StreamKey> = Vec::new();
    if role == Role::Client {
        let head = http2::RequestHead { method: b"GET", path: Some(b"/"), ..http2::RequestHead::default() };
        let fields = [(&b"host"[..], &b"h"[..])];
        streams.extend(connection.open(head, fields.into_iter(), false, false));
    }
    let start = if role == Role::Server { &PREFACE[..] } else { &[] };
    let input = [start, SETTINGS, frames].concat();
    let mut said = Vec::new();
    for piece in input.chunks(cut) {
        let mut rest = piece;
        while let Ok(Some(Opened { stream, ends })) = connection.receive(&mut rest, now) {
            let fields: Vec<(Vec<u8>, Vec<u8>)> =
                connection.fields().iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            let echoed = fields.iter().map(|(name, value)| (&name[..], &value[..]));
            assert_eq!(connection.respond(stream, 200, echoed, ends), Ok(()), "what was read can be said");
            streams.push(stream);
        }
        assert!(rest.is_empty(), "everything is taken");
        assert!(connection.open_count() <= BOUNDS.max_concurrent_streams as usize);
        let count = connection.output().len();
        said.extend_from_slice(connection.output());
        connection.consume_output(count);
    }
    for stream in streams {
        let mut buffer = [0; 100];
        while let Poll::Ready(Ok(1..)) = connection.poll_read(stream, context, &mut buffer) {}
        while let Poll::Ready(Ok(_)) = connection.poll_head(stream, context) {}
        let _ = connection.take_trailers(stream);
        let _ = connection.poll_write(stream, context, b"body", true);
        connection.release(stream);
    }
    connection.leave();
    assert_eq!(connection.held_count(), 0, "nothing is left behind");
    said.extend_from_slice(connection.output());
    said
}

/// Whether the bytes are whole frames.
fn well_formed(mut bytes: &[u8], role: Role) {
    if role == Role::Client {
        bytes = bytes.strip_prefix(PREFACE).expect("a preface");
    }
    while let [l1, l2, l3, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *l1, *l2, *l3]) as usize;
        assert!(*kind <= 9 && rest.len() >= length, "a frame that is whole");
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "nothing behind the last frame");
}
