//! `compression` and `filter`.

use super::Draft;
use super::table::InDefaults::{No, Yes};
use super::table::Side::Both;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::Works;
use crate::keywords::unknown;
use crate::language::Word;
use crate::model::CompressionAlgorithm::{Brotli, Deflate, Gzip, Identity, RawDeflate, Zstd};
use crate::model::{
    Bandwidth, BandwidthLimit, CompressedSide, Compression, CompressionAlgorithm, Filter, Mode, TraceFilter,
};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use crate::scope;
use ::rules::Place;
use diag::Diagnostic;

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("compression", Both, Yes, Works, compression, "compress responses"),
    entry("filter", Both, No, Works, filter, "something that sees all bytes"),
];

/// The last two are ours.
const ALGORITHMS: [(&str, CompressionAlgorithm); 6] = [
    ("identity", Identity),
    ("gzip", Gzip),
    ("deflate", Deflate),
    ("raw-deflate", RawDeflate),
    ("br", Brotli),
    ("zstd", Zstd),
];

fn compression(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    const WORDS: [&str; 9] = [
        "algo",
        "algo-req",
        "algo-res",
        "type",
        "type-req",
        "type-res",
        "offload",
        "direction",
        "minsize-res",
    ];
    let word = arguments.expect("algo, type or offload")?;
    let is_defaults = draft.is_defaults();
    let settings = draft.proxy.compression.get_or_insert_with(Compression::default);
    match word.value.as_str() {
        "algo" | "algo-res" => algorithms(&mut settings.response, word, arguments, context)?,
        "algo-req" => {
            // There is nobody to ask what he accepts: the last line says it.
            settings.request.algorithms.clear();
            arguments.clone().expect("gzip, deflate, raw-deflate, br, zstd or identity")?;
            settings.request.algorithms.push(arguments.choice(&ALGORITHMS)?);
        }
        "type" | "type-res" => types(&mut settings.response, arguments, context)?,
        "type-req" => types(&mut settings.request, arguments, context)?,
        "minsize-res" => settings.response.min_size = arguments.size()?,
        "minsize-req" => settings.request.min_size = arguments.size()?,
        "offload" if is_defaults => {
            context.warn(word.span, "`compression offload` is ignored in a `defaults` section");
        }
        "offload" => settings.offload = true,
        "direction" => {
            (settings.compresses_request, settings.compresses_response) = arguments.choice(&[
                ("request", (true, false)),
                ("response", (false, true)),
                ("both", (true, true)),
            ])?;
        }
        _ => return Err(unknown("word", word, "after `compression`", WORDS)),
    }
    Ok(())
}

fn algorithms(
    side: &mut CompressedSide,
    keyword: &Word,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    arguments.clone().expect("gzip, deflate, raw-deflate, br, zstd or identity")?;
    while arguments.peek().is_some() {
        let algorithm = arguments.choice(&ALGORITHMS)?;
        if !side.algorithms.contains(&algorithm) {
            side.algorithms.push(algorithm);
        }
    }
    if side.algorithms.contains(&Deflate) && side.algorithms.contains(&RawDeflate) {
        context.warn(keyword.span, "`deflate` and `raw-deflate` go by the same name: the last one is used");
    } else if side.algorithms.contains(&Deflate) {
        let message = "many clients misread `deflate`, and all of them read `gzip`";
        context.report.push(Diagnostic::notice(keyword.span, message));
    }
    Ok(())
}

fn types(side: &mut CompressedSide, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("MIME types")?;
    // Lines that were glued together: the words are no MIME types, and nothing would tell.
    for word in arguments.clone().rest() {
        if !word.value.contains('/') {
            context.warn(word.span, format!("`{}` is no MIME type", word.value));
        }
    }
    side.types.extend(arguments.rest().iter().map(|word| word.value.clone()));
    Ok(())
}

/// A proxy that lists filters must say where compression stands among them; the cache finds its place alone.
pub(super) fn check(draft: &Draft, context: &mut Context<'_>) {
    let proxy = &draft.proxy;
    if proxy.mode != Mode::Http
        || proxy.compression.is_none()
        || proxy.filters.iter().any(|filter| matches!(filter, Filter::Compression))
    {
        return;
    }
    if proxy.filters.iter().any(|filter| !matches!(filter, Filter::Cache(_))) {
        let message = format!("{} lists filters, and compression is not among them", draft.title());
        context.report.push(Diagnostic::alert(proxy.span, message).with_help("add `filter compression`"));
    }
}

