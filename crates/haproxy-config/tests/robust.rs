//! Whatever is read, the answer is a model or a report: never a panic, never long.

use haproxy_config::{LoadOptions, load_text};
use proptest::prelude::*;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Words that configurations are made of, so that random lines reach the parsers behind the lexer.
fn vocabulary() -> Vec<String> {
    let mut words: Vec<String> =
        haproxy_config::listing::all().iter().map(|row| row.name.to_owned()).collect();
    let values = [
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "userlist",
        "resolvers",
        "peers",
        "a",
        "b",
        "if",
        "unless",
        "{",
        "}",
        "!",
        "path",
        "src",
        "TRUE",
        "127.0.0.1:80",
        "*:80",
        "0",
        "1",
        "-1",
        "10",
        "99999999999999999999",
        "5s",
        "1d",
        "200k",
        "unix@/x",
        "[::1]:80",
        "::",
        "%[src]",
        "%ci",
        "%[",
        "%{+Q}r",
        "no",
        "default",
        "option",
        "from",
        "req.hdr(host)",
        "str(a),lower",
        "map(/x)",
        "\"",
        "'",
        "\\",
        "\\x41",
        "\"$A\"",
        "\"${A-b}\"",
        "#",
        "(",
        ")",
        ",",
        "len",
        "table",
        "type",
        "ip",
        "size",
        "store",
        "conn_cur",
        "status",
        "200",
        "string",
        "é",
        "\u{fffd}",
        ".if",
        ".endif",
        ".else",
        ".elif",
        "1-3,5:10",
        "auto:1/1-4",
        "0-3",
        "rdp-cookie(",
        "hdr(",
        "random(2)",
        "set-header",
        "deny",
        "return",
        "track-sc0",
        "connect",
        "send",
        "expect",
        "GET",
        "/",
    ];
    words.extend(values.map(str::to_owned));
    words
}

fn line() -> impl Strategy<Value = String> {
    let vocabulary = vocabulary();
    proptest::collection::vec(proptest::sample::select(vocabulary), 1..9).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_bytes_load_or_are_reported(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let loaded = load_text(&LoadOptions::new(Vec::new()), "any.cfg", &text);
        prop_assert_eq!(loaded.model.is_some(), !loaded.report.has_alerts());
        loaded.report.render(&loaded.sources, diag::Severity::Diag);
    }

    #[test]
    fn any_words_load_or_are_reported(
        section in proptest::sample::select(vec!["global", "defaults d", "frontend f", "backend b", "listen l", "userlist u",
            "resolvers r", "peers p", "ring r", "log-forward l", "cache c", "mailers m", "http-errors h", "program p"]),
        lines in proptest::collection::vec(line(), 1..12),
    ) {
        let text = format!("{section}\n {}\n", lines.join("\n "));
        let loaded = load_text(&LoadOptions::new(Vec::new()), "any.cfg", &text);
        prop_assert_eq!(loaded.model.is_some(), !loaded.report.has_alerts());
        loaded.report.render(&loaded.sources, diag::Severity::Diag);
    }
}

/// The bound is for a release build; an unoptimised one is given ten times as long.
#[test]
fn ten_thousand_backends_load_within_two_seconds() {
    let mut text = String::from(
        "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nfrontend f\n bind :80\n",
    );
    for number in 0..10_000 {
        let _ = writeln!(text, " use_backend app{number} if {{ hdr(host) app{number}.example.com }}");
    }
    for number in 0..10_000 {
        let _ = write!(
            text,
            "backend app{number}\n balance leastconn\n option httpchk GET /health\n cookie SRV insert\n \
             server a 10.0.0.1:80 check cookie a\n server b 10.0.0.2:80 check cookie b weight 20\n"
        );
    }
    let start = Instant::now();
    let loaded = load_text(&LoadOptions::new(Vec::new()), "large.cfg", &text);
    let took = start.elapsed();
    let model = loaded
        .model
        .unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources, diag::Severity::Alert)));
    assert_eq!(model.proxies.len(), 10_001);
    let bound = if cfg!(debug_assertions) { Duration::from_secs(20) } else { Duration::from_secs(2) };
    assert!(took < bound, "{took:?}");
    println!("10,000 backends: {took:?}");
}
