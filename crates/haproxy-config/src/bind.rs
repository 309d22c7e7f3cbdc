//! The words of a `bind` line (configuration manual §5.1) and of `stats socket`, which takes the same ones.

use crate::address::{self, Wanted};
use crate::keywords::Status::{Idle, NoEffect, ParsedOnly, Refused, Works};
use crate::keywords::{self, Keyword, assign, flag, read, row};
use crate::model::{Address, Bind, Level, Protocol, SeverityOutput};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::tls;
use crate::users;

/// Listeners one line may make.
const LISTENERS_MAX: usize = address::EXPANSION_MAX;

const ADDRESSES: Wanted =
    Wanted { port_required: true, port_range: true, port_offset: false, datagram: false, stream: true };

const DATAGRAM_ADDRESSES: Wanted =
    Wanted { port_required: true, port_range: true, port_offset: false, datagram: true, stream: false };

/// `unix-bind` of the global section: what UNIX listeners start from.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnixBind {
    pub prefix: String,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Reads the words of a line that names no address.
pub(crate) fn parse_default(
    template: &mut Bind,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    keywords::parse_words(KEYWORDS, "on a `default-bind` line", template, arguments, context)
}

/// Reads the rest of a line, from the address on, into one listener for each address and port.
pub(crate) fn parse(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome<Vec<Bind>> {
    let binds = parse_of(ADDRESSES, "on a `bind` line", arguments, context)?;
    if binds.iter().any(|bind| bind.tls.as_ref().is_some_and(|tls| !tls.enabled)) {
        context.warn(arguments.span(), "settings of TLS without `ssl`: no TLS is spoken here");
    }
    let spoken = |bind: Bind| Bind { tls: bind.tls.filter(|tls| tls.enabled), ..bind };
    Ok(binds.into_iter().map(spoken).collect())
}

/// The same for `dgram-bind`: words that mean nothing for datagrams are read and have no effect, as in HAProxy.
pub(crate) fn parse_datagram(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome<Vec<Bind>> {
    let binds = parse_of(DATAGRAM_ADDRESSES, "on a `dgram-bind` line", arguments, context)?;
    Ok(binds.into_iter().map(|bind| Bind { tls: None, ..bind }).collect())
}

fn parse_of(
    wanted: Wanted,
    place: &str,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<Vec<Bind>> {
    let word = arguments.expect("an address, such as `:80` or `/run/x.sock`")?;
    let mut addresses = Vec::new();
    for endpoint in address::endpoints(word, context.environment, wanted)? {
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
    keywords::parse_words(KEYWORDS, place, &mut template, arguments, context)?;
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

/// Certificates made on the fly would need an authority's key in the proxy.
const GENERATED: crate::keywords::Status =
    Refused("certificates are not generated: give each host one by `crt` or `crt-list`");
/// NPN left browsers and OpenSSL long ago (RFC 7301 replaced it).
const NPN: crate::keywords::Status = ParsedOnly("clients of today negotiate by `alpn`");

/// Every keyword of a bind line.
pub(crate) static KEYWORDS: &[Keyword<Bind>] = &[
    row(
        "accept-netscaler-cip",
        Works,
        netscaler,
        "expect NetScaler's client address header with this magic number",
    ),
    flag("accept-proxy", Works, assign!(accept_proxy = true), "expect a PROXY protocol header"),
    flag(
        "allow-0rtt",
        ParsedOnly("early data is refused, and clients send it again"),
        no_effect,
        "accept early data",
    ),
    row("alpn", Works, tls_word, "protocols offered by ALPN"),
    row("backlog", Works, read!(backlog = limit), "length of the kernel's queue"),
    row("ca-file", Works, tls_word, "authorities that client certificates are checked against"),
    row("ca-ignore-err", Works, tls_word, "verification errors of authorities that are ignored"),
    row("ca-sign-file", Idle, skip_word, "authority that signs generated certificates"),
    row("ca-sign-pass", Idle, skip_word, "passphrase of `ca-sign-file`"),
    row("ca-verify-file", Works, tls_word, "authorities used for verification but not sent"),
    row("ciphers", Works, tls_word, "cipher list up to TLS 1.2"),
    row("ciphersuites", Works, tls_word, "cipher suites of TLS 1.3"),
    row("crl-file", Works, tls_word, "revocation list"),
    row("crt", Works, certificate, "certificate file or directory"),
    row("crt-ignore-err", Works, tls_word, "verification errors of certificates that are ignored"),
    row("crt-list", Works, certificate_list, "file that lists certificates"),
    row("curves", Works, tls_word, "elliptic curves"),
    row("default-crt", Works, default_certificate, "certificate of clients whose name no certificate has"),
    flag("defer-accept", Works, assign!(defer_accept = true), "accept once data has come"),
    row("ecdhe", Works, tls_word, "curve of ephemeral keys"),
    row("expose-fd", Works, expose, "hand listening descriptors to a new process over this socket"),
    flag("force-sslv3", Works, tls_flag, "SSLv3 only"),
    flag("force-tlsv10", Works, tls_flag, "TLS 1.0 only"),
    flag("force-tlsv11", Works, tls_flag, "TLS 1.1 only"),
    flag("force-tlsv12", Works, tls_flag, "TLS 1.2 only"),
    flag("force-tlsv13", Works, tls_flag, "TLS 1.3 only"),
    flag("generate-certificates", GENERATED, ssl, "make certificates as clients ask"),
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
    flag("no-alpn", Works, tls_flag, "offer no protocol by ALPN"),
    flag("no-ca-names", Works, tls_flag, "do not send the names of authorities"),
    flag("no-sslv3", Works, tls_flag, "no SSLv3"),
    flag("no-tls-tickets", Works, tls_flag, "no session tickets"),
    flag("no-tlsv10", Works, tls_flag, "no TLS 1.0"),
    flag("no-tlsv11", Works, tls_flag, "no TLS 1.1"),
    flag("no-tlsv12", Works, tls_flag, "no TLS 1.2"),
    flag("no-tlsv13", Works, tls_flag, "no TLS 1.3"),
    row("npn", NPN, skip_word, "protocols offered by NPN"),
    flag("prefer-client-ciphers", Works, tls_flag, "the client's order of ciphers decides"),
    row("process", Works, process, "old: processes that serve this listener"),
    row("proto", Works, proto, "protocol without negotiation: h1 or h2"),
    row("severity-output", Works, severity, "how runtime API messages carry their severity"),
    row("shards", NoEffect, skip_word, "sockets for this address"),
    flag("ssl", Works, ssl, "speak TLS with clients"),
    row("ssl-max-ver", Works, tls_word, "highest TLS version"),
    row("ssl-min-ver", Works, tls_word, "lowest TLS version"),
    flag("strict-sni", Works, strict_sni, "refuse clients whose name no certificate has"),
    row("tcp-ut", Works, tcp_user_timeout, "TCP user timeout"),
    flag("tfo", Works, assign!(tfo = true), "TCP fast open"),
    row("thread", NoEffect, skip_word, "threads that serve this listener"),
    row("tls-ticket-keys", Works, ticket_keys, "file of ticket keys"),
    flag("transparent", Works, assign!(transparent = true), "listen on addresses that are not ours"),
    row("uid", Works, read!(unix_uid = Some(count)), "user number of a UNIX socket"),
    row("user", Works, user, "user of a UNIX socket"),
    flag("v4v6", Works, v4v6, "IPv4 clients too on `::`"),
    flag("v6only", Works, v6only, "IPv6 clients only"),
    row("verify", Works, tls_word, "whether client certificates are asked for"),
];

fn v4v6(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    (bind.v4v6, bind.v6only) = (true, false);
    Ok(())
}

fn v6only(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    (bind.v4v6, bind.v6only) = (false, true);
    Ok(())
}

fn no_effect(_: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    Ok(())
}

fn skip_word(_: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.expect("a value").map(drop)
}

/// A TLS word with an argument.
fn tls_word(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let name = arguments.last().value.clone();
    let word = arguments.expect("a value")?;
    let options = &mut bind.tls.get_or_insert_default().options;
    tls::set(options, &name, &word.value).or_else(|message| fail(word.span, message))
}

/// A TLS word without argument.
fn tls_flag(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.last();
    let options = &mut bind.tls.get_or_insert_default().options;
    tls::set(options, &word.value, "").or_else(|message| fail(word.span, message))
}

fn ssl(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.tls.get_or_insert_default().enabled = true;
    Ok(())
}

fn strict_sni(bind: &mut Bind, _: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    bind.tls.get_or_insert_default().strict_sni = true;
    Ok(())
}

fn certificate(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let path = arguments.string()?;
    bind.tls.get_or_insert_default().certificates.push(path);
    Ok(())
}

fn default_certificate(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let path = arguments.string()?;
    bind.tls.get_or_insert_default().default_certificates.push(path);
    Ok(())
}

fn certificate_list(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let path = arguments.string()?;
    bind.tls.get_or_insert_default().crt_lists.push(path);
    Ok(())
}

fn ticket_keys(bind: &mut Bind, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let path = arguments.string()?;
    bind.tls.get_or_insert_default().ticket_keys = Some(path);
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
