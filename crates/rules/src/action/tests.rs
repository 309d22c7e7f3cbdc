//! Rules beside what HAProxy 2.6.12 did with them (`tests/vectors`): replies, redirects, edits, normalized URIs.

use super::*;
use crate::log_format::tests::context;
use crate::testing::{World, word};
use crate::{LoadError, VariableName, Variables, Word};
use http::Head;

const REPLIES: &str = include_str!("../../tests/vectors/replies.txt");
const EDITS: &str = include_str!("../../tests/vectors/edits.txt");
const NORMALIZED: &str = include_str!("../../tests/vectors/normalized_uris.txt");

/// The requests that replies were recorded with.
const REQUESTS: [&str; 6] = [
    "GET /p/q?a=1&b=2 HTTP/1.1\nHost: www.t.local:8080",
    "HEAD /p/q?a=1 HTTP/1.1\nHost: h",
    "GET /nq HTTP/1.0",
    "POST http://abs.h:81/x HTTP/1.1\nHost: abs.h:81\nContent-Length: 0",
    "GET /dir/ HTTP/1.1\nHost: h\nConnection: close\nCookie: C=1",
    "OPTIONS * HTTP/1.1\nHost: h",
];
/// The request and the response that edits were recorded with.
const EDITED_REQUEST: &str = "GET /p/a%20b/q?x=1&y=2 HTTP/1.1\nHost: www.h:80\nX-A: one, two;q=1,three\n\
    x-b: hello world\nX-A: four\nCookie: u=1; foo=bar; z=2\nX-Empty: ";
const EDITED_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nx\r\nX-R: a, b,c\r\nSet-Cookie: a=1\r\n\
    Set-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";

/// Cuts a line into words as the configuration does, quotes and escapes taken away.
fn cut(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut in_quotes = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("never empty");
        match c {
            '"' => in_quotes = !in_quotes,
            '\\' => match chars.next() {
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('"') => word.push('"'),
                Some(' ') if !in_quotes => word.push(' '),
                Some(other) => word.extend(['\\', other]),
                None => word.push('\\'),
            },
            ' ' if !in_quotes => words.push(String::new()),
            other => word.push(other),
        }
    }
    words
}

fn http_rule(world: &mut World, line: &str) -> Result<HttpRule, LoadError> {
    let words = cut(line);
    let mut words: Vec<Word<'_>> = words.iter().map(|text| word(text, 0)).collect();
    let ruleset = match words[0].text {
        b"redirect" => return world.with_context(|context| parse_redirect_line(&words, context)),
        b"http-request" => Ruleset::HttpRequest,
        b"http-response" => Ruleset::HttpResponse,
        _ => Ruleset::HttpAfterResponse,
    };
    words.remove(0);
    world.with_context(|context| parse_http_rule(ruleset, &words, context))
}

fn tcp_rule(world: &mut World, ruleset: Ruleset, line: &str) -> Result<TcpRule, LoadError> {
    let words = cut(line);
    let words: Vec<Word<'_>> = words.iter().map(|text| word(text, 0)).collect();
    world.with_context(|context| parse_tcp_rule(ruleset, &words, context))
}

fn refused(line: &str) -> String {
    match http_rule(&mut World::new(), line) {
        Ok(_) => panic!("{line} was accepted"),
        Err(error) => error.message,
    }
}

/// Reads bytes as the recorder wrote them: a Python literal.
fn literal(text: &str) -> Vec<u8> {
    let text = text.trim();
    let mut out = Vec::new();
    let mut chars = text[1..text.len() - 1].chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(match chars.next().expect("an escape") {
                'r' => b'\r',
                'n' => b'\n',
                other => other as u8,
            }),
            other => out.push(other as u8),
        }
    }
    out
}

fn rules(recorded: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    recorded.split("\nrule ").map(|block| {
        let mut lines = block.lines();
        (
            lines.next().expect("a rule").trim_start_matches("rule "),
            lines.filter(|line| !line.trim().is_empty()).collect(),
        )
    })
}

fn reply_world(request: usize) -> World {
    let mut world = World::with_request(REQUESTS[request]);
    world.stream.src = Some(crate::Peer::Inet(([127, 0, 0, 1], 40_000).into()));
    world.files.insert(b"body.txt".to_vec(), b"file body %[path]\n".to_vec());
    world.files.insert(b"err.http".to_vec(), b"HTTP/1.1 418 Teapot\r\n\r\n".to_vec());
    world
}

