//! One line to the lines it stands for: conditions, definitions, variables, sequences.

use super::{Text, sequence};
use crate::Host;
use diag::{Diagnostic, Report, Span};
use std::collections::HashMap;

/// Substitutions within substitutions.
const DEPTH_MAX: usize = 64;
/// Bytes of one line after substitutions.
const LINE_LENGTH_MAX: usize = 1 << 20;

/// Variables and the identity that `@` lines are compared with.
pub(super) struct Expander<'h> {
    host: &'h dyn Host,
    config_id: String,
    variables: HashMap<String, String>,
    /// Directory of the file being read.
    pub directory: String,
    random: Random,
    lines: usize,
    lines_max: usize,
    /// The limit was told.
    exhausted: bool,
}

/// What a `$…` at some place of a line is.
enum Reference<'l> {
    /// Name, length of the reference.
    Variable(&'l str, usize),
    /// Words within the braces, length.
    Special(&'l str, usize),
}

impl<'h> Expander<'h> {
    pub fn new(host: &'h dyn Host, config_id: Option<&str>, seed: u64, lines_max: usize) -> Expander<'h> {
        let config_id = match config_id {
            Some(id) => id.to_owned(),
            // The node name up to its first dot.
            None => host.host_name().split('.').next().unwrap_or_default().to_owned(),
        };
        Expander {
            host,
            config_id,
            variables: HashMap::new(),
            directory: String::new(),
            random: Random(seed),
            lines: 0,
            lines_max,
            exhausted: false,
        }
    }

    pub fn seed(&mut self, seed: u64) {
        self.random = Random(seed);
    }

    /// Defines a variable, as a `$NAME=value` line does. Lines of the value are separated by line feeds.
    pub fn define(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Does this line define a variable? Its name and the first byte of the value.
    pub fn definition(line: &str) -> Option<(&str, usize)> {
        let rest = line.strip_prefix('$')?;
        let length = name_length(rest);
        rest[length..]
            .starts_with('=')
            .then(|| (&rest[..length], length + 2))
            .filter(|(name, _)| !name.is_empty())
    }

    /// Strips `@id` and `@^id` from the start of a line; `None` when the line is for another node.
    pub fn condition(&self, line: &Text) -> Option<Text> {
        let mut line = line.trimmed();
        while let Some(rest) = line.value.strip_prefix('@') {
            let (negative, rest) = match rest.strip_prefix('^') {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
            if (rest[..end] == self.config_id) == negative {
                return None;
            }
            let start = line.value.len() - rest.len() + end;
            line = line.slice(start, line.value.len()).trimmed();
        }
        Some(line)
    }

    /// Hands every line that `line` stands for to `emit`, in order.
    pub fn expand(&mut self, line: &Text, report: &mut Report, emit: &mut dyn FnMut(&Text, &mut Report)) {
        self.expand_at(line, 0, report, emit);
    }

    fn expand_at(
        &mut self,
        line: &Text,
        depth: usize,
        report: &mut Report,
        emit: &mut dyn FnMut(&Text, &mut Report),
    ) {
        if self.exhausted {
            return;
        }
        let Some(line) = self.condition(line) else {
            return;
        };
        if line.value.is_empty() {
            return;
        }
        if depth > DEPTH_MAX || line.value.len() > LINE_LENGTH_MAX {
            self.fail(
                line.whole(),
                format!("variables refer to each other without end (more than {DEPTH_MAX} times)"),
                report,
            );
            return;
        }
        if let Some((name, start)) = Self::definition(&line.value) {
            let (name, value) = (name.to_owned(), line.value[start..].trim().to_owned());
            self.define(&name, value);
            return;
        }
        if line.value.starts_with("~SEQ") || line.value.starts_with("~LST") {
            self.repeat(&line, depth, report, emit);
            return;
        }
        match self.substitute(&line, line.value.len()) {
            Some(expanded) => {
                for part in split_lines(&expanded) {
                    self.expand_at(&part, depth + 1, report, emit);
                }
            }
            None => {
                self.lines += 1;
                if self.lines > self.lines_max {
                    let message = format!("the configuration expands to more than {} lines", self.lines_max);
                    self.fail(line.whole(), message, report);
                    return;
                }
                self.warn_undefined(&line, report);
                emit(&line, report);
            }
        }
    }

    fn fail(&mut self, span: Span, message: String, report: &mut Report) {
        self.exhausted = true;
        report.push(Diagnostic::alert(span, message));
    }

    fn repeat(
        &mut self,
        line: &Text,
        depth: usize,
        report: &mut Report,
        emit: &mut dyn FnMut(&Text, &mut Report),
    ) {
        // Bounds may be variables; what follows must stay as it is until each round has its values.
        let close = line.value.find(')').map_or(line.value.len(), |close| close + 1);
        let line = self.substitute_all(line, close);
        let (sequence, end) = match sequence::parse(&line.value) {
            Some(Ok(parsed)) => parsed,
            Some(Err(reason)) => {
                let end = line.value.find(')').map_or(line.value.len(), |close| close + 1);
                report.push(Diagnostic::alert(
                    line.span(0, end),
                    format!("this sequence cannot be read: {reason}"),
                ));
                return;
            }
            None => return,
        };
        let rest = line.slice(end, line.value.len());
        for round in sequence.rounds {
            if self.exhausted {
                return;
            }
            for (name, value) in sequence.names.iter().zip(round) {
                self.define(name, value);
            }
            self.expand_at(&rest, depth + 1, report, emit);
        }
    }

    fn substitute_all(&mut self, line: &Text, mut until: usize) -> Text {
        let mut line = line.clone();
        for _ in 0..DEPTH_MAX {
            let tail = line.value.len() - until;
            match self.substitute(&line, until) {
                Some(next) => {
                    until = next.value.len() - tail;
                    line = next;
                }
                None => break,
            }
        }
        line
    }

    /// Replaces each variable before byte `until` once; `None` when there was none that is known.
    fn substitute(&mut self, line: &Text, until: usize) -> Option<Text> {
        let mut expanded: Option<Text> = None;
        let mut copied = 0;
        let mut at = 0;
        while let Some(found) = line.value[at..until].find('$') {
            let start = at + found;
            let (value, length) = match reference(&line.value[start..]) {
                Some(Reference::Variable(name, length)) => (self.value(name), length),
                Some(Reference::Special(words, length)) => (self.special(words), length),
                None => (None, 1),
            };
            at = start + length;
            if let Some(value) = value {
                let replaced = Text::substituted(line.span(start, at), value);
                let target = expanded.get_or_insert_with(|| line.slice(0, 0));
                target.push_part(line, copied, start);
                target.push_part(&replaced, 0, replaced.value.len());
                copied = at;
            }
            if at >= until {
                break;
            }
        }
        let mut expanded = expanded?;
        expanded.push_part(line, copied, line.value.len());
        Some(expanded)
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "_PWD" => Some(self.directory.clone()),
            "_INSTANCE" => Some(self.config_id.clone()),
            "_HASH" => Some("#".to_owned()),
            "_BANG" => Some("!".to_owned()),
            name => self.variables.get(name).cloned(),
        }
    }

    /// `${_RANDOM min max}` and `${_ENV NAME}`.
    fn special(&mut self, words: &str) -> Option<String> {
        let mut words = words.split_ascii_whitespace();
        match words.next()? {
            "_RANDOM" => {
                let least = words.next().map_or(Some(0), |word| word.parse::<u32>().ok())?;
                let most = words.next().map_or(Some(32_767.max(least)), |word| word.parse::<u32>().ok())?;
                let width = u64::from(most.checked_sub(least)?) + 1;
                Some((u64::from(least) + self.random.next() % width).to_string())
            }
            "_ENV" => Some(self.host.environment(words.next()?).unwrap_or_default()),
            _ => None,
        }
    }

    /// A reference left over names nothing: in a script that may be meant, so it stays.
    fn warn_undefined(&self, line: &Text, report: &mut Report) {
        let mut at = 0;
        while let Some(found) = line.value[at..].find('$') {
            let start = at + found;
            at = start + 1;
            if let Some(Reference::Variable(name, length) | Reference::Special(name, length)) =
                reference(&line.value[start..])
            {
                let mut diagnostic = Diagnostic::notice(
                    line.span(start, start + length),
                    format!("variable `{name}` is not defined: the text stays as it is"),
                );
                if let Some(near) = diag::nearest(name, self.variables.keys().map(String::as_str)) {
                    diagnostic = diagnostic.with_help(format!("did you mean `{near}`?"));
                }
                report.push(diagnostic);
            }
        }
    }
}

/// Letters, digits and `_`, not starting with a digit.
fn name_length(text: &str) -> usize {
    let length = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if text.starts_with(|c: char| c.is_ascii_digit()) { 0 } else { length }
}

/// `$NAME` before a blank or a brace, `${NAME}`, `${NAME words}`.
fn reference(text: &str) -> Option<Reference<'_>> {
    let rest = text.strip_prefix('$')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let close = inner.find('}')?;
        let name = &inner[..close];
        return match name_length(name) {
            0 => None,
            length if length == name.len() && name != "_RANDOM" => Some(Reference::Variable(name, close + 3)),
            length if length == name.len() || name.as_bytes()[length] == b' ' => {
                Some(Reference::Special(name, close + 3))
            }
            _ => None,
        };
    }
    match name_length(rest) {
        0 => None,
        length => Some(Reference::Variable(&rest[..length], length + 1)),
    }
}

fn split_lines(text: &Text) -> Vec<Text> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.value.split('\n') {
        lines.push(text.slice(start, start + line.len()));
        start += line.len() + 1;
    }
    lines
}

/// xorshift64*: repeatable for a given seed, as `random_seed` asks for.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        let mut x = self.0 | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }
}
