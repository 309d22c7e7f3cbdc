//! `balance`, `hash-type` and `hash-balance-factor`: settled together when the section ends.

use super::Draft;
use super::table::InDefaults::Yes;
use super::table::Side::Backend;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::Works;
use crate::keywords::unknown;
use crate::language::Word;
use crate::model::{Balance, BalanceKey};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use ::balance::{Algorithm, DEFAULT_DRAWS, HashFunction, HashMethod, HashType};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("balance", Backend, Yes, Works, balance, "how a server is chosen"),
    entry(
        "hash-balance-factor",
        Backend,
        Yes,
        Works,
        balance_factor,
        "most load of a server on the hash ring, percent",
    ),
    entry("hash-type", Backend, Yes, Works, hash_type, "how a hash becomes a server"),
];

/// What the lines said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub kind: Kind,
    pub hash: HashType,
    pub factor: u32,
}

#[derive(Debug, Clone, Default)]
pub(crate) enum Kind {
    #[default]
    RoundRobin,
    StaticRoundRobin,
    LeastConn,
    First,
    Random {
        draws: u32,
    },
    Hash(BalanceKey),
    /// `hash EXPR`, parsed when the section ends.
    HashExpression(Word),
}

impl Choice {
    /// The algorithm with everything folded in.
    pub fn settle(&self, expression: impl FnOnce(&Word) -> Outcome<BalanceKey>) -> Outcome<Balance> {
        let factor = self.factor;
        let looks_when_alone = matches!(self.kind, Kind::Hash(BalanceKey::UrlParam { .. }));
        let hash = HashType { balance_factor: factor, looks_when_alone, ..self.hash };
        let plain = |algorithm| Balance { algorithm, key: BalanceKey::None };
        Ok(match &self.kind {
            Kind::RoundRobin => plain(Algorithm::RoundRobin),
            Kind::StaticRoundRobin => plain(Algorithm::StaticRoundRobin),
            Kind::LeastConn => plain(Algorithm::LeastConn),
            Kind::First => plain(Algorithm::First),
            Kind::Random { draws } => plain(Algorithm::Random { draws: *draws, balance_factor: factor }),
            Kind::Hash(key) => Balance { algorithm: Algorithm::Hash(hash), key: key.clone() },
            Kind::HashExpression(word) => {
                Balance { algorithm: Algorithm::Hash(hash), key: expression(word)? }
            }
        })
    }

    /// The choice looks into HTTP messages.
    pub fn needs_http(&self) -> bool {
        match &self.kind {
            Kind::Hash(key) => match key {
                BalanceKey::Uri { .. } | BalanceKey::UrlParam { .. } | BalanceKey::Header { .. } => true,
                BalanceKey::None
                | BalanceKey::Source
                | BalanceKey::RdpCookie { .. }
                | BalanceKey::Expr(_) => false,
            },
            Kind::RoundRobin
            | Kind::StaticRoundRobin
            | Kind::LeastConn
            | Kind::First
            | Kind::Random { .. }
            | Kind::HashExpression(_) => false,
        }
    }
}

const NAMES: [&str; 11] = [
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "source",
    "uri",
    "url_param",
    "hdr(name)",
    "random",
    "rdp-cookie",
    "hash",
];

fn balance(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    draft.spans.balance = Some(arguments.span());
    let Some(word) = arguments.next() else {
        draft.balance.kind = Kind::RoundRobin;
        return Ok(());
    };
    let (name, inner) = split_call(word)?;
    draft.balance.kind = match (name, inner) {
        ("roundrobin", None) => Kind::RoundRobin,
        ("static-rr", None) => Kind::StaticRoundRobin,
        ("leastconn", None) => Kind::LeastConn,
        ("first", None) => Kind::First,
        ("random", inner) => Kind::Random { draws: draws(word, inner)? },
        ("source", None) => Kind::Hash(BalanceKey::Source),
        ("uri", None) => Kind::Hash(uri(arguments)?),
        ("url_param", None) => Kind::Hash(url_param(arguments)?),
        ("hdr", Some(name)) => Kind::Hash(header(word, name, arguments)?),
        ("rdp-cookie", inner) => Kind::Hash(rdp_cookie(word, inner)?),
        ("hash", None) => Kind::HashExpression(arguments.expect("an expression, such as src")?.clone()),
        ("hdr", None) => {
            return fail_with_help(word.span, "`balance hdr` needs a header name", "write hdr(name)");
        }
        ("sticky" | "log-hash" | "log-sticky", _) => {
            return fail(word.span, format!("`balance {name}` is not implemented"));
        }
        _ => return Err(unknown("algorithm", word, "after `balance`", NAMES)),
    };
    if let Some(extra) = arguments.peek() {
        // HAProxy reads no further either, and says nothing.
        context.warn(extra.span, format!("`{}` after `balance {name}` is ignored", extra.value));
        arguments.rest();
    }
    Ok(())
}

