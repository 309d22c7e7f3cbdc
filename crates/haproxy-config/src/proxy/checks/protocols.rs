//! `option smtpchk`, `mysql-check`, `pgsql-check`, `ldap-check`, `ssl-hello-chk`, `redis-check`: recipes. What they send is
//! recorded from HAProxy 2.6.12, byte for byte.

use super::{CheckKind, Words, expect, steps};
use crate::language::{Line, Word};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::proxy::Draft;
use ::checks::{BinaryReply, Connect, Expect, Match, RecipeKind, Ruleset, Send, Step, Text};

/// The first line of a reply in SMTP behind its code, for the report.
const SMTP_TEXT: &str = "%[res.payload(4,0),ltrim(' '),cut_crlf]";

/// A request of PostgreSQL for authentication, of any kind there is, or that none is needed.
const PGSQL_AUTHENTICATION: &str = "^52000000[A-F0-9]{2}000000(00|02|03|04|05|06|07|09|0A)";

fn begin(draft: &mut Draft) {
    draft.checks.kind = CheckKind::Protocol;
    draft.checks.protocol = Ruleset::new(RecipeKind::Protocol);
}

/// The connection is closed in order: these servers count those that break off.
fn connect(draft: &mut Draft) {
    push(
        draft,
        Step::Connect(Box::new(Connect { use_server_defaults: true, linger: true, ..Connect::default() })),
    );
}

fn push(draft: &mut Draft, step: Step) {
    // These lists are well-formed and far below every limit.
    let _ = draft.checks.protocol.push(step);
}

fn send(draft: &mut Draft, bytes: impl Into<Vec<u8>>) {
    push(draft, Step::Send(Send { data: Text::literal(bytes), comment: None }));
}

fn expect_reply(draft: &mut Draft, reply: BinaryReply) {
    push(draft, Step::Expect(Box::new(Expect::new(Match::Reply(reply)))));
}

/// A step in the words of `tcp-check`.
fn step(draft: &mut Draft, words: &[&str], arguments: &Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let span = arguments.span();
    let line =
        Line { words: words.iter().map(|word| Word::new(word.as_bytes().to_vec(), span)).collect(), span };
    let mut arguments = Arguments::new(&line);
    let step = match words[0] {
        "expect" => expect::tcp(draft, &mut arguments, context)?,
        kind => steps::tcp_send(kind, draft, &mut arguments, context)?,
    };
    push(draft, step);
    Ok(())
}

/// `option smtpchk [HELO|EHLO DOMAIN]`: greets, is greeted, takes leave.
pub(super) fn smtp(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let words: Vec<String> = arguments.rest().iter().map(|word| word.value.clone()).collect();
    let greeting = match words.as_slice() {
        [verb, domain, ..] if verb == "HELO" || verb == "EHLO" => format!("{verb} {domain}\r\n"),
        _ => "HELO localhost\r\n".to_owned(),
    };
    begin(draft);
    connect(draft);
    const CODE: &str = "res.payload(0,3)";
    let first_line =
        ["expect", "min-recv", "4", "error-status", "L7RSP", "on-error", "%[res.payload(0,0),cut_crlf]"];
    let settings = ["error-status", "L7STS", "on-error", SMTP_TEXT, "status-code", CODE];
    let lines: [&[&str]; 4] = [
        &[&first_line[..], &["rstring", r"^[0-9]{3}[ \r]"]].concat(),
        &[&["expect", "min-recv", "4"], &settings[..], &["rstring", r"^2[0-9]{2}[ \r]"]].concat(),
        &[&["expect"], &settings[..], &["rstring", r"^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]"]].concat(),
        &[
            &["expect", "min-recv", "4", "on-success", SMTP_TEXT],
            &settings[..],
            &["rstring", r"^2[0-9]{2}[- \r]"],
        ]
        .concat(),
    ];
    step(draft, lines[0], arguments, context)?;
    step(draft, lines[1], arguments, context)?;
    send(draft, greeting);
    step(draft, lines[2], arguments, context)?;
    send(draft, *b"QUIT\r\n");
    step(draft, lines[3], arguments, context)
}

