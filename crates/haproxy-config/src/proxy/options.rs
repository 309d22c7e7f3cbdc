//! `option …`: switches that are on or off, and options with words of their own.

use super::table::InDefaults::Yes;
use super::table::Side::{self, Backend, Both, Frontend};
use super::table::{ProxyKeyword, check_side, entry};
use super::{Draft, LogChoice};
use crate::address;
use crate::keywords::Status::{self, NoEffect, Old, ParsedOnly, Refused, Works};
use crate::keywords::{self, Parse};
use crate::model::{AddressHeader, HttpConnection, Options, RestrictNames};
use crate::parse::{Arguments, Context, Outcome, Prefix, fail, fail_with_help};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("option", Both, Yes, Works, option, "a switch or a mode").negatable(),
    entry("redispatch", Backend, Yes, Old("`option redispatch`"), redispatch, "old").negatable(),
    entry("transparent", Backend, Yes, Old("`option transparent`"), transparent, "old").negatable(),
];

/// A switch: `option NAME`, `no option NAME`.
pub(crate) struct Switch {
    pub name: &'static str,
    pub side: Side,
    /// Means something in HTTP mode only.
    pub http: bool,
    pub status: Status,
    pub field: fn(&mut Options) -> &mut bool,
}

const fn switch(
    name: &'static str,
    side: Side,
    http: bool,
    status: Status,
    field: fn(&mut Options) -> &mut bool,
) -> Switch {
    Switch { name, side, http, status, field }
}

/// Every switch.
pub(crate) static SWITCHES: &[Switch] = &[
    switch("abortonclose", Backend, false, Works, |o| &mut o.abortonclose),
    switch("accept-invalid-http-request", Frontend, true, Works, |o| &mut o.accept_invalid_http_request),
    switch("accept-invalid-http-response", Backend, true, Works, |o| &mut o.accept_invalid_http_response),
    switch("accept-unsafe-violations-in-http-request", Frontend, true, Works, |o| {
        &mut o.accept_invalid_http_request
    }),
    switch("accept-unsafe-violations-in-http-response", Backend, true, Works, |o| {
        &mut o.accept_invalid_http_response
    }),
    switch("allbackups", Backend, false, Works, |o| &mut o.allbackups),
    switch("checkcache", Backend, true, Works, |o| &mut o.checkcache),
    switch("clitcpka", Frontend, false, Works, |o| &mut o.clitcpka),
    switch("contstats", Frontend, false, Works, |o| &mut o.contstats),
    switch("disable-h2-upgrade", Frontend, true, Works, |o| &mut o.disable_h2_upgrade),
    switch("dontlog-normal", Frontend, false, Works, |o| &mut o.dontlog_normal),
    switch("dontlognull", Frontend, false, Works, |o| &mut o.dontlognull),
    switch("h1-case-adjust-bogus-client", Frontend, false, Works, |o| &mut o.h1_case_adjust_bogus_client),
    switch("h1-case-adjust-bogus-server", Backend, false, Works, |o| &mut o.h1_case_adjust_bogus_server),
    switch("http-buffer-request", Both, true, Works, |o| &mut o.http_buffer_request),
    switch("http-ignore-probes", Frontend, true, Works, |o| &mut o.http_ignore_probes),
    // Nothing is ever held back for a fuller packet.
    switch("http-no-delay", Both, true, NoEffect, |o| &mut o.http_no_delay),
    switch("http-pretend-keepalive", Backend, true, Works, |o| &mut o.http_pretend_keepalive),
    switch("http-use-proxy-header", Frontend, true, Works, |o| &mut o.http_use_proxy_header),
    switch("idle-close-on-response", Frontend, true, Works, |o| &mut o.idle_close_on_response),
    switch("independant-streams", Both, false, Old("`option independent-streams`"), |o| {
        &mut o.independent_streams
    }),
    switch("independent-streams", Both, false, Works, |o| &mut o.independent_streams),
    switch("log-health-checks", Backend, false, Works, |o| &mut o.log_health_checks),
    switch("log-separate-errors", Frontend, false, Works, |o| &mut o.log_separate_errors),
    switch("logasap", Frontend, false, Works, |o| &mut o.logasap),
    switch("nolinger", Both, false, Works, |o| &mut o.nolinger),
    switch("persist", Backend, false, Works, |o| &mut o.persist),
    switch("prefer-last-server", Backend, true, Works, |o| &mut o.prefer_last_server),
    switch("socket-stats", Frontend, false, Works, |o| &mut o.socket_stats),
    // Hints how bytes are moved: they are copied in large pieces, which measured no slower.
    switch("splice-auto", Both, false, NoEffect, |o| &mut o.splice_auto),
    switch("splice-request", Both, false, NoEffect, |o| &mut o.splice_request),
    switch("splice-response", Both, false, NoEffect, |o| &mut o.splice_response),
    switch("srvtcpka", Backend, false, Works, |o| &mut o.srvtcpka),
    switch("tcp-smart-accept", Frontend, false, Works, |o| &mut o.tcp_smart_accept),
    switch("tcp-smart-connect", Backend, false, Works, |o| &mut o.tcp_smart_connect),
    switch("transparent", Backend, false, Works, |o| &mut o.transparent),
];

