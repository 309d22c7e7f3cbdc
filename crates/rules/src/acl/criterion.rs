//! One test: an expression, a matching method, patterns.

use super::Verdict;
use crate::UserlistId;
use crate::args::Arg;
use crate::cast;
use crate::context::{LoadError, ParseContext, Word};
use crate::expr::{Expr, keyword_length};
use crate::fetch::{self, Fetched, Walk};
use crate::pattern::{ListKind, MatchMethod, Matcher, Usage, operator_range};
use crate::scope::Scope;
use crate::suggest::hint;
use crate::value::Value;
use std::sync::Arc;

/// An expression with what its value is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Criterion {
    expr: Expr,
    method: MatchMethod,
    /// Alternatives: each file, and the patterns on the line.
    matchers: Vec<Arc<Matcher>>,
    /// For groups: whose.
    userlist: Option<UserlistId>,
}

/// Criteria whose name says the matching method, `path_beg`: these fetches, with each of these endings.
const DERIVED_FROM: [(&str, &str); 8] = [
    ("base", "base"),
    ("cook", "req.cook"),
    ("hdr", "req.hdr"),
    ("path", "path"),
    ("scook", "res.cook"),
    ("shdr", "res.hdr"),
    ("url", "url"),
    ("urlp", "urlp"),
];

/// Criteria that mean another fetch or have a method of their own.
const NAMED: [(&str, &str, MatchMethod); 12] = [
    ("http_auth_group", "http_auth_group", MatchMethod::Group),
    ("method", "method", MatchMethod::Method),
    ("payload", "req.payload", MatchMethod::Bin),
    ("payload_lv", "req.payload_lv", MatchMethod::Bin),
    ("req.ssl_ver", "req.ssl_ver", MatchMethod::DottedVersion),
    ("req_ssl_ver", "req.ssl_ver", MatchMethod::DottedVersion),
    ("req_rdp_cookie", "req.rdp_cookie", MatchMethod::Str),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", MatchMethod::Int),
    ("req_ssl_sni", "req.ssl_sni", MatchMethod::Str),
    ("req_ver", "req.ver", MatchMethod::Str),
    ("resp_ver", "res.ver", MatchMethod::Str),
    ("ssl_fc_sni_end", "ssl_fc_sni", MatchMethod::End),
];

/// The fetch and method that a criterion's name stands for, if it is not just a fetch.
fn derived(name: &str) -> Option<(&'static str, MatchMethod)> {
    if let Some((_, fetch, method)) = NAMED.iter().find(|(known, _, _)| *known == name) {
        return Some((fetch, *method));
    }
    if let Some((_, fetch)) = DERIVED_FROM.iter().find(|(base, _)| *base == name) {
        return Some((fetch, MatchMethod::Str));
    }
    let (base, ending) = name.rsplit_once('_')?;
    let (_, fetch) = DERIVED_FROM.iter().find(|(known, _)| *known == base)?;
    match MatchMethod::find(ending.as_bytes())? {
        method @ (MatchMethod::Beg
        | MatchMethod::Dir
        | MatchMethod::Dom
        | MatchMethod::End
        | MatchMethod::Len
        | MatchMethod::Reg
        | MatchMethod::Sub) => Some((fetch, method)),
        MatchMethod::Found
        | MatchMethod::Bool
        | MatchMethod::Int
        | MatchMethod::Ip
        | MatchMethod::Bin
        | MatchMethod::Str
        | MatchMethod::Method
        | MatchMethod::DottedVersion
        | MatchMethod::Group => None,
    }
}

/// All criteria that are not the name of a fetch, for the generated documentation: name, fetch, and the word behind `-m`.
pub fn derived_names() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    const ENDINGS: [&str; 7] = ["beg", "dir", "dom", "end", "len", "reg", "sub"];
    let plain = DERIVED_FROM.iter().map(|(base, fetch)| ((*base).to_string(), *fetch, "str"));
    let by_ending = DERIVED_FROM.iter().flat_map(|(base, fetch)| {
        ENDINGS.iter().map(move |ending| (format!("{base}_{ending}"), *fetch, *ending))
    });
    let named = NAMED.iter().map(|(name, fetch, method)| ((*name).to_string(), *fetch, listed(*method)));
    plain.chain(by_ending).chain(named)
}

/// How HAProxy's lists call a method: those without a word for `-m` go by what they compare.
fn listed(method: MatchMethod) -> &'static str {
    match method {
        MatchMethod::Found => "found",
        MatchMethod::Bool => "bool",
        MatchMethod::Int | MatchMethod::DottedVersion => "int",
        MatchMethod::Ip => "ip",
        MatchMethod::Bin => "bin",
        MatchMethod::Len => "len",
        MatchMethod::Str | MatchMethod::Method | MatchMethod::Group => "str",
        MatchMethod::Beg => "beg",
        MatchMethod::Sub => "sub",
        MatchMethod::Dir => "dir",
        MatchMethod::Dom => "dom",
        MatchMethod::End => "end",
        MatchMethod::Reg => "reg",
    }
}

