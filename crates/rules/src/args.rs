//! Arguments of fetches and converters: cutting `(a,"b,c",d)` into words, and giving each its declared type.
//! Names become ids here, at load; nothing is looked up by name at run time.

use crate::cast;
use crate::context::{LoadError, ParseContext, Word};
use crate::convert::MapUse;
use crate::regex::Regex;
use crate::variable_name::VariableName;
use crate::{ProxyId, ServerId, TableId, UserlistId};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most arguments that a keyword takes.
const ARGS_MAX: usize = 12;

/// Declared type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    Int,
    Str,
    Ip4,
    Ip6,
    /// Dotted or a bit count.
    Mask4,
    Mask6,
    /// Defaults to the current section.
    Frontend,
    Backend,
    /// `server` of the current backend, or `backend/server`.
    Server,
    Table,
    Userlist,
}

impl Param {
    fn name(self) -> &'static str {
        match self {
            Param::Int => "integer",
            Param::Str => "string",
            Param::Ip4 => "IPv4 address",
            Param::Ip6 => "IPv6 address",
            Param::Mask4 => "IPv4 mask",
            Param::Mask6 => "IPv6 mask",
            Param::Frontend => "frontend",
            Param::Backend => "backend",
            Param::Server => "server",
            Param::Table => "table",
            Param::Userlist => "user list",
        }
    }
}

/// An argument after load.
#[derive(Debug, Clone)]
pub enum Arg {
    Int(i64),
    Str(Box<[u8]>),
    Ip4(Ipv4Addr),
    Ip6(Ipv6Addr),
    Proxy(ProxyId),
    Server(ServerId),
    Table(TableId),
    Userlist(UserlistId),
    /// Made from text by the keyword's check.
    Regex(Box<Regex>),
    Variable(VariableName),
    Map(Box<MapUse>),
    /// An optional argument that was left out before one that was given.
    Absent,
}

/// The arguments of one keyword, while its check may still change them.
pub type ArgList = Vec<Arg>;

/// Reads arguments by position; what was left out reads as `None`.
pub trait Arguments {
    fn int(&self, index: usize) -> Option<i64>;
    fn text(&self, index: usize) -> Option<&[u8]>;
    fn proxy(&self, index: usize) -> Option<ProxyId>;
}

impl Arguments for [Arg] {
    fn int(&self, index: usize) -> Option<i64> {
        match self.get(index) {
            Some(Arg::Int(number)) => Some(*number),
            Some(_) | None => None,
        }
    }

    fn text(&self, index: usize) -> Option<&[u8]> {
        match self.get(index) {
            Some(Arg::Str(text)) => Some(text),
            Some(_) | None => None,
        }
    }

    fn proxy(&self, index: usize) -> Option<ProxyId> {
        match self.get(index) {
            Some(Arg::Proxy(id)) => Some(*id),
            Some(_) | None => None,
        }
    }
}

/// One argument as written, unquoted, and its place in the word.
#[derive(Debug)]
struct Raw {
    text: Vec<u8>,
    start: usize,
    end: usize,
}

/// Cuts the arguments at `word.text[at..]`, which starts with `(`. Returns them and the position after `)`.
///
/// Quotes protect commas and parentheses. A backslash outside of single quotes protects quotes, backslashes and
/// spaces, and makes `\r`, `\n`, `\t`; before anything else it stands for itself.
fn cut(word: Word<'_>, at: usize) -> Result<(Vec<Raw>, usize), LoadError> {
    let text = word.text;
    let mut cursor = at + 1;
    let mut found = Vec::new();
    loop {
        let (raw, next) = cut_one(word, cursor)?;
        found.push(raw);
        match text.get(next) {
            Some(b',') => cursor = next + 1,
            Some(_) => return Ok((found, next + 1)),
            None => {
                let message = "missing closing ')' after the arguments";
                return Err(LoadError::new(word.span_of(at, text.len()), message));
            }
        }
        if found.len() > ARGS_MAX {
            return Err(LoadError::new(word.span_of(at, text.len()), "too many arguments"));
        }
    }
}

