//! `compression` and `filter`.

use super::Draft;
use super::table::InDefaults::{No, Yes};
use super::table::Side::Both;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::{ParsedOnly, Works};
use crate::keywords::unknown;
use crate::model::{Compression, CompressionAlgorithm};
use crate::parse::{Arguments, Context, Outcome, fail};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry(
        "compression",
        Both,
        Yes,
        ParsedOnly("responses are passed on as they come"),
        compression,
        "compress responses",
    ),
    entry("filter", Both, No, Works, filter, "something that sees all bytes"),
];

fn compression(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("algo, type or offload")?;
    let is_defaults = draft.is_defaults();
    let settings = draft.proxy.compression.get_or_insert_with(Compression::default);
    match word.value.as_str() {
        "algo" | "algo-res" | "algo-req" => {
            arguments.clone().expect("gzip, deflate, raw-deflate or identity")?;
            while arguments.peek().is_some() {
                settings.algorithms.push(arguments.choice(&[
                    ("identity", CompressionAlgorithm::Identity),
                    ("gzip", CompressionAlgorithm::Gzip),
                    ("deflate", CompressionAlgorithm::Deflate),
                    ("raw-deflate", CompressionAlgorithm::RawDeflate),
                ])?);
            }
        }
        "type" | "type-res" | "type-req" => {
            arguments.clone().expect("MIME types")?;
            // Lines that were glued together: the words are no MIME types, and nothing would tell.
            for word in arguments.clone().rest() {
                if !word.value.contains('/') {
                    context.warn(word.span, format!("`{}` is no MIME type", word.value));
                }
            }
            settings.types.extend(arguments.rest().iter().map(|word| word.value.clone()));
        }
        "offload" if is_defaults => context.warn(word.span, "`compression offload` is ignored in `defaults`"),
        "offload" => settings.offload = true,
        "direction" => {
            arguments.choice(&[("request", ()), ("response", ()), ("both", ())])?;
        }
        _ => return Err(unknown("word", word, "after `compression`", ["algo", "type", "offload"])),
    }
    Ok(())
}

/// What filters there are, and why one is not.
fn filter(_: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("the name of a filter")?;
    match word.value.as_str() {
        // It only orders the compression among other filters.
        "compression" => {}
        "cache" => context.warn(word.span, "`filter cache` is read but nothing is cached yet"),
        "trace" => context.warn(word.span, "`filter trace` is read but prints nothing"),
        "spoe" | "opentracing" | "fcgi-app" | "bwlim-in" | "bwlim-out" | "otel" => {
            return fail(word.span, format!("`filter {}` is not implemented", word.value));
        }
        _ => {
            let known = ["compression", "cache", "trace", "spoe", "fcgi-app", "opentracing"];
            return Err(unknown("filter", word, "", known));
        }
    }
    arguments.rest();
    Ok(())
}
