//! The message model: reading, editing and writing heads.

use hawser_http::*;

const REQUEST: &[u8] =
    b"GET /a/b?x=1 HTTP/1.1\r\nHost: example.org\r\nAccept: a, \"b,c\" ,d\r\nX-Many: 1\r\n\
X-Many: 2, 3\r\nConnection: Keep-Alive, Upgrade\r\nUpgrade: foo\r\n\r\n";

fn request(bytes: &[u8]) -> Head {
    let mut head = Head::new();
    let parsed = parse_request(bytes, &Limits::default(), &mut head).unwrap();
    assert!(matches!(parsed, Parsed::Complete { .. }), "{parsed:?}");
    head
}

fn written(head: &Head) -> String {
    let mut out = Vec::new();
    head.write_to(&mut out);
    assert_eq!(out.len(), head.wire_len());
    String::from_utf8(out).unwrap()
}

#[test]
fn an_unedited_head_is_written_as_it_came() {
    let head = request(REQUEST);
    assert_eq!(written(&head).as_bytes(), REQUEST);
    assert_eq!(head.method(), b"GET");
    assert_eq!(head.uri(), b"/a/b?x=1");
    assert_eq!(head.path(), b"/a/b");
    assert_eq!(head.query(), Some(&b"x=1"[..]));
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.get(b"HOST"), Some(&b"example.org"[..]));
    assert_eq!(head.upgrade(), Some(&b"foo"[..]));
}

#[test]
fn occurrences_count_from_both_ends() {
    let head = request(REQUEST);
    assert_eq!(head.nth_value(b"x-many", 2), Some(&b"2"[..]));
    assert_eq!(head.nth_value(b"x-many", -1), Some(&b"3"[..]));
    assert_eq!(head.nth_value(b"x-many", -3), Some(&b"1"[..]));
    assert_eq!(head.nth_value(b"x-many", -4), None);
    assert_eq!(head.nth_value(b"x-many", 0), None);
    assert_eq!(head.nth_value(b"accept", 2), Some(&b"\"b,c\""[..]));
    assert_eq!(head.nth_line(b"x-many", -1), Some(&b"2, 3"[..]));
    assert_eq!(head.count(b"x-many"), 3);
    assert_eq!(head.line_count(b"x-many"), 2);
}

#[test]
fn edits_land_at_the_end_and_the_rest_stays_in_place() {
    let mut head = request(REQUEST);
    head.set(b"Host", b"other");
    head.add(b"X-Forwarded-For", b"10.0.0.1");
    assert_eq!(head.remove(b"x-MANY"), 2);
    head.set_path(b"/new");
    head.set_method(b"POST");
    head.replace_values(b"accept", &mut |value, out| {
        out.extend_from_slice(b"Z");
        value == b"a"
    });
    head.strip_connection_tokens();
    assert_eq!(
        written(&head),
        "POST /new?x=1 HTTP/1.1\r\nAccept: Z, \"b,c\" ,d\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\
         Host: other\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
    );
}

