//! One row for each word of a server line.

use super::ServerDraft;
use crate::address::{self, Wanted};
use crate::keywords::Status::{NoEffect, ParsedOnly, Refused, Works};
use crate::keywords::{Keyword, assign, flag, read, row};
use crate::language::Word;
use crate::model::{
    Address, InitAddress, LogProtocol, Observe, OnError, ProxyProtocol, ProxyTlvs, Source, TlsOptions,
    WebSocketProtocol,
};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::{scope, tls};
use rules::{AclSet, Expr, Place, Section};
use std::net::IpAddr;

/// Every keyword of a server line.
pub(crate) static KEYWORDS: &[Keyword<ServerDraft>] = &[
    row("addr", Works, read_ip_addr, "address that health checks go to"),
    row("agent-addr", Works, agent_addr, "address of the agent"),
    flag("agent-check", Works, assign!(agent_enabled = true), "ask an agent for the server's state"),
    row("agent-inter", Works, read!(agent_inter = Some(interval)), "time between two agent checks"),
    row("agent-port", Works, read!(agent_port = Some(port)), "port of the agent"),
    row("agent-send", Works, agent_send, "text sent to the agent"),
    flag("allow-0rtt", ParsedOnly("no early data is sent"), no_effect, "send early data"),
    row("alpn", Works, tls_word, "protocols offered by ALPN"),
    flag("backup", Works, assign!(server.backup = true), "used only when no other server is"),
    row("ca-file", Works, tls_word, "authorities that the server's certificate is checked against"),
    flag("check", Works, assign!(check_enabled = true), "check the server's health"),
    row("check-alpn", Works, check_alpn, "ALPN of health checks"),
    row("check-proto", Works, read!(check.proto = Some(string)), "protocol of health checks"),
    flag(
        "check-send-proxy",
        Works,
        assign!(check.send_proxy = true),
        "health checks start with a PROXY header",
    ),
    row("check-sni", Works, read!(check.sni = Some(string)), "server name of health checks"),
    flag("check-ssl", Works, check_ssl, "health checks speak TLS"),
    flag(
        "check-via-socks4",
        Works,
        assign!(check.via_socks4 = true),
        "health checks go through a SOCKS4 proxy",
    ),
    row("ciphers", Works, tls_word, "cipher list up to TLS 1.2"),
    row("ciphersuites", Works, tls_word, "cipher suites of TLS 1.3"),
    row("cookie", Works, cookie, "value of the persistence cookie"),
    row("crl-file", Works, tls_word, "revocation list"),
    row("crt", Works, read!(tls.certificate = Some(string)), "client certificate"),
    row("curves", Works, tls_word, "elliptic curves"),
    flag("disabled", Works, assign!(server.disabled = true), "start in maintenance"),
    row("downinter", Works, read!(check.downinter = Some(interval)), "check interval while down"),
    flag("enabled", Works, assign!(server.disabled = false), "undo `disabled` of a default"),
    row("error-limit", Works, error_limit, "errors until `on-error` acts"),
    row("fall", Works, fall, "failed checks until the server is down"),
    row("fastinter", Works, read!(check.fastinter = Some(interval)), "check interval while changing state"),
    flag("force-sslv3", Works, tls_flag, "SSLv3 only"),
    flag("force-tlsv10", Works, tls_flag, "TLS 1.0 only"),
    flag("force-tlsv11", Works, tls_flag, "TLS 1.1 only"),
    flag("force-tlsv12", Works, tls_flag, "TLS 1.2 only"),
    flag("force-tlsv13", Works, tls_flag, "TLS 1.3 only"),
    row("id", Works, id, "number of the server in statistics and on the hash ring"),
    row("init-addr", Works, init_addr, "how the address is found at the start"),
    row("inter", Works, read!(check.inter = interval), "time between two health checks"),
    row("log-proto", Works, log_proto, "framing of log messages: legacy or octet-count"),
    row("max-reuse", Works, max_reuse, "requests over one connection"),
    row("maxconn", Works, read!(server.maxconn = count), "most concurrent requests"),
    row("maxqueue", Works, read!(server.maxqueue = count), "most requests in the server's queue"),
    row("minconn", Works, read!(server.minconn = count), "limit under low load; grows up to `maxconn`"),
    row("mss", Works, mss, "largest TCP segment"),
    row("namespace", Works, namespace, "network namespace to connect in"),
    flag("no-agent-check", Works, assign!(agent_enabled = false), "undo `agent-check` of a default"),
    flag("no-backup", Works, assign!(server.backup = false), "undo `backup` of a default"),
    flag("no-check", Works, assign!(check_enabled = false), "undo `check` of a default"),
    flag(
        "no-check-send-proxy",
        Works,
        assign!(check.send_proxy = false),
        "undo `check-send-proxy` of a default",
    ),
    flag("no-check-ssl", Works, assign!(check.tls = false), "undo `check-ssl` of a default"),
    flag("no-send-proxy", Works, assign!(server.send_proxy = None), "undo `send-proxy` of a default"),
    flag("no-send-proxy-v2", Works, assign!(server.send_proxy = None), "undo `send-proxy-v2` of a default"),
    flag("no-send-proxy-v2-ssl", Works, no_tlv_ssl, "undo `send-proxy-v2-ssl` of a default"),
    flag("no-send-proxy-v2-ssl-cn", Works, no_tlv_ssl, "undo `send-proxy-v2-ssl-cn` of a default"),
    flag("no-ssl", Works, assign!(tls_enabled = false), "undo `ssl` of a default"),
    flag("no-ssl-reuse", Works, assign!(tls.no_reuse = true), "never resume TLS sessions"),
    flag("no-sslv3", Works, tls_flag, "no SSLv3"),
    flag("no-tfo", Works, assign!(server.tfo = false), "undo `tfo` of a default"),
    flag("no-tls-tickets", Works, tls_flag, "no session tickets"),
    flag("no-tlsv10", Works, tls_flag, "no TLS 1.0"),
    flag("no-tlsv11", Works, tls_flag, "no TLS 1.1"),
    flag("no-tlsv12", Works, tls_flag, "no TLS 1.2"),
    flag("no-tlsv13", Works, tls_flag, "no TLS 1.3"),
    flag("no-verifyhost", Works, assign!(tls.verify_host = None), "undo `verifyhost` of a default"),
    flag("non-stick", Works, assign!(server.non_stick = true), "never stored in stick tables"),
    row("npn", ParsedOnly("servers of today negotiate by `alpn`"), skip_word, "protocols offered by NPN"),
    row("observe", Works, observe, "judge the server's health by its traffic"),
    row("on-error", Works, on_error, "what happens when `observe` sees too many errors"),
    row("on-marked-down", Works, on_marked_down, "what happens to sessions of a server that goes down"),
    row("on-marked-up", Works, on_marked_up, "what happens to sessions on backups when the server comes up"),
    row(
        "pool-low-conn",
        // No thread takes idle connections of another.
        NoEffect,
        skip_count,
        "idle connections below which none is taken over",
    ),
    row("pool-max-conn", Works, pool_max_conn, "most idle connections; -1 is no limit"),
    row(
        "pool-purge-delay",
        Works,
        read!(server.pool_purge_delay = duration),
        "time between two purges of the pool",
    ),
    row("port", Works, read!(check.port = Some(port)), "port that health checks go to"),
    row("proto", Works, proto, "protocol without negotiation: h1 or h2"),
    row("proxy-v2-options", Works, proxy_v2_options, "what the PROXY v2 header tells beside addresses"),
    row(
        "redir",
        Works,
        read!(server.redir = Some(string)),
        "answer GET and HEAD with a redirection to this prefix",
    ),
    row("resolve-net", Works, resolve_net, "networks preferred among resolved addresses"),
    row("resolve-opts", Works, resolve_opts, "allow-dup-ip, ignore-weight, prevent-dup-ip"),
    row("resolve-prefer", Works, resolve_prefer, "ipv4 or ipv6"),
    row("resolvers", Works, resolvers, "section that resolves the name at run time"),
    row("rise", Works, rise, "good checks until the server is up"),
    flag(
        "send-proxy",
        Works,
        assign!(server.send_proxy = Some(ProxyProtocol::V1)),
        "start with a PROXY v1 header",
    ),
    flag("send-proxy-v2", Works, send_proxy_v2, "start with a PROXY v2 header"),
    flag("send-proxy-v2-ssl", Works, send_proxy_v2_ssl, "PROXY v2 with TLS facts"),
    flag(
        "send-proxy-v2-ssl-cn",
        Works,
        send_proxy_v2_ssl_cn,
        "PROXY v2 with TLS facts and the client's name",
    ),
    flag(
        "set-proxy-v2-tlv-fmt",
        Refused("TLVs of one's own are not implemented"),
        no_effect,
        "a TLV of one's own",
    ),
    row("shard", NoEffect, skip_word, "share of a peers section"),
    row(
        "slowstart",
        Works,
        read!(server.slowstart = Some(duration)),
        "time to reach full weight after coming up",
    ),
    row("sni", Works, sni, "server name sent"),
    row("socks4", Works, socks4, "SOCKS4 proxy to connect through"),
    row("source", Works, source, "address to connect from"),
    flag("ssl", Works, assign!(tls_enabled = true), "speak TLS with the server"),
    row("ssl-max-ver", Works, tls_word, "highest TLS version"),
    row("ssl-min-ver", Works, tls_word, "lowest TLS version"),
    flag("ssl-reuse", Works, assign!(tls.no_reuse = false), "resume TLS sessions"),
    flag("stick", Works, assign!(server.non_stick = false), "undo `non-stick` of a default"),
    row("tcp-ut", Works, tcp_user_timeout, "TCP user timeout"),
    flag("tfo", Works, assign!(server.tfo = true), "TCP fast open"),
    flag("tls-tickets", Works, tls_flag, "session tickets"),
    row("track", Works, track, "follow another server's state"),
    flag("usesrc", Works, usesrc, "stands after `source` only"),
    row("verify", Works, tls_word, "whether the server's certificate is checked"),
    row("verifyhost", Works, read!(tls.verify_host = Some(string)), "name the certificate must have"),
    row("weight", Works, weight, "share of the load, 0..=256"),
    row("ws", Works, websocket, "protocol of WebSocket"),
    flag(
        "check-reuse-pool",
        ParsedOnly("checks open their own connections"),
        assign!(check_enabled = true),
        "checks over idle connections",
    ),
    row("guid", NoEffect, skip_word, "a unique name"),
    row("hash-key", ParsedOnly("the ring is keyed on `id`"), skip_word, "what the hash ring is keyed on"),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn skip_word(_: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.expect("a value").map(drop)
}

fn no_effect(_: &mut ServerDraft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    Ok(())
}

fn skip_count(_: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.count().map(drop)
}

fn tls_word(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let name = arguments.last().value.clone();
    let word = arguments.expect("a value")?;
    if name == "verify" && word.value == "optional" {
        return fail(
            word.span,
            "a server's certificate is checked or not: `verify required` or `verify none`",
        );
    }
    tls::set(&mut draft.tls.options, &name, &word.value).or_else(|message| fail(word.span, message))
}

fn tls_flag(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.last();
    tls::set(&mut draft.tls.options, &word.value, "").or_else(|message| fail(word.span, message))
}

fn check_alpn(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("protocol names")?;
    let mut options = TlsOptions::default();
    tls::set(&mut options, "alpn", &word.value).or_else(|message| fail(word.span, message))?;
    draft.check.alpn = options.alpn;
    Ok(())
}

fn sni(draft: &mut ServerDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("an expression, such as req.hdr(host) or str(www.example.com)")?;
    // The mode of the section may come later: expressions of HTTP find nothing where there is none.
    let section = Section { proxy: Some(draft.proxy), is_backend: true, is_http: true, is_frontend: false };
    let words = scope::words(&arguments.line().words);
    let mut at = arguments.position();
    let places = Place::ServerSource.only();
    let expr = scope::with_rules(context, section, &AclSet::new(), places, |rules| {
        Expr::parse(&words, &mut at, rules)
    })?;
    arguments.seek(at);
    draft.tls.sni = Some(expr);
    Ok(())
}

fn check_ssl(draft: &mut ServerDraft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.check.tls = true;
    Ok(())
}

fn ip_of(word: &Word, context: &Context<'_>) -> Outcome<IpAddr> {
    let wanted =
        Wanted { port_required: false, port_range: false, port_offset: false, datagram: false, stream: true };
    match address::endpoint(word, context.environment, wanted)?.address {
        Address::Inet { ip, .. } => Ok(ip),
        Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => {
            fail(word.span, format!("expected an IP address, found `{}`", word.value))
        }
    }
}

fn read_ip_addr(draft: &mut ServerDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.check.addr = Some(ip_of(arguments.expect("an address")?, context)?);
    Ok(())
}

fn agent_addr(draft: &mut ServerDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.agent_addr = Some(ip_of(arguments.expect("an address")?, context)?);
    Ok(())
}

fn agent_send(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.agent_send = Some(arguments.expect("a text")?.value.clone().into_bytes());
    Ok(())
}

fn cookie(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.cookie = Some(arguments.expect("a value")?.value.as_str().into());
    Ok(())
}

fn error_limit(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.error_limit = arguments.positive()?;
    Ok(())
}

fn fall(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.check.fall = arguments.positive()?;
    Ok(())
}

fn rise(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.check.rise = arguments.positive()?;
    Ok(())
}

fn id(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.puid = arguments.positive()?;
    Ok(())
}

fn weight(draft: &mut ServerDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    // What is no number counts as 0, as in HAProxy.
    if arguments.peek().is_none_or(Word::is_no_number) {
        arguments.next();
        context.warn(arguments.last().span, "no number: the weight is 0, and the server gets no new request");
        draft.server.weight = 0;
        return Ok(());
    }
    draft.server.weight = arguments.integer(0..=256)? as u32;
    Ok(())
}

fn mss(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.mss = Some(arguments.integer(-65_535..=65_535)? as i32);
    Ok(())
}

fn pool_max_conn(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.pool_max_conn = arguments.integer(-1..=i64::from(i32::MAX))? as i32;
    Ok(())
}

fn max_reuse(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let value = arguments.integer(-1..=i64::from(i32::MAX))?;
    draft.server.max_reuse = u32::try_from(value).ok();
    Ok(())
}

fn namespace(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("the name of a network namespace")?;
    if word.value == "*" {
        return fail(word.span, "`namespace *` is not supported: name the namespace");
    }
    draft.server.namespace = Some(word.value.clone());
    Ok(())
}

fn socks4(draft: &mut ServerDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("an address and port")?;
    let wanted =
        Wanted { port_required: true, port_range: false, port_offset: false, datagram: false, stream: true };
    match address::endpoint(word, context.environment, wanted)?.expand().first() {
        Some(Address::Inet { ip, port }) => {
            draft.server.socks4 = Some((*ip, *port).into());
            Ok(())
        }
        Some(Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_)) | None => {
            fail(word.span, format!("expected an IP address and a port, found `{}`", word.value))
        }
    }
}

