//! Frames, streams and settings (RFC 9113 §3 to §6): what is refused, by which name, and what is let pass.

use differential::http2::{
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY,
    HEADERS, PING, PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED,
    WINDOW_UPDATE, block, frame, request,
};
use differential::http2::{COMPRESSION_ERROR, PREFACE};

use super::{Case, Step, Want, case, greeting, steps};

const WHOLE: u8 = END_HEADERS | END_STREAM;
const PADDED: u8 = 0x8;
const PRIORITISED: u8 = 0x20;

const PROTOCOL: Want = Want::Connection(&[PROTOCOL_ERROR]);
const SIZE: Want = Want::Connection(&[FRAME_SIZE_ERROR]);
const STREAM_SIZE: Want = Want::Stream(&[FRAME_SIZE_ERROR]);
const FLOW: Want = Want::Connection(&[FLOW_CONTROL_ERROR]);
const CLOSED_STREAM: Want = Want::Stream(&[STREAM_CLOSED]);
/// A stream that is closed, or that nobody opened: both names are right.
const NO_STREAM: Want = Want::Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]);

fn get() -> Vec<u8> {
    request("GET", "/", &[])
}

fn whole(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &get())
}

fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

fn window(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

/// Frames for a stream that both sides have ended.
fn after_answer(bytes: Vec<u8>) -> Vec<Step> {
    vec![Step::Send(whole(1)), Step::Answered(1), Step::Send(bytes)]
}

/// A frame whose header has the reserved bit set.
fn reserved(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[5] |= 0x80;
    bytes
}

pub fn cases() -> Vec<Case> {
    [connection(), streams(), data_and_headers(), control(), flow(), continuation()]
        .into_iter()
        .flatten()
        .collect()
}

fn connection() -> Vec<Case> {
    let raw = |name, bytes, want| Case { name, greets: false, steps: vec![Step::Send(bytes)], want };
    let large = [("x-dummy", &*"x".repeat(15_000)), ("x-more", &*"y".repeat(2_000))];
    vec![
        raw("http2/3.5/1 a preface", greeting(), Want::Frame(SETTINGS, 0)),
        raw("http2/3.5/2 no preface", b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec(), Want::Closed),
        raw(
            "rfc9113/3.4 another frame in place of SETTINGS",
            [PREFACE, &frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL,
        ),
        case("http2/4.1/1 a frame of unknown type", frame(0x16, 0, 0, &[0; 8]), Want::Ignored),
        case(
            "http2/4.1/2 flags that nobody knows",
            frame(PING, 0x16, 0, b"whatever"),
            Want::Frame(PING, ACK),
        ),
        case(
            "http2/4.1/3 the reserved bit",
            reserved(frame(PING, 0, 0, b"whatever")),
            Want::Frame(PING, ACK),
        ),
        case(
            "http2/4.2/1 DATA of 2^14 bytes",
            [open(), frame(DATA, END_STREAM, 1, &[0; 16_384])].concat(),
            Want::Served,
        ),
        case(
            "http2/4.2/2 DATA above SETTINGS_MAX_FRAME_SIZE",
            [open(), frame(DATA, END_STREAM, 1, &[0; 16_385])].concat(),
            STREAM_SIZE,
        ),
        case(
            "http2/4.2/3 HEADERS above SETTINGS_MAX_FRAME_SIZE",
            frame(HEADERS, WHOLE, 1, &request("GET", "/", &large)),
            SIZE,
        ),
        case(
            "http2/4.3/1 a block that no decoder takes",
            frame(HEADERS, WHOLE, 1, b"\x40\xff\xff\xff\xff\xff"),
            Want::Connection(&[COMPRESSION_ERROR]),
        ),
        case(
            "http2/4.3/2 PRIORITY inside of a block",
            [frame(HEADERS, END_STREAM, 1, &get()), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])].concat(),
            PROTOCOL,
        ),
        case(
            "http2/4.3/3 HEADERS of another stream inside of a block",
            [frame(HEADERS, END_STREAM, 1, &get()), whole(3)].concat(),
            PROTOCOL,
        ),
        case("http2/5.4.1/1 the connection closes after an error", frame(PING, 0, 3, &[0; 8]), Want::Closed),
        case(
            "http2/5.5/1 a frame of an unknown extension",
            [frame(0xff, 0, 1, b"unknown"), whole(1)].concat(),
            Want::Served,
        ),
        case(
            "http2/5.5/2 an unknown extension inside of a block",
            [frame(HEADERS, END_STREAM, 1, &get()), frame(0xff, 0, 0, b"unknown")].concat(),
            PROTOCOL,
        ),
    ]
}

