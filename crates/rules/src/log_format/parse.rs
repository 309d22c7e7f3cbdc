//! Reading log-format strings: a flat state machine over the bytes of one word.

use super::alias::find;
use super::{Dialect, Flags, Item, LogFormat};
use crate::Expr;
use crate::context::{LoadError, ParseContext, Word};

impl LogFormat {
    /// Parses one word.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(
        word: Word<'_>,
        dialect: Dialect,
        context: &mut ParseContext<'_>,
    ) -> Result<LogFormat, LoadError> {
        let defaults = Flags(if dialect.mandatory { Flags::MANDATORY } else { 0 });
        Parser { word, at: 0, text: Vec::new(), items: Vec::new(), dialect, defaults }.run(context)
    }
}

struct Parser<'w> {
    word: Word<'w>,
    at: usize,
    text: Vec<u8>,
    items: Vec<Item>,
    dialect: Dialect,
    /// Flags of items that follow, changed by `%{…}o`.
    defaults: Flags,
}

impl Parser<'_> {
    fn error(&self, start: usize, end: usize, message: String) -> LoadError {
        LoadError::new(self.word.span_of(start, end), message)
    }

    fn shown(&self, start: usize, end: usize) -> String {
        String::from_utf8_lossy(&self.word.text[start..end]).into_owned()
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.items.push(Item::Text(std::mem::take(&mut self.text).into()));
        }
    }

    fn run(mut self, context: &mut ParseContext<'_>) -> Result<LogFormat, LoadError> {
        let text = self.word.text;
        while let Some(&byte) = text.get(self.at) {
            if byte == b'%' {
                self.percent(context)?;
            } else if self.dialect.merges_spaces && (byte.is_ascii_whitespace() || byte == 0x0b) {
                self.flush();
                if !matches!(self.items.last(), Some(Item::Space)) {
                    self.items.push(Item::Space);
                }
                self.at += 1;
            } else {
                self.text.push(byte);
                self.at += 1;
            }
        }
        self.flush();
        Ok(LogFormat { items: self.items.into(), dialect: self.dialect })
    }

    /// At a `%`.
    fn percent(&mut self, context: &mut ParseContext<'_>) -> Result<(), LoadError> {
        let text = self.word.text;
        let start = self.at;
        self.at += 1;
        let mut flags = self.defaults;
        let has_flags = text.get(self.at) == Some(&b'{');
        if has_flags {
            let close = memchr::memchr(b'}', &text[self.at..]).ok_or_else(|| {
                let shown = self.shown(self.at + 1, text.len());
                self.error(start, text.len(), format!("missing '}}' after the flags '{shown}'"))
            })?;
            flags = self.flags(self.at + 1, self.at + close, context);
            self.at += close + 1;
        }
        match text.get(self.at) {
            Some(b'[') => self.expression(flags, context),
            Some(byte) if byte.is_ascii_alphanumeric() => self.alias(start, flags, has_flags, context),
            _ if has_flags => {
                let shown = self.shown(start, self.at);
                Err(self.error(
                    start,
                    self.at,
                    format!("no variable or expression follows the flags '{shown}'"),
                ))
            }
            Some(b'%') => {
                self.text.push(b'%');
                self.at += 1;
                Ok(())
            }
            None => {
                Err(self.error(start, self.at, "nothing follows '%'; a single '%' is written '%%'".into()))
            }
            Some(byte) if byte.is_ascii_whitespace() => Err(self.error(
                start,
                self.at,
                "no variable follows '%'; a single '%' is written '%%'".into(),
            )),
            Some(&byte) => {
                let span = self.word.span_of(start, self.at);
                let shown = char::from(byte);
                context.warnings.push(LoadError::new(
                    span,
                    format!(
                        "'%' before '{shown}' means nothing and is left out; a single '%' is written '%%'"
                    ),
                ));
                Ok(())
            }
        }
    }

    /// Reads flags between braces: `+Q,-E`. What HAProxy ignores is only a warning.
    fn flags(&self, start: usize, end: usize, context: &mut ParseContext<'_>) -> Flags {
        let mut flags = self.defaults;
        let mut sign = None;
        for at in start..end {
            let bit = match self.word.text[at] {
                b'+' => {
                    sign = Some(true);
                    continue;
                }
                b'-' => {
                    sign = Some(false);
                    continue;
                }
                b',' | b' ' => {
                    sign = None;
                    continue;
                }
                b'Q' => Flags::QUOTE,
                b'X' => Flags::HEX,
                b'E' => Flags::ESCAPE,
                b'M' => Flags::MANDATORY,
                other => {
                    let span = self.word.span_of(at, at + 1);
                    let shown = char::from(other);
                    let message = format!("unknown flag '{shown}' has no effect (Q, X, E or M)");
                    context.warnings.push(LoadError::new(span, message));
                    continue;
                }
            };
            match sign {
                Some(true) => flags.0 |= bit,
                Some(false) => flags.0 &= !bit,
                None => {
                    let span = self.word.span_of(at, at + 1);
                    let message = "a flag without '+' or '-' before it has no effect".to_owned();
                    context.warnings.push(LoadError::new(span, message));
                }
            }
        }
        flags
    }

    fn alias(
        &mut self,
        start: usize,
        flags: Flags,
        has_flags: bool,
        context: &mut ParseContext<'_>,
    ) -> Result<(), LoadError> {
        let text = self.word.text;
        let name_start = self.at;
        let len = text[name_start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        self.at += len;
        let name = &text[name_start..self.at];
        if name == b"o" {
            if has_flags {
                self.defaults = flags;
            }
            return Ok(());
        }
        let Some(&(alias, _, http_only, _, _)) = find(name) else {
            return Err(self.unknown(start, name));
        };
        if http_only && context.section.proxy.is_some() && !context.section.is_http {
            let span = self.word.span_of(start, self.at);
            let shown = String::from_utf8_lossy(name);
            let message =
                format!("log-format variable '%{shown}' is for HTTP mode only and stays empty here");
            context.warnings.push(LoadError::new(span, message));
        }
        self.push(Item::Alias(alias, flags));
        Ok(())
    }

    fn unknown(&self, start: usize, name: &[u8]) -> LoadError {
        let shown = String::from_utf8_lossy(name).into_owned();
        let names = super::ALIASES.iter().map(|row| row.1);
        let hint =
            diag::nearest(&shown, names).map_or(String::new(), |name| format!("; did you mean '%{name}'?"));
        self.error(
            start,
            self.at,
            format!("no such format variable '{shown}'{hint} (a single '%' is written '%%')"),
        )
    }

    fn expression(&mut self, flags: Flags, context: &mut ParseContext<'_>) -> Result<(), LoadError> {
        let text = self.word.text;
        let start = self.at + 1;
        let (expr, end) = Expr::parse_prefix(self.word, start, context)?;
        match text.get(end) {
            Some(b']') => {}
            Some(&found) => {
                let message =
                    format!("expected ']' after '{}', found '{}'", self.shown(start, end), char::from(found));
                return Err(self.error(end, end + 1, message));
            }
            None => {
                let message = format!("missing ']' after '{}'", self.shown(start, end));
                return Err(self.error(self.at, end, message));
            }
        }
        self.at = end + 1;
        self.push(Item::Expr(Box::new(expr), flags));
        Ok(())
    }

    fn push(&mut self, item: Item) {
        self.flush();
        self.items.push(item);
    }
}