fn log_proto(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let kinds = [("legacy", LogProtocol::Legacy), ("octet-count", LogProtocol::OctetCount)];
    draft.server.log_protocol = arguments.choice(&kinds)?;
    Ok(())
}

fn tcp_user_timeout(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.tcp_user_timeout_ms = Some(arguments.milliseconds()?);
    Ok(())
}

fn proto(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    if arguments.peek().is_some_and(|word| word.value == "fcgi") {
        return fail(arguments.span(), "FastCGI servers are not implemented");
    }
    draft.server.protocol = arguments.choice(crate::bind::PROTOCOLS)?;
    Ok(())
}

fn websocket(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.websocket = arguments.choice(&[
        ("auto", WebSocketProtocol::Auto),
        ("h1", WebSocketProtocol::Http1),
        ("h2", WebSocketProtocol::Http2),
    ])?;
    Ok(())
}

fn observe(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.observe = arguments.choice(&[
        ("none", None),
        ("layer4", Some(Observe::Layer4)),
        ("layer7", Some(Observe::Layer7)),
    ])?;
    Ok(())
}

fn on_error(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.on_error = arguments.choice(&[
        ("fastinter", OnError::FastInter),
        ("fail-check", OnError::FailCheck),
        ("sudden-death", OnError::SuddenDeath),
        ("mark-down", OnError::MarkDown),
    ])?;
    Ok(())
}