fn streams() -> Vec<Case> {
    let self_dependent = [&[0, 0, 0, 1, 15][..], &get()].concat();
    let mut many = Vec::new();
    for number in 0..150 {
        many.extend(frame(HEADERS, END_HEADERS, number * 2 + 1, &request("POST", "/", &[])));
    }
    vec![
        case("http2/5.1/1 DATA on an idle stream", frame(DATA, END_STREAM, 1, b"test"), NO_STREAM),
        case("http2/5.1/2 RST_STREAM on an idle stream", reset(1), PROTOCOL),
        case("http2/5.1/3 WINDOW_UPDATE on an idle stream", window(1, 100), PROTOCOL),
        case(
            "http2/5.1/4 CONTINUATION on an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &get()),
            PROTOCOL,
        ),
        case(
            "http2/5.1/5 DATA on a half-closed stream",
            [whole(1), frame(DATA, END_STREAM, 1, b"test")].concat(),
            CLOSED_STREAM,
        ),
        case("http2/5.1/6 HEADERS on a half-closed stream", [whole(1), whole(1)].concat(), CLOSED_STREAM),
        case(
            "http2/5.1/7 CONTINUATION on a half-closed stream",
            [whole(1), frame(CONTINUATION, END_HEADERS, 1, &get())].concat(),
            NO_STREAM,
        ),
        case(
            "http2/5.1/8 DATA on a stream that was reset",
            [open(), reset(1), frame(DATA, END_STREAM, 1, b"test")].concat(),
            CLOSED_STREAM,
        ),
        case(
            "http2/5.1/9 HEADERS on a stream that was reset",
            [open(), reset(1), whole(1)].concat(),
            CLOSED_STREAM,
        ),
        case(
            "http2/5.1/10 CONTINUATION on a stream that was reset",
            [open(), reset(1), frame(CONTINUATION, END_HEADERS, 1, &get())].concat(),
            NO_STREAM,
        ),
        steps(
            "http2/5.1/11 DATA on a closed stream",
            after_answer(frame(DATA, END_STREAM, 1, b"test")),
            CLOSED_STREAM,
        ),
        steps("http2/5.1/12 HEADERS on a closed stream", after_answer(whole(1)), CLOSED_STREAM),
        steps(
            "http2/5.1/13 CONTINUATION on a closed stream",
            after_answer(frame(CONTINUATION, END_HEADERS, 1, &get())),
            NO_STREAM,
        ),
        case("http2/5.1.1/1 an even stream", whole(2), PROTOCOL),
        steps(
            "http2/5.1.1/2 a stream below another",
            vec![Step::Send(whole(5)), Step::Answered(5), Step::Send(whole(3))],
            NO_STREAM,
        ),
        case(
            "http2/5.1.2/1 more streams than SETTINGS_MAX_CONCURRENT_STREAMS",
            many,
            Want::Stream(&[PROTOCOL_ERROR, REFUSED_STREAM]),
        ),
        case(
            "http2/5.3.1/1 HEADERS that depend on themselves",
            frame(HEADERS, WHOLE | PRIORITISED, 1, &self_dependent),
            Want::Stream(&[PROTOCOL_ERROR]),
        ),
        case(
            "http2/5.3.1/2 PRIORITY that depends on itself",
            [open(), frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 15])].concat(),
            Want::Stream(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn data_and_headers() -> Vec<Case> {
    vec![
        case("http2/6.1/1 DATA on no stream", frame(DATA, END_STREAM, 0, b"test"), PROTOCOL),
        steps(
            "http2/6.1/2 DATA on a stream that has ended",
            after_answer(frame(DATA, 0, 1, b"test")),
            CLOSED_STREAM,
        ),
        case(
            "http2/6.1/3 DATA with padding longer than the frame",
            [open(), frame(DATA, PADDED, 1, b"\x06test")].concat(),
            PROTOCOL,
        ),
        case(
            "http2/6.2/1 PRIORITY after HEADERS without END_HEADERS",
            [frame(HEADERS, END_STREAM, 1, &get()), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])].concat(),
            PROTOCOL,
        ),
        case(
            "http2/6.2/2 HEADERS of another stream after HEADERS without END_HEADERS",
            [frame(HEADERS, END_STREAM, 1, &get()), whole(3)].concat(),
            PROTOCOL,
        ),
        case("http2/6.2/3 HEADERS on no stream", whole(0), PROTOCOL),
        case(
            "http2/6.2/4 HEADERS with padding longer than the frame",
            frame(HEADERS, WHOLE | PADDED, 1, &[250, 0x82, 0x86]),
            PROTOCOL,
        ),
        case(
            "rfc9113/6.2 HEADERS too short for their priority",
            frame(HEADERS, WHOLE | PRIORITISED, 1, &[0, 0]),
            Want::Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case("http2/6.3/1 PRIORITY on no stream", frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1]), PROTOCOL),
        case(
            "http2/6.3/2 PRIORITY of another length than 5",
            [open(), frame(PRIORITY, 0, 1, &[0, 0, 0, 0])].concat(),
            STREAM_SIZE,
        ),
        case("http2/6.4/1 RST_STREAM on no stream", reset(0), PROTOCOL),
        case("http2/6.4/2 RST_STREAM on an idle stream", reset(1), PROTOCOL),
        case(
            "http2/6.4/3 RST_STREAM of another length than 4",
            [open(), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            SIZE,
        ),
    ]
}

