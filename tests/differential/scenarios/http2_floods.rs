//! What costs us work or memory and a client nothing: each has a bound with a name, and whoever goes over it loses the
//! connection, while others are served. The bounds are in `http2::connection`.

use std::time::{Duration, Instant};

use differential::http2::{
    CANCEL, CONTINUATION, Came, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FrameClient, GOAWAY,
    HEADERS, PING, PRIORITY, PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, request,
};
use differential::{Backend, Instance, Program, Reply, pause};

use crate::support::{get, web};

const WHOLE: u8 = END_HEADERS | END_STREAM;

fn headers(stream: u32, flags: u8, fields: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, fields)
}

fn proxy() -> (Backend, Instance) {
    let backend = Backend::named("s1");
    let proxy = web(Program::Hawser, "", &backend);
    (backend, proxy)
}

/// Megabytes that the proxy may grow by, whatever one client sends.
const GROWTH_MAX: usize = 24 << 20;

/// Bytes that the proxy holds, without the pages of its own program.
fn memory(proxy: &Instance) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line of memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// Time that the proxy computed for.
fn work(proxy: &Instance) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", proxy.pid())).expect("it runs");
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    Duration::from_nanos(nanoseconds)
}

/// What a flood costs: asserts that memory is bounded, and that nothing is computed when it is over.
struct Cost<'a> {
    proxy: &'a Instance,
    before: usize,
}

impl<'a> Cost<'a> {
    fn of(proxy: &'a Instance) -> Self {
        Self { proxy, before: memory(proxy) }
    }

    #[track_caller]
    fn is_bounded(&self, what: &str) {
        let grown = memory(self.proxy).saturating_sub(self.before);
        assert!(grown < GROWTH_MAX, "{what}: {} MB", grown >> 20);
        let begun = work(self.proxy);
        pause(300);
        let spent = work(self.proxy) - begun;
        assert!(spent < Duration::from_millis(60), "{what}: {spent:?} of work after it");
        assert_eq!(self.proxy.client("web").ask(get("/", &[])).status, 200, "{what}");
    }
}

/// Sends pieces until the proxy has had enough; the code of its GOAWAY.
fn until_refused(client: &mut FrameClient, pieces: impl Iterator<Item = Vec<u8>>) -> Option<u32> {
    for piece in pieces {
        if !client.send(&piece) {
            break;
        }
    }
    loop {
        match client.next(Duration::from_secs(5)) {
            Came::Frame(found) if found.kind == GOAWAY => return found.error_code(),
            Came::Frame(_) => {}
            // Its GOAWAY may be lost when it closes while we still send.
            Came::End => return Some(ENHANCE_YOUR_CALM),
            Came::Nothing => return None,
        }
    }
}

#[test]
fn floods_of_frames_that_carry_nothing_close_the_connection() {
    let (_backend, proxy) = proxy();
    let floods: [(&str, Vec<u8>, usize); 5] = [
        // IDLE_FRAMES_MAX.
        ("PING", frame(PING, 0, 0, &[0; 8]).repeat(1_000), 12),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[]).repeat(1_000), 12),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]).repeat(1_000), 12),
        ("RST_STREAM", frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).repeat(1_000), 12),
        // Counted as control frames are.
        ("empty DATA", frame(DATA, 0, 1, b"").repeat(10_000), 40),
    ];
    for (what, piece, count) in floods {
        let cost = Cost::of(&proxy);
        let mut client = FrameClient::connect(proxy.port("web"));
        if matches!(what, "empty DATA" | "RST_STREAM") {
            client.send(&headers(1, END_HEADERS, &request("POST", "/", &[])));
        }
        let code = until_refused(&mut client, std::iter::repeat_n(piece, count));
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{what}");
        cost.is_bounded(what);
    }
}

// UNSEEN_RESETS_MAX, IDLE_FRAMES_MAX: CVE-2023-44487.
#[test]
fn rapid_reset_closes_the_connection_and_spares_the_servers() {
    let backend = Backend::http(|_| Reply::ok("late").after(500));
    let proxy = web(Program::Hawser, "", &backend);
    let mut client = FrameClient::connect(proxy.port("web"));
    let cost = Cost::of(&proxy);
    let pieces = (0..200u32).map(|piece| {
        let mut bytes = Vec::new();
        for number in 0..50 {
            let stream = (piece * 50 + number) * 2 + 1;
            bytes.extend(headers(stream, WHOLE, &request("GET", "/", &[])));
            bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
        }
        bytes
    });
    assert_eq!(until_refused(&mut client, pieces), Some(ENHANCE_YOUR_CALM));
    let reached = backend.requests().len();
    assert!(reached < 1_000, "{reached} of 10,000 requests reached the server");
    // What it began is over by then.
    pause(1_000);
    cost.is_bounded("rapid reset");
}