/// `name(inner)` or `name`.
fn split_call(word: &Word) -> Outcome<(&str, Option<&str>)> {
    match word.value.split_once('(') {
        None => Ok((&word.value, None)),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(inner) => Ok((name, Some(inner))),
            None => fail(word.span, format!("a closing parenthesis is missing in `{}`", word.value)),
        },
    }
}

fn draws(word: &Word, inner: Option<&str>) -> Outcome<u32> {
    match inner.map(str::parse::<u32>) {
        None => Ok(DEFAULT_DRAWS),
        Some(Ok(draws)) if draws >= 1 => Ok(draws),
        Some(_) => fail(word.span, "the number of draws must be 1 or more"),
    }
}

fn uri(arguments: &mut Arguments<'_>) -> Outcome<BalanceKey> {
    let (mut len, mut depth, mut whole, mut path_only) = (0, 0, false, false);
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "len" => len = arguments.positive()?,
            "depth" => depth = arguments.positive()?,
            "whole" => whole = true,
            "path-only" => path_only = true,
            _ => {
                return Err(unknown(
                    "word",
                    word,
                    "after `balance uri`",
                    ["len", "depth", "whole", "path-only"],
                ));
            }
        }
    }
    Ok(BalanceKey::Uri { len, depth, whole, path_only })
}

fn url_param(arguments: &mut Arguments<'_>) -> Outcome<BalanceKey> {
    let name = arguments.expect("the name of a parameter")?.value.clone();
    let mut check_post = false;
    if let Some(word) = arguments.next() {
        if word.value != "check_post" {
            return Err(unknown("word", word, "after `balance url_param NAME`", ["check_post"]));
        }
        check_post = true;
        // A number of bytes to wait for, of versions that had that.
        if arguments.peek().is_some_and(|word| word.value.bytes().all(|byte| byte.is_ascii_digit())) {
            arguments.next();
        }
    }
    Ok(BalanceKey::UrlParam { name, check_post })
}

fn header(word: &Word, name: &str, arguments: &mut Arguments<'_>) -> Outcome<BalanceKey> {
    if name.is_empty() {
        return fail(word.span, "`balance hdr` needs a header name: hdr(name)");
    }
    let use_domain_only = match arguments.next() {
        None => false,
        Some(word) if word.value == "use_domain_only" => true,
        Some(word) => return Err(unknown("word", word, "after `balance hdr(name)`", ["use_domain_only"])),
    };
    Ok(BalanceKey::Header { name: name.to_owned(), use_domain_only })
}

fn rdp_cookie(word: &Word, inner: Option<&str>) -> Outcome<BalanceKey> {
    match inner {
        None => Ok(BalanceKey::RdpCookie { name: "mstshash".to_owned() }),
        Some("") => fail(word.span, "a cookie name is missing: rdp-cookie(name)"),
        Some(name) => Ok(BalanceKey::RdpCookie { name: name.to_owned() }),
    }
}

fn hash_type(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    if arguments.peek().is_some_and(|word| word.value == "avalanche") {
        let help = "write `hash-type map-based sdbm avalanche`";
        return fail_with_help(arguments.span(), "`hash-type avalanche` needs a method and a function", help);
    }
    let method =
        arguments.choice(&[("map-based", HashMethod::MapBased), ("consistent", HashMethod::Consistent)])?;
    let mut hash = HashType::new(method);
    if let Some(word) = arguments.next() {
        // Only a ring whose function is not named is stirred by itself.
        hash.avalanche = false;
        hash.function = match word.value.as_str() {
            "sdbm" => HashFunction::Sdbm,
            "djb2" => HashFunction::Djb2,
            "wt6" => HashFunction::Wt6,
            "crc32" => HashFunction::Crc32,
            "none" => HashFunction::None,
            _ => return Err(unknown("hash function", word, "", ["sdbm", "djb2", "wt6", "crc32", "none"])),
        };
        if let Some(word) = arguments.next() {
            if word.value != "avalanche" {
                return Err(unknown("modifier", word, "after the hash function", ["avalanche"]));
            }
            hash.avalanche = true;
        }
    }
    draft.balance.hash = hash;
    Ok(())
}

fn balance_factor(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a percentage above 100, or 0")?;
    match word.value.parse::<u32>() {
        Ok(factor) if factor == 0 || factor > 100 => {
            draft.balance.factor = factor;
            Ok(())
        }
        _ => fail(word.span, format!("hash-balance-factor must be 0 or more than 100, found {}", word.value)),
    }
}
