//! What holds for any bytes: no panic, the same result in any pieces, and a stable wire form.

use hawser_http::*;
use proptest::prelude::*;

/// Everything that a head says.
fn snapshot(head: &Head) -> (Vec<u8>, Version, u16, Framing, Framing, ConnectionTokens, bool) {
    let mut wire = Vec::new();
    head.write_to(&mut wire);
    assert_eq!(wire.len(), head.wire_len());
    let framing = head.request_framing();
    let of_response = head.response_framing(Method::Get);
    (wire, head.version(), head.status(), framing, of_response, head.connection(), head.must_close())
}

type Parse = fn(&[u8], &Limits, &mut Head) -> Result<Parsed, ParseError>;

fn parsers() -> impl Strategy<Value = Parse> {
    prop_oneof![Just(parse_request as Parse), Just(parse_response as Parse)]
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<bool>().prop_map(|accept_invalid| Limits { accept_invalid, ..Limits::default() })
}

/// Bytes that look like heads often enough to get deep into the parser.
fn head_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"GET ",
        b"POST ",
        b"CONNECT ",
        b"/",
        b"/a?b=c#d",
        b"http://h:80/x",
        b"h:443",
        b"*",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b" HTTP/2.0\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 304 \r\n",
        b"HTTP/1.1 101 X\r\n",
        b"Host: h\r\n",
        b"host:  h:80 \r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Connection: close, X\r\n",
        b"Connection: Upgrade\r\n",
        b"Upgrade: websocket\r\n",
        b"Cookie: a=\"1\r\n",
        b"A: b\r\n c\r\n",
        b"A:\r\n",
        b"A : b\r\n",
        b": b\r\n",
        b"A: \x00\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\xff",
        b"{n",
        b"X-Some-Long-Name: and a rather long value of more than sixteen bytes\r\n",
    ];
    let word = prop_oneof![
        12 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    let free = proptest::collection::vec(word.clone(), 0..16).prop_map(|parts| parts.concat());
    let shaped = proptest::collection::vec(word, 0..10).prop_map(|parts| {
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        bytes.extend(parts.concat());
        bytes.extend(b"\r\n\r\n");
        bytes
    });
    prop_oneof![free, shaped]
}

/// `PROPTEST_CASES`, or as many as run in a second.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn pieces_give_what_one_piece_gives(
        bytes in head_bytes(),
        cuts in proptest::collection::vec(0usize..400, 0..8),
        single in any::<bool>(),
        parse in parsers(),
        limits in limits(),
    ) {
        let mut whole = Head::new();
        let expected = parse(&bytes, &limits, &mut whole);
        let mut ends: Vec<usize> = if single { (0..=bytes.len()).collect() } else { cuts };
        ends.iter_mut().for_each(|end| *end = (*end).min(bytes.len()));
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut head = Head::new();
        let mut result = Ok(Parsed::Partial);
        for end in ends {
            result = parse(&bytes[..end], &limits, &mut head);
            if result != Ok(Parsed::Partial) {
                break;
            }
        }
        prop_assert_eq!(&result, &expected);
        if let Ok(Parsed::Complete { .. }) = result {
            prop_assert_eq!(snapshot(&head), snapshot(&whole));
        }
    }

    #[test]
    fn what_is_written_parses_to_itself(bytes in head_bytes(), parse in parsers(), limits in limits()) {
        let mut head = Head::new();
        if let Ok(Parsed::Complete { .. }) = parse(&bytes, &limits, &mut head) {
            let first = snapshot(&head);
            let mut again = Head::new();
            let parsed = parse(&first.0, &limits, &mut again);
            prop_assert_eq!(parsed, Ok(Parsed::Complete { consumed: first.0.len() }));
            let second = snapshot(&again);
            prop_assert_eq!(&second.0, &first.0);
            prop_assert_eq!((second.1, second.2, second.3, second.4), (first.1, first.2, first.3, first.4));
        }
    }

    #[test]
    fn edits_keep_a_head_writable(
        bytes in head_bytes(),
        name in "[A-Za-z-]{1,12}",
        value in "[ -~]{0,20}",
        steps in proptest::collection::vec(0u8..12, 0..12),
    ) {
        let mut head = Head::new();
        if parse_request(&bytes, &Limits::default(), &mut head) != Ok(Parsed::Partial) && head.field_count() > 0 {
            let (name, value) = (name.as_bytes(), value.trim().as_bytes());
            for step in steps {
                match step {
                    0 => head.add(name, value),
                    1 => head.set(name, value),
                    2 => drop(head.remove(name)),
                    3 => head.prepend(name, value),
                    4 => head.set_path(b"/p"),
                    5 => head.set_query(b"q=1"),
                    6 => head.set_method(b"PUT"),
                    7 => head.strip_connection_tokens(),
                    8 => drop(head.remove_cookie(b"a")),
                    9 => head.set_version(Version::Http10),
                    10 => head.filter_te(),
                    _ => drop(head.replace_values(name, &mut |old, out| { out.extend(old); out.push(b'x'); true })),
                }
            }
            let wire = snapshot(&head).0;
            let lines = wire.split(|&byte| byte == b'\n').count();
            prop_assert_eq!(lines, head.field_count() + 3);
            prop_assert!(wire.ends_with(b"\r\n\r\n"));
        }
    }

    #[test]
    fn chunks_decode_alike_in_any_pieces(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            &b"3\r\nabc\r\n"[..], b"a;x=y\r\n0123456789\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"1\nz\n", b"g",
            b"\r\n", b"10000000000000\r\n", b"0", b"2 \r\nab\r\n", b"\r", b"5\r\nab",
        ]), 0..8),
        size in 1usize..9,
    ) {
        let bytes = parts.concat();
        prop_assert_eq!(decode(&bytes, bytes.len().max(1)), decode(&bytes, size));
    }

    #[test]
    fn chunks_written_are_chunks_read(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6)) {
        let mut wire = Vec::new();
        for piece in &pieces {
            write_chunk_header(piece.len() as u64, &mut wire);
            wire.extend(piece);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n\r\n");
        prop_assert_eq!(decode(&wire, 7), Ok((pieces.concat(), Some(wire.len()))));
    }

    #[test]
    fn small_formats_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        fuzz::cookies(&bytes);
        fuzz::small(&bytes);
        fuzz::request(&bytes);
        fuzz::response(&bytes);
        fuzz::chunks(&bytes);
    }

    #[test]
    fn base64_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for alphabet in [base64::Alphabet::Standard, base64::Alphabet::Url] {
            let mut text = Vec::new();
            base64::encode(&bytes, alphabet, &mut text);
            let mut back = Vec::new();
            prop_assert!(base64::decode(&text, alphabet, &mut back));
            prop_assert_eq!(&back, &bytes);
        }
    }
}