impl Criterion {
    /// Parses `criterion [flags] [operator] [patterns]`.
    pub(crate) fn parse(words: &[Word<'_>], context: &mut ParseContext<'_>) -> Result<Criterion, LoadError> {
        context.at = words[0].span;
        let mut at = 0;
        let (expr, implied) = parse_expr(words, &mut at, context)?;
        let mut flags = Flags {
            method: implied.or_else(|| MatchMethod::default_for(expr.output())),
            ignore_case: false,
            as_map: false,
            id: None,
        };
        let mut matchers = Vec::new();
        while let Some(word) = words.get(at) {
            if word.text.first() != Some(&b'-') {
                break;
            }
            at += 1;
            match word.text {
                b"-i" => flags.ignore_case = true,
                // Host names are never resolved here.
                b"-n" => {}
                b"-M" => flags.as_map = true,
                b"--" => break,
                b"-u" => flags.id = Some(parse_id(operand(words, &mut at, *word, "a number")?)?),
                b"-m" => {
                    let name = operand(words, &mut at, *word, "a matching method")?;
                    if !matchers.is_empty() {
                        return Err(LoadError::new(word.span, "-m must stand before patterns and files"));
                    }
                    flags.method = Some(parse_method(name, &expr)?);
                }
                b"-f" => {
                    let file = operand(words, &mut at, *word, "a file name")?;
                    matchers.push(load_file(file, &flags, &expr, context)?);
                }
                other => {
                    let message = format!(
                        "'{}' is not a flag of ACLs (-i -f -m -M -n -u); put -- before it if it is a pattern",
                        String::from_utf8_lossy(other)
                    );
                    return Err(LoadError::new(word.span, message));
                }
            }
        }
        let method = flags.method.ok_or_else(|| needs_method(words[0], &expr))?;
        let patterns = inline_patterns(&words[at..], method)?;
        // Even a list without a pattern may get some from the runtime API.
        let keyword = String::from_utf8_lossy(&words[0].text[..keyword_length(words[0].text)]);
        let usage = Usage::new(ListKind::Acl, context);
        let patterns = if method.takes_no_pattern() { Vec::new() } else { patterns };
        let list = context.patterns.inline(&keyword, &usage, flags.id, &patterns);
        let matcher = list.and_then(|list| list.matcher(method, flags.ignore_case, None));
        matchers.push(matcher.map_err(|reason| LoadError::new(span_of(&words[at..]), reason))?);
        let userlist = expr.args().iter().find_map(|arg| match arg {
            Arg::Userlist(list) => Some(*list),
            _other => None,
        });
        Ok(Criterion { expr, method, matchers, userlist })
    }

    /// The expression.
    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Evaluates.
    pub(crate) fn test(&self, scope: &Scope<'_>) -> Verdict {
        let mut passed = false;
        let walked = self.expr.each(scope, &mut |value| {
            passed = self.holds(value, scope);
            !passed
        });
        match walked {
            Some(_) if passed => Verdict::Pass,
            Some(Walk::Done) => Verdict::Fail,
            Some(Walk::Wait) => undecided(scope),
            None => self.test_one(scope),
        }
    }

    fn test_one(&self, scope: &Scope<'_>) -> Verdict {
        match self.expr.fetch(scope) {
            Fetched::Ready(value) => match self.holds(value, scope) {
                true => Verdict::Pass,
                false => Verdict::Fail,
            },
            Fetched::Early(value) => match self.holds(value, scope) {
                true => Verdict::Pass,
                false => undecided(scope),
            },
            Fetched::Missing => Verdict::Fail,
            Fetched::Wait => undecided(scope),
        }
    }

    fn holds(&self, value: Value<'_>, scope: &Scope<'_>) -> bool {
        if self.method == MatchMethod::Found {
            return true;
        }
        let Some(value) = cast::cast(value, self.method.input()) else { return false };
        match (self.method, self.userlist) {
            (MatchMethod::Bool, _) => cast::to_int(&value).is_some_and(|number| number != 0),
            (MatchMethod::Group, Some(list)) => {
                let Value::Str(user) = &value else { return false };
                let in_group = |group: &[u8]| scope.host.user_in_group(list, user, group);
                self.matchers.iter().any(|matcher| matcher.snapshot().texts().any(in_group))
            }
            _compared => match &self.matchers[..] {
                [matcher] => matcher.matches(&value),
                matchers => matchers.iter().any(|matcher| matcher.matches(&value)),
            },
        }
    }
}

/// What a test says that lacks bytes.
fn undecided(scope: &Scope<'_>) -> Verdict {
    if scope.payload_final { Verdict::Fail } else { Verdict::Wait }
}

struct Flags {
    method: Option<MatchMethod>,
    ignore_case: bool,
    as_map: bool,
    id: Option<u32>,
}

/// The expression, and the method that the criterion's name implies.
fn parse_expr(
    words: &[Word<'_>],
    at: &mut usize,
    context: &mut ParseContext<'_>,
) -> Result<(Expr, Option<MatchMethod>), LoadError> {
    let word = words[0];
    let end = keyword_length(word.text);
    let name = String::from_utf8_lossy(&word.text[..end]);
    let Some((fetch, method)) = derived(&name) else {
        if fetch::find(name.as_bytes()).is_none() && !name.is_empty() {
            let mut known: Vec<String> = derived_names().map(|(name, _, _)| name).collect();
            known.extend(fetch::names().map(String::from));
            let hint = hint(&name, known.iter().map(String::as_str));
            let message = format!("unknown criterion or sample fetch '{name}'{hint}");
            return Err(LoadError::new(word.span_of(0, end), message));
        }
        return Ok((Expr::parse_anywhere(words, at, context)?, None));
    };
    // The derived name is written out as its fetch; what follows stays.
    let mut text = fetch.as_bytes().to_vec();
    text.extend_from_slice(&word.text[end..]);
    let mut replaced = words.to_vec();
    replaced[0] = Word { text: &text, span: word.span };
    let expr = Expr::parse_anywhere(&replaced, at, context)?;
    // A converter behind a derived name makes the type of its result decide.
    let implied = (!expr.has_converters()).then_some(method);
    Ok((expr, implied))
}

fn operand<'w>(
    words: &[Word<'w>],
    at: &mut usize,
    flag: Word<'_>,
    what: &str,
) -> Result<Word<'w>, LoadError> {
    let word = words.get(*at).copied().ok_or_else(|| {
        LoadError::new(flag.span, format!("{} needs {what}", String::from_utf8_lossy(flag.text)))
    })?;
    *at += 1;
    Ok(word)
}

fn parse_id(word: Word<'_>) -> Result<u32, LoadError> {
    let id = crate::args::parse_int(word.text).and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| LoadError::new(word.span, "-u needs a number, 0 or more"))
}

