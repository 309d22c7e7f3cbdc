//! The words of a `bind` line (configuration manual §5.1) and of `stats socket`, which takes the same ones.

use crate::address::{self, Wanted};
use crate::keywords::Status::{Idle, NoEffect, ParsedOnly, Refused, Works};
use crate::keywords::{self, Keyword, assign, flag, read, row};
use crate::model::{Address, Bind, BindTls, Level, Protocol, SeverityOutput};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::users;

/// Listeners one line may make.
const LISTENERS_MAX: usize = address::EXPANSION_MAX;

const ADDRESSES: Wanted =
    Wanted { port_required: true, port_range: true, port_offset: false, datagram: false, stream: true };

/// `unix-bind` of the global section: what UNIX listeners start from.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnixBind {
    pub prefix: String,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Reads the rest of a line, from the address on, into one listener for each address and port.
pub(crate) fn parse(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome<Vec<Bind>> {
    let word = arguments.expect("an address, such as `:80` or `/run/x.sock`")?;
    let mut addresses = Vec::new();
    for endpoint in address::endpoints(word, context.environment, ADDRESSES)? {
        addresses.extend(endpoint.expand());
    }
    if addresses.len() > LISTENERS_MAX {
        return fail(word.span, format!("this makes more than {LISTENERS_MAX} listeners"));
    }
    let Some(first) = addresses.first() else {
        return fail(word.span, "an address is missing");
    };
    let unix = context.unix_bind.clone();
    let mut template = Bind::new(first.clone(), arguments.span());
    (template.unix_mode, template.unix_uid, template.unix_gid) = (unix.mode, unix.uid, unix.gid);
    keywords::parse_words(KEYWORDS, "on a `bind` line", &mut template, arguments, context)?;
    let listener = |address| Bind { address: with_prefix(address, &unix.prefix), ..template.clone() };
    Ok(addresses.into_iter().map(listener).collect())
}

fn with_prefix(address: Address, prefix: &str) -> Address {
    match address {
        Address::Unix(path) => {
            let mut whole = std::ffi::OsString::from(prefix);
            whole.push(path);
            Address::Unix(whole.into())
        }
        other @ (Address::Inet { .. } | Address::Host { .. } | Address::Abstract(_) | Address::Fd(_)) => {
            other
        }
    }
}

/// Settings of TLS: without `ssl`, which is refused, they mean nothing.
const TLS: crate::keywords::Status = Idle;

/// Every keyword of a bind line.
pub(crate) static KEYWORDS: &[Keyword<Bind>] = &[
    row(
        "accept-netscaler-cip",
        Works,
        netscaler,
        "expect NetScaler's client address header with this magic number",
    ),
    flag("accept-proxy", Works, assign!(accept_proxy = true), "expect a PROXY protocol header"),
    flag("allow-0rtt", TLS, tls_flag, "accept early data"),
    row("alpn", TLS, tls_word, "protocols offered by ALPN"),
    row("backlog", Works, read!(backlog = limit), "length of the kernel's queue"),
    row("ca-file", TLS, tls_word, "authorities that client certificates are checked against"),
    row("ca-ignore-err", TLS, tls_word, "verification errors of authorities that are ignored"),
    row("ca-sign-file", TLS, tls_word, "authority that signs generated certificates"),
    row("ca-sign-pass", TLS, tls_word, "passphrase of `ca-sign-file`"),
    row("ca-verify-file", TLS, tls_word, "authorities used for verification but not sent"),
    row("ciphers", TLS, tls_word, "cipher list up to TLS 1.2"),
    row("ciphersuites", TLS, tls_word, "cipher suites of TLS 1.3"),
    row("crl-file", TLS, tls_word, "revocation list"),
    row("crt", TLS, certificate, "certificate file or directory"),
    row("crt-ignore-err", TLS, tls_word, "verification errors of certificates that are ignored"),
    row("crt-list", TLS, tls_word, "file that lists certificates"),
    row("curves", TLS, tls_word, "elliptic curves"),
    flag("defer-accept", Works, assign!(defer_accept = true), "accept once data has come"),
    row("ecdhe", TLS, tls_word, "curve of ephemeral keys"),
    row("expose-fd", Works, expose, "hand listening descriptors to a new process over this socket"),
    flag("force-sslv3", TLS, tls_flag, "SSLv3 only"),
    flag("force-tlsv10", TLS, tls_flag, "TLS 1.0 only"),
    flag("force-tlsv11", TLS, tls_flag, "TLS 1.1 only"),
    flag("force-tlsv12", TLS, tls_flag, "TLS 1.2 only"),
    flag("force-tlsv13", TLS, tls_flag, "TLS 1.3 only"),
    flag("generate-certificates", TLS, tls_flag, "make certificates as clients ask"),
    row("gid", Works, read!(unix_gid = Some(count)), "group number of a UNIX socket"),
    row("group", Works, group, "group of a UNIX socket"),
    row("id", Works, id, "number of the listener in statistics"),
    row("interface", Works, read!(interface = Some(string)), "network interface to listen on"),
    row("level", Works, level, "rights on the runtime API"),
    row("maxconn", Works, read!(maxconn = limit), "most connections of this listener"),
    row("mode", Works, mode, "octal mode of a UNIX socket"),
    row("mss", Works, mss, "largest TCP segment"),
    row("name", Works, read!(name = Some(string)), "name in statistics and logs"),
    row("namespace", Works, read!(namespace = Some(string)), "network namespace to listen in"),
    row(
        "nice",
        ParsedOnly("all connections are served alike"),
        nice,
        "priority of this listener's connections",
    ),
    flag("no-alpn", TLS, tls_flag, "offer no protocol by ALPN"),
    flag("no-ca-names", TLS, tls_flag, "do not send the names of authorities"),
    flag("no-sslv3", TLS, tls_flag, "no SSLv3"),
    flag("no-tls-tickets", TLS, tls_flag, "no session tickets"),
    flag("no-tlsv10", TLS, tls_flag, "no TLS 1.0"),
    flag("no-tlsv11", TLS, tls_flag, "no TLS 1.1"),
    flag("no-tlsv12", TLS, tls_flag, "no TLS 1.2"),
    flag("no-tlsv13", TLS, tls_flag, "no TLS 1.3"),
    row("npn", TLS, tls_word, "protocols offered by NPN"),
    flag("prefer-client-ciphers", TLS, tls_flag, "the client's order of ciphers decides"),
    row("process", Works, process, "old: processes that serve this listener"),
    row("proto", Works, proto, "protocol without negotiation: h1 or h2"),
    row("severity-output", Works, severity, "how runtime API messages carry their severity"),
    row("shards", NoEffect, skip_word, "sockets for this address"),
    flag("ssl", Refused("TLS is not implemented yet"), ssl, "speak TLS with clients"),
    row("ssl-max-ver", TLS, tls_word, "highest TLS version"),
    row("ssl-min-ver", TLS, tls_word, "lowest TLS version"),
    flag("strict-sni", TLS, tls_flag, "refuse clients whose name no certificate has"),
    row("tcp-ut", Works, tcp_user_timeout, "TCP user timeout"),
    flag("tfo", Works, assign!(tfo = true), "TCP fast open"),
    row("thread", NoEffect, skip_word, "threads that serve this listener"),
    row("tls-ticket-keys", TLS, tls_word, "file of ticket keys"),
    flag("transparent", Works, assign!(transparent = true), "listen on addresses that are not ours"),
    row("uid", Works, read!(unix_uid = Some(count)), "user number of a UNIX socket"),
    row("user", Works, user, "user of a UNIX socket"),
    flag("v4v6", Works, v4v6, "IPv4 clients too on `::`"),
    flag("v6only", Works, v6only, "IPv6 clients only"),
    row("verify", TLS, tls_word, "whether client certificates are asked for"),
];

fn v4v6(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    (bind.v4v6, bind.v6only) = (true, false);
    Ok(())
}

fn v6only(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    (bind.v4v6, bind.v6only) = (false, true);
    Ok(())
}

fn skip_word(_: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.expect("a value").map(drop)
}

/// A TLS word with an argument, kept as written.
fn tls_word(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let name = arguments.last().value.clone();
    let value = arguments.string()?;
    if let Some(tls) = &mut bind.tls {
        tls.settings.push((name, Some(value)));
    }
    Ok(())
}

/// A TLS word without argument, kept as written.
fn tls_flag(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let name = arguments.last().value.clone();
    if let Some(tls) = &mut bind.tls {
        tls.settings.push((name, None));
    }
    Ok(())
}

fn ssl(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.tls.get_or_insert_with(BindTls::default);
    Ok(())
}

fn certificate(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let path = arguments.string()?;
    if let Some(tls) = &mut bind.tls {
        tls.certificates.push(path);
    }
    Ok(())
}

fn id(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.id = arguments.integer(1..=i64::from(i32::MAX))? as u32;
    Ok(())
}

fn level(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.level =
        arguments.choice(&[("user", Level::User), ("operator", Level::Operator), ("admin", Level::Admin)])?;
    Ok(())
}

fn severity(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.severity_output = Some(arguments.choice(&[
        ("none", SeverityOutput::None),
        ("number", SeverityOutput::Number),
        ("string", SeverityOutput::String),
    ])?);
    Ok(())
}

fn nice(_: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.integer(-1024..=1024).map(drop)
}

fn mss(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.peek().cloned();
    match (arguments.integer(-65_535..=65_535)?, word) {
        (0, Some(word)) => fail(word.span, "mss must not be 0"),
        (size, _) => {
            bind.mss = Some(size as i32);
            Ok(())
        }
    }
}

fn tcp_user_timeout(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.tcp_user_timeout_ms = Some(arguments.milliseconds()?);
    Ok(())
}

fn netscaler(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.netscaler_cip = Some(arguments.integer(1..=i64::from(u32::MAX))? as u32);
    Ok(())
}

fn expose(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("listeners", ())])?;
    bind.expose_fd_listeners = true;
    Ok(())
}

