//! Values inside JSON texts and JSON Web Tokens.

use super::Converter;
use super::codec::decode_url;
use super::hash::hmac_by_name;
use super::text::{text_of, variable_text};
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast::leading_int;
use crate::context::ParseContext;
use crate::regex::hex_digit;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use crate::variable_name::VariableName;
use std::borrow::Cow;

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 64;

const QUERY: &[Param] = &[Param::Str, Param::Str];

pub(super) const ROWS: &[Converter] = &[
    Converter::new("json_query", ValueType::Str, ValueType::Any, json_query, "The value at a JSON path.")
        .takes(QUERY, 1)
        .check(check_query),
    Converter::new(
        "jwt_header_query",
        ValueType::Bin,
        ValueType::Any,
        jwt_header,
        "A value of a token's header.",
    )
    .takes(QUERY, 0)
    .check(check_query),
    Converter::new(
        "jwt_payload_query",
        ValueType::Bin,
        ValueType::Any,
        jwt_payload,
        "A value of a token's payload.",
    )
    .takes(QUERY, 0)
    .check(check_query),
    Converter::new(
        "jwt_verify",
        ValueType::Bin,
        ValueType::Int,
        jwt_verify,
        "Whether a token's signature is right.",
    )
    .takes(QUERY, 2)
    .check(check_verify),
];

/// One step of a path.
enum Step<'p> {
    Member(Cow<'p, [u8]>),
    Element(usize),
}

/// The steps of `$.a.b[0]`; a backslash protects the byte behind it. `None`: no path.
fn steps(path: &[u8]) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix(b"$")?;
    let mut steps = Vec::new();
    while let Some((&first, after)) = rest.split_first() {
        match first {
            b'.' => {
                let mut name = Vec::new();
                let mut at = 0;
                while let Some(&byte) = after.get(at) {
                    match byte {
                        b'.' | b'[' => break,
                        b'\\' => {
                            at += 1;
                            name.push(*after.get(at)?);
                        }
                        other => name.push(other),
                    }
                    at += 1;
                }
                steps.push(Step::Member(Cow::Owned(name)));
                rest = &after[at..];
            }
            b'[' => {
                let end = memchr::memchr(b']', after)?;
                let index = crate::args::parse_int(&after[..end])?;
                steps.push(Step::Element(usize::try_from(index).ok()?));
                rest = &after[end + 1..];
            }
            _other => return None,
        }
        if steps.len() > DEPTH_MAX {
            return None;
        }
    }
    Some(steps)
}

fn check_query(args: &mut ArgList, _: &mut ParseContext<'_>, row: &'static Converter) -> Result<(), String> {
    match args.text(0) {
        None | Some(b"") if row.required == 0 => {}
        None | Some(b"") => return Err("a JSON path is expected".into()),
        Some(_) => {}
    }
    match args.text(1) {
        None | Some(b"" | b"int") => Ok(()),
        Some(other) => Err(format!("unknown type '{}': only int is known", String::from_utf8_lossy(other))),
    }
}

/// Reads JSON (RFC 8259) from the front.
struct Json<'t>(&'t [u8]);

/// A value of which only the extent is known, but for scalars.
enum Token<'t> {
    /// Between the quotes, escapes not resolved.
    Text(&'t [u8]),
    Number(&'t [u8]),
    Bool(bool),
    Null,
    /// An object or array, with what is inside.
    Object(&'t [u8]),
    Array(&'t [u8]),
}

impl<'t> Json<'t> {
    fn skip_blanks(&mut self) {
        let blanks = self.0.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.0 = &self.0[blanks..];
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn string(&mut self) -> Option<&'t [u8]> {
        self.take(b'"')?;
        let text = self.0;
        let mut at = 0;
        loop {
            match text.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _other => at += 1,
            }
        }
        self.0 = &text[at + 1..];
        Some(&text[..at])
    }

    /// The next value, whole.
    fn token(&mut self, depth: usize) -> Option<Token<'t>> {
        self.skip_blanks();
        let text = self.0;
        let word = |json: &mut Json<'t>, word: &[u8], token| {
            json.0 = json.0.strip_prefix(word)?;
            Some(token)
        };
        match text.first()? {
            b'"' => self.string().map(Token::Text),
            b't' => word(self, b"true", Token::Bool(true)),
            b'f' => word(self, b"false", Token::Bool(false)),
            b'n' => word(self, b"null", Token::Null),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
                self.0 = &text[end..];
                Some(Token::Number(&text[..end]))
            }
            open @ (b'{' | b'[') => {
                let is_object = *open == b'{';
                self.0 = &text[1..];
                self.members(is_object, depth, |_, _| false)?;
                let inside = &text[1..text.len() - self.0.len() - 1];
                Some(if is_object { Token::Object(inside) } else { Token::Array(inside) })
            }
            _other => None,
        }
    }

    /// Walks what is inside of an object or array, up to and with its end, or until `is_wanted` says so: then the next
    /// value is the wanted one, and the result is true. `None`: this is not JSON.
    fn members(
        &mut self,
        is_object: bool,
        depth: usize,
        is_wanted: impl Fn(usize, &[u8]) -> bool,
    ) -> Option<bool> {
        let depth = depth.checked_sub(1)?;
        let close = if is_object { b'}' } else { b']' };
        if self.take(close).is_some() {
            return Some(false);
        }
        for index in 0.. {
            let name = if is_object { self.string()? } else { b"" };
            if is_object {
                self.take(b':')?;
            }
            if is_wanted(index, name) {
                return Some(true);
            }
            self.token(depth)?;
            if self.take(close).is_some() {
                return Some(false);
            }
            self.take(b',')?;
        }
        None
    }
}