/// `option mysql-check [user NAME [post-41|pre-41]]`: the server's greeting, and with a user its answer to a login.
pub(super) fn mysql(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    const QUIT: &[u8] = b"\x01\0\0\0\x01";
    begin(draft);
    connect(draft);
    expect_reply(draft, BinaryReply::MysqlPacket);
    if arguments.peek().is_none() {
        return Ok(());
    }
    arguments.choice(&[("user", ())])?;
    let user = arguments.expect("a user name")?;
    let is_old = match arguments.peek() {
        None => false,
        Some(_) => arguments.choice(&[("post-41", false), ("pre-41", true)])?,
    };
    let mut login = Vec::new();
    if is_old {
        // Capabilities, longest packet.
        login.extend_from_slice(b"\x00\x80\x00\x00\x01");
    } else {
        // Capabilities, longest packet, character set (utf8), 23 reserved.
        login.extend_from_slice(b"\x00\x82\x00\x00\x00\x80\x00\x01\x21");
        login.extend_from_slice(&[0; 23]);
    }
    login.extend_from_slice(user.bytes());
    // The end of the name, and no password.
    login.extend_from_slice(b"\0\0");
    let Ok(len) = u8::try_from(login.len()) else { return fail(user.span, "this user name is too long") };
    let mut packet = vec![len, 0, 0, 1];
    packet.extend_from_slice(&login);
    packet.extend_from_slice(QUIT);
    send(draft, packet);
    expect_reply(draft, BinaryReply::MysqlPacket);
    Ok(())
}

/// `option pgsql-check user NAME`: whether a login is answered by a request for whatever proof.
pub(super) fn pgsql(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("user", ())])?;
    let user = arguments.expect("a user name")?;
    begin(draft);
    connect(draft);
    let mut startup = b"\0\x03\0\0user\0".to_vec();
    startup.extend_from_slice(user.bytes());
    startup.extend_from_slice(b"\0\0");
    let Ok(len) = u32::try_from(startup.len() + 4) else {
        return fail(user.span, "this user name is too long");
    };
    let mut message = len.to_be_bytes().to_vec();
    message.extend_from_slice(&startup);
    send(draft, message);
    step(
        draft,
        &[
            "expect",
            "min-recv",
            "5",
            "error-status",
            "L7RSP",
            "on-error",
            "%[res.payload(6,0)]",
            "!",
            "rstring",
            "^E",
        ],
        arguments,
        context,
    )?;
    step(
        draft,
        &[
            "expect",
            "min-recv",
            "9",
            "error-status",
            "L7STS",
            "on-success",
            "PostgreSQL server is ok",
            "on-error",
            "PostgreSQL unknown error",
            "rbinary",
            PGSQL_AUTHENTICATION,
        ],
        arguments,
        context,
    )
}

/// `option ldap-check`: whether an anonymous bind is granted.
pub(super) fn ldap(draft: &mut Draft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    begin(draft);
    send(draft, *b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00");
    expect_reply(draft, BinaryReply::LdapBind);
    Ok(())
}

/// `option ssl-hello-chk`: whether an SSLv3 client hello is answered by a handshake or an alert.
pub(super) fn ssl_hello(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    begin(draft);
    let mut hello = String::from("1603000079010000750300%[date(),htonl,hex]");
    for byte in b"HAPROXYSSLCHK\nHAPROXYSSLCHK\n" {
        hello.push_str(&format!("{byte:02X}"));
    }
    // No session; the suites of SSLv3; no compression.
    hello.push_str("00004E");
    for suite in (0x01..=0x1b).chain(0x2f..=0x3a) {
        hello.push_str(&format!("{suite:04X}"));
    }
    hello.push_str("0100");
    step(draft, &["send-binary-lf", &hello], arguments, context)?;
    let settings = ["min-recv", "5", "ok-status", "L6OK", "error-status", "L6RSP", "tout-status", "L6TOUT"];
    step(draft, &[&["expect"], &settings[..], &["rbinary", "^1[56]"]].concat(), arguments, context)
}

/// `option redis-check`.
pub(super) fn redis(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    begin(draft);
    send(draft, *b"*1\r\n$4\r\nPING\r\n");
    let settings = ["error-status", "L7STS", "on-error", "%[res.payload(0,0),cut_crlf]"];
    let good = ["on-success", "Redis server is ok", "string", "+PONG\r\n"];
    step(draft, &[&["expect"], &settings[..], &good[..]].concat(), arguments, context)
}
