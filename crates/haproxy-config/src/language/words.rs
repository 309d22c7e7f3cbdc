//! One line → words: quotes, escapes, comments and variables (configuration manual §2.2, §2.3).

use super::Word;
use diag::{FileId, Span};

/// Words a line may have, as in HAProxy.
pub const LINE_WORDS_MAX: usize = 64;

/// Why a line could not be cut into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordError {
    pub span: Span,
    pub message: String,
}

/// What the words of a line are read with.
pub struct WordReader<'a> {
    pub file: FileId,
    /// Offset of the line in its file.
    pub offset: usize,
    /// The value of a variable, pseudo-variables (`.FILE`, `.LINE`, `.SECTION`) included.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// A word while it grows.
#[derive(Default)]
struct Draft {
    bytes: Vec<u8>,
    start: usize,
    /// A quote or a character was seen: even an empty word counts then.
    started: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Strong,
    Weak,
}

impl WordReader<'_> {
    /// Cuts one line (without its line feed) into words.
    pub fn read(&self, line: &[u8]) -> Result<Vec<Word>, WordError> {
        let mut words: Vec<Word> = Vec::new();
        let mut draft = Draft::default();
        let mut quote = Quote::None;
        let mut quote_at = 0;
        let mut at = 0;
        while at < line.len() {
            let byte = line[at];
            if !draft.started {
                draft.start = at;
            }
            match (byte, quote) {
                (b'"', Quote::None | Quote::Weak) => {
                    (quote, quote_at) = (if quote == Quote::None { Quote::Weak } else { Quote::None }, at);
                    draft.started = true;
                    at += 1;
                }
                (b'\'', Quote::None | Quote::Strong) => {
                    (quote, quote_at) = (if quote == Quote::None { Quote::Strong } else { Quote::None }, at);
                    draft.started = true;
                    at += 1;
                }
                (b'\\', Quote::None | Quote::Weak) => {
                    let (value, used) = self.escape(line, at)?;
                    draft.bytes.push(value);
                    draft.started = true;
                    at += used;
                }
                (b'#', Quote::None) => break,
                (b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c, Quote::None) => {
                    self.finish(&mut draft, at, &mut words)?;
                    at += 1;
                }
                (b'$', Quote::Weak) => at = self.expand(line, at, &mut draft, &mut words)?,
                (0, _) => return Err(self.error(at, 1, "a NUL byte cannot stand in a configuration")),
                (byte, _) => {
                    draft.bytes.push(byte);
                    draft.started = true;
                    at += 1;
                }
            }
        }
        if quote != Quote::None {
            return Err(self.error(quote_at, 1, "unmatched quote"));
        }
        self.finish(&mut draft, at, &mut words)?;
        Ok(words)
    }

    /// The byte an escape at `at` stands for, and its length in the source.
    fn escape(&self, line: &[u8], at: usize) -> Result<(u8, usize), WordError> {
        let Some(next) = line.get(at + 1) else {
            return Ok((b'\\', 1));
        };
        match next {
            b' ' | b'\t' | b'\\' | b'#' | b'"' | b'\'' | b'$' => Ok((*next, 2)),
            b't' => Ok((b'\t', 2)),
            b'r' => Ok((b'\r', 2)),
            b'n' => Ok((b'\n', 2)),
            b'x' => {
                let digit = |index: usize| line.get(index).and_then(|byte| char::from(*byte).to_digit(16));
                match (digit(at + 2), digit(at + 3)) {
                    (Some(0), Some(0)) => {
                        Err(self.error(at, 4, "`\\x00`: a NUL byte cannot stand in a configuration"))
                    }
                    (Some(high), Some(low)) => Ok(((high * 16 + low) as u8, 4)),
                    _ => Err(self
                        .error(at, 2, "truncated or invalid hexadecimal sequence")
                        .with_hint("`\\x` takes two hexadecimal digits")),
                }
            }
            // Other backslashes stay: regular expressions are full of them.
            _ => Ok((b'\\', 1)),
        }
    }

    /// Expands the variable at `at` into the draft; returns where the text goes on.
    fn expand(
        &self,
        line: &[u8],
        at: usize,
        draft: &mut Draft,
        words: &mut Vec<Word>,
    ) -> Result<usize, WordError> {
        let braced = line.get(at + 1) == Some(&b'{');
        let name_start = at + 1 + usize::from(braced);
        let first = line.get(name_start).copied().unwrap_or(0);
        if !(first.is_ascii_alphabetic() || first == b'_' || first == b'.') {
            return Err(self
                .error(name_start, 1, "a variable name starts with a letter or `_`")
                .with_hint("a literal `$` is written `\\$` inside double quotes, or put in single quotes"));
        }
        let mut end = name_start + 1;
        while line.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            end += 1;
        }
        let name = String::from_utf8_lossy(&line[name_start..end]).into_owned();
        let mut as_list = false;
        let mut default = None;
        if braced {
            if line[end..].starts_with(b"[*]") {
                as_list = true;
                end += 3;
            }
            if line.get(end) == Some(&b'-') {
                let from = end + 1;
                end = line[from..]
                    .iter()
                    .position(|byte| *byte == b'}')
                    .map_or(line.len(), |found| from + found);
                default = Some(String::from_utf8_lossy(&line[from..end]).into_owned());
            }
            if line.get(end) != Some(&b'}') {
                return Err(self.error(
                    name_start,
                    end - name_start,
                    "unmatched brace in environment variable",
                ));
            }
            end += 1;
        }
        let value = (self.variable)(&name).or(default).unwrap_or_default();
        if !as_list {
            draft.bytes.extend_from_slice(value.as_bytes());
            draft.started = true;
            return Ok(end);
        }
        for (index, part) in value.split_ascii_whitespace().enumerate() {
            if index > 0 {
                self.finish(draft, end, words)?;
                draft.start = at;
            }
            draft.bytes.extend_from_slice(part.as_bytes());
            draft.started = true;
        }
        Ok(end)
    }

    fn finish(&self, draft: &mut Draft, end: usize, words: &mut Vec<Word>) -> Result<(), WordError> {
        if !draft.started {
            return Ok(());
        }
        let span = self.span(draft.start, end - draft.start);
        if words.len() == LINE_WORDS_MAX {
            let message = format!("a line may have {LINE_WORDS_MAX} words at most");
            return Err(WordError { span, message });
        }
        words.push(Word::new(std::mem::take(&mut draft.bytes), span));
        *draft = Draft::default();
        Ok(())
    }

    fn span(&self, at: usize, length: usize) -> Span {
        let start = (self.offset + at) as u32;
        Span { file: self.file, start, end: start + length.max(1) as u32 }
    }

    fn error(&self, at: usize, length: usize, message: &str) -> WordError {
        WordError { span: self.span(at, length), message: message.to_owned() }
    }
}