/// Data and, when the body ended, its length on the wire.
fn decode(bytes: &[u8], size: usize) -> Result<(Vec<u8>, Option<usize>), ParseError> {
    let mut decoder = ChunkDecoder::new();
    let mut data = Vec::new();
    let mut taken = 0;
    for piece in bytes.chunks(size) {
        let mut rest = piece;
        loop {
            match decoder.next(rest)? {
                Step::Data { skip, len } => {
                    data.extend_from_slice(&rest[skip..skip + len]);
                    rest = &rest[skip + len..];
                    taken += skip + len;
                }
                Step::NeedMore => {
                    taken += rest.len();
                    break;
                }
                Step::End { consumed } => return Ok((data, Some(taken + consumed))),
            }
        }
    }
    Ok((data, None))
}

#[test]
fn a_slow_sender_costs_no_more_than_a_fast_one() {
    // 15 KB in single bytes, most of it in one folded value: with a rescan from the start of the line it would be a
    // hundred million steps. Counted by time, generously, against one parse of the whole times the number of calls.
    let mut bytes = b"GET / HTTP/1.1\r\nHost: h\r\nA: b".to_vec();
    while bytes.len() < 14_000 {
        bytes.extend(b"\r\n x");
    }
    bytes.extend(b"\r\n\r\n");
    let limits = Limits::default();
    let mut head = Head::new();
    let start = std::time::Instant::now();
    for end in 1..bytes.len() {
        assert_eq!(parse_request(&bytes[..end], &limits, &mut head), Ok(Parsed::Partial));
    }
    assert!(matches!(parse_request(&bytes, &limits, &mut head), Ok(Parsed::Complete { .. })));
    let slow = start.elapsed();
    assert!(slow.as_millis() < 50, "{slow:?} for {} bytes", bytes.len());
}

#[test]
fn each_reading_takes_one_default_port_out_of_an_absolute_uri() {
    // HAProxy 2.6.12 sends `GET http://h:80:80/h` on as `GET http://h:80/h`: found by fuzzing, and no rewriting loop.
    let mut head = Head::new();
    let limits = Limits { accept_invalid: true, ..Limits::default() };
    let read = parse_request(b"GET http://h:80:80/h HTTP/1.1\r\nHost: h:80:80\r\n\r\n", &limits, &mut head);
    assert!(matches!(read, Ok(Parsed::Complete { .. })));
    assert_eq!((head.uri(), head.get(b"host")), (&b"http://h:80/h"[..], Some(&b"h:80"[..])));
    fuzz::request(b"GET http://h:80://h#q\xddHT\r\n\n\r\n");
}