/// What filters there are, and why one is not.
fn filter(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("the name of a filter")?;
    match word.value.as_str() {
        "compression" => draft.proxy.filters.push(Filter::Compression),
        "cache" => {
            let name = arguments.expect("the name of a cache")?;
            draft.proxy.filters.push(Filter::Cache(name.value.clone()));
        }
        "trace" => {
            draft.proxy.filters.push(Filter::Trace(trace(arguments, context)?));
            return Ok(());
        }
        "bwlim-in" | "bwlim-out" => {
            let uploads = word.value == "bwlim-in";
            let made = bandwidth(draft, uploads, arguments, context)?;
            draft.proxy.filters.push(Filter::Bandwidth(made));
            return Ok(());
        }
        "spoe" | "opentracing" | "fcgi-app" | "otel" => {
            let help = match word.value.as_str() {
                "spoe" => {
                    "ask the agent with `http-request auth`, a map that it fills by the runtime API, or a server in front"
                }
                "fcgi-app" => "put a server that speaks FastCGI behind this one, such as nginx",
                _ => "log what is needed with `log-format` and `unique-id-format`, and trace in the servers",
            };
            return fail_with_help(word.span, format!("`filter {}` is not implemented", word.value), help);
        }
        _ => {
            let known = ["compression", "cache", "trace", "bwlim-in", "bwlim-out"];
            return Err(unknown("filter", word, "", known));
        }
    }
    arguments.rest();
    Ok(())
}

/// `[name NAME] [quiet] [random-forwarding] [hexdump]`.
fn trace(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome<TraceFilter> {
    let mut filter = TraceFilter { name: "TRACE".to_owned(), hexdump: false, quiet: false };
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "name" => filter.name.clone_from(&arguments.expect("a name")?.value),
            "hexdump" => filter.hexdump = true,
            "quiet" => filter.quiet = true,
            "random-forwarding" => {
                context.warn(word.span, "`random-forwarding` has no effect: a trace changes nothing");
            }
            _ => {
                return Err(unknown(
                    "word of `filter trace`",
                    word,
                    "",
                    ["name", "hexdump", "quiet", "random-forwarding"],
                ));
            }
        }
    }
    Ok(filter)
}

/// `NAME default-limit SIZE default-period TIME`, or `NAME limit SIZE key EXPRESSION [table TABLE]`; `min-size SIZE`.
fn bandwidth(
    draft: &Draft,
    uploads: bool,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<Bandwidth> {
    let name = arguments.expect("the name that rules use")?.clone();
    let (mut limit, mut period, mut key, mut table, mut min_size, mut own) =
        (None, None, None, None, 0, false);
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "default-limit" => {
                limit = Some(arguments.size()?);
                own = true;
            }
            "default-period" => period = Some(arguments.duration()?),
            "limit" => limit = Some(arguments.size()?),
            "min-size" => min_size = arguments.size()?,
            "table" => table = Some(arguments.expect("the name of a table")?.clone()),
            "key" => {
                arguments.clone().expect("an expression, such as src")?;
                let words = scope::words(&arguments.line().words);
                let mut at = arguments.position();
                let places = if uploads { Place::ServerChoice.only() } else { Place::StickStore.only() };
                let section = draft.rule_section();
                key = Some(scope::with_rules(context, section, &draft.acls, places, |rules| {
                    ::rules::Expr::parse(&words, &mut at, rules)
                })?);
                arguments.seek(at);
            }
            _ => {
                let known = ["default-limit", "default-period", "limit", "key", "table", "min-size"];
                return Err(unknown("word", word, "of a bandwidth limit", known));
            }
        }
    }
    let limit = match (limit, period, key) {
        (Some(limit), Some(period), None) if own && table.is_none() && !period.is_zero() => {
            BandwidthLimit::Stream { limit, period }
        }
        (Some(limit), None, Some(key)) if !own => {
            let named = table.as_ref().map_or(draft.proxy.name.as_str(), |word| word.value.as_str());
            let Some(table) = context.names.table(named) else {
                return fail(name.span, format!("there is no stick table `{named}`"));
            };
            BandwidthLimit::Shared { limit, key, table }
        }
        _ => {
            let help = "a limit of each stream: `default-limit SIZE default-period TIME`; a shared one: `limit SIZE key \
                        EXPRESSION table TABLE`";
            return fail_with_help(
                name.span,
                "this is neither a limit of each stream nor a shared one",
                help,
            );
        }
    };
    Ok(Bandwidth { name: name.value.clone(), uploads, min_size, limit })
}
