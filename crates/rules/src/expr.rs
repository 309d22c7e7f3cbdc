//! Sample expressions: a fetch and the converters behind it, parsed and type-checked at load, evaluated on a scope.

use crate::args::{self, Arg};
use crate::cast;
use crate::context::{LoadError, ParseContext, Word};
use crate::convert::{self, Converter};
use crate::fetch::{self, Fetch, Fetched, Walk};
use crate::place::PlaceSet;
use crate::scope::Scope;
use crate::suggest::hint;
use crate::value::{Value, ValueType};
use std::borrow::Cow;
use std::fmt;

/// Most converters in one expression.
const STEPS_MAX: usize = 100;

/// A fetch with its arguments and converters.
#[derive(Clone)]
pub struct Expr {
    fetch: &'static Fetch,
    args: Box<[Arg]>,
    steps: Box<[Step]>,
    /// As written.
    source: Box<[u8]>,
}

/// A converter with its arguments.
#[derive(Clone)]
struct Step {
    converter: &'static Converter,
    args: Box<[Arg]>,
}

impl fmt::Debug for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Expr({})", String::from_utf8_lossy(&self.source))
    }
}

/// Whether a byte may stand in the name of a fetch or converter.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
}

/// Length of the keyword at the start of `text`.
pub(crate) fn keyword_length(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_name(*byte)).unwrap_or(text.len())
}