fn on_marked_down(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("shutdown-sessions", ())])?;
    draft.server.on_marked_down_shutdown_sessions = true;
    Ok(())
}

fn on_marked_up(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("shutdown-backup-sessions", ())])?;
    draft.server.on_marked_up_shutdown_backup_sessions = true;
    Ok(())
}

fn init_addr(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a list of last, libc, none and addresses")?;
    let mut methods = Vec::new();
    for part in word.value.split(',') {
        methods.push(match part {
            "last" => InitAddress::Last,
            "libc" => InitAddress::Libc,
            "none" => InitAddress::None,
            other => match other.parse() {
                Ok(ip) => InitAddress::Ip(ip),
                Err(_) => {
                    return fail(word.span, format!("`{other}` is none of last, libc, none or an address"));
                }
            },
        });
    }
    draft.server.init_addr = methods;
    Ok(())
}

fn resolvers(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.resolvers = Some(arguments.expect("the name of a resolvers section")?.clone());
    Ok(())
}

fn resolve_prefer(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.server.resolve_prefer_ipv6 = arguments.choice(&[("ipv4", false), ("ipv6", true)])?;
    Ok(())
}

fn resolve_net(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a list of networks")?;
    for part in word.value.split(',') {
        match address::network_text(part) {
            Some(network) => draft.server.resolve_nets.push(network),
            None => return fail(word.span, format!("`{part}` is not a network")),
        }
    }
    Ok(())
}

