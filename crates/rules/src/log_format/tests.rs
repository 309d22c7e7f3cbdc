//! Lines recorded from HAProxy 2.6.12 (`tests/vectors/record_logs.py`), written again from the raw values that each
//! line carries behind its `|`.

use super::*;
use crate::testing::{World, word};
use crate::{LoadError, ServerId, VariableName, Variables};
use std::net::SocketAddr;
use std::time::Instant;

const LOGS: &str = include_str!("../../tests/vectors/logs.txt");
/// What the recorder appends to every format.
const RAW: &str = "|%ci|%cp|%ft|%b|%s|%TR|%Tw|%Tc|%Tr|%Ta|%ST|%B|%tsc|%ac|%fc|%bc|%sc|%rc|%sq|%bq|%Ts|%ms|%rt|%Ti|\
                   %Th|%Tt|%Tu|%U|%bi|%bp|%si|%sp|%fi|%fp|%[capture.req.method]|%HV|%Td|%Tq|%pid|%lc|%H|";
const RAW_FIELDS: usize = 41;

pub(crate) fn parse(world: &mut World, format: &str, dialect: Dialect) -> Result<LogFormat, LoadError> {
    world.places = crate::Place::Log.only();
    world.with_context(|context| LogFormat::parse(word(format, 0), dialect, context))
}

pub(crate) fn context() -> LogContext {
    LogContext::new(Zone::utc(), 1)
}

pub(crate) fn written(world: &World, format: &LogFormat, context: &mut LogContext) -> String {
    let mut out = Vec::new();
    format.write(&world.scope(), context, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn request_of(index: usize) -> (&'static str, [Option<&'static str>; 2], Option<&'static str>) {
    match index {
        0 => ("GET / HTTP/1.1", [None; 2], None),
        1 => ("GET /x?y=1&z=\"q\" HTTP/1.0", [Some("cu\"rl\\]/1"), Some("r")], Some("SID=abc12345678")),
        2 => ("POST http://h.example/p/q?r HTTP/1.1", [None; 2], None),
        3 => ("GET /deny HTTP/1.1", [None; 2], None),
        4 => ("GET /nosrv HTTP/1.1", [None; 2], None),
        5 => ("OPTIONS * HTTP/1.1", [None; 2], None),
        _ => ("", [None; 2], None),
    }
}

/// The raw values of a line, quotes taken away; empty for what is missing.
struct Raw<'l> {
    fields: Vec<&'l str>,
    is_hex: bool,
}