impl Expr {
    /// Parses the expression that starts at `words[*at]` and moves `at` behind it. Converters may follow the fetch after
    /// commas, or as words of their own; the first word that is no converter ends the expression.
    ///
    /// # Errors
    /// Unknown keywords, arguments that do not fit, converters that cannot take what comes before them, a fetch that
    /// has nothing to read in these places.
    pub fn parse(
        words: &[Word<'_>],
        at: &mut usize,
        context: &mut ParseContext<'_>,
    ) -> Result<Expr, LoadError> {
        let start = *at;
        let expr = Expr::parse_anywhere(words, at, context)?;
        expr.check_places(words[start], context)?;
        Ok(expr)
    }

    /// Parses a word that is an expression and nothing else.
    ///
    /// # Errors
    /// As [`parse`](Expr::parse); also when something follows.
    pub fn parse_word(word: Word<'_>, context: &mut ParseContext<'_>) -> Result<Expr, LoadError> {
        let (expr, end) = Expr::parse_prefix(word, 0, context)?;
        match end == word.text.len() {
            true => Ok(expr),
            false => Err(LoadError::new(
                word.span_of(end, word.text.len()),
                format!("missing comma after '{}'", String::from_utf8_lossy(&word.text[..end])),
            )),
        }
    }

    /// Parses the expression that starts at `word.text[start]` and says where it ends: for `%[…]` in log formats.
    ///
    /// # Errors
    /// As [`parse`](Expr::parse).
    pub fn parse_prefix(
        word: Word<'_>,
        start: usize,
        context: &mut ParseContext<'_>,
    ) -> Result<(Expr, usize), LoadError> {
        let part = Word { text: &word.text[start..], span: word.span_of(start, word.text.len()) };
        let (mut builder, end) = Builder::fetch(part, context)?;
        let end = builder.converters(part, end, context)?;
        let expr = builder.finish(part.text[..end].into());
        expr.check_places(part, context)?;
        Ok((expr, start + end))
    }

    /// As [`parse`](Expr::parse), leaving it to the caller whether the fetch can be used where it stands.
    pub(crate) fn parse_anywhere(
        words: &[Word<'_>],
        at: &mut usize,
        context: &mut ParseContext<'_>,
    ) -> Result<Expr, LoadError> {
        let Some(&word) = words.get(*at) else {
            let last = words.last().map_or(context.at, |word| word.span);
            return Err(LoadError::new(last, "a sample fetch is expected after this word"));
        };
        let (mut builder, end) = Builder::fetch(word, context)?;
        let mut source = word.text.to_vec();
        builder.whole_word(word, end, context)?;
        *at += 1;
        while let Some(&word) = words.get(*at) {
            let name = &word.text[..keyword_length(word.text)];
            if convert::find(name).is_none() {
                break;
            }
            builder.whole_word(word, 0, context)?;
            source.push(b',');
            source.extend_from_slice(word.text);
            *at += 1;
        }
        Ok(builder.finish(source.into()))
    }

    fn check_places(&self, word: Word<'_>, context: &ParseContext<'_>) -> Result<(), LoadError> {
        if self.fetch.places.meets(context.places) {
            return Ok(());
        }
        Err(LoadError::new(
            word.span_of(0, keyword_length(word.text)),
            format!(
                "'{}' has nothing to read here ({}); it works in: {}",
                self.fetch.name, context.places, self.fetch.places
            ),
        ))
    }

    /// The fetch's row.
    pub fn fetch_row(&self) -> &'static Fetch {
        self.fetch
    }

    pub(crate) fn args(&self) -> &[Arg] {
        &self.args
    }

    /// Whether converters follow the fetch.
    pub(crate) fn has_converters(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Where the fetch has something to read.
    pub fn places(&self) -> PlaceSet {
        self.fetch.places
    }

    /// Whether it reads a parsed HTTP message: in TCP rules the caller must parse one for it.
    pub fn uses_http(&self) -> bool {
        self.fetch.is_http
    }

    /// The same expression with a cast behind it; what cannot be is no value.
    pub(crate) fn ending_as(self, cast: &'static Converter) -> Expr {
        let mut steps = self.steps.into_vec();
        steps.push(Step { converter: cast, args: Box::default() });
        Expr { steps: steps.into(), ..self }
    }

    /// The declared type of what it evaluates to.
    pub fn output(&self) -> ValueType {
        self.steps.iter().fold(self.fetch.output, |before, step| after(before, step.converter))
    }

    /// As written.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Evaluates: the value there is now, if any.
    pub fn eval<'a>(&'a self, scope: &Scope<'a>) -> Option<Value<'a>> {
        self.fetch(scope).value()
    }

    /// Evaluates to the text form.
    pub fn eval_text<'a>(&'a self, scope: &Scope<'a>) -> Option<Cow<'a, [u8]>> {
        self.eval(scope).and_then(cast::to_text)
    }

    /// Evaluates to the type wanted; `None` when there is no value or no cast.
    pub fn eval_as<'a>(&'a self, scope: &Scope<'a>, wanted: ValueType) -> Option<Value<'a>> {
        self.eval(scope).and_then(|value| cast::cast(value, wanted))
    }

    /// Evaluates, telling "nothing" from "nothing yet".
    pub fn fetch<'a>(&'a self, scope: &Scope<'a>) -> Fetched<'a> {
        if self.steps.is_empty() {
            return (self.fetch.eval)(&self.args, scope);
        }
        match (self.fetch.eval)(&self.args, scope) {
            Fetched::Ready(value) => self.convert(value, scope).map_or(Fetched::Missing, Fetched::Ready),
            Fetched::Early(value) => self.convert(value, scope).map_or(Fetched::Missing, Fetched::Early),
            nothing @ (Fetched::Missing | Fetched::Wait) => nothing,
        }
    }

    fn convert<'a>(&'a self, mut value: Value<'a>, scope: &Scope<'a>) -> Option<Value<'a>> {
        for step in &self.steps {
            let input = cast::cast(value, step.converter.input)?;
            value = (step.converter.convert)(input, &step.args, scope)?;
        }
        Some(value)
    }

    /// Gives all values of a fetch that has several (all values of a header) to `visit`, until it returns false. A value
    /// that does not survive the converters ends the walk, as in HAProxy. `None`: the fetch has one value; use
    /// [`fetch`](Expr::fetch).
    pub fn each<'a>(&'a self, scope: &Scope<'a>, visit: &mut dyn FnMut(Value<'a>) -> bool) -> Option<Walk> {
        let each = self.fetch.each?;
        Some(each(&self.args, scope, &mut |value| self.convert(value, scope).is_some_and(&mut *visit)))
    }
}

/// The type after a converter.
fn after(before: ValueType, converter: &Converter) -> ValueType {
    match converter.output {
        ValueType::Any => before,
        output => output,
    }
}

/// An expression while it is parsed.
struct Builder {
    fetch: &'static Fetch,
    args: Vec<Arg>,
    steps: Vec<Step>,
    kind: ValueType,
}