fn resolve_opts(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a list of allow-dup-ip, ignore-weight, prevent-dup-ip")?;
    for part in word.value.split(',') {
        let options = &mut draft.server.resolve_opts;
        match part {
            "allow-dup-ip" => options.allow_dup_ip = true,
            "ignore-weight" => options.ignore_weight = true,
            "prevent-dup-ip" => options.allow_dup_ip = false,
            other => {
                return fail(
                    word.span,
                    format!("`{other}` is none of allow-dup-ip, ignore-weight, prevent-dup-ip"),
                );
            }
        }
    }
    Ok(())
}

fn set_tlvs(draft: &mut ServerDraft, change: impl FnOnce(&mut ProxyTlvs)) {
    let mut tlvs = match draft.server.send_proxy {
        Some(ProxyProtocol::V2 { tlvs }) => tlvs,
        Some(ProxyProtocol::V1) | None => ProxyTlvs::default(),
    };
    change(&mut tlvs);
    draft.server.send_proxy = Some(ProxyProtocol::V2 { tlvs });
}

fn send_proxy_v2(draft: &mut ServerDraft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    set_tlvs(draft, |_| {});
    Ok(())
}

fn send_proxy_v2_ssl(draft: &mut ServerDraft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    set_tlvs(draft, |tlvs| tlvs.ssl = true);
    Ok(())
}