// BROKEN_STREAMS_MAX: CVE-2019-9514 and CVE-2025-8671, where the client has us reset streams.
#[test]
fn streams_that_we_must_reset_close_the_connection() {
    let window = |stream: u32| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffffu32.to_be_bytes());
    type Stream<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let floods: [(&str, Stream<'_>); 3] = [
        ("malformed requests", &|stream| {
            headers(stream, WHOLE, &request("GET", "/", &[("connection", "close")]))
        }),
        ("windows above the largest", &|stream| {
            [headers(stream, END_HEADERS, &request("POST", "/", &[])), window(stream), window(stream)]
                .concat()
        }),
        ("streams that depend on themselves", &|stream| {
            let fields = [&stream.to_be_bytes()[..], &[1], &request("GET", "/", &[])].concat();
            headers(stream, WHOLE | 0x20, &fields)
        }),
    ];
    for (what, stream) in floods {
        let backend = Backend::http(|_| Reply::ok("late").after(500));
        let proxy = web(Program::Hawser, "", &backend);
        let cost = Cost::of(&proxy);
        let mut client = FrameClient::connect(proxy.port("web"));
        let pieces = (0..200u32).map(|piece| {
            (0..50).flat_map(|number| stream((piece * 50 + number) * 2 + 1)).collect::<Vec<u8>>()
        });
        let code = until_refused(&mut client, pieces);
        assert!(matches!(code, Some(ENHANCE_YOUR_CALM | PROTOCOL_ERROR)), "{what}: {code:?}");
        let reached = backend.requests().len();
        assert!(reached < 1_000, "{what}: {reached} of 10,000 requests reached the server");
        pause(1_000);
        cost.is_bounded(what);
    }
}

// `tune.bufsize` bounds the list of fields: a field of 3 KB in the table, then its index again and again.
#[test]
fn a_header_bomb_is_refused_before_it_unfolds() {
    let (backend, proxy) = proxy();
    let cost = Cost::of(&proxy);
    for rounds in [1, 50] {
        let mut client = FrameClient::connect(proxy.port("web"));
        // RFC 7541 §6.2.1: a literal with incremental indexing; then `62`, the newest entry of the table.
        let mut fields = request("GET", "/", &[]);
        let literal = block(&[("x-bomb", &"y".repeat(3_000))]);
        fields.push(0x40);
        fields.extend_from_slice(&literal[1..]);
        let indices = vec![0x80 | 62; 13_000];
        fields.extend_from_slice(&indices);
        client.send(&headers(1, END_STREAM, &fields));
        let more = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &vec![0x80 | 62; 16_000]), rounds);
        assert!(until_refused(&mut client, more).is_some(), "{rounds} frames more");
    }
    assert!(backend.requests().is_empty());
    cost.is_bounded("a header bomb");
}

// CONTINUATIONS_MAX: CVE-2024-27316 and its like.
#[test]
fn header_blocks_in_endless_pieces_close_the_connection() {
    let (backend, proxy) = proxy();
    let cost = Cost::of(&proxy);
    for (what, piece) in [("empty", Vec::new()), ("of a byte", vec![0x20])] {
        let mut client = FrameClient::connect(proxy.port("web"));
        client.send(&headers(1, END_STREAM, &request("GET", "/", &[])));
        let pieces = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &piece).repeat(100), 100);
        assert!(until_refused(&mut client, pieces).is_some(), "{what}");
    }
    assert!(backend.requests().is_empty());
    cost.is_bounded("CONTINUATION");
}