/// An option with a parser of its own.
pub(crate) struct OptionRow {
    pub name: &'static str,
    pub side: Side,
    pub status: Status,
    pub negatable: bool,
    pub parse: Parse<Draft>,
}

pub(super) const fn plain(name: &'static str, side: Side, status: Status, parse: Parse<Draft>) -> OptionRow {
    OptionRow { name, side, status, negatable: false, parse }
}

const fn negatable(name: &'static str, side: Side, status: Status, parse: Parse<Draft>) -> OptionRow {
    OptionRow { name, side, status, negatable: true, parse }
}

/// Every option that is more than a switch.
pub(crate) static OPTIONS: &[OptionRow] = &[
    negatable("forceclose", Both, Old("`option httpclose`"), httpclose),
    plain("forwardfor", Both, Works, forwardfor),
    plain("forwarded", Both, Refused("write the header with `http-request set-header Forwarded …`"), rest),
    negatable("http-keep-alive", Both, Works, keep_alive),
    plain("http-restrict-req-hdr-names", Both, Works, restrict_names),
    negatable("http-server-close", Both, Works, server_close),
    negatable("http-tunnel", Both, Old("nothing: connections are kept alive"), rest),
    negatable("http-use-htx", Both, Old("nothing: there is no other mode"), rest),
    negatable("http_proxy", Both, Refused("use `http-request set-dst` and a server 0.0.0.0"), rest),
    negatable("httpclose", Both, Works, httpclose),
    plain("httplog", Frontend, Works, httplog),
    plain("httpslog", Frontend, Works, httpslog),
    plain("originalto", Both, Works, originalto),
    negatable("redispatch", Backend, Works, redispatch),
    plain("tcpka", Both, Works, tcpka),
    plain("tcplog", Both, Works, tcplog),
    negatable("dontlog-null", Frontend, Refused("it is `option dontlognull`"), rest),
    negatable("use-small-buffers", Both, NoEffect, rest),
    negatable("http-drop-request-trailers", Backend, ParsedOnly("trailers are passed on"), rest),
    negatable("http-drop-response-trailers", Frontend, ParsedOnly("trailers are passed on"), rest),
];

/// Every option that is more than a switch, checks included.
pub(crate) fn option_rows() -> impl Iterator<Item = &'static OptionRow> {
    OPTIONS.iter().chain(super::checks::OPTIONS)
}

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn option(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a name")?;
    if let Some(row) = SWITCHES.iter().find(|row| row.name == word.value) {
        arguments.end()?;
        keywords::check_status(context, row.name, row.status, word.span)?;
        if check_side(draft, row.side, &format!("option {}", row.name), word, false, context)? {
            *(row.field)(&mut draft.proxy.options) = arguments.prefix == Prefix::None;
        }
        return Ok(());
    }
    let Some(row) = option_rows().find(|row| row.name == word.value) else {
        let switches = SWITCHES.iter().map(|row| row.name);
        let others = option_rows().map(|row| row.name);
        return Err(keywords::unknown(
            "option",
            word,
            &format!("in {}", draft.title()),
            switches.chain(others),
        ));
    };
    if arguments.prefix != Prefix::None && !row.negatable {
        return fail(word.span, format!("`no` and `default` cannot stand before `option {}`", row.name));
    }
    if !check_side(draft, row.side, &format!("option {}", row.name), word, false, context)? {
        arguments.rest();
        return Ok(());
    }
    keywords::check_status(context, &format!("option {}", row.name), row.status, word.span)?;
    (row.parse)(draft, arguments, context)
}