impl WordError {
    fn with_hint(mut self, hint: &str) -> Self {
        self.message = format!("{}: {hint}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(line: &str) -> Result<Vec<String>, String> {
        let variable = |name: &str| match name {
            "NAME" => Some("a b".to_owned()),
            "EMPTY" => Some(String::new()),
            ".LINE" => Some("7".to_owned()),
            _ => None,
        };
        let reader = WordReader { file: FileId(0), offset: 0, variable: &variable };
        let words = reader.read(line.as_bytes()).map_err(|error| error.message)?;
        Ok(words.into_iter().map(|word| word.value).collect())
    }

    #[test]
    fn quotes_and_escapes_give_one_word() {
        // The five equivalent spellings of configuration manual §2.2.
        for line in [
            r#"log-format %{+Q}o\ %t\ %s\ %{-Q}r"#,
            r#"log-format "%{+Q}o %t %s %{-Q}r""#,
            r#"log-format '%{+Q}o %t %s %{-Q}r'"#,
            r#"log-format "%{+Q}o %t"' %s %{-Q}r'"#,
            r#"log-format "%{+Q}o %t"' %s'\ %{-Q}r"#,
        ] {
            assert_eq!(words_of(line).unwrap(), ["log-format", "%{+Q}o %t %s %{-Q}r"], "{line}");
        }
    }

    #[test]
    fn escapes_name_bytes_and_other_backslashes_stay() {
        assert_eq!(words_of(r"a\x41\t\n\r\\ \# \. '\n'").unwrap(), ["aA\t\n\r\\", "#", r"\.", r"\n"]);
        assert!(words_of(r"a\x4").unwrap_err().contains("hexadecimal"));
        assert!(words_of(r"a\x00").unwrap_err().contains("NUL"));
    }

    #[test]
    fn a_hash_ends_the_line_even_inside_a_word() {
        assert_eq!(words_of("global#comment here").unwrap(), ["global"]);
        assert_eq!(words_of("  \t # only a comment").unwrap(), [""; 0]);
    }

    #[test]
    fn variables_live_inside_double_quotes_only() {
        assert_eq!(words_of(r#"x "$NAME" '$NAME' $NAME"#).unwrap(), ["x", "a b", "$NAME", "$NAME"]);
        assert_eq!(
            words_of(r#""${NAME[*]}" "${NOPE-d e}" "${EMPTY-d}" "\$NAME""#).unwrap(),
            ["a", "b", "d e", "", "$NAME"]
        );
        assert_eq!(words_of(r#"l"${.LINE}""#).unwrap(), ["l7"]);
    }

    #[test]
    fn broken_quotes_and_variables_are_errors() {
        assert!(words_of(r#"a "b"#).unwrap_err().contains("unmatched quote"));
        assert!(words_of("a 'b").unwrap_err().contains("unmatched quote"));
        assert!(words_of(r#""${NAME""#).unwrap_err().contains("brace"));
        assert!(words_of(r#""${NAME:-x}""#).unwrap_err().contains("brace"));
        assert!(words_of(r#""$1""#).unwrap_err().contains("variable name"));
    }

    #[test]
    fn a_line_of_too_many_words_is_refused() {
        assert_eq!(words_of(&"w ".repeat(LINE_WORDS_MAX)).unwrap().len(), LINE_WORDS_MAX);
        assert!(words_of(&"w ".repeat(LINE_WORDS_MAX + 1)).unwrap_err().contains("words"));
    }
}