/// The built-in error messages that the recordings need.
fn error_message(status: u16) -> Vec<u8> {
    let (title, text) = match status {
        401 => ("Unauthorized", "You need a valid user and password to access this content."),
        403 => ("Forbidden", "Request forbidden by administrative rules."),
        429 => ("Too Many Requests", "You have sent too many requests in a given amount of time."),
        500 => ("Internal Server Error", "An internal server error occurred."),
        502 => ("Bad Gateway", "The server returned an invalid or incomplete response."),
        other => panic!("no message for {other}"),
    };
    let body = format!("<html><body><h1>{status} {title}</h1>\n{text}\n</body></html>\n");
    format!(
        "HTTP/1.1 {status} {title}\r\ncontent-length: {}\r\ncache-control: no-cache\r\n\
         content-type: text/html\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What the engine sends for an action that answers; `None`: it goes on.
fn answer(world: &World, action: &HttpAction, connection: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut context = context();
    match action {
        HttpAction::Deny(reply) | HttpAction::Tarpit(reply) | HttpAction::Return(reply) => {
            match reply.write(&world.scope(), &mut context, connection, &mut out) {
                Written::Whole { .. } => Some(out),
                Written::ErrorMessage { status } => Some(with_connection(&error_message(status), connection)),
                Written::Raw(_) => None,
            }
        }
        HttpAction::Redirect(redirect) => {
            redirect.write(&world.scope(), &mut context, connection, &mut out).then_some(out)
        }
        HttpAction::Auth { realm } => {
            let realm = realm.as_deref().unwrap_or(b"front");
            write_unauthorized(&error_message(401), realm, false, connection, &mut out);
            Some(out)
        }
        other => panic!("{other:?} answers nothing"),
    }
}

fn with_connection(message: &[u8], connection: Option<&[u8]>) -> Vec<u8> {
    let end = memchr::memmem::find(message, b"\r\n\r\n").expect("a head") + 2;
    let field = connection.map_or(Vec::new(), |value| [b"connection: ", value, b"\r\n"].concat());
    [&message[..end], &*field, &message[end..]].concat()
}

#[test]
fn replies_and_redirects_are_haproxys_byte_for_byte() {
    // row: 160, 175
    let mut compared = 0;
    for (line, recorded) in rules(REPLIES) {
        // The engine sends error files; it runs response rules on what servers send only.
        if line.contains("errorfile") || line.starts_with("http-response") {
            continue;
        }
        for expected in recorded {
            let expected = expected.trim_start();
            if expected.starts_with('!') {
                assert!(http_rule(&mut reply_world(0), line).is_err(), "{line}");
                continue;
            }
            let (request, expected) = expected.split_once(' ').expect("a number and bytes");
            let request: usize = request.parse().expect("a number");
            let expected = String::from_utf8(literal(expected)).expect("ASCII").replace("<EOF>", "");
            let mut world = reply_world(request);
            let rule =
                http_rule(&mut world, line).unwrap_or_else(|error| panic!("{line}: {}", error.message));
            if matches!(rule.action, HttpAction::Reject | HttpAction::Stream(StreamAction::SilentDrop)) {
                assert_eq!(expected, "", "{line}");
                continue;
            }
            let connection = expected.contains("\r\nconnection: close\r\n").then_some(&b"close"[..]);
            let written = answer(&world, &rule.action, connection);
            if expected.contains("x-got") {
                assert_eq!(written, None, "{line}");
                continue;
            }
            let mut written = String::from_utf8(written.expect("an answer")).expect("ASCII");
            if REQUESTS[request].starts_with("HEAD") {
                written.truncate(written.find("\r\n\r\n").expect("a head") + 4);
            }
            assert_eq!(written, expected, "{line} for {}", REQUESTS[request]);
            compared += 1;
        }
    }
    assert!(compared >= 66, "only {compared} answers were compared");
}

fn in_lower_case(head: &Head) -> String {
    let mut out = Vec::new();
    head.write_to(&mut out);
    let text = String::from_utf8(out).expect("ASCII");
    let lower = |line: &str| match line.split_once(": ") {
        Some((name, value)) if !name.contains(' ') || name == "bad name" => {
            format!("{}: {value}", name.to_ascii_lowercase())
        }
        Some(_) | None => line.to_owned(),
    };
    let mut lines = text.split("\r\n");
    let first = lines.next().expect("a start line").to_owned();
    std::iter::once(first).chain(lines.map(lower)).collect::<Vec<_>>().join("\r\n")
}

#[test]
fn edits_are_those_of_haproxy() {
    // What HAProxy lets through and we do not: a space in a method or a path, a line break in a field.
    const REFUSED: [&str; 4] =
        ["set-method \"%[str(a b)]\"", "set-path \"/%[req.hdr(x-b)]\"", "\"bad name\"", "a\\nb: c"];
    let mut compared = 0;
    for (line, recorded) in rules(EDITS) {
        let mut world = World::with_request(EDITED_REQUEST);
        world.stream.src = Some(crate::Peer::Inet(([127, 0, 0, 1], 40_000).into()));
        let rule = http_rule(&mut world, line);
        let is_refused = REFUSED.iter().any(|part| line.contains(part));
        let rule = match rule {
            Err(_) => {
                assert!(recorded[0].trim_start().starts_with('!') || is_refused, "{line}");
                continue;
            }
            Ok(rule) => rule,
        };
        let HttpAction::Edit(edit) = &rule.action else {
            assert!(matches!(rule.action, HttpAction::EarlyHint { .. }), "{line}");
            continue;
        };
        let mut head = match line.starts_with("http-request") {
            true => world.request.clone().expect("a request"),
            false => {
                let mut head = Head::new();
                let parsed = http::parse_response(EDITED_RESPONSE, &http::Limits::default(), &mut head);
                assert!(parsed.is_ok());
                head
            }
        };
        let mut text = Vec::new();
        edit.evaluate(&world.scope(), &mut context(), &mut text);
        let done = edit.apply(&mut head, &text);
        if is_refused {
            assert_eq!(done, Err(EditError::Invalid), "{line}");
            continue;
        }
        assert_eq!(done, Ok(()), "{line}");
        let expected = String::from_utf8(literal(recorded[0])).expect("ASCII");
        assert_eq!(in_lower_case(&head), expected, "{line}");
        compared += 1;
    }
    assert!(compared >= 50, "only {compared} edits were compared");
}

#[test]
fn uris_are_normalized_as_in_haproxy() {
    let mut normalizer = Normalizer::FragmentStrip;
    let mut compared = 0;
    for line in NORMALIZED.lines() {
        if let Some(name) = line.strip_prefix("normalizer ") {
            let rule =
                http_rule(&mut World::new(), &format!("http-request normalize-uri {name}")).expect("valid");
            match rule.action {
                HttpAction::Edit(Edit::Normalize(found)) => normalizer = found,
                other => panic!("{other:?}"),
            }
            continue;
        }
        let (uri, expected) = line.split_once(" => ").expect("two URIs");
        let mut head = Head::new();
        head.start_request(b"GET", uri.as_bytes(), http::Version::Http11);
        let got = match normalizer.apply(&mut head) {
            Ok(()) => String::from_utf8(head.uri().to_vec()).expect("ASCII"),
            Err(EditError::BadRequest) => "status 400".to_owned(),
            Err(EditError::Invalid) => panic!("{uri} under {normalizer:?}"),
        };
        assert_eq!(got, expected, "{uri} under {normalizer:?}");
        compared += 1;
    }
    assert!(compared > 400, "only {compared} URIs were compared");
}

#[test]
fn every_action_of_haproxy_is_known_where_it_is_known_there() {
    // From the keyword list of haproxy 2.6.12.
    let recorded = include_str!("../../tests/vectors/actions.txt");
    for line in recorded.lines() {
        let (name, ruleset) = line
            .trim()
            .trim_end_matches('*')
            .rsplit_once(' ')
            .map(|(ruleset, name)| (name, ruleset))
            .expect("a rule set and an action");
        let ruleset = Ruleset::ALL.into_iter().find(|known| known.name() == ruleset).expect("a rule set");
        // `track-sc*` stands for three.
        let is_known = keywords().iter().any(|row| {
            (row.name == name || row.name.trim_end_matches(['0', '1', '2']) == name)
                && row.is_valid_in(ruleset)
        });
        assert!(is_known, "{line}");
    }
}

#[test]
fn servers_that_redirect_send_get_and_head_away() {
    // row: 104
    let answer = |request: &str| {
        let mut out = Vec::new();
        let world = World::with_request(request);
        let head = world.request.as_ref().expect("a request");
        write_server_redirect(b"http://www.m.com", head, &mut out)
            .then(|| String::from_utf8(out).expect("ASCII"))
    };
    // Recorded from HAProxy 2.6.12.
    assert_eq!(
        answer("GET /a/b?c=d HTTP/1.1\nHost: h").as_deref(),
        Some(
            "HTTP/1.1 302 Found\r\ncache-control: no-cache\r\ncontent-length: 0\r\n\
             location: http://www.m.com/a/b?c=d\r\nconnection: close\r\n\r\n"
        )
    );
    assert!(answer("HEAD /a HTTP/1.1\nHost: h").is_some());
    assert_eq!(answer("POST /a HTTP/1.1\nHost: h\nContent-Length: 0"), None);
    assert_eq!(answer("OPTIONS * HTTP/1.1\nHost: h"), None);
}

#[test]
fn conditions_follow_the_words_of_an_action() {
    let mut world = World::with_request(REQUESTS[0]);
    let rule = http_rule(&mut world, "http-request set-header X-A if if { path /p/q }").expect("valid");
    assert!(rule.condition.expect("a condition").matches(&world.scope()));
    let rule = http_rule(&mut world, "http-request deny unless { path /p/q }").expect("valid");
    assert!(!rule.condition.expect("a condition").matches(&world.scope()));
}

#[test]
fn tracking_names_its_counter_and_table() {
    let mut world = World::new();
    let rule = http_rule(&mut world, "http-request track-sc1 src table app if TRUE").expect("valid");
    match rule.action {
        HttpAction::Stream(StreamAction::Track(track)) => {
            assert_eq!((track.counter, track.table), (1, Some(crate::TableId(0))));
        }
        other => panic!("{other:?}"),
    }
    let rule = tcp_rule(&mut world, Ruleset::TcpRequestConnection, "track-sc0 src").expect("valid");
    assert!(matches!(
        rule.action,
        TcpAction::Stream(StreamAction::Track(Track { counter: 0, table: None, .. }))
    ));
    assert!(refused("http-request track-sc0 src table nowhere").contains("unable to find table 'nowhere'"));
}

#[test]
fn variables_are_set_under_their_conditions() {
    let mut world = World::with_request(REQUESTS[0]);
    let name = VariableName::parse(b"txn.a").expect("a name");
    let run = |world: &mut World, line: &str| {
        let rule = http_rule(world, line).unwrap_or_else(|error| panic!("{line}: {}", error.message));
        match rule.action {
            HttpAction::Stream(StreamAction::SetVariable(write)) => write.run(&world.scope(), &mut context()),
            other => panic!("{other:?}"),
        }
        world.variables.get(&name)
    };
    assert_eq!(run(&mut world, "http-request set-var(txn.a,ifexists) int(1)"), None);
    assert_eq!(run(&mut world, "http-request set-var(txn.a,ifnotexists) int(5)"), Some(crate::Value::Int(5)));
    assert_eq!(run(&mut world, "http-request set-var(txn.a,ifnotexists) int(6)"), Some(crate::Value::Int(5)));
    assert_eq!(run(&mut world, "http-request set-var(txn.a,ifgt) int(9)"), Some(crate::Value::Int(5)));
    assert_eq!(run(&mut world, "http-request set-var(txn.a,iflt) int(9)"), Some(crate::Value::Int(9)));
    assert_eq!(
        run(&mut world, "http-request set-var(txn.a,ifnotempty) req.hdr(nope)"),
        Some(crate::Value::Int(9))
    );
    let text = run(&mut world, "http-request set-var-fmt(txn.a) <%[path]|%[req.hdr(nope)]>");
    assert_eq!(text, Some(crate::Value::string(b"</p/q|>".to_vec())));
}

#[test]
fn mistakes_say_what_would_be_right() {
    for (line, expected) in [
        (
            "http-request set-hedder a b",
            "unknown 'http-request' action 'set-hedder'; did you mean 'set-header'?",
        ),
        ("http-response tarpit", "'tarpit' is not an action of 'http-response'; it is one of http-request"),
        ("http-request set-header X", "'set-header' needs a value"),
        (
            "http-request set-header X a b",
            "'b' is not expected after 'set-header': 'if', 'unless' or the end of the line",
        ),
        ("http-request set-var txn.a int(1)", "'set-var' needs its argument: set-var(…)"),
        (
            "http-request set-var(a) int(1)",
            "invalid variable name 'a': it must start with proc., sess., txn., req., res. or check.",
        ),
        (
            "http-request set-log-level loud",
            "unknown log level 'loud': it must be silent or one of emerg, alert, crit, err, warning, notice, info, debug",
        ),
        ("http-request redirect", "'redirect' needs 'location', 'prefix' or 'scheme'"),
        (
            "http-request redirect location /x code 304",
            "unsupported code '304': it must be 301, 302, 303, 307 or 308",
        ),
        ("http-request return string hi", "a body needs a 'content-type'"),
        ("http-request return status 204 content-type text/plain string x", "a response 204 has no body"),
        ("http-request return status 999", "a status must be 200..=599, found '999'"),
        (
            "http-request lua.mine",
            "Lua is not supported: use variables, maps and converters, or an external service",
        ),
        (
            "http-request sc-inc-gpc(1) ",
            "two arguments are expected: an index and the number of a tracked counter",
        ),
        ("http-request sc-inc-gpc0(3)", "the number of the tracked counter must be 0..=2, found '3'"),
        (
            "http-response capture res.hdr(a) len 5",
            "'len' is for requests: declare a capture and use its 'id'",
        ),
        ("http-request strict-mode yes", "strict-mode is 'on' or 'off', found 'yes'"),
        (
            "http-request normalize-uri path-strip-dots",
            "unknown normalizer 'path-strip-dots'; did you mean 'path-strip-dot'?",
        ),
    ] {
        assert_eq!(refused(line.trim()), expected, "{line}");
    }
}

#[test]
fn no_line_makes_the_parser_panic() {
    const WORDS: [&str; 40] = [
        "if",
        "unless",
        "{",
        "}",
        "TRUE",
        "!",
        "or",
        "src",
        "path",
        "int(1)",
        "a",
        "",
        "0",
        "-1",
        "99999999999",
        "30s",
        "id",
        "len",
        "table",
        "app",
        "status",
        "404",
        "content-type",
        "text/plain",
        "string",
        "lf-string",
        "%[path]",
        "hdr",
        "errorfile",
        "nofile",
        "location",
        "code",
        "301",
        "-m",
        "reg",
        "(",
        "realm",
        "time",
        "at-least",
        "full",
    ];
    const ARGUMENTS: [&str; 10] =
        ["", "(", ")", "()", "(0)", "(0,0)", "(txn.a)", "(txn.a,ifset)", "(a,b,c,d)", "(,)"];
    let mut next = crate::log_format::tests::random(11);
    let mut accepted = 0;
    for _ in 0..40_000 {
        let keyword = keywords()[next(keywords().len())].name;
        let argument = if next(2) == 0 { "" } else { ARGUMENTS[next(ARGUMENTS.len())] };
        let mut words = vec![format!("{keyword}{argument}")];
        words.extend((0..next(6)).map(|_| WORDS[next(WORDS.len())].to_owned()));
        let words: Vec<Word<'_>> = words.iter().map(|text| word(text, 0)).collect();
        let ruleset = Ruleset::ALL[next(Ruleset::ALL.len())];
        let mut world = World::with_request(REQUESTS[0]);
        let is_ok = world.with_context(|context| match ruleset {
            Ruleset::HttpRequest | Ruleset::HttpResponse | Ruleset::HttpAfterResponse => {
                parse_http_rule(ruleset, &words, context).is_ok()
            }
            Ruleset::TcpRequestConnection
            | Ruleset::TcpRequestSession
            | Ruleset::TcpRequestContent
            | Ruleset::TcpResponseContent => parse_tcp_rule(ruleset, &words, context).is_ok(),
        });
        accepted += usize::from(is_ok);
    }
    assert!(accepted > 300, "only {accepted} lines were accepted");
}

#[test]
fn lines_are_accepted_and_refused_as_haproxy_does() {
    // Where we are stricter or wider on purpose.
    const DIFFERENT: [&str; 11] = [
        // Reads the name of the list from the next word, and then has no key.
        "http-request add-acl %[src]",
        // Names of other sections: checked once all of them are read.
        "http-request deny status 404 errorfiles nope",
        "http-request do-resolve(txn.ip,nodns) hdr(host)",
        "http-request cache-use nope",
        // Does nothing, or crashes, there.
        "http-request do-resolve(ip,dns) hdr(host)",
        "http-request sc-inc-gpc(100,0)",
        "http-request sc-inc-gpc0",
        "http-request sc-set-gpt(0,0)",
        "http-request set-nice x",
        "http-request set-var-fmt(txn.a)",
        "http-request track-sc src table app",
    ];
    let recorded = include_str!("../../tests/vectors/rule_lines.txt");
    let mut differences = Vec::new();
    for line in recorded.lines() {
        let (verdict, line) = line.split_once(' ').expect("a verdict and a line");
        let mut world = World::new();
        let ours = match Ruleset::ALL
            .into_iter()
            .find(|set| line.starts_with("tcp-") && line.starts_with(set.name()))
        {
            Some(ruleset) => {
                if ruleset == Ruleset::TcpResponseContent {
                    world.section.is_backend = true;
                }
                tcp_rule(&mut world, ruleset, line[ruleset.name().len()..].trim_start()).err()
            }
            None => http_rule(&mut world, line).err(),
        };
        let is_same = (verdict == "ok") == ours.is_none();
        if is_same == DIFFERENT.contains(&line) {
            differences.push(format!("haproxy {verdict}: {line}: {:?}", ours.map(|error| error.message)));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}
