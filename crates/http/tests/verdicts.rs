//! Our verdicts and what we send on, against what HAProxy 2.6 was recorded to do (see `oracle.rs`). HAProxy writes field
//! names in lower case, we keep the sender's; so both are compared in lower case.

mod vectors;

use hawser_http::*;
use vectors::{Case, escape};

/// Cases where we differ from HAProxy on purpose: name, our status, why.
const STRICTER: &[(&str, u16, &str)] = &[
    (
        "Content-Length too large by one",
        400,
        "HAProxy lets 2^64 wrap to 0 and sends the digits on: a smuggling hole",
    ),
    ("Content-Length 2^64-1", 400, "HAProxy's own limit is 2^63-1 but for this value"),
    ("HTTP/2 preface", 400, "the caller looks for the preface before it parses HTTP/1"),
    ("folded first field tolerated", 400, "sent on behind another line it would continue that line"),
    ("Content-Length too large", 502, "as in requests"),
    ("status 99", 502, "a status has three digits, the first not 0"),
    ("status 099", 502, "as above"),
    ("status 1000", 502, "as above"),
    ("status 000", 502, "as above"),
];

/// Accepted as HAProxy does, but written on in a plainer form: name and why.
const PLAINER: &[(&str, &str)] = &[
    ("version HTTP/1.10 tolerated", "an unknown version is written as HTTP/1.0"),
    ("version ICY tolerated", "an unknown version is written as HTTP/1.0"),
    ("CONNECT with chunked", "HAProxy adds `connection: close`, though a tunnel follows"),
];

fn expected_status(case: &Case) -> u16 {
    STRICTER.iter().find(|row| row.0 == case.name).map_or(case.outcome.status, |row| row.1)
}

/// What became of one message.
struct Passed {
    head: String,
    body: Vec<u8>,
    trailers: String,
}

/// The wire form of a head, names in lower case.
fn lower(head: &Head) -> String {
    let mut out = Vec::new();
    head.write_to(&mut out);
    let lines = out.split_inclusive(|&byte| byte == b'\n');
    let lines = lines.enumerate().map(|(index, line)| {
        let mut line = line.to_vec();
        if index > 0 {
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
            line[..colon].make_ascii_lowercase();
        }
        line
    });
    escape(&lines.flatten().collect::<Vec<_>>())
}

fn trailers_of(decoder: &ChunkDecoder) -> String {
    let Some(trailers) = decoder.trailers() else { return String::new() };
    let lines = trailers
        .fields()
        .map(|(name, value)| format!("{}: {}\n", escape(name).to_ascii_lowercase(), escape(value)));
    lines.collect()
}

/// Takes a body; returns what of `bytes` is behind it (None when it is not whole).
fn take_body<'a>(
    framing: Framing,
    bytes: &'a [u8],
    passed: &mut Passed,
) -> Result<Option<&'a [u8]>, ErrorKind> {
    match framing {
        Framing::None => Ok(Some(bytes)),
        Framing::UntilClose => {
            passed.body = bytes.to_vec();
            Ok(None)
        }
        Framing::Length(length) => {
            let end = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
            passed.body = bytes[..end].to_vec();
            Ok((end as u64 == length).then(|| &bytes[end..]))
        }
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new();
            let mut rest = bytes;
            loop {
                match decoder.next(rest).map_err(|error| error.kind)? {
                    Step::Data { skip, len } => {
                        passed.body.extend_from_slice(&rest[skip..skip + len]);
                        rest = &rest[skip + len..];
                    }
                    Step::NeedMore => return Ok(None),
                    Step::End { consumed } => {
                        passed.trailers = trailers_of(&decoder);
                        return Ok(Some(&rest[consumed..]));
                    }
                }
            }
        }
    }
}

/// Status, whether the client's connection closes, and what the server gets.
fn pass_requests(bytes: &[u8], limits: &Limits) -> (u16, bool, Vec<Passed>) {
    let mut rest = bytes;
    let mut passed = Vec::new();
    let mut head = Head::new();
    loop {
        head.clear();
        let status = |error: u16, passed: &[Passed]| if passed.is_empty() { error } else { 200 };
        match parse_request(rest, limits, &mut head) {
            Err(error) => return (status(error.status(), &passed), true, passed),
            Ok(Parsed::Partial) if rest.is_empty() => return (200, false, passed),
            Ok(Parsed::Partial) => return (status(408, &passed), true, passed),
            Ok(Parsed::Complete { consumed }) => rest = &rest[consumed..],
        }
        let framing = head.request_framing();
        let keep = head.keeps_alive();
        head.filter_te();
        let coded_old = head.version() == Version::Http10 && framing == Framing::Chunked;
        head.set_request_connection(!coded_old);
        let mut one = Passed { head: lower(&head), body: Vec::new(), trailers: String::new() };
        let tunnel = head.method_kind() == Method::Connect;
        let behind = take_body(framing, rest, &mut one);
        let behind = match behind {
            Err(_) => return (status(400, &passed), true, passed),
            Ok(behind) => behind,
        };
        passed.push(one);
        match behind {
            Some(behind) if keep && !tunnel => rest = behind,
            Some(_) | None => return (200, !keep && !tunnel, passed),
        }
        if rest.is_empty() {
            return (200, false, passed);
        }
    }
}

/// Splits what HAProxy sent, which is canonical, into head and decoded body.
fn split_sent(bytes: &[u8]) -> (String, Vec<u8>, String) {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let head = escape(&bytes[..end]);
    let mut one = Passed { head: String::new(), body: Vec::new(), trailers: String::new() };
    let framing = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        true => Framing::Chunked,
        false => Framing::UntilClose,
    };
    take_body(framing, &bytes[end..], &mut one).expect("HAProxy writes correct chunks");
    (head, one.body, one.trailers)
}