impl Raw<'_> {
    fn text(&self, index: usize) -> &str {
        match self.fields[index].trim_matches('"') {
            "-" => "",
            text => text,
        }
    }

    fn int(&self, index: usize) -> i64 {
        self.text(index).parse().expect("a decimal number")
    }

    /// A number that the flag X changes.
    fn number(&self, index: usize) -> u64 {
        let base = if self.is_hex { 16 } else { 10 };
        u64::from_str_radix(self.text(index), base).expect("a number")
    }

    fn peer(&self, index: usize) -> Option<Peer> {
        let ip = match (self.text(index), self.is_hex) {
            ("", _) => return None,
            (text, true) => std::net::Ipv4Addr::from(u32::from_str_radix(text, 16).expect("an address")),
            (text, false) => text.parse().expect("an address"),
        };
        Some(Peer::Inet(SocketAddr::from((ip, self.number(index + 1) as u16))))
    }

    fn apply(&self, world: &mut World, context: &mut LogContext, request: usize) {
        let (uri, captures, cookie) = request_of(request);
        let is_bad = uri.is_empty();
        let reached_server = !self.text(4).starts_with('<');
        let owned = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        let stream = &mut world.stream;
        stream.src = self.peer(0);
        stream.backend = match self.text(3) {
            "app" => Some(crate::ProxyId(1)),
            "none" => Some(crate::ProxyId(2)),
            _ => None,
        };
        stream.server = reached_server.then_some(ServerId { proxy: crate::ProxyId(1), index: 0 });
        stream.status = self.int(10) as u16;
        stream.bytes_out = self.int(11) as u64;
        let letters = self.text(12).as_bytes().to_vec();
        stream.termination = match *letters {
            [cause, phase, cookie_request, cookie_response] => {
                crate::Termination { cause, phase, cookie_request, cookie_response }
            }
            _ => crate::Termination::default(),
        };
        stream.process_connections = self.int(13) as u32;
        stream.frontend_connections = self.int(14) as u32;
        stream.backend_connections = self.int(15) as u32;
        stream.server_connections = self.int(16) as u32;
        stream.retries = self.int(17) as u32;
        stream.server_queue = self.int(18) as u32;
        stream.backend_queue = self.int(19) as u32;
        stream.id = self.number(22);
        stream.bytes_in = self.int(27) as u64;
        stream.server_src = self.peer(28);
        stream.server_dst = self.peer(30);
        stream.dst = self.peer(32);
        context.process_id = self.number(38) as u32;
        context.log_counter = self.number(39) as u32;

        let accept = Instant::now();
        let after = |base: Option<Instant>, ms: i64| {
            base.filter(|_| ms >= 0).map(|base| base + Duration::from_millis(ms as u64))
        };
        let times = &mut stream.times;
        times.accept = accept;
        times.accept_wall =
            WallTime(Duration::from_secs(self.number(20)) + Duration::from_millis(self.number(21)));
        times.handshake_done = after(Some(accept), self.int(24));
        times.request_start = after(times.handshake_done, self.int(23));
        times.request_done = after(Some(accept), self.int(37));
        times.queue_done = after(times.request_done, self.int(6));
        times.connected = after(times.queue_done, self.int(7));
        times.response_done = after(times.connected, self.int(8));
        times.end = after(Some(accept), self.int(25));

        stream.captured_uri = uri.as_bytes().to_vec();
        stream.request_version = uri.split(' ').nth(2).map(|version| match version {
            "HTTP/1.0" => http::Version::Http10,
            _ => http::Version::Http11,
        });
        stream.response_version = reached_server.then_some(http::Version::Http11);
        stream.cookie_capture_request = owned(cookie);
        stream.cookie_capture_response = owned(reached_server.then_some("SID=xyz"));
        (stream.request_captures, stream.response_captures) = match is_bad {
            // A connection that never became a stream has no captures at all.
            true => Default::default(),
            false => (
                vec![owned(captures[0]), owned(captures[1]), None].into(),
                vec![owned(reached_server.then_some("s\"1]"))].into(),
            ),
        };
        stream.unique_id = (!is_bad).then(|| format!("7F000001-{:04X}", stream.id).into_bytes());
        let variable = VariableName::parse(b"txn.q").expect("a name");
        match is_bad {
            true => world.variables.unset(&variable),
            false => assert!(world.variables.set(&variable, Value::str(b"a b]d"))),
        }
    }
}

#[test]
fn every_recorded_line_is_written_the_same() {
    // row: 89
    let mut lines = 0;
    let mut format = String::new();
    let mut request = 0;
    for recorded in LOGS.lines() {
        if let Some(text) = recorded.strip_prefix("format ") {
            format = format!("{text}{RAW}").replace("\\\"", "\"");
            request = 0;
            continue;
        }
        let line = recorded.strip_prefix("line ").expect("a format or a line");
        let mut world = World::new();
        let parsed = parse(&mut world, &format, Dialect::LOG)
            .unwrap_or_else(|error| panic!("{format}: {}", error.message));
        let fields: Vec<&str> = line.trim_end_matches('|').rsplitn(RAW_FIELDS + 1, '|').collect();
        let raw = Raw {
            fields: fields.into_iter().take(RAW_FIELDS).rev().collect(),
            is_hex: format.starts_with("%{+X}o"),
        };
        let mut context = context();
        raw.apply(&mut world, &mut context, request);
        assert_eq!(written(&world, &parsed, &mut context), line, "{format}");
        request += 1;
        lines += 1;
    }
    assert_eq!(lines, 135);
}

#[test]
fn early_lines_and_redispatches_carry_a_plus() {
    // row: 89
    let mut world = World::new();
    let format = parse(&mut world, "%Ta %Tt %B %rc", Dialect::LOG).expect("valid");
    let accept = world.stream.times.accept;
    world.stream.times.end = Some(accept + Duration::from_millis(10));
    world.stream.bytes_out = 60;
    world.stream.retries = 1;
    world.stream.redispatched = true;
    let mut context = context();
    assert_eq!(written(&world, &format, &mut context), "10 10 60 +1");
    context.is_early = true;
    assert_eq!(written(&world, &format, &mut context), "+10 +10 +60 +1");
}

#[test]
fn tcp_connections_that_never_waited_show_one_millisecond() {
    let mut world = World::new();
    let format = parse(&mut world, "%Tw/%Tc/%Tt", Dialect::LOG).expect("valid");
    let accept = world.stream.times.accept;
    world.stream.times.queue_done = Some(accept);
    world.stream.times.connected = Some(accept);
    world.stream.times.end = Some(accept + Duration::from_millis(161));
    assert_eq!(written(&world, &format, &mut context()), "1/0/161");
    world.stream.times.connected = None;
    assert_eq!(written(&world, &format, &mut context()), "1/-1/161");
}

