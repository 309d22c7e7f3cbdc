//! Requests and responses (RFC 9113 §8): which heads are malformed, trailers, lengths, CONNECT and WebSocket.

use differential::http2::{
    CANCEL, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, NO_ERROR, PROTOCOL_ERROR, PUSH_PROMISE,
    RST_STREAM, block, frame, request,
};

use super::{Case, Step, Want, case, steps};

const WHOLE: u8 = END_HEADERS | END_STREAM;

const FIELDS: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/")];

fn with(more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &block(&[&FIELDS, more].concat()))
}

fn without(name: &str) -> Vec<u8> {
    let fields: Vec<_> = FIELDS.iter().copied().filter(|(other, _)| *other != name).collect();
    frame(HEADERS, WHOLE, 1, &block(&fields))
}

fn instead(name: &str, value: &str) -> Vec<u8> {
    let fields = FIELDS.map(|(other, old)| if other == name { (other, value) } else { (other, old) });
    frame(HEADERS, WHOLE, 1, &block(&fields))
}

pub fn cases() -> Vec<Case> {
    let malformed = Want::Stream(&[PROTOCOL_ERROR]);
    let post = |more: &[(&str, &str)]| frame(HEADERS, END_HEADERS, 1, &request("POST", "/", more));
    let length = |length: &str| post(&[("content-length", length)]);
    let data = |flags: u8, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let connect = |more: &[(&str, &str)]| {
        let fields = [&[(":method", "CONNECT"), (":authority", "h:1")][..], more].concat();
        frame(HEADERS, END_HEADERS, 1, &block(&fields))
    };
    vec![
        case(
            "http2/7/1 GOAWAY with an unknown code",
            frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff]),
            Want::Farewell,
        ),
        case(
            "http2/7/2 RST_STREAM with an unknown code",
            [post(&[]), frame(RST_STREAM, 0, 1, &[0, 0, 0, 0xff])].concat(),
            Want::Ignored,
        ),
        case(
            "http2/8.1/1 trailers without END_STREAM",
            [post(&[]), frame(HEADERS, END_HEADERS, 1, &block(&[("x", "1")]))].concat(),
            malformed,
        ),
        case("http2/8.1.2/1 a name in upper case", with(&[("X-TEST", "ok")]), malformed),
        case("http2/8.1.2.1/1 an unknown pseudo-header", with(&[(":test", "ok")]), malformed),
        case("http2/8.1.2.1/2 a pseudo-header of responses", with(&[(":status", "200")]), malformed),
        case(
            "http2/8.1.2.1/3 a pseudo-header in trailers",
            [post(&[]), data(0, b"test"), frame(HEADERS, WHOLE, 1, &block(&[(":method", "GET")]))].concat(),
            malformed,
        ),
        case(
            "http2/8.1.2.1/4 a pseudo-header behind a field",
            frame(HEADERS, WHOLE, 1, &block(&[&FIELDS[..3], &[("x-test", "ok"), FIELDS[3]]].concat())),
            malformed,
        ),
        case("http2/8.1.2.2/1 connection", with(&[("connection", "keep-alive")]), malformed),
        case("http2/8.1.2.2/2 te beyond trailers", with(&[("te", "trailers, deflate")]), malformed),
        case("http2/8.1.2.3/1 an empty :path", instead(":path", ""), malformed),
        case("http2/8.1.2.3/2 no :method", without(":method"), malformed),
        case("http2/8.1.2.3/3 no :scheme", without(":scheme"), malformed),
        case("http2/8.1.2.3/4 no :path", without(":path"), malformed),
        case("http2/8.1.2.3/5 two :method", with(&[(":method", "GET")]), malformed),
        case("http2/8.1.2.3/6 two :scheme", with(&[(":scheme", "http")]), malformed),
        case("http2/8.1.2.3/7 two :path", with(&[(":path", "/")]), malformed),
        case(
            "http2/8.1.2.6/1 content-length that DATA does not have",
            [length("1"), data(END_STREAM, b"test")].concat(),
            malformed,
        ),
        case(
            "http2/8.1.2.6/2 content-length that several DATA do not have",
            [length("1"), data(0, b"test"), data(END_STREAM, b"test")].concat(),
            malformed,
        ),
        case(
            "http2/8.2/1 PUSH_PROMISE of a client",
            [
                post(&[]),
                frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &request("GET", "/", &[])].concat()),
            ]
            .concat(),
            Want::Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "rfc9113/8.1.1 a body shorter than its length",
            [length("5"), data(END_STREAM, b"abc")].concat(),
            malformed,
        ),
        case(
            "rfc9113/8.1.1 no body where a length is told",
            frame(HEADERS, WHOLE, 1, &request("POST", "/", &[("content-length", "5")])),
            malformed,
        ),
        case(
            "rfc9113/8.1.1 two lengths that differ",
            {
                let both = [("content-length", "3"), ("content-length", "4")];
                [post(&both), data(END_STREAM, b"abc")].concat()
            },
            malformed,
        ),
        case(
            "rfc9113/8.1.1 a length that is no number",
            [length("3a"), data(END_STREAM, b"abc")].concat(),
            malformed,
        ),
        case(
            "rfc9113/8.1 a length and trailers",
            {
                let trailers = frame(HEADERS, WHOLE, 1, &block(&[("x-sum", "1")]));
                [length("3"), data(0, b"abc"), trailers].concat()
            },
            Want::Served,
        ),
        case("rfc9113/8.2.1 a value with a line break", with(&[("x", "a\r\nevil: 1")]), malformed),
        case("rfc9113/8.2.1 a value with a NUL", with(&[("x", "a\0b")]), malformed),
        case("rfc9113/8.2.1 a name with a colon", with(&[("x:y", "1")]), malformed),
        case("rfc9113/8.2.1 a name with a blank", with(&[("x y", "1")]), malformed),
        case("rfc9113/8.2.1 an empty name", with(&[("", "1")]), malformed),
        case("rfc9113/8.2.2 transfer-encoding", with(&[("transfer-encoding", "chunked")]), malformed),
        case("rfc9113/8.2.2 proxy-connection", with(&[("proxy-connection", "close")]), malformed),
        case("rfc9113/8.2.2 keep-alive", with(&[("keep-alive", "1")]), malformed),
        case("rfc9113/8.2.2 upgrade", with(&[("upgrade", "h2c")]), malformed),
        case("rfc9113/8.2.2 te: trailers", with(&[("te", "trailers")]), Want::Served),
        case("rfc9113/8.2.3 cookies in pieces", with(&[("cookie", "a=1"), ("cookie", "b=2")]), Want::Served),
        case("rfc9113/8.3.1 two :authority", with(&[(":authority", "h")]), malformed),
        case("rfc9113/8.3.1 a path with a blank", instead(":path", "/a b"), malformed),
        case("rfc9113/8.3.1 a path without a slash", instead(":path", "nowhere"), malformed),
        case("rfc9113/8.3.1 a path with a line break", instead(":path", "/\r\nx: y"), malformed),
        case("rfc9113/8.3.1 a method with a blank", instead(":method", "GE T"), malformed),
        case("rfc9113/8.3.1 an authority with a user", instead(":authority", "user@h"), malformed),
        case(
            "rfc9113/8.3.1 OPTIONS *",
            {
                let fields =
                    [(":method", "OPTIONS"), (":scheme", "http"), (":authority", "h"), (":path", "*")];
                frame(HEADERS, WHOLE, 1, &block(&fields))
            },
            Want::Served,
        ),
        case(
            "rfc9113/8.3.1 host without :authority",
            {
                let fields = [FIELDS[0], FIELDS[1], FIELDS[3], ("host", "h")];
                frame(HEADERS, WHOLE, 1, &block(&fields))
            },
            Want::Served,
        ),
        case("rfc9113/8.5 CONNECT with a path", connect(&[(":scheme", "http"), (":path", "/")]), malformed),
        case(
            "rfc9113/8.5 CONNECT without :authority",
            frame(HEADERS, END_HEADERS, 1, &block(&[(":method", "CONNECT")])),
            malformed,
        ),
        case("rfc8441/4 :protocol without CONNECT", with(&[(":protocol", "websocket")]), malformed),
        case(
            "rfc8441/4 an extended CONNECT without a path",
            connect(&[(":protocol", "websocket")]),
            malformed,
        ),
        steps(
            "rfc9113/8.1 RST_STREAM with NO_ERROR while the body goes on",
            vec![
                Step::Send(post(&[])),
                Step::Send(data(0, b"abc")),
                Step::Send(frame(RST_STREAM, 0, 1, &NO_ERROR.to_be_bytes())),
            ],
            Want::Ignored,
        ),
        steps(
            "rfc9113/8.7 a stream that is given up, then another",
            vec![
                Step::Send([post(&[]), frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())].concat()),
                Step::Send(frame(HEADERS, WHOLE, 3, &request("GET", "/", &[]))),
            ],
            Want::Served,
        ),
    ]
}
