//! What the RFC leaves to a proxy: what it passes on, what its limits do to streams, and how it says farewell. The cases
//! of frames right and wrong are in `http2_spec`, floods in `http2_floods`.

use std::time::{Duration, Instant};

use differential::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameClient, GOAWAY, HEADERS, PING, PRIORITY,
    PROTOCOL_ERROR, REFUSED_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, request,
};
use differential::{Backend, Instance, Program, Reply, wait_until};

use crate::support::web;

fn proxy() -> (Backend, Instance) {
    let backend = Backend::named("s1");
    let proxy = web(Program::Hawser, "", &backend);
    (backend, proxy)
}

fn headers(stream: u32, flags: u8, fields: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, fields)
}

const WHOLE: u8 = END_HEADERS | END_STREAM;

#[test]
fn what_the_rfc_allows_is_taken() {
    let (backend, proxy) = proxy();
    let mut client = FrameClient::connect(proxy.port("web"));
    // 5.5: unknown frames and settings are ignored; 6.7: a PING comes back; 6.3: priorities are advice.
    client.send(&frame(0x42, 0xff, 0, b"whatever"));
    client.send(&frame(SETTINGS, 0, 0, &[0xff, 0xff, 0, 0, 0, 1]));
    client.send(&frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]));
    client.send(&frame(PING, 0, 0, b"12345678"));
    let pong = client.until("PONG", |frame| frame.kind == PING);
    assert_eq!((pong.flags & ACK, pong.payload), (ACK, b"12345678".to_vec()));
    // 6.2: padding and priority; 6.10: a block in pieces.
    let fields = request("GET", "/pieces", &[]);
    let (first, second) = fields.split_at(10);
    let mut padded = vec![3, 0, 0, 0, 0, 7];
    padded.extend_from_slice(first);
    padded.extend_from_slice(&[0; 3]);
    client.send(&frame(HEADERS, END_STREAM | 0x8 | 0x20, 1, &padded));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, second));
    assert_eq!(client.answer(1).0, Some(200));
    assert_eq!(backend.last().target, "/pieces");
    // 6.1: padded DATA counts without its padding.
    client.send(&headers(3, END_HEADERS, &request("POST", "/", &[("content-length", "5")])));
    client.send(&frame(DATA, 0x8 | END_STREAM, 3, b"\x04hello\0\0\0\0"));
    assert_eq!(client.answer(3).0, Some(200));
    assert_eq!(backend.last().body, "hello");
}

#[test]
fn trailers_go_on_and_those_with_pseudo_headers_end_the_stream() {
    let (backend, proxy) = proxy();
    let mut client = FrameClient::connect(proxy.port("web"));
    client.send(&headers(1, END_HEADERS, &request("POST", "/", &[])));
    client.send(&headers(1, WHOLE, &block(&[("x-sum", "1")])));
    assert_eq!(client.answer(1).0, Some(200));
    assert_eq!(backend.last().trailers, [("x-sum".to_owned(), "1".to_owned())]);
    client.send(&headers(3, END_HEADERS, &request("POST", "/", &[])));
    client.send(&headers(3, WHOLE, &block(&[(":method", "GET"), ("x-sum", "1")])));
    assert_eq!(client.answer(3).2, Some(PROTOCOL_ERROR));
}

#[test]
fn streams_above_the_limit_are_refused_and_the_others_served() {
    let backend = Backend::http(|_| Reply::ok("late").after(300));
    let text = "global\n tune.h2.fe.max-concurrent-streams 5\ndefaults\n mode http\n timeout connect 5s\n \
                timeout client 5s\n timeout server 5s\nlisten web\n bind 127.0.0.1:$(web)\n \
                server s1 127.0.0.1:$(s1)\n";
    let proxy = Program::Hawser.config(text).with("s1", backend.port()).start();
    let mut client = FrameClient::connect(proxy.port("web"));
    let settings = client.until("SETTINGS", |frame| frame.kind == SETTINGS);
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 5]));
    for number in 0..6 {
        client.get(number * 2 + 1, "/");
    }
    assert_eq!(client.answer(11).2, Some(REFUSED_STREAM));
    assert_eq!(client.answer(1).0, Some(200));
}

#[test]
fn a_server_that_does_not_read_holds_up_the_client() {
    let backend = Backend::raw(|connection, _| {
        let mut request = connection.request_head()?.expect("a request");
        std::thread::sleep(Duration::from_millis(1_500));
        connection.request_body(&mut request)?;
        connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{:08}", request.body.len()))
    });
    let proxy = web(Program::Hawser, "", &backend);
    let mut client = FrameClient::connect(proxy.port("web"));
    client.send(&headers(1, END_HEADERS, &request("POST", "/", &[])));
    let (mut window, mut connection_window, mut sent) = (65_535i64, 65_535i64, 0usize);
    const BODY: usize = 32 << 20;
    let begun = Instant::now();
    let mut early = 0;
    while sent < BODY {
        if window >= 16_384 && connection_window >= 16_384 {
            let last = sent + 16_384 >= BODY;
            assert!(client.send(&frame(DATA, u8::from(last), 1, &[b'x'; 16_384])));
            (window, connection_window, sent) = (window - 16_384, connection_window - 16_384, sent + 16_384);
            if begun.elapsed() < Duration::from_secs(1) {
                early = sent;
            }
            continue;
        }
        let found = client.until("a window", |frame| frame.kind == WINDOW_UPDATE);
        let increment = i64::from(u32::from_be_bytes(found.payload.try_into().expect("four bytes")));
        if found.stream == 0 { connection_window += increment } else { window += increment }
    }
    assert!(early < 16 << 20, "{early} bytes were taken from the client while the server read none");
    let (status, body, _) = client.answer(1);
    assert_eq!((status, String::from_utf8(body)), (Some(200), Ok(format!("{BODY:08}"))));
}

#[test]
fn a_soft_stop_says_goaway_and_serves_what_runs() {
    let backend = Backend::http(|_| Reply::ok("late").after(700));
    let mut proxy = web(Program::Hawser, "", &backend);
    let mut idle = FrameClient::connect(proxy.port("web"));
    idle.until("SETTINGS", |frame| frame.kind == SETTINGS);
    let mut busy = FrameClient::connect(proxy.port("web"));
    busy.get(1, "/");
    wait_until("the request at the server", || !backend.requests().is_empty());
    proxy.signal(rustix::process::Signal::USR1);
    idle.until("GOAWAY", |frame| frame.kind == GOAWAY);
    assert_eq!(busy.answer(1).0, Some(200));
    busy.until("GOAWAY", |frame| frame.kind == GOAWAY);
    drop((idle, busy));
    assert_eq!(proxy.wait().code, 0);
}