// `timeout client` bounds a window that never opens; OUTPUT_MAX what waits for it.
#[test]
fn a_window_that_does_not_open_costs_the_client_its_streams() {
    let backend = Backend::http(|_| Reply::ok(&"x".repeat(1 << 20)));
    let proxy = web(Program::Hawser, " timeout client 1s", &backend);
    for size in [0, 1] {
        let cost = Cost::of(&proxy);
        let mut client = FrameClient::with_settings(proxy.port("web"), &[(4, size)]);
        for number in 0..100 {
            client.get(number * 2 + 1, "/");
        }
        pause(500);
        cost.is_bounded("a window that does not open");
        let begun = Instant::now();
        let mut reset = 0;
        while reset < 100 {
            match client.next(Duration::from_secs(5)) {
                Came::Frame(found) if found.kind == RST_STREAM => reset += 1,
                Came::Frame(_) => {}
                Came::End => break,
                Came::Nothing => panic!("{reset} of 100 streams ended in {:?}", begun.elapsed()),
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        cost.is_bounded("streams whose window did not open");
    }
}

// OUTPUT_MAX, where the window is open and the socket is not read: CVE-2019-9517.
#[test]
fn a_client_that_opens_windows_and_does_not_read_holds_no_memory() {
    const BODY: usize = 4 << 20;
    let backend = Backend::http(|_| Reply::ok(&"x".repeat(BODY)));
    let proxy = web(Program::Hawser, "", &backend);
    let before = memory(&proxy);
    let mut client = FrameClient::with_settings(proxy.port("web"), &[(4, 0x7fff_ffff)]);
    client.send(&frame(WINDOW_UPDATE, 0, 0, &0x7000_0000u32.to_be_bytes()));
    for number in 0..50 {
        client.get(number * 2 + 1, "/");
    }
    pause(1_500);
    let grown = memory(&proxy).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{} MB for a client that does not read", grown >> 20);
    assert_eq!(client.answer(99).1.len(), BODY);
}

// `timeout http-request` bounds a header block that has no end and a body that does not come.
#[test]
fn requests_that_do_not_end_are_given_up() {
    let backend = Backend::named("s1");
    let lines = " timeout http-request 700ms\n timeout client 1s\n option http-buffer-request";
    let proxy = web(Program::Hawser, lines, &backend);
    let begun = Instant::now();
    let mut silent = FrameClient::connect(proxy.port("web"));
    let mut half = FrameClient::connect(proxy.port("web"));
    half.send(&headers(1, END_STREAM, &request("GET", "/", &[])));
    let mut bodiless = FrameClient::connect(proxy.port("web"));
    bodiless.send(&headers(1, END_HEADERS, &request("POST", "/", &[])));
    assert_eq!(bodiless.answer(1).0, Some(408));
    for client in [&mut silent, &mut half] {
        while !matches!(client.next(Duration::from_secs(5)), Came::End) {
            assert!(begun.elapsed() < Duration::from_secs(4));
        }
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn a_header_list_without_end_is_refused() {
    let (backend, proxy) = proxy();
    let mut client = FrameClient::connect(proxy.port("web"));
    client.send(&headers(1, END_STREAM, &request("GET", "/", &[])));
    let piece = block(&[("x-more", &"y".repeat(1_000))]);
    let pieces = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &piece), 2_000);
    assert!(until_refused(&mut client, pieces).is_some());
    assert!(backend.requests().is_empty());
    // One that is too long but ends is refused alone.
    let mut client = FrameClient::connect(proxy.port("web"));
    let long = "y".repeat(5_000);
    let fields = [("x-a", &*long), ("x-b", &*long), ("x-c", &*long), ("x-d", &*long)];
    let all = request("GET", "/", &fields);
    let (first, second) = all.split_at(16_000);
    client.send(&headers(1, END_STREAM, first));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, second));
    let (status, _, reset) = client.answer(1);
    assert!(status == Some(431) || reset.is_some(), "{status:?} {reset:?}");
}

#[test]
fn a_client_that_does_not_read_holds_up_the_server_and_no_memory() {
    const BODY: usize = 8 << 20;
    let backend = Backend::http(|_| Reply::ok(&"x".repeat(BODY)));
    let proxy = web(Program::Hawser, "", &backend);
    let before = memory(&proxy);
    let mut client = FrameClient::connect(proxy.port("web"));
    for number in 0..20 {
        client.get(number * 2 + 1, "/");
    }
    pause(1_500);
    let grown = memory(&proxy).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{} MB for clients that do not read", grown >> 20);
    // And what is then read is whole.
    client.send(&frame(WINDOW_UPDATE, 0, 0, &0x7000_0000u32.to_be_bytes()));
    client.send(&frame(WINDOW_UPDATE, 0, 1, &0x7000_0000u32.to_be_bytes()));
    assert_eq!(client.answer(1).1.len(), BODY);
}