#[test]
fn parts_of_a_target_are_found_in_every_form() {
    let parts = |line: &str| {
        let head = request(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (head.authority().map(text), text(head.path()), head.query().map(text))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(parts("GET /?"), (None, "/".into(), some("")));
    assert_eq!(parts("GET http://h/p?q?r"), (some("h"), "/p".into(), some("q?r")));
    assert_eq!(parts("GET http://h"), (some("h"), "".into(), None));
    assert_eq!(parts("GET http://h?q"), (some("h"), "".into(), some("q")));
    assert_eq!(parts("CONNECT h:443").0, some("h:443"));
    assert_eq!(parts("OPTIONS *"), (None, "*".into(), None));
}

#[test]
fn target_edits_keep_the_other_parts() {
    let edit = |act: fn(&mut Head)| {
        let mut head = request(b"GET http://h/p?q HTTP/1.0\r\nHost: h\r\n\r\n");
        act(&mut head);
        String::from_utf8(head.uri().to_vec()).unwrap()
    };
    assert_eq!(edit(|head| head.set_path(b"/new")), "http://h/new?q");
    assert_eq!(edit(|head| head.set_query(b"x=1")), "http://h/p?x=1");
    assert_eq!(edit(|head| head.set_query(b"")), "http://h/p?");
    assert_eq!(edit(|head| head.set_path_and_query(b"/z")), "http://h/z");
    assert_eq!(edit(|head| head.set_uri(b"/z")), "/z");
    assert_eq!(edit(|head| head.set_version(Version::Http11)), "http://h/p?q");
}

#[test]
fn odd_lines_are_written_straight() {
    let head = request(b"\r\nGET  /  HTTP/1.1\nA:1\r\nB:\t 2 \r\nC: x\r\n  y\r\nD:\r\n\r\n");
    assert_eq!(written(&head), "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: x    y\r\nD: \r\n\r\n");
}

#[test]
fn responses_are_read_edited_and_built() {
    let mut head = Head::new();
    let bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(
        parse_response(bytes, &Limits::default(), &mut head),
        Ok(Parsed::Complete { consumed: bytes.len() - 3 })
    );
    assert_eq!((head.status(), head.reason()), (404, &b"Not Found"[..]));
    assert_eq!(head.response_framing(Method::Get), Framing::Length(3));
    assert_eq!(head.response_framing(Method::Head), Framing::None);
    head.set_status(302, None);
    head.set_version(Version::Http10);
    assert_eq!(written(&head), "HTTP/1.0 302 Moved Temporarily\r\nContent-Length: 3\r\n\r\n");
    head.start_response(503, None, Version::Http11);
    head.add(b"content-length", b"0");
    assert_eq!(head.response_framing(Method::Get), Framing::Length(0));
    assert_eq!(written(&head), "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn pieces_of_one_byte_give_the_same_head() {
    let mut head = Head::new();
    for end in 0..REQUEST.len() {
        assert_eq!(parse_request(&REQUEST[..end], &Limits::default(), &mut head), Ok(Parsed::Partial));
    }
    let consumed = REQUEST.len();
    assert_eq!(parse_request(REQUEST, &Limits::default(), &mut head), Ok(Parsed::Complete { consumed }));
    assert_eq!(written(&head).as_bytes(), REQUEST);
}

#[test]
fn the_http2_preface_is_told_from_requests() {
    assert!(is_http2_preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"));
    assert!(is_http2_preface(b"PRI"));
    assert!(!is_http2_preface(b"PROPFIND / HTTP/1.1\r\n"));
    assert!(!is_http2_preface(b""));
    assert!(parse_request(HTTP2_PREFACE, &Limits::default(), &mut Head::new()).is_err());
}

#[test]
fn heads_have_the_room_that_haproxy_gives_them() {
    // Longest value of `A` that HAProxy 2.6.12 took, with that many lines `B: c` beside it.
    for (others, longest) in [(0, 15_254), (1, 15_244), (10, 15_154), (50, 14_754), (90, 14_354)] {
        let parse = |length: usize| {
            let mut bytes = b"GET / HTTP/1.1\r\nA: ".to_vec();
            bytes.resize(bytes.len() + length, b'v');
            bytes.extend(b"\r\nB: c".repeat(others));
            bytes.extend(b"\r\n\r\n");
            parse_request(&bytes, &Limits::default(), &mut Head::new()).map_err(|error| error.kind)
        };
        assert!(matches!(parse(longest), Ok(Parsed::Complete { .. })), "{others} others");
        assert_eq!(parse(longest + 1), Err(ErrorKind::HeadTooLong), "{others} others");
    }
    let response = |length: usize| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ".to_vec();
        bytes.resize(bytes.len() + length, b'v');
        bytes.extend(b"\r\n\r\n");
        parse_response(&bytes, &Limits::default(), &mut Head::new()).is_ok()
    };
    assert!(response(15_230) && !response(15_231));
}

#[test]
fn a_head_that_is_reused_forgets_the_one_before() {
    let mut head = request(REQUEST);
    assert!(parse_request(b"POST /x HTTP/1.0\r\n\r\n", &Limits::default(), &mut head).is_ok());
    assert_eq!((head.method(), head.field_count(), head.upgrade()), (&b"POST"[..], 0, None));
    assert!(parse_request(b"(\r\n", &Limits::default(), &mut head).is_err());
    assert_eq!((head.field_count(), head.get(b"host"), head.request_framing()), (0, None, Framing::None));
}

#[test]
fn removal_by_predicate_and_order_of_lines_hold() {
    let mut head = request(REQUEST);
    assert_eq!(head.remove_matching(&mut |name| name.to_ascii_lowercase().starts_with(b"x-")), 2);
    head.prepend(b"First", b"1");
    let names: Vec<&[u8]> = head.fields().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"First"[..], b"Host", b"Accept", b"Connection", b"Upgrade"]);
    let changed = head.replace_lines(b"host", &mut |old, out| {
        out.extend_from_slice(old);
        out.extend_from_slice(b":81");
        true
    });
    assert_eq!((changed, head.get(b"host")), (1, Some(&b"example.org:81"[..])));
}

#[test]
fn errors_name_the_byte() {
    let fail = |bytes: &[u8]| parse_request(bytes, &Limits::default(), &mut Head::new()).unwrap_err();
    let error = fail(b"GET / HTTP/1.1\r\nA b: c\r\n\r\n");
    assert_eq!(error, ParseError { offset: 17, kind: ErrorKind::FieldName });
    assert_eq!(error.to_string(), "invalid field name at offset 17");
    assert_eq!(fail(b"GET /\x01 HTTP/1.1\r\n").offset, 5);
    let coding = b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    assert_eq!((fail(coding).status(), fail(coding).offset), (422, 35));
}

// What servers got from HAProxy 2.6.12 with `replace-value X ^b$ ZZ`, `set-uri` and `set-query`.
#[test]
fn edits_leave_what_haproxy_leaves() {
    for (line, expected) in [("a, b,b", "a,ZZ,ZZ"), ("b", "ZZ"), ("a ,b , c", "a ,ZZ, c")] {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::Http11);
        head.add(b"X", line.as_bytes());
        head.replace_values(b"x", &mut |value, out| {
            out.extend_from_slice(b"ZZ");
            value == b"b"
        });
        assert_eq!(head.get(b"x"), Some(expected.as_bytes()), "{line}");
    }
    let mut head = request(b"GET /u?x HTTP/1.1\r\nHost: h\r\n\r\n");
    head.set_uri(b"http://other/zz");
    assert_eq!((head.get(b"host"), head.path()), (Some(&b"other"[..]), &b"/zz"[..]));
    let mut head = request(b"GET /e HTTP/1.1\r\nHost: h\r\n\r\n");
    head.set_query(b"");
    assert_eq!(head.uri(), b"/e");
}