fn parse_method(word: Word<'_>, expr: &Expr) -> Result<MatchMethod, LoadError> {
    let name = String::from_utf8_lossy(word.text);
    let method = MatchMethod::find(word.text).ok_or_else(|| {
        let known: Vec<&str> = MatchMethod::names().collect();
        LoadError::new(word.span, format!("unknown matching method '{name}': one of {}", known.join(", ")))
    })?;
    if method != MatchMethod::Found && !cast::exists(expr.output(), method.input()) {
        let message = format!(
            "matching method '{name}' cannot be used here: '{}' gives {}",
            String::from_utf8_lossy(expr.source()),
            expr.output().name()
        );
        return Err(LoadError::new(word.span, message));
    }
    Ok(method)
}

fn needs_method(word: Word<'_>, expr: &Expr) -> LoadError {
    let message = format!(
        "a matching method must be given with -m before the patterns: '{}' gives {}",
        String::from_utf8_lossy(expr.source()),
        expr.output().name()
    );
    LoadError::new(word.span, message)
}

fn load_file(
    file: Word<'_>,
    flags: &Flags,
    expr: &Expr,
    context: &mut ParseContext<'_>,
) -> Result<Arc<Matcher>, LoadError> {
    let method = flags.method.ok_or_else(|| needs_method(file, expr))?;
    let usage = Usage::new(ListKind::Acl, context);
    let list = context.patterns.load(file.text, flags.as_map, &usage, context.read_file);
    let matcher = list.and_then(|list| {
        list.matcher(method, flags.ignore_case, None)
            .map_err(|reason| format!("file '{}', {reason}", String::from_utf8_lossy(file.text)))
    });
    matcher.map_err(|reason| LoadError::new(file.span, reason))
}

/// The patterns on the line; for numbers, operators become ranges and apply to what follows them.
fn inline_patterns(words: &[Word<'_>], method: MatchMethod) -> Result<Vec<Vec<u8>>, LoadError> {
    let mut operator: &[u8] = b"eq";
    let mut patterns = Vec::with_capacity(words.len());
    for word in words {
        if !method.takes_operators() {
            patterns.push(word.text.to_vec());
            continue;
        }
        if matches!(word.text, b"eq" | b"ge" | b"gt" | b"le" | b"lt" | b"ne") {
            // HAProxy takes `ne` and then compares for equality.
            operator = if word.text == b"ne" { b"eq" } else { word.text };
            continue;
        }
        if operator == b"eq" || method == MatchMethod::DottedVersion {
            patterns.push(word.text.to_vec());
            continue;
        }
        match operator_range(operator, word.text) {
            Some(Ok(range)) => patterns.push(range),
            Some(Err(reason)) => return Err(LoadError::new(word.span, reason)),
            None => {}
        }
    }
    Ok(patterns)
}

fn span_of(words: &[Word<'_>]) -> diag::Span {
    match (words.first(), words.last()) {
        (Some(first), Some(last)) => diag::Span { end: last.span.end, ..first.span },
        (None, _) | (_, None) => diag::Span { file: diag::FileId(0), start: 0, end: 0 },
    }
}
