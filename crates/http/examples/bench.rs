//! Nanoseconds of a pass over a typical request and response: parse, a few edits, write.
//! `cargo run --release -p hawser-http --example bench`

use hawser_http::*;
use std::hint::black_box;
use std::time::Instant;

const REQUEST: &[u8] = b"GET /api/v1/items?page=2&sort=name HTTP/1.1\r\nHost: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\nReferer: https://www.example.org/start\r\nConnection: keep-alive\r\n\
Cookie: session=0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nCache-Control: max-age=0\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 17:00:00 GMT\r\n\
Content-Type: text/html; charset=utf-8\r\nContent-Length: 128\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
Connection: keep-alive\r\nETag: \"5f3c-80\"\r\nCache-Control: public, max-age=3600\r\nVary: Accept-Encoding\r\n\
Accept-Ranges: bytes\r\n\r\n";

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// Passes in a round when the first argument does not say, and rounds; the best round counts.
const PASSES: u32 = 200_000;
const ROUNDS: usize = 7;

fn best(name: &str, mut pass: impl FnMut()) {
    let passes = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(PASSES);
    let nanoseconds = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..passes {
                pass();
            }
            start.elapsed().as_nanos() as f64 / f64::from(passes)
        })
        .fold(f64::MAX, f64::min);
    println!("{name:<44} {nanoseconds:>7.1} ns");
}

fn main() {
    let limits = Limits::default();
    let mut head = Head::new();
    let mut out = Vec::with_capacity(4096);
    best("request: parse", || {
        head.clear();
        parse_request(black_box(REQUEST), &limits, &mut head).expect("a right request");
        black_box(head.request_framing());
    });
    best("request: parse, write", || {
        head.clear();
        parse_request(black_box(REQUEST), &limits, &mut head).expect("a right request");
        out.clear();
        head.write_to(&mut out);
        black_box(&out);
    });
    best("request: parse, 5 edits, write", || {
        head.clear();
        parse_request(black_box(REQUEST), &limits, &mut head).expect("a right request");
        black_box(head.get(b"host"));
        black_box(head.keeps_alive());
        head.set_request_connection(true);
        head.add(b"X-Forwarded-For", b"192.0.2.17");
        head.set(b"X-Forwarded-Proto", b"https");
        head.remove(b"x-internal");
        head.set_path(b"/v1/items");
        out.clear();
        head.write_to(&mut out);
        black_box(&out);
    });
    best("request, 2 lines: parse, write", || {
        head.clear();
        parse_request(black_box(SMALL), &limits, &mut head).expect("a right request");
        out.clear();
        head.write_to(&mut out);
        black_box(&out);
    });
    best("response: parse, write", || {
        head.clear();
        parse_response(black_box(RESPONSE), &limits, &mut head).expect("a right response");
        black_box(head.response_framing(Method::Get));
        out.clear();
        head.write_to(&mut out);
        black_box(&out);
    });
    best("response: parse, 3 edits, write", || {
        head.clear();
        parse_response(black_box(RESPONSE), &limits, &mut head).expect("a right response");
        black_box(head.response_framing(Method::Get));
        head.set_response_connection(true, Version::Http11);
        head.set(b"Strict-Transport-Security", b"max-age=31536000");
        head.remove(b"Server");
        out.clear();
        head.write_to(&mut out);
        black_box(&out);
    });
}