/// One argument from `start` up to an unprotected `,` or `)`, whose position is returned, or the end of the text.
fn cut_one(word: Word<'_>, start: usize) -> Result<(Raw, usize), LoadError> {
    let text = word.text;
    let mut out = Vec::new();
    let mut quote: Option<u8> = None;
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (b'"' | b'\'', Some(open)) if open == byte => quote = None,
            (b'\\', None | Some(b'"')) => match text.get(at + 1) {
                Some(&escaped) => {
                    let (byte, taken) = match escaped {
                        b'\\' | b' ' | b'"' | b'\'' => (escaped, 1),
                        b'r' => (b'\r', 1),
                        b'n' => (b'\n', 1),
                        b't' => (b'\t', 1),
                        _other => (b'\\', 0),
                    };
                    out.push(byte);
                    at += taken;
                }
                None => out.push(b'\\'),
            },
            (b',' | b')', None) => break,
            (other, _) => out.push(other),
        }
        at += 1;
    }
    if quote.is_some() {
        return Err(LoadError::new(word.span_of(start, text.len()), "unterminated quote in an argument"));
    }
    Ok((Raw { text: out, start, end: at }, at))
}

/// Parses the arguments of `keyword` at `word.text[at..]` (which may not start with `(`) by its declaration.
///
/// # Errors
/// Missing, superfluous or ill-typed arguments, unknown names.
pub fn parse(
    word: Word<'_>,
    at: usize,
    keyword: &str,
    params: &[Param],
    required: usize,
    context: &mut ParseContext<'_>,
) -> Result<(Vec<Arg>, usize), LoadError> {
    if word.text.get(at) != Some(&b'(') {
        return Ok((left_out(word, at, keyword, &params[..required], context)?, at));
    }
    let (raw, end) = cut(word, at)?;
    let mut args = Vec::with_capacity(raw.len());
    let nothing = raw.len() == 1 && raw[0].text.is_empty() && raw[0].start == raw[0].end;
    if nothing && (params.is_empty() || (required == 0 && params[0] != Param::Str)) {
        return Ok((args, end));
    }
    if raw.len() > params.len() {
        let first = &raw[params.len()];
        let message = match params.len() {
            0 => format!("'{keyword}' takes no argument"),
            many => format!("'{keyword}' takes at most {many} argument{}", if many == 1 { "" } else { "s" }),
        };
        return Err(LoadError::new(word.span_of(first.start, first.end), message));
    }
    for (index, (raw, &param)) in raw.iter().zip(params).enumerate() {
        let span = word.span_of(raw.start, raw.end);
        if raw.text.is_empty() && index >= required && matches!(param, Param::Int | Param::Table) {
            args.push(Arg::Absent);
            continue;
        }
        let arg = typed(param, &raw.text, context).map_err(|reason| {
            LoadError::new(span, format!("argument {} of '{keyword}': {reason}", index + 1))
        })?;
        args.push(arg);
    }
    if args.len() < required {
        let message = format!("missing arguments (got {}, expected {required}) in '{keyword}'", args.len());
        return Err(LoadError::new(word.span_of(at, end), message));
    }
    Ok((args, end))
}

/// What required arguments mean when there are no parentheses at all: the current section for proxies, and an empty
/// text when one text is all that is required.
fn left_out(
    word: Word<'_>,
    at: usize,
    keyword: &str,
    required: &[Param],
    context: &ParseContext<'_>,
) -> Result<Vec<Arg>, LoadError> {
    if required == [Param::Str] {
        return Ok(vec![Arg::Str(Box::default())]);
    }
    let defaults: Option<Vec<Arg>> = required
        .iter()
        .map(|param| {
            typed(*param, b"", context).ok().filter(|arg| matches!(arg, Arg::Proxy(_) | Arg::Table(_)))
        })
        .collect();
    defaults.ok_or_else(|| {
        let message = format!("missing arguments ({} expected) in '{keyword}'", required.len());
        LoadError::new(word.span_of(0, at), message)
    })
}