fn control() -> Vec<Case> {
    vec![
        case("http2/6.5/1 an acknowledgement with a payload", frame(SETTINGS, ACK, 0, &[0; 6]), SIZE),
        case("http2/6.5/2 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100]), PROTOCOL),
        case(
            "http2/6.5/3 SETTINGS of a length that 6 does not divide",
            frame(SETTINGS, 0, 0, &[0, 3, 0]),
            SIZE,
        ),
        case("http2/6.5.2/1 ENABLE_PUSH of 2", setting(ENABLE_PUSH, 2), PROTOCOL),
        case("http2/6.5.2/2 a window above the largest", setting(INITIAL_WINDOW_SIZE, 1 << 31), FLOW),
        case("http2/6.5.2/3 frames below the smallest", setting(MAX_FRAME_SIZE, 16_383), PROTOCOL),
        case("http2/6.5.2/4 frames above the largest", setting(MAX_FRAME_SIZE, 1 << 24), PROTOCOL),
        case("http2/6.5.2/5 a setting that nobody knows", setting(0xff, 1), Want::Frame(SETTINGS, ACK)),
        steps(
            "http2/6.5.3/1 a setting told twice: the last one counts",
            vec![
                Step::Send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 100, 0, 4, 0, 0, 0, 1])),
                Step::Send(whole(1)),
                Step::Data(1, 1),
            ],
            Want::Ignored,
        ),
        case(
            "http2/6.5.3/2 SETTINGS are acknowledged",
            frame(SETTINGS, 0, 0, &[]),
            Want::Frame(SETTINGS, ACK),
        ),
        case("http2/6.7/1 PING", frame(PING, 0, 0, b"whatever"), Want::Frame(PING, ACK)),
        case(
            "http2/6.7/2 an acknowledgement that nobody asked for",
            frame(PING, ACK, 0, b"whatever"),
            Want::Ignored,
        ),
        case("http2/6.7/3 PING on a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        case("http2/6.7/4 PING of another length than 8", frame(PING, 0, 0, &[0; 6]), SIZE),
        case("http2/6.8/1 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), PROTOCOL),
        case(
            "rfc9113/6.8 GOAWAY that is too short",
            frame(GOAWAY, 0, 0, &[0; 7]),
            Want::Connection(&[FRAME_SIZE_ERROR]),
        ),
    ]
}