fn rest(_: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

fn set_connection(draft: &mut Draft, arguments: Words<'_, '_>, mode: HttpConnection) -> Outcome {
    if let Some(extra) = arguments.peek() {
        let help = match mode {
            HttpConnection::KeepAlive => {
                format!("the time goes into `timeout http-keep-alive {}`", extra.value)
            }
            HttpConnection::ServerClose | HttpConnection::Close => "drop it".to_owned(),
        };
        return fail_with_help(extra.span, format!("`{}` takes no argument", arguments.keyword()), help);
    }
    match arguments.prefix {
        Prefix::None => draft.proxy.http_connection = mode,
        Prefix::No | Prefix::Default if draft.proxy.http_connection == mode => {
            draft.proxy.http_connection = HttpConnection::default();
        }
        Prefix::No | Prefix::Default => {}
    }
    Ok(())
}

fn keep_alive(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    set_connection(draft, arguments, HttpConnection::KeepAlive)
}

fn server_close(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    set_connection(draft, arguments, HttpConnection::ServerClose)
}

fn httpclose(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    set_connection(draft, arguments, HttpConnection::Close)
}

fn tcpka(draft: &mut Draft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.options.clitcpka = true;
    draft.proxy.options.srvtcpka = true;
    Ok(())
}

fn tcplog(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.log_choice = LogChoice::Tcp(arguments.span());
    Ok(())
}

fn httpslog(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.log_choice = LogChoice::Https(arguments.span());
    Ok(())
}

fn httplog(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.log_choice = match arguments.next() {
        None => LogChoice::Http(arguments.span()),
        Some(word) if word.value == "clf" => LogChoice::HttpClf(arguments.span()),
        Some(word) => return fail(word.span, "`option httplog` takes `clf` or nothing"),
    };
    Ok(())
}

fn redispatch(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.redispatch = match (arguments.prefix, arguments.peek()) {
        (Prefix::No | Prefix::Default, _) => {
            arguments.rest();
            0
        }
        (Prefix::None, None) => -1,
        (Prefix::None, Some(_)) => arguments.integer(i64::from(i32::MIN)..=i64::from(i32::MAX))? as i32,
    };
    Ok(())
}

fn transparent(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.options.transparent = arguments.prefix == Prefix::None;
    Ok(())
}

fn restrict_names(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.options.http_restrict_req_hdr_names = Some(arguments.choice(&[
        ("preserve", RestrictNames::Preserve),
        ("delete", RestrictNames::Delete),
        ("reject", RestrictNames::Reject),
    ])?);
    Ok(())
}

fn forwardfor(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.spans.forwardfor = Some(arguments.span());
    draft.proxy.forwardfor = Some(address_header(arguments, "X-Forwarded-For", true)?);
    Ok(())
}

fn originalto(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.originalto = Some(address_header(arguments, "X-Original-To", false)?);
    Ok(())
}

/// `[except NETWORK] [header NAME] [if-none]`.
fn address_header(arguments: Words<'_, '_>, name: &str, if_none: bool) -> Outcome<AddressHeader> {
    let mut header = AddressHeader { header: name.to_owned(), except: None, if_none: false };
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "except" => header.except = Some(address::network(arguments.expect("a network")?)?),
            "header" => header.header = arguments.string()?,
            "if-none" if if_none => header.if_none = true,
            _ => {
                let known = ["except", "header", "if-none"];
                return Err(keywords::unknown("word", word, "after this option", known));
            }
        }
    }
    Ok(header)
}