#[test]
fn unix_clients_and_applets_have_names() {
    let mut world = World::new();
    let format = parse(&mut world, "%ci:%cp %s", Dialect::LOG).expect("valid");
    world.stream.src = Some(Peer::Unix);
    world.stream.server = None;
    world.stream.applet = Some("<STATS>");
    assert_eq!(written(&world, &format, &mut context()), "unix:1 <STATS>");
}

#[test]
fn ipv6_addresses_print_in_text_and_in_hexadecimal() {
    let mut world = World::new();
    let format =
        parse(&mut world, "%ci|%cp|%{+X}ci|%{+X}cp|%{+Q}ci|%{+X,+Q}ci", Dialect::LOG).expect("valid");
    world.stream.src = Some(Peer::Inet("[::1]:55900".parse().expect("an address")));
    // Recorded from HAProxy 2.6.12.
    assert_eq!(
        written(&world, &format, &mut context()),
        "::1|55900|00000000000000000000000000000001|DA5C|\"::1\"|00000000000000000000000000000001"
    );
}

#[test]
fn formats_in_messages_print_nothing_for_what_is_missing_and_escape_control_characters() {
    // Recorded from `http-request return status 200 hdr X-A …` of HAProxy 2.6.12.
    let mut world = World::with_request("GET /p?x=1 HTTP/1.1\nHost: h");
    world.stream.captured_uri = b"GET /p?x=1 HTTP/1.1".to_vec();
    let parse = |world: &mut World, text: &str| {
        world
            .with_context(|context| LogFormat::parse(word(text, 0), Dialect::MESSAGE, context))
            .unwrap_or_else(|error| panic!("{text}: {}", error.message))
    };
    for (format, expected) in [
        ("<%[req.hdr(nope)]|%{+Q}[req.hdr(nope)]|%{+Q}[path]>", "<||/p>"),
        ("%ID|%{+Q}ID|%{+M}ID|%CC|%sslv|%{+Q}ci", "|\"\"|-|||\"10.0.0.1\""),
        ("|%%|  two  spaces|%HQ|", "|%|  two  spaces|?x=1|"),
        ("%[bin(01090a0d1f2022237f80ff)]", "%01\t%0A%0D%1F \"#%7F\u{fffd}\u{fffd}"),
        ("%{+E}[str(\"a]b\")]", "a\\]b"),
    ] {
        let parsed = parse(&mut world, format);
        assert_eq!(written(&world, &parsed, &mut context()), expected, "{format}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (format, place, message) in [
        ("%foo", (0, 4), "no such format variable 'foo' (a single '%' is written '%%')"),
        ("x %ciabc", (2, 8), "no such format variable 'ciabc' (a single '%' is written '%%')"),
        ("%{+Q", (0, 4), "missing '}' after the flags '+Q'"),
        ("%{+Q}", (0, 5), "no variable or expression follows the flags '%{+Q}'"),
        ("%{+Q}%ci", (0, 5), "no variable or expression follows the flags '%{+Q}'"),
        ("%", (0, 1), "nothing follows '%'; a single '%' is written '%%'"),
        ("% ci", (0, 1), "no variable follows '%'; a single '%' is written '%%'"),
        ("%[src", (1, 5), "missing ']' after 'src'"),
        ("%[src ]", (5, 6), "expected ']' after 'src', found ' '"),
    ] {
        let error = parse(&mut World::new(), format, Dialect::LOG).expect_err(format);
        assert_eq!((error.span.start, error.span.end), place, "{format}");
        assert_eq!(error.message, message, "{format}");
    }
}

#[test]
fn what_haproxy_ignores_is_a_warning() {
    let mut world = World::new();
    for format in ["%{+Z}ci", "%{Q}ci", "%-ci", "%]"] {
        world.warnings.clear();
        assert!(parse(&mut world, format, Dialect::LOG).is_ok(), "{format}");
        assert_eq!(world.warnings.len(), 1, "{format}");
    }
    let format = parse(&mut world, "%-ci|%]|%{ +Q, }[src]", Dialect::LOG).expect("valid");
    assert_eq!(written(&world, &format, &mut context()), "-ci|]|\"10.0.0.1\"");
}

#[test]
fn built_in_lines_are_those_of_haproxy() {
    // row: 89
    let mut world = World::new();
    world.stream.src = Some(Peer::Inet("127.0.0.1:45720".parse().expect("an address")));
    world.stream.dst = Some(Peer::Inet("127.0.0.1:58253".parse().expect("an address")));
    let mut out = Vec::new();
    put_default_line(&world.scope(), true, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "Connect from 127.0.0.1:45720 to 127.0.0.1:58253 (front/HTTP)");
    out.clear();
    world.stream.times.accept_wall = WallTime(Duration::from_millis(1_795_370_041_401));
    put_error_line(
        &world.scope(),
        "Truncated PROXY protocol header received",
        &mut context().dates,
        &mut out,
    );
    assert_eq!(
        String::from_utf8_lossy(&out),
        "127.0.0.1:45720 [22/Nov/2026:17:54:01.401] front/sock: Truncated PROXY protocol header received"
    );
    out.clear();
    world.stream.src = Some(Peer::Unix);
    put_default_line(&world.scope(), false, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "Connect to unix:1 (front/TCP)");
    for built_in in [BuiltIn::Tcp, BuiltIn::Http, BuiltIn::Clf] {
        assert!(parse(&mut world, built_in.text(), Dialect::LOG).is_ok());
    }
}

/// Measures; run it optimised: `cargo test -p rules --profile quick -- --ignored --nocapture costs`.
#[test]
#[ignore = "a measurement"]
fn a_line_of_httplog_costs_less_than_a_microsecond() {
    const ROUNDS: u32 = 200_000;
    let mut world = World::new();
    world.stream.captured_uri = b"GET /some/path/index.html?query=1 HTTP/1.1".to_vec();
    world.stream.request_captures = vec![Some(b"Mozilla/5.0 (X11; Linux x86_64)".to_vec()), None].into();
    world.stream.status = 200;
    let accept = world.stream.times.accept;
    let times = &mut world.stream.times;
    times.accept_wall = WallTime(Duration::from_millis(1_795_370_041_401));
    times.request_start = Some(accept);
    times.request_done = Some(accept);
    times.queue_done = Some(accept);
    times.connected = Some(accept + Duration::from_millis(1));
    times.response_done = Some(accept + Duration::from_millis(15));
    times.end = Some(accept + Duration::from_millis(17));
    let format = parse(&mut world, BuiltIn::Http.text(), Dialect::LOG).expect("valid");
    let mut context = context();
    let mut out = Vec::new();
    let scope = world.scope();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        out.clear();
        format.write(std::hint::black_box(&scope), &mut context, &mut out);
    }
    let each = start.elapsed() / ROUNDS;
    println!("{each:?} for {}", String::from_utf8_lossy(&out));
    assert!(each < Duration::from_micros(1), "{each:?}");
}

