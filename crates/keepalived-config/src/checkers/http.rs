//! `HTTP_GET` and `SSL_GET`.

use super::common::{self, TimingDraft};
use crate::arguments::Arguments;
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::{NoEffect, ParsedOnly, Works};
use crate::keywords::{Keyword, assign, block, line, read, read_block};
use crate::language::Word;
use crate::model::{HttpProtocol, HttpUrl};

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// The block before inherited values are applied.
pub(crate) struct HttpDraft {
    pub timing: TimingDraft,
    pub protocol: HttpProtocol,
    pub virtual_host: Option<String>,
    pub fast_recovery: bool,
    pub sni: bool,
    pub sni_name: Option<String>,
    pub urls: Vec<HttpUrl>,
}

pub(crate) static HTTP: &[Keyword<HttpDraft>] = &[
    block("url", Works, url, "one request and its answer"),
    line(
        "nb_get_retry",
        Works,
        |draft, arguments, context| {
            context.adjust(arguments.node.span(), "`nb_get_retry` is an old form: write `retry`");
            common::retry(&mut draft.timing, arguments, context)
        },
        "older `retry`",
    ),
    line("virtualhost", Works, read!(virtual_host = Some(string("a host name"))), "Host header"),
    line("http_protocol", Works, protocol, "1.0, 1.0C or 1.1"),
    line("fast_recovery", Works, read!(fast_recovery = switch()), "all URLs at once when recovering"),
    line("enable_sni", Works, assign!(sni = true), "send the host's name in TLS"),
    line(
        "sni_name",
        Works,
        |draft, arguments, _| {
            draft.sni = true;
            draft.sni_name = Some(arguments.string("a host name")?);
            Ok(())
        },
        "name to send in TLS",
    ),
    line(
        "tls_compliant",
        NoEffect,
        |_, arguments, _| arguments.switch().map(|_| ()),
        "close_notify is always sent",
    ),
];

pub(crate) static URL: &[Keyword<HttpUrl>] = &[
    line("path", Works, read!(path = string("a path")), "request path"),
    line("digest", Works, digest, "MD5 of the body"),
    line("status_code", Works, status, "accepted codes and ranges (200-299)"),
    line("virtualhost", Works, read!(virtual_host = Some(string("a host name"))), "Host header"),
    line(
        "regex",
        Works,
        |draft, arguments, _| {
            let end = arguments.end();
            match arguments.quoted_rest()?.into_iter().next() {
                Some(word) => draft.regex = Some(word.value),
                None => return fail(end, "`regex` needs an expression"),
            }
            Ok(())
        },
        "must match the body",
    ),
    line("regex_no_match", Works, assign!(regex_no_match = true), "must not match"),
    line("regex_options", Works, regex_options, "options of PCRE2"),
    line(
        "regex_stack",
        ParsedOnly("the stack grows by itself"),
        |_, arguments, _| {
            arguments.integer(0..=i64::from(u32::MAX))?;
            arguments.integer(0..=i64::from(u32::MAX)).map(|_| ())
        },
        "stack of the matcher",
    ),
    line(
        "regex_min_offset",
        Works,
        read!(regex_min_offset = integer(0..=4_294_967_295) as usize),
        "first byte of the search",
    ),
    line(
        "regex_max_offset",
        Works,
        read!(regex_max_offset = Some(integer(1..=4_294_967_295) as usize)),
        "end of the search",
    ),
    line(
        "tls_compliant",
        NoEffect,
        |_, arguments, _| arguments.switch().map(|_| ()),
        "close_notify is always sent",
    ),
];

const REGEX_OPTIONS: [&str; 25] = [
    "allow_empty_class",
    "alt_bsux",
    "auto_callout",
    "caseless",
    "dollar_endonly",
    "dotall",
    "dupnames",
    "extended",
    "firstline",
    "match_unset_backref",
    "multiline",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
    "ucp",
    "ungreedy",
    "utf",
    "never_backslash_c",
    "alt_circumflex",
    "alt_verbnames",
    "use_offset_limit",
    "extended_more",
];

fn url(draft: &mut HttpDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut url = HttpUrl {
        path: String::new(),
        digest: None,
        status: Vec::new(),
        virtual_host: None,
        is_virtual_host_inherited: false,
        regex: None,
        regex_options: Vec::new(),
        regex_no_match: false,
        regex_min_offset: 0,
        regex_max_offset: None,
        tls_compliant: true,
    };
    let alerts = context.report.alerts();
    read_block(arguments.block(), || URL.iter(), "url", &mut url, context);
    if url.path.is_empty() {
        return if context.report.alerts() > alerts {
            Ok(())
        } else {
            fail(arguments.node.span(), "this url has no `path`")
        };
    }
    if url.status.is_empty() && url.digest.is_none() && url.regex.is_none() {
        url.status.push((200, 299));
    }
    draft.urls.push(url);
    Ok(())
}

fn protocol(draft: &mut HttpDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("1.0, 1.0C or 1.1")?;
    draft.protocol = match word.value.as_str() {
        "1.0" => HttpProtocol::Http10,
        "1.0C" | "1.0c" => HttpProtocol::Http10Close,
        "1.1" => HttpProtocol::Http11,
        other => return fail(word.span, format!("`{other}` is none of 1.0, 1.0C and 1.1")),
    };
    Ok(())
}

/// row: 277
fn digest(url: &mut HttpUrl, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("32 hexadecimal digits")?;
    let digits = word.value.as_bytes();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return fail(word.span, "an MD5 digest has 32 hexadecimal digits");
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
        *byte = digit(pair[0]) * 16 + digit(pair[1]);
    }
    url.digest = Some(bytes);
    Ok(())
}

/// Status codes HTTP has.
const STATUS: std::ops::RangeInclusive<u16> = 100..=599;

/// row: 278
fn status(url: &mut HttpUrl, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    url.status.push(code_range(&arguments.word("a status code")?)?);
    while let Some(word) = arguments.next() {
        url.status.push(code_range(&word)?);
    }
    Ok(())
}

fn code_range(word: &Word) -> Outcome<(u16, u16)> {
    let (first, last) = word.value.split_once('-').unwrap_or((&word.value, &word.value));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if STATUS.contains(&first) && STATUS.contains(&last) && first <= last => {
            Ok((first, last))
        }
        _ => fail(word.span, format!("`{}` is no status code or range from 100 to 599", word.value)),
    }
}

fn regex_options(url: &mut HttpUrl, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    for word in arguments.rest() {
        if REGEX_OPTIONS.contains(&word.value.as_str()) {
            url.regex_options.push(word.value);
        } else {
            // keepalived passes over unknown ones in silence.
            let mut diagnostic = *crate::keywords::unknown("option", &word, "regex_options", REGEX_OPTIONS);
            diagnostic.severity = diag::Severity::Warning;
            context.advise(diagnostic);
        }
    }
    Ok(())
}