fn send_proxy_v2_ssl_cn(draft: &mut ServerDraft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    set_tlvs(draft, |tlvs| (tlvs.ssl, tlvs.cert_cn) = (true, true));
    Ok(())
}

fn no_tlv_ssl(draft: &mut ServerDraft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    if let Some(ProxyProtocol::V2 { tlvs }) = &mut draft.server.send_proxy {
        (tlvs.ssl, tlvs.cert_cn) = (false, false);
    }
    Ok(())
}

fn proxy_v2_options(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a list such as ssl,unique-id,crc32c")?;
    for part in word.value.split(',') {
        let change: fn(&mut ProxyTlvs) = match part {
            "ssl" => |tlvs| tlvs.ssl = true,
            "cert-cn" => |tlvs| (tlvs.ssl, tlvs.cert_cn) = (true, true),
            "ssl-cipher" => |tlvs| (tlvs.ssl, tlvs.ssl_cipher) = (true, true),
            "cert-sig" => |tlvs| (tlvs.ssl, tlvs.cert_sig) = (true, true),
            "cert-key" => |tlvs| (tlvs.ssl, tlvs.cert_key) = (true, true),
            "authority" => |tlvs| tlvs.authority = true,
            "crc32c" => |tlvs| tlvs.crc32c = true,
            "unique-id" => |tlvs| tlvs.unique_id = true,
            other => return fail(word.span, format!("unknown PROXY v2 option `{other}`")),
        };
        set_tlvs(draft, change);
    }
    Ok(())
}

fn track(draft: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.track = Some(arguments.expect("[backend/]server")?.clone());
    Ok(())
}

fn usesrc(_: &mut ServerDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    fail(arguments.last().span, "`usesrc` stands after `source ADDRESS` only")
}

fn source(draft: &mut ServerDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.server.source = Some(parse_source(arguments, context)?);
    Ok(())
}

/// `ADDRESS[:PORT[-PORT]] [usesrc client|clientip|ADDRESS] [interface NAME]`, on server lines and in backends.
pub(crate) fn parse_source(arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<Source> {
    let wanted =
        Wanted { port_required: false, port_range: true, port_offset: false, datagram: false, stream: true };
    let word = arguments.expect("an address to connect from")?;
    let endpoint = address::endpoint(word, context.environment, wanted)?;
    let ip = match endpoint.address {
        Address::Inet { ip, .. } => ip,
        Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => {
            return fail(word.span, format!("expected an IP address, found `{}`", word.value));
        }
    };
    let ports = match endpoint.port {
        address::Port::Fixed(port) => Some((port, port)),
        address::Port::Range(low, high) => Some((low, high)),
        address::Port::None | address::Port::Offset(_) => None,
    };
    let mut source = Source {
        address: (!ip.is_unspecified()).then_some(ip),
        ports,
        interface: None,
        use_client_ip: false,
        use_client_port: false,
    };
    loop {
        if arguments.take("usesrc") {
            let word = arguments.expect("client, clientip or an address")?;
            match word.value.as_str() {
                "client" => (source.use_client_ip, source.use_client_port) = (true, true),
                "clientip" => source.use_client_ip = true,
                _ => return fail(word.span, format!("`usesrc {}` is not implemented", word.value)),
            }
        } else if arguments.take("interface") {
            source.interface = Some(arguments.string()?);
        } else {
            return Ok(source);
        }
    }
}