fn typed(param: Param, text: &[u8], context: &ParseContext<'_>) -> Result<Arg, String> {
    let shown = || String::from_utf8_lossy(text);
    let wrong = || format!("expected {}, found '{}'", param.name(), shown());
    match param {
        Param::Str => Ok(Arg::Str(text.into())),
        Param::Int => parse_int(text).map(Arg::Int).ok_or_else(wrong),
        Param::Ip4 => match cast::parse_ip(text) {
            Some(std::net::IpAddr::V4(address)) => Ok(Arg::Ip4(address)),
            Some(std::net::IpAddr::V6(_)) | None => Err(wrong()),
        },
        Param::Ip6 => match cast::parse_ip(text) {
            Some(std::net::IpAddr::V6(address)) => Ok(Arg::Ip6(address)),
            Some(std::net::IpAddr::V4(_)) | None => Err(wrong()),
        },
        Param::Mask4 => parse_mask4(text).map(Arg::Ip4).ok_or_else(wrong),
        Param::Mask6 => parse_mask6(text).map(Arg::Ip6).ok_or_else(wrong),
        Param::Frontend => match (text, context.section.proxy) {
            (b"", Some(id)) if context.section.is_frontend => Ok(Arg::Proxy(id)),
            (b"", _) => Err("a frontend must be named here".into()),
            (name, _) => {
                context.names.frontend(name).map(Arg::Proxy).ok_or_else(|| no_such("frontend", name))
            }
        },
        Param::Backend => match (text, context.section.proxy) {
            (b"", Some(id)) if context.section.is_backend => Ok(Arg::Proxy(id)),
            (b"", _) => Err("a backend must be named here".into()),
            (name, _) => context.names.backend(name).map(Arg::Proxy).ok_or_else(|| no_such("backend", name)),
        },
        Param::Server => server(text, context).map(Arg::Server),
        Param::Table if text.is_empty() => {
            let own = context.section.proxy.and_then(|id| context.names.own_table(id));
            own.map(Arg::Table).ok_or_else(|| no_such("stick table", text))
        }
        Param::Table => context.names.table(text).map(Arg::Table).ok_or_else(|| no_such("stick table", text)),
        Param::Userlist => {
            context.names.userlist(text).map(Arg::Userlist).ok_or_else(|| no_such("userlist", text))
        }
    }
}

fn no_such(what: &str, name: &[u8]) -> String {
    match name {
        b"" => format!("a {what} must be named here"),
        name => format!("there is no {what} '{}'", String::from_utf8_lossy(name)),
    }
}

fn server(text: &[u8], context: &ParseContext<'_>) -> Result<ServerId, String> {
    let (backend, name) = match memchr::memchr(b'/', text) {
        Some(slash) => {
            let backend = &text[..slash];
            (context.names.backend(backend).ok_or_else(|| no_such("backend", backend))?, &text[slash + 1..])
        }
        None => match context.section.proxy {
            Some(id) if context.section.is_backend => (id, text),
            Some(_) | None => return Err("a server must be written backend/server here".into()),
        },
    };
    context.names.server(backend, name).ok_or_else(|| no_such("server", text))
}

/// A whole text as a number: optional sign, digits, nothing else. Stays at the limits of 64 bits.
pub fn parse_int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| cast::leading_int(text))
}

/// A mask as a bit count (`24`) or dotted (`255.255.255.0`; holes are allowed).
pub fn parse_mask4(text: &[u8]) -> Option<Ipv4Addr> {
    if let Some(bits) = parse_int(text) {
        return match bits {
            0 => Some(Ipv4Addr::UNSPECIFIED),
            1..=32 => Some(Ipv4Addr::from(u32::MAX << (32 - bits))),
            _ => None,
        };
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A mask as a bit count (`64`) or as an address.
pub fn parse_mask6(text: &[u8]) -> Option<Ipv6Addr> {
    if let Some(bits) = parse_int(text) {
        return match bits {
            0 => Some(Ipv6Addr::UNSPECIFIED),
            1..=128 => Some(Ipv6Addr::from(u128::MAX << (128 - bits))),
            _ => None,
        };
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