/// The words of `proto`.
pub(crate) const PROTOCOLS: &[(&str, Protocol)] =
    &[("h2", Protocol::Http2), ("h1", Protocol::Http1), ("none", Protocol::Negotiated)];

fn proto(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.protocol = arguments.choice(PROTOCOLS)?;
    Ok(())
}

fn mode(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.unix_mode = Some(octal_mode(arguments)?);
    Ok(())
}

/// `660` and the like.
pub(crate) fn octal_mode(arguments: &mut Arguments<'_>) -> Outcome<u32> {
    let word = arguments.expect("an octal mode, such as 660")?;
    match u32::from_str_radix(&word.value, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => fail(word.span, format!("`{}` is not an octal mode such as 660", word.value)),
    }
}

fn user(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.unix_uid = Some(users::expect_user(arguments)?);
    Ok(())
}

fn group(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.unix_gid = Some(users::expect_group(arguments)?);
    Ok(())
}

/// `process N`: there is one process here, and every listener serves the whole instance.
fn process(_: &mut Bind, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a process number")?;
    let named = matches!(word.value.as_str(), "all" | "odd" | "even");
    let numbers = word.value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'/'));
    if !named && !numbers {
        return fail(word.span, format!("`{}` is not a process number", word.value));
    }
    let message =
        format!("`process {}`: there is one process, and this listener serves all of it", word.value);
    context.warn_old(word.span, message, "drop `process`; `thread` binds a listener to threads");
    Ok(())
}