/// A fixed sequence of pseudo-random numbers: the same inputs in every run.
pub(crate) fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[test]
fn no_format_and_no_zone_makes_it_panic() {
    const PIECES: [&str; 28] = [
        "%", "%%", "{", "}", "+", "-", "Q", "X", "E", "M", ",", " ", "[", "]", "(", ")", "\"", "'", "\\",
        "ci", "hr", "o", "src", "path", "str(a)", "int(-1)", "\u{e9}", "HPO",
    ];
    let mut next = random(7);
    let mut world = World::with_request("GET /a?b HTTP/1.1\nHost: h");
    let mut accepted = 0;
    for _ in 0..20_000 {
        let text: String = (0..next(9)).map(|_| PIECES[next(PIECES.len())]).collect();
        for dialect in [Dialect::LOG, Dialect::MESSAGE, Dialect::UNIQUE_ID, Dialect::PLAIN] {
            world.warnings.clear();
            let parsed = world.with_context(|context| LogFormat::parse(word(&text, 0), dialect, context));
            match parsed {
                Ok(format) => {
                    written(&world, &format, &mut context());
                    accepted += 1;
                }
                Err(error) => assert!(error.span.end as usize <= text.len(), "{text}"),
            }
        }
    }
    assert!(accepted > 1_000);
    for _ in 0..20_000 {
        let mut file = b"TZif2".to_vec();
        file.extend((0..next(160)).map(|_| [0, 0, 0, 1, 2, 6, 255, b'\n', b'A', b'-', b'3'][next(11)]));
        if let Some(zone) = Zone::from_tzif(&file) {
            zone.offset(1_795_369_782);
        }
        let rule: String = (0..next(24))
            .map(|_| ["CET", "-1", "M3.5.0", "J60", "/", ":", ",", "<", ">", "0"][next(10)])
            .collect();
        if let Some(zone) = Zone::from_posix(&rule) {
            zone.offset(1_795_369_782);
        }
    }
}
