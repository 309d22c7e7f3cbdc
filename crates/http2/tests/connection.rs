//! One connection under hand-made frames: windows, ends, and who is told.

use http2::{
    Bounds, Connection, Opened, PREFACE, Reason, RequestHead, Role, SendError, StreamError, StreamKey,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:method: GET`, `:scheme: http`, `:path: /`, `:authority: h`.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'h'];

const BOUNDS: Bounds = Bounds {
    header_table_size: 4096,
    max_concurrent_streams: 3,
    initial_window_size: 65_535,
    connection_window: 65_535,
    max_frame_size: 16_384,
    max_header_list_size: 1000,
};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, GET)
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A connection, and what it has said.
struct Peer {
    connection: Connection,
    woken: Arc<Woken>,
}

impl Peer {
    fn server() -> Peer {
        Peer::new(Role::Server, PREFACE)
    }

    fn new(role: Role, first: &[u8]) -> Peer {
        let connection = Connection::new(role, BOUNDS, Instant::now());
        let mut peer = Peer { connection, woken: Arc::default() };
        peer.says(&[first, &frame(SETTINGS, 0, 0, &[])].concat());
        peer.hears();
        peer
    }

    /// Takes bytes; the streams that they open.
    fn says(&mut self, mut bytes: &[u8]) -> Vec<Opened> {
        self.tries(&mut bytes).expect("no error")
    }

    fn tries(&mut self, bytes: &mut &[u8]) -> Result<Vec<Opened>, Reason> {
        let mut opened = Vec::new();
        while let Some(stream) = self.connection.receive(bytes, Instant::now())? {
            opened.push(stream);
        }
        Ok(opened)
    }

    /// The frames that are to be sent: type, flags, stream, payload.
    fn hears(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let said = self.connection.output().to_vec();
        self.connection.consume_output(said.len());
        let mut rest = &said[..];
        let mut frames = Vec::new();
        if let Some(behind) = rest.strip_prefix(PREFACE) {
            rest = behind;
        }
        while let [l1, l2, l3, kind, flags, s1, s2, s3, s4, behind @ ..] = rest {
            let (payload, behind) = behind.split_at(u32::from_be_bytes([0, *l1, *l2, *l3]) as usize);
            frames.push((*kind, *flags, u32::from_be_bytes([*s1, *s2, *s3, *s4]), payload.to_vec()));
            rest = behind;
        }
        frames
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.woken))
    }

    fn write(&mut self, stream: StreamKey, bytes: &[u8], last: bool) -> Poll<Result<usize, StreamError>> {
        let waker = self.waker();
        self.connection.poll_write(stream, &mut Context::from_waker(&waker), bytes, last)
    }

    fn read(&mut self, stream: StreamKey) -> Poll<Result<Vec<u8>, StreamError>> {
        let waker = self.waker();
        let mut buffer = [0; 100_000];
        let read = self.connection.poll_read(stream, &mut Context::from_waker(&waker), &mut buffer);
        read.map(|read| read.map(|count| buffer[..count].to_vec()))
    }

    fn respond(&mut self, stream: StreamKey, ends: bool) {
        assert_eq!(self.connection.respond(stream, 200, [].into_iter(), ends), Ok(()));
    }

    fn wakes(&self) -> usize {
        self.woken.0.swap(0, Relaxed)
    }
}

fn window(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

#[test]
fn a_response_stops_at_both_windows_and_goes_on_when_they_open() {
    let mut peer = Peer::server();
    let stream = peer.says(&get(1))[0].stream;
    peer.respond(stream, false);
    let body = vec![b'x'; 100_000];
    assert_eq!(peer.write(stream, &body, true), Poll::Ready(Ok(65_535)));
    assert_eq!(peer.write(stream, &body[65_535..], true), Poll::Pending);
    peer.says(&window(1, 100_000));
    assert_eq!(peer.write(stream, &body[65_535..], true), Poll::Pending, "the connection's is closed still");
    peer.wakes();
    peer.says(&window(0, 10));
    assert_eq!(peer.wakes(), 1);
    assert_eq!(peer.write(stream, &body[65_535..], true), Poll::Ready(Ok(10)));
    peer.says(&window(0, 100_000));
    assert_eq!(peer.write(stream, &body[65_545..], true), Poll::Ready(Ok(34_455)));
    let frames = peer.hears();
    let sizes: usize = frames.iter().filter(|frame| frame.0 == DATA).map(|frame| frame.3.len()).sum();
    assert_eq!(sizes, body.len());
    assert!(frames.iter().all(|frame| frame.3.len() <= 16_384));
    assert_eq!(frames.last().map(|frame| (frame.0, frame.1)), Some((DATA, END_STREAM)));
    assert_eq!(peer.connection.open_count(), 0);
}

#[test]
fn smaller_windows_of_the_peer_may_leave_a_stream_in_debt() {
    let mut peer = Peer::server();
    let stream = peer.says(&get(1))[0].stream;
    peer.respond(stream, false);
    assert_eq!(peer.write(stream, &[0; 1000], false), Poll::Ready(Ok(1000)));
    let shrink = |size: u32| frame(SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat());
    peer.says(&shrink(500));
    assert_eq!(peer.write(stream, &[0; 10], false), Poll::Pending);
    peer.says(&window(1, 500));
    assert_eq!(peer.write(stream, &[0; 10], false), Poll::Pending, "500 of debt are paid, no more");
    peer.says(&shrink(503));
    assert_eq!(peer.write(stream, &[0; 10], false), Poll::Ready(Ok(3)));
}

#[test]
fn what_is_read_is_given_back_to_stream_and_connection() {
    let mut peer = Peer::server();
    let post = frame(HEADERS, END_HEADERS, 1, GET);
    let stream = peer.says(&post)[0].stream;
    peer.says(&frame(DATA, 0, 1, &[0; 16_000]).repeat(3));
    assert!(peer.hears().is_empty(), "nothing was read");
    assert_eq!(peer.read(stream), Poll::Ready(Ok(vec![0; 48_000])));
    let given: Vec<_> = peer.hears().into_iter().map(|frame| (frame.0, frame.2, frame.3)).collect();
    let all = 48_000u32.to_be_bytes().to_vec();
    assert_eq!(given, [(WINDOW_UPDATE, 1, all.clone()), (WINDOW_UPDATE, 0, all)]);
    assert_eq!(peer.read(stream), Poll::Pending);
    peer.wakes();
    peer.says(&frame(DATA, END_STREAM, 1, &[]));
    assert_eq!((peer.wakes(), peer.read(stream)), (1, Poll::Ready(Ok(Vec::new()))));
}

#[test]
fn more_than_the_window_is_an_error_of_the_connection() {
    let mut peer = Peer::server();
    peer.says(&frame(HEADERS, END_HEADERS, 1, GET));
    let flood = frame(DATA, 0, 1, &[0; 16_000]).repeat(5);
    assert_eq!(peer.tries(&mut &flood[..]), Err(Reason::FLOW_CONTROL_ERROR));
    let goaway = peer.hears().pop().expect("a frame");
    assert_eq!((goaway.0, &goaway.3[4..]), (GOAWAY, &[0, 0, 0, 3][..]));
    assert!(peer.connection.is_over());
}

#[test]
fn bodies_of_streams_that_were_given_up_do_not_close_the_connections_window() {
    let mut peer = Peer::server();
    let stream = peer.says(&frame(HEADERS, END_HEADERS, 1, GET))[0].stream;
    peer.says(&frame(DATA, 0, 1, &[0; 10_000]));
    peer.connection.release(stream);
    let reset = peer.hears().remove(0);
    assert_eq!((reset.0, reset.2, reset.3), (RST_STREAM, 1, vec![0, 0, 0, 8]));
    // What was on its way is no error.
    peer.says(&frame(DATA, 0, 1, &[0; 16_000]).repeat(2));
    let given = peer.hears().remove(0);
    assert_eq!((given.0, given.2, given.3), (WINDOW_UPDATE, 0, 42_000u32.to_be_bytes().to_vec()));
    assert_eq!(peer.connection.held_count(), 0);
}

#[test]
fn a_place_that_is_used_again_does_not_get_the_rest_of_anothers_frame() {
    let mut peer = Peer::server();
    let first = peer.says(&frame(HEADERS, END_HEADERS, 1, GET))[0].stream;
    let data = frame(DATA, 0, 1, &[b'1'; 100]);
    peer.says(&data[..50]);
    peer.connection.release(first);
    // The rest of the frame comes, then another stream in the same place.
    peer.says(&data[50..]);
    let second = peer.says(&frame(HEADERS, END_HEADERS, 3, GET))[0].stream;
    assert_eq!(first, second);
    peer.says(&frame(DATA, END_STREAM, 3, b"2"));
    assert_eq!(peer.read(second), Poll::Ready(Ok(b"2".to_vec())));
}

#[test]
fn a_reset_reaches_who_waits() {
    let mut peer = Peer::server();
    let stream = peer.says(&frame(HEADERS, END_HEADERS, 1, GET))[0].stream;
    assert_eq!(peer.read(stream), Poll::Pending);
    peer.says(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    assert_eq!(peer.wakes(), 1);
    assert_eq!(peer.read(stream), Poll::Ready(Err(StreamError::Reset(Reason::CANCEL))));
    assert_eq!(peer.write(stream, b"x", true), Poll::Ready(Err(StreamError::Reset(Reason::CANCEL))));
    assert_eq!(peer.connection.respond(stream, 200, [].into_iter(), true), Err(SendError::Closed));
    peer.connection.release(stream);
    assert!(peer.hears().is_empty(), "nothing is said to a stream that is gone");
}

#[test]
fn farewell_takes_what_is_on_its_way_then_refuses() {
    let mut peer = Peer::server();
    let one = peer.says(&get(1))[0].stream;
    peer.connection.leave();
    let said = peer.hears();
    assert_eq!((said[0].0, &said[0].3[..4]), (GOAWAY, &[0x7f, 0xff, 0xff, 0xff][..]));
    assert_eq!(said[1].0, PING);
    let three = peer.says(&get(3))[0].stream;
    peer.says(&frame(PING, ACK, 0, &said[1].3));
    assert_eq!(peer.hears()[0].3[..4], [0, 0, 0, 3]);
    assert!(peer.says(&get(5)).is_empty());
    assert_eq!(peer.hears()[0].3, [0, 0, 0, 7], "REFUSED_STREAM");
    for stream in [one, three] {
        assert!(!peer.connection.is_over());
        peer.respond(stream, true);
        peer.connection.release(stream);
        peer.hears();
    }
    assert!(peer.connection.is_over());
}

#[test]
fn a_client_hears_which_of_its_streams_were_never_looked_at() {
    let mut peer = Peer::new(Role::Client, b"");
    let head = RequestHead { method: b"GET", path: Some(b"/"), ..RequestHead::default() };
    let open = |peer: &mut Peer| peer.connection.open(head, [].into_iter(), true, false).expect("sendable");
    let (one, three) = (open(&mut peer), open(&mut peer));
    peer.says(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
    assert!(!peer.connection.takes_streams());
    let waker = peer.waker();
    let context = &mut Context::from_waker(&waker);
    let refused = peer.connection.poll_head(three, context).map(|head| head.err());
    assert_eq!(refused, Poll::Ready(Some(StreamError::Reset(Reason::REFUSED_STREAM))));
    assert!(peer.connection.poll_head(one, context).is_pending());
    peer.says(&frame(HEADERS, END_HEADERS, 1, &[0x88]));
    let Poll::Ready(Ok(head)) = peer.connection.poll_head(one, context) else { panic!("a head") };
    assert_eq!(head.status(), Some(200));
}

#[test]
fn a_length_is_none_of_a_response_to_head() {
    let length = [&[0x88][..], &[0x0f, 0x0d, 1, b'5']].concat();
    for is_head in [true, false] {
        let mut peer = Peer::new(Role::Client, b"");
        let head = RequestHead { method: b"HEAD", path: Some(b"/"), ..RequestHead::default() };
        let stream = peer.connection.open(head, [].into_iter(), true, is_head).expect("sendable");
        peer.says(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &length));
        let waker = peer.waker();
        let came = peer.connection.poll_head(stream, &mut Context::from_waker(&waker));
        assert!(matches!(came, Poll::Ready(Ok(_))));
        let end = peer.read(stream);
        let wanted = if is_head { Ok(Vec::new()) } else { Err(StreamError::Broken(Reason::PROTOCOL_ERROR)) };
        assert_eq!(end, Poll::Ready(wanted));
    }
}

#[test]
fn a_head_larger_than_a_frame_is_continued() {
    let mut peer = Peer::server();
    let stream = peer.says(&get(1))[0].stream;
    let long = vec![b'v'; 20_000];
    let fields = [(&b"x-long"[..], &long[..]), (b"x-more", &long)];
    assert_eq!(peer.connection.respond(stream, 200, fields.into_iter(), true), Ok(()));
    let frames: Vec<_> = peer.hears().iter().map(|frame| (frame.0, frame.1, frame.3.len())).collect();
    assert_eq!(frames.len(), 3);
    assert_eq!((frames[0].0, frames[0].1, frames[0].2), (HEADERS, END_STREAM, 16_384));
    assert_eq!((frames[1].0, frames[1].1, frames[1].2), (9, 0, 16_384));
    assert_eq!((frames[2].0, frames[2].1), (9, END_HEADERS));
}

#[test]
fn a_peer_that_shrinks_its_table_hears_that_none_is_kept() {
    let mut peer = Peer::server();
    let stream = peer.says(&get(1))[0].stream;
    peer.says(&frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    peer.respond(stream, true);
    let head = peer.hears().pop().expect("a head");
    assert_eq!(head.3, [0x20, 0x88], "an empty table, then :status 200");
}