fn find<'t>(text: &'t [u8], path: &[u8]) -> Option<Token<'t>> {
    let mut token = Json(text).token(DEPTH_MAX)?;
    for step in steps(path)? {
        let (inside, is_object) = match token {
            Token::Object(inside) => (inside, true),
            Token::Array(inside) => (inside, false),
            Token::Text(_) | Token::Number(_) | Token::Bool(_) | Token::Null => return None,
        };
        // The closing bracket is behind `inside` in the text.
        let start = inside.as_ptr() as usize - text.as_ptr() as usize;
        let mut json = Json(&text[start..]);
        let found = json.members(is_object, DEPTH_MAX, |index, name| match &step {
            Step::Member(wanted) => is_object && name == &**wanted,
            Step::Element(wanted) => !is_object && index == *wanted,
        })?;
        token = if found { json.token(DEPTH_MAX)? } else { return None };
    }
    Some(token)
}

/// Resolves escapes; `\/` and code points above 255 are not known, as in HAProxy.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next()? {
            b'"' => b'"',
            b'\\' => b'\\',
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let digits = rest.as_slice().get(..4)?;
                rest.nth(3);
                if digits[..2] != *b"00" {
                    return None;
                }
                hex_digit(digits[2])? << 4 | hex_digit(digits[3])?
            }
            _unknown => return None,
        });
    }
    Some(out)
}

/// As `%g` of printf prints it: six significant digits, no zeros at the end.
fn shortest(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let scientific = format!("{number:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    match exponent {
        -4..=5 => trim(&format!("{number:.*}", (5 - exponent).max(0) as usize)),
        _far => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
        }
    }
}

/// Objects, arrays and null are no samples.
fn query<'a>(text: &[u8], args: &'a [Arg]) -> Option<Value<'a>> {
    Some(match find(text, args.text(0)?)? {
        Token::Text(text) => Value::string(unescape(text)?),
        Token::Bool(truth) => Value::Bool(truth),
        Token::Number(text) if args.text(1) == Some(b"int") => Value::Int(leading_int(text)),
        Token::Number(text) => {
            let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            Value::string(shortest(number).into_bytes())
        }
        Token::Null | Token::Object(_) | Token::Array(_) => return None,
    })
}

fn json_query<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    query(&text_of(value), args)
}

/// Header, payload and signature of a token in compact form (RFC 7515 §7.1).
fn parts(token: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = token.split(|byte| *byte == b'.');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

fn part<'a>(value: Value<'a>, args: &'a [Arg], index: usize) -> Option<Value<'a>> {
    let token = text_of(value);
    let text = decode_url(parts(&token)?[index])?;
    query(&text, args)
}

fn jwt_header<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    part(value, args, 0)
}

fn jwt_payload<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    part(value, args, 1)
}

/// The digest of a symmetric algorithm.
fn digest_of(algorithm: &[u8]) -> Option<&'static str> {
    match algorithm {
        b"HS256" => Some("sha256"),
        b"HS384" => Some("sha384"),
        b"HS512" => Some("sha512"),
        _other => None,
    }
}

fn check_verify(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let algorithm = args.text(0).unwrap_or_default();
    let shown = String::from_utf8_lossy(algorithm);
    if let Ok(name) = VariableName::parse(algorithm) {
        args[0] = Arg::Variable(name);
    } else if digest_of(algorithm).is_none() {
        return Err(match algorithm {
            [b'R' | b'E', b'S', ..] => {
                format!("{shown} is not supported yet: only HS256, HS384 and HS512 are")
            }
            _unknown => format!("unknown algorithm '{shown}': HS256, HS384 or HS512"),
        });
    }
    if let Ok(name) = VariableName::parse(args.text(1).unwrap_or_default()) {
        args[1] = Arg::Variable(name);
    }
    Ok(())
}

/// An argument that is a text or a variable.
fn text_or_variable<'a>(args: &'a [Arg], index: usize, scope: &Scope<'a>) -> Option<Cow<'a, [u8]>> {
    match args.text(index) {
        Some(text) => Some(Cow::Borrowed(text)),
        None => variable_text(args, index, scope),
    }
}

/// 1: right; 0: wrong; -1: unknown algorithm; -2: one that is not managed; -3: no token.
fn jwt_verify<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let algorithm = text_or_variable(args, 0, scope)?;
    let key = text_or_variable(args, 1, scope)?;
    let token = text_of(value);
    let answer = match (digest_of(&algorithm), parts(&token)) {
        (None, _) if algorithm.len() == 5 && &algorithm[1..2] == b"S" => -2,
        (None, _) => -1,
        (Some(_), None) => -3,
        (Some(digest), Some([_, _, signature])) => {
            let signed = &token[..token.len() - signature.len() - 1];
            match decode_url(signature) {
                None => -3,
                Some(signature) => {
                    let expected = hmac_by_name(digest, &key, signed)?;
                    let same_length = expected.len() == signature.len();
                    let difference = expected.iter().zip(&signature).fold(0, |seen, (a, b)| seen | (a ^ b));
                    i64::from(same_length && difference == 0)
                }
            }
        }
    };
    Some(Value::Int(answer))
}
