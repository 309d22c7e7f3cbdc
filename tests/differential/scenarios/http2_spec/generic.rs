//! What every server of HTTP/2 must take: frames of each kind, streams in each state, and each form of HPACK.

use differential::http2::{
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, NO_ERROR, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, request,
};

use super::{Case, Step, Want, case, greeting, steps};

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// Flags of padding and priority.
const PADDED: u8 = 0x8;
const PRIORITISED: u8 = 0x20;

fn get() -> Vec<u8> {
    request("GET", "/", &[])
}

fn priority(stream: u32, depends: u32, weight: u8) -> Vec<u8> {
    let payload = [&depends.to_be_bytes()[..], &[weight]].concat();
    frame(PRIORITY, 0, stream, &payload)
}

/// A request that is whole, on stream 1.
fn whole() -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &get())
}

/// A block of indexed fields for `GET http /`, with one more representation behind; `:authority` is a literal.
fn with_representation(more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x86, 0x84, 0x01, 1, b'h'];
    bytes.extend_from_slice(more);
    frame(HEADERS, WHOLE, 1, &bytes)
}

/// `user-agent` is the 58th of the static table.
const USER_AGENT: u8 = 58;

/// A literal field: first byte with its prefix bits full or zero, then name and value, Huffman-coded perhaps.
fn literal(prefix: u8, bits: u32, is_indexed: bool, is_huffman: bool) -> Vec<u8> {
    // RFC 7541, Appendix C.6 and C.4: "custom-key" and "custom-value" in Huffman code.
    const KEY: &[u8] = &[0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f];
    const VALUE: &[u8] = &[0x89, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf];
    let mut bytes = Vec::new();
    let max = (1u32 << bits) - 1;
    match (is_indexed, u32::from(USER_AGENT) < max) {
        (true, true) => bytes.push(prefix | USER_AGENT),
        (true, false) => bytes.extend([prefix | max as u8, USER_AGENT - max as u8]),
        (false, _) => {
            bytes.push(prefix);
            if is_huffman {
                bytes.extend_from_slice(KEY);
            } else {
                bytes.push(10);
                bytes.extend_from_slice(b"custom-key");
            }
        }
    }
    if is_huffman {
        bytes.extend_from_slice(VALUE);
    } else {
        bytes.push(12);
        bytes.extend_from_slice(b"custom-value");
    }
    bytes
}