fn flow() -> Vec<Case> {
    let max = 0x7fff_ffff;
    vec![
        case("http2/6.9/1 an increment of 0", window(0, 0), PROTOCOL),
        case(
            "http2/6.9/2 an increment of 0 on a stream",
            [open(), window(1, 0)].concat(),
            Want::Stream(&[PROTOCOL_ERROR]),
        ),
        case("http2/6.9/3 WINDOW_UPDATE of another length than 4", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), SIZE),
        steps(
            "http2/6.9.1/1 no more DATA than the window takes",
            vec![Step::Send(setting(INITIAL_WINDOW_SIZE, 1)), Step::Send(whole(1)), Step::Data(1, 1)],
            Want::Ignored,
        ),
        case(
            "http2/6.9.1/2 the connection's window above the largest",
            [window(0, max), window(0, max)].concat(),
            FLOW,
        ),
        case(
            "http2/6.9.1/3 a stream's window above the largest",
            [open(), window(1, max), window(1, max)].concat(),
            Want::Stream(&[FLOW_CONTROL_ERROR]),
        ),
        steps(
            "http2/6.9.2/1 a window that opens after HEADERS",
            vec![
                Step::Send(setting(INITIAL_WINDOW_SIZE, 0)),
                Step::Send(whole(1)),
                Step::Pause(100),
                Step::Send(setting(INITIAL_WINDOW_SIZE, 1)),
                Step::Data(1, 1),
            ],
            Want::Ignored,
        ),
        steps(
            "http2/6.9.2/2 a window below zero",
            vec![
                Step::Send(setting(INITIAL_WINDOW_SIZE, 1)),
                Step::Send(whole(1)),
                Step::Data(1, 1),
                Step::Send(setting(INITIAL_WINDOW_SIZE, 0)),
                Step::Send(window(1, 1)),
                Step::Pause(100),
                Step::Send(window(1, 1)),
                Step::Data(1, 1),
            ],
            Want::Ignored,
        ),
        case(
            "http2/6.9.2/3 SETTINGS that ask for a window above the largest",
            setting(INITIAL_WINDOW_SIZE, 1 << 31),
            FLOW,
        ),
        case(
            "rfc9113/6.9.2 SETTINGS that lift a stream's window above the largest",
            [open(), window(1, max - 65_535), setting(INITIAL_WINDOW_SIZE, 65_536)].concat(),
            FLOW,
        ),
    ]
}

fn continuation() -> Vec<Case> {
    let begun = || frame(HEADERS, END_STREAM, 1, &get());
    let more = |flags: u8, stream: u32| frame(CONTINUATION, flags, stream, &block(&[("x", "1")]));
    vec![
        case(
            "http2/6.10/1 several CONTINUATION",
            [begun(), more(0, 1), more(END_HEADERS, 1)].concat(),
            Want::Served,
        ),
        case(
            "http2/6.10/2 DATA after CONTINUATION without END_HEADERS",
            [begun(), more(0, 1), frame(DATA, END_STREAM, 1, b"test")].concat(),
            PROTOCOL,
        ),
        case("http2/6.10/3 CONTINUATION on no stream", [begun(), more(END_HEADERS, 0)].concat(), PROTOCOL),
        case(
            "http2/6.10/4 CONTINUATION after HEADERS with END_HEADERS",
            [open(), more(END_HEADERS, 1)].concat(),
            PROTOCOL,
        ),
        case(
            "http2/6.10/5 CONTINUATION after CONTINUATION with END_HEADERS",
            [begun(), more(END_HEADERS, 1), more(END_HEADERS, 1)].concat(),
            PROTOCOL,
        ),
        case(
            "http2/6.10/6 CONTINUATION after DATA",
            [open(), frame(DATA, 0, 1, b"test"), more(END_HEADERS, 1)].concat(),
            PROTOCOL,
        ),
        case(
            "rfc9113/6.10 CONTINUATION of another stream",
            [begun(), more(END_HEADERS, 3)].concat(),
            PROTOCOL,
        ),
    ]
}