impl Builder {
    /// Parses the fetch at the start of `word`; returns where it ends.
    fn fetch(word: Word<'_>, context: &mut ParseContext<'_>) -> Result<(Builder, usize), LoadError> {
        let end = keyword_length(word.text);
        let name = &word.text[..end];
        let shown = String::from_utf8_lossy(name);
        let Some(fetch) = fetch::find(name) else {
            let message = match convert::find(name) {
                Some(_) => format!("'{shown}' is a converter: it must follow a sample fetch, after a comma"),
                None if name.is_empty() => "a sample fetch is expected here".to_string(),
                None => match crate::refused::reason(&shown) {
                    Some(reason) => format!("sample fetch '{shown}' is not implemented: {reason}"),
                    None => format!("unknown sample fetch '{shown}'{}", hint(&shown, fetch::names())),
                },
            };
            return Err(LoadError::new(word.span_of(0, end.max(1)), message));
        };
        context.note_use(fetch.uses);
        let (mut args, after) = args::parse(word, end, fetch.name, fetch.params, fetch.required, context)?;
        if let Some(check) = fetch.check {
            check(&mut args, context).map_err(|reason| {
                LoadError::new(word.span_of(0, after), format!("invalid argument of '{shown}': {reason}"))
            })?;
        }
        Ok((Builder { fetch, args, steps: Vec::new(), kind: fetch.output }, after))
    }

    /// Parses `,converter…` from `at` on as far as it goes; returns the end.
    fn converters(
        &mut self,
        word: Word<'_>,
        mut at: usize,
        context: &mut ParseContext<'_>,
    ) -> Result<usize, LoadError> {
        while word.text.get(at) == Some(&b',') {
            while word.text.get(at) == Some(&b',') {
                at += 1;
            }
            if at == word.text.len() {
                break;
            }
            at = self.converter(word, at, context)?;
        }
        Ok(at)
    }

    /// Parses a word to its end: converters from `at` on, the first without a comma when the word starts with it.
    fn whole_word(
        &mut self,
        word: Word<'_>,
        at: usize,
        context: &mut ParseContext<'_>,
    ) -> Result<(), LoadError> {
        let at = if at == 0 { self.converter(word, 0, context)? } else { at };
        let end = self.converters(word, at, context)?;
        if end < word.text.len() {
            let message = format!("missing comma after '{}'", String::from_utf8_lossy(&word.text[..end]));
            return Err(LoadError::new(word.span_of(end, word.text.len()), message));
        }
        Ok(())
    }

    fn converter(
        &mut self,
        word: Word<'_>,
        at: usize,
        context: &mut ParseContext<'_>,
    ) -> Result<usize, LoadError> {
        let length = keyword_length(&word.text[at..]);
        let name = &word.text[at..at + length];
        let shown = String::from_utf8_lossy(name);
        let span = word.span_of(at, at + length.max(1).min(word.text.len() - at));
        let Some(converter) = convert::find(name) else {
            let names = convert::all().map(|converter| converter.name);
            let message = match crate::refused::reason(&shown) {
                Some(reason) => format!("converter '{shown}' is not implemented: {reason}"),
                None => format!("unknown converter '{shown}'{}", hint(&shown, names)),
            };
            return Err(LoadError::new(span, message));
        };
        if !cast::exists(self.kind, converter.input) {
            let message = format!(
                "converter '{shown}' takes {}, it cannot follow what gives {}",
                converter.input.name(),
                self.kind.name()
            );
            return Err(LoadError::new(span, message));
        }
        if self.steps.len() >= STEPS_MAX {
            return Err(LoadError::new(span, format!("more than {STEPS_MAX} converters in one expression")));
        }
        context.at = span;
        let part = Word { text: &word.text[at..], span: word.span_of(at, word.text.len()) };
        let (mut args, end) =
            args::parse(part, length, converter.name, converter.params, converter.required, context)?;
        if let Some(check) = converter.check {
            check(&mut args, context, converter).map_err(|reason| {
                LoadError::new(word.span_of(at, at + end), format!("invalid argument of '{shown}': {reason}"))
            })?;
        }
        self.kind = after(self.kind, converter);
        self.steps.push(Step { converter, args: args.into() });
        Ok(at + end)
    }

    fn finish(self, source: Box<[u8]>) -> Expr {
        Expr { fetch: self.fetch, args: self.args.into(), steps: self.steps.into(), source }
    }
}