#[test]
fn requests_get_the_verdict_of_haproxy() {
    let cases = vectors::load("requests.txt");
    assert!(cases.len() >= 400, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let limits = Limits { accept_invalid: case.accept_invalid, ..Limits::default() };
        let (status, closed, passed) = pass_requests(&case.send, &limits);
        let expected = expected_status(case);
        if status != expected {
            wrong.push(format!("{}: status {status}, HAProxy {expected}", case.name));
            continue;
        }
        if status >= 400 || PLAINER.iter().any(|row| row.0 == case.name) {
            continue;
        }
        if closed != case.outcome.closed {
            wrong.push(format!("{}: closed {closed}, HAProxy {}", case.name, case.outcome.closed));
        }
        for (one, theirs) in passed.iter().zip(&case.outcome.backend) {
            let (head, body, trailers) = split_sent(theirs);
            if one.head != head {
                wrong.push(format!("{}:\n  ours   {}\n  theirs {head}", case.name, one.head));
            } else if one.body != body || one.trailers != trailers {
                wrong.push(format!("{}: body differs", case.name));
            }
        }
        let tunnel = case.send.starts_with(b"CONNECT");
        if !tunnel && passed.len() != case.outcome.backend.len() {
            wrong.push(format!(
                "{}: {} messages, HAProxy {}",
                case.name,
                passed.len(),
                case.outcome.backend.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

const DEFAULT_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Status, whether the client's connection closes, and what the client gets.
fn pass_responses(case: &Case, limits: &Limits) -> (u16, bool, Vec<Passed>) {
    let mut request = Head::new();
    let sent = case.request.as_deref().unwrap_or(DEFAULT_REQUEST);
    parse_request(sent, &Limits::default(), &mut request).expect("the request of a case is right");
    let mut rest = &case.send[..];
    let mut passed = Vec::new();
    let mut head = Head::new();
    let mut first = 0;
    loop {
        head.clear();
        match parse_response(rest, limits, &mut head) {
            Err(_) | Ok(Parsed::Partial) => return (502, false, passed),
            Ok(Parsed::Complete { consumed }) => rest = &rest[consumed..],
        }
        let status = head.status();
        first = if first == 0 { status } else { first };
        let switch = status == 101;
        if switch && !head.is_valid_switch(request.upgrade().is_some()) {
            return (502, false, passed);
        }
        let framing = head.response_framing(request.method_kind());
        let tunnel = framing == Framing::UntilClose && (switch || request.method_kind() == Method::Connect);
        let interim = (100..200).contains(&status) && !switch;
        // A length beside a coding closes the server's connection only; a coding in HTTP/1.0 the client's too.
        let broken = head.must_close() && head.version() == Version::Http10;
        let keep = request.keeps_alive() && (tunnel || framing != Framing::UntilClose) && !broken;
        if !interim {
            head.set_response_connection(keep, request.version());
        }
        let mut one = Passed { head: lower(&head), body: Vec::new(), trailers: String::new() };
        let whole = match take_body(framing, rest, &mut one) {
            Err(_) => return (502, false, passed),
            Ok(whole) => whole,
        };
        passed.push(one);
        if !interim {
            return (first, !keep || whole.is_none(), passed);
        }
    }
}

#[test]
fn responses_get_the_verdict_of_haproxy() {
    let cases = vectors::load("responses.txt");
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let limits = Limits { accept_invalid: case.accept_invalid, ..Limits::default() };
        let (status, closed, passed) = pass_responses(case, &limits);
        // Recorded as 0: a status line of another protocol.
        let recorded = if case.outcome.client.is_empty() { 502 } else { case.outcome.status };
        let expected = STRICTER.iter().find(|row| row.0 == case.name).map_or(recorded, |row| row.1);
        if status != expected && expected != 0 {
            wrong.push(format!("{}: status {status}, HAProxy {expected}", case.name));
            continue;
        }
        if status == 502 || PLAINER.iter().any(|row| row.0 == case.name) {
            continue;
        }
        if closed != case.outcome.closed {
            wrong.push(format!("{}: closed {closed}, HAProxy {}", case.name, case.outcome.closed));
        }
        let mut theirs = &case.outcome.client[..];
        for one in &passed[..passed.len() - 1] {
            let end = memchr::memmem::find(theirs, b"\r\n\r\n").map_or(theirs.len(), |at| at + 4);
            assert_eq!(one.head, escape(&theirs[..end]), "{}", case.name);
            theirs = &theirs[end..];
        }
        let last = passed.last().expect("a final response");
        let tunnel = case.request.as_deref().is_some_and(|request| request.starts_with(b"CONNECT"));
        let end = memchr::memmem::find(theirs, b"\r\n\r\n").map_or(theirs.len(), |at| at + 4);
        let (head, body, trailers) = match tunnel {
            true => (escape(&theirs[..end]), theirs[end..].to_vec(), String::new()),
            false => split_sent(theirs),
        };
        if last.head != head {
            wrong.push(format!("{}:\n  ours   {}\n  theirs {head}", case.name, last.head));
        } else if last.body != body || last.trailers != trailers {
            wrong.push(format!("{}: body differs: {} {}", case.name, escape(&last.body), escape(&body)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_difference_on_purpose_is_a_case() {
    let names: Vec<String> = ["requests.txt", "responses.txt"]
        .iter()
        .flat_map(|file| vectors::load(file))
        .map(|case| case.name)
        .collect();
    for name in STRICTER.iter().map(|row| row.0).chain(PLAINER.iter().map(|row| row.0)) {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}