pub fn cases() -> Vec<Case> {
    let post = || frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
    let two = || frame(HEADERS, WHOLE, 3, &get());
    let pong = Want::Frame(PING, ACK);
    let pieces = |count: usize| {
        let fields = get();
        let size = fields.len().div_ceil(count + 1);
        let mut chunks = fields.chunks(size).peekable();
        let mut bytes = frame(HEADERS, END_STREAM, 1, chunks.next().unwrap_or_default());
        while let Some(chunk) = chunks.next() {
            let flags = if chunks.peek().is_none() { END_HEADERS } else { 0 };
            bytes.extend(frame(CONTINUATION, flags, 1, chunk));
        }
        bytes
    };
    let padded = [&[5][..], &get(), &[0; 5]].concat();
    let prioritised = [&[0, 0, 0, 0, 15][..], &get()].concat();
    let mut cases = vec![
        Case {
            name: "generic/1/1 the preface",
            greets: false,
            steps: vec![Step::Send(greeting())],
            want: Want::Frame(SETTINGS, 0),
        },
        case("generic/2/1 PRIORITY on an idle stream", [priority(1, 0, 255), whole()].concat(), Want::Served),
        steps(
            "generic/2/2 WINDOW_UPDATE on a half-closed stream",
            vec![
                Step::Send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])),
                Step::Send(whole()),
                Step::Send(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0])),
                Step::Data(1, 2),
            ],
            Want::Ignored,
        ),
        case(
            "generic/2/3 PRIORITY on a half-closed stream",
            [whole(), priority(1, 0, 1)].concat(),
            Want::Served,
        ),
        case(
            "generic/2/4 RST_STREAM on a half-closed stream",
            [whole(), frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())].concat(),
            Want::Ignored,
        ),
        steps(
            "generic/2/5 PRIORITY on a closed stream",
            vec![Step::Send(whole()), Step::Answered(1), Step::Send(priority(1, 0, 1))],
            Want::Ignored,
        ),
        case("generic/3.1/1 DATA", [post(), frame(DATA, END_STREAM, 1, b"test")].concat(), Want::Served),
        case(
            "generic/3.1/2 several DATA",
            [post(), frame(DATA, 0, 1, b"test"), frame(DATA, END_STREAM, 1, b"test")].concat(),
            Want::Served,
        ),
        case(
            "generic/3.1/3 DATA with padding",
            [post(), frame(DATA, END_STREAM | PADDED, 1, b"\x06test\0\0\0\0\0\0")].concat(),
            Want::Served,
        ),
        case("generic/3.2/1 HEADERS", whole(), Want::Served),
        case("generic/3.2/2 HEADERS with padding", frame(HEADERS, WHOLE | PADDED, 1, &padded), Want::Served),
        case(
            "generic/3.2/3 HEADERS with priority",
            frame(HEADERS, WHOLE | PRIORITISED, 1, &prioritised),
            Want::Served,
        ),
        case("generic/3.3/1 PRIORITY of weight 1", [priority(1, 0, 0), whole()].concat(), Want::Served),
        case("generic/3.3/2 PRIORITY of weight 256", [priority(1, 0, 255), whole()].concat(), Want::Served),
        case(
            "generic/3.3/3 PRIORITY that depends on another stream",
            [priority(1, 0, 255), priority(3, 1, 255), whole()].concat(),
            Want::Served,
        ),
        case(
            "generic/3.3/4 PRIORITY that is exclusive",
            [priority(1, 0, 255), priority(3, 1 | 1 << 31, 255), whole()].concat(),
            Want::Served,
        ),
        case(
            "generic/3.3/5 PRIORITY on an idle stream, then a lower one opens",
            [priority(5, 0, 255), whole()].concat(),
            Want::Served,
        ),
        case(
            "generic/3.4/1 RST_STREAM",
            [post(), frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())].concat(),
            Want::Ignored,
        ),
        case(
            "generic/3.5/1 SETTINGS",
            frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
            Want::Frame(SETTINGS, ACK),
        ),
        case("generic/3.7/1 PING", frame(PING, 0, 0, b"whatever"), pong),
        case("generic/3.8/1 GOAWAY", frame(GOAWAY, 0, 0, &[0; 8]), Want::Farewell),
        case(
            "generic/3.9/1 WINDOW_UPDATE of the connection",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            Want::Ignored,
        ),
        case(
            "generic/3.9/2 WINDOW_UPDATE of a stream",
            [post(), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), frame(DATA, END_STREAM, 1, b"")].concat(),
            Want::Served,
        ),
        case("generic/3.10/1 CONTINUATION", pieces(1), Want::Served),
        case("generic/3.10/2 several CONTINUATION", pieces(3), Want::Served),
        case("generic/4/1 GET", whole(), Want::Served),
        case("generic/4/2 HEAD", frame(HEADERS, WHOLE, 1, &request("HEAD", "/", &[])), Want::Served),
        case("generic/4/3 POST", [post(), frame(DATA, END_STREAM, 1, b"test")].concat(), Want::Served),
        case(
            "generic/4/4 POST with trailers",
            [
                frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[("trailer", "x-test")])),
                frame(DATA, 0, 1, b"test"),
                frame(HEADERS, WHOLE, 1, &block(&[("x-test", "ok")])),
            ]
            .concat(),
            Want::Served,
        ),
        case("generic/5/1 an indexed field", with_representation(&[0x90]), Want::Served),
    ];
    for (name, prefix, bits, is_indexed, is_huffman) in [
        ("generic/5/2 incremental indexing, indexed name", 0x40, 6, true, false),
        ("generic/5/3 incremental indexing, indexed name, Huffman", 0x40, 6, true, true),
        ("generic/5/4 incremental indexing, new name", 0x40, 6, false, false),
        ("generic/5/5 incremental indexing, new name, Huffman", 0x40, 6, false, true),
        ("generic/5/6 without indexing, indexed name", 0x00, 4, true, false),
        ("generic/5/7 without indexing, indexed name, Huffman", 0x00, 4, true, true),
        ("generic/5/8 without indexing, new name", 0x00, 4, false, false),
        ("generic/5/9 without indexing, new name, Huffman", 0x00, 4, false, true),
        ("generic/5/10 never indexed, indexed name", 0x10, 4, true, false),
        ("generic/5/11 never indexed, indexed name, Huffman", 0x10, 4, true, true),
        ("generic/5/12 never indexed, new name", 0x10, 4, false, false),
        ("generic/5/13 never indexed, new name, Huffman", 0x10, 4, false, true),
    ] {
        let bytes = with_representation(&literal(prefix, bits, is_indexed, is_huffman));
        cases.push(case(name, bytes, Want::Served));
    }
    let resized = |sizes: &[u8]| [sizes, &[0x82, 0x86, 0x84, 0x01, 1, b'h']].concat();
    cases.extend([
        case(
            "generic/5/14 a change of the table's size",
            frame(HEADERS, WHOLE, 1, &resized(&[0x30])),
            Want::Served,
        ),
        case(
            "generic/5/15 several changes of the table's size",
            frame(HEADERS, WHOLE, 1, &resized(&[0x20, 0x30])),
            Want::Served,
        ),
        steps(
            "generic/6/1 a field of the dynamic table, on a later stream",
            vec![
                Step::Send(with_representation(&literal(0x40, 6, false, false))),
                Step::Answered(1),
                Step::Send(frame(HEADERS, WHOLE, 3, &[0x82, 0x86, 0x84, 0x01, 1, b'h', 0xbe])),
            ],
            Want::Served,
        ),
        case("generic/6/2 two streams at a time", [whole(), two()].concat(), Want::Served),
        case(
            "generic/6/3 GOAWAY while a stream is open",
            [whole(), frame(GOAWAY, 0, 0, &[[0; 4], NO_ERROR.to_be_bytes()].concat())].concat(),
            Want::Served,
        ),
    ]);
    cases
}
