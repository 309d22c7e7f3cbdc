//! The expressions of `.if`, `.elif` and `-cc` (configuration manual §2.4).

use super::Environment;

/// Parentheses and `!` may nest this deep.
const DEPTH_MAX: usize = 64;

/// What predicates are asked about.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub environment: &'a Environment,
    /// Names that `feature()` finds.
    pub features: &'a [&'a str],
    /// The version that conditions compare with, such as `2.6.12`.
    pub version: &'a str,
}

/// Why an expression could not be evaluated: a reason and the byte offset where it went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError {
    pub offset: usize,
    pub message: String,
}

/// One predicate: its name, how many arguments it takes, and what it says.
struct Predicate {
    name: &'static str,
    arguments: usize,
    holds: fn(&Facts<'_>, &[String]) -> bool,
}

/// Switches that `enabled()` knows and that are on.
const ENABLED: [&str; 6] = ["POLL", "EPOLL", "SPLICE", "GETADDRINFO", "REUSEPORT", "FAST-FORWARD"];

const PREDICATES: [Predicate; 10] = [
    Predicate { name: "defined", arguments: 1, holds: |facts, a| facts.environment.get(&a[0]).is_some() },
    Predicate { name: "feature", arguments: 1, holds: |facts, a| facts.features.contains(&a[0].as_str()) },
    Predicate { name: "streq", arguments: 2, holds: |_, a| a[0] == a[1] },
    Predicate { name: "strneq", arguments: 2, holds: |_, a| a[0] != a[1] },
    Predicate { name: "strstr", arguments: 2, holds: |_, a| a[0].contains(&a[1]) },
    Predicate {
        name: "version_atleast",
        arguments: 1,
        holds: |facts, a| version(facts.version) >= version(&a[0]),
    },
    Predicate {
        name: "version_before",
        arguments: 1,
        holds: |facts, a| version(facts.version) < version(&a[0]),
    },
    // There is no OpenSSL in here: no version of it is recent enough, none is older, and no library has its name.
    Predicate { name: "openssl_version_atleast", arguments: 1, holds: |_, _| false },
    Predicate { name: "openssl_version_before", arguments: 1, holds: |_, _| false },
    Predicate { name: "ssllib_name_startswith", arguments: 1, holds: |_, _| false },
];

/// Evaluates an expression. The empty one is false.
pub fn evaluate(text: &str, facts: &Facts<'_>) -> Result<bool, ConditionError> {
    let mut parser = Parser { text, at: 0, depth: 0, facts };
    parser.skip_spaces();
    if parser.at == text.len() {
        return Ok(false);
    }
    let value = parser.any()?;
    parser.skip_spaces();
    match text[parser.at..].chars().next() {
        None => Ok(value),
        Some(character) => {
            Err(parser.error(format!("unexpected character '{character}' at the end of the condition")))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    facts: &'a Facts<'a>,
}

impl Parser<'_> {
    /// `a || b || …`: every part is parsed, so that a mistake behind a true part is found too.
    fn any(&mut self) -> Result<bool, ConditionError> {
        let mut value = self.all()?;
        while self.take("||") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, ConditionError> {
        let mut value = self.term()?;
        while self.take("&&") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, ConditionError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("conditions are nested too deeply".to_owned()));
        }
        let value = self.term_inside()?;
        self.depth -= 1;
        Ok(value)
    }

    fn term_inside(&mut self) -> Result<bool, ConditionError> {
        if self.take("!") {
            return Ok(!self.term()?);
        }
        if self.take("(") {
            let value = self.any()?;
            if !self.take(")") {
                return Err(self.error("expected `)`".to_owned()));
            }
            return Ok(value);
        }
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let digits = digits.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let length = digits + usize::from(rest.starts_with('-'));
            let value = rest[..length].bytes().any(|byte| matches!(byte, b'1'..=b'9'));
            self.at += length;
            return Ok(value);
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<bool, ConditionError> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let name = &rest[..length];
        if name == "enabled" {
            self.at += length;
            let arguments = self.arguments(name, 1)?;
            return Ok(ENABLED.contains(&arguments[0].as_str()));
        }
        let Some(predicate) = PREDICATES.iter().find(|predicate| predicate.name == name) else {
            let names = PREDICATES.iter().map(|predicate| predicate.name);
            let hint = diag::nearest(name, names)
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            let shown = if name.is_empty() { rest } else { name };
            return Err(self.error(format!("unknown predicate '{shown}'{hint}")));
        };
        self.at += length;
        let arguments = self.arguments(name, predicate.arguments)?;
        Ok((predicate.holds)(self.facts, &arguments))
    }

    /// `(a,b)`: quotes and escapes inside work as on a line. A lone argument may be missing, it is empty then.
    fn arguments(&mut self, name: &str, count: usize) -> Result<Vec<String>, ConditionError> {
        let mut arguments = vec![String::new()];
        if self.text[self.at..].starts_with('(') {
            self.at += 1;
            let mut quote = None;
            loop {
                let Some(character) = self.text[self.at..].chars().next() else {
                    return Err(self.error(format!("expected `)` after the arguments of {name}()")));
                };
                self.at += character.len_utf8();
                match (character, quote) {
                    ('"' | '\'', None) => quote = Some(character),
                    (_, Some(open)) if character == open => quote = None,
                    ('\\', None | Some('"')) => {
                        if let Some(next) = self.text[self.at..].chars().next() {
                            self.at += next.len_utf8();
                            push(&mut arguments, next);
                        }
                    }
                    (')', None) => break,
                    (',', None) => arguments.push(String::new()),
                    (other, _) => push(&mut arguments, other),
                }
            }
        }
        // The parentheses may be left out where one argument is expected.
        if arguments.len() != count {
            return Err(self.error(format!("{name}() takes {count} argument(s), found {}", arguments.len())));
        }
        Ok(arguments)
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn error(&self, message: String) -> ConditionError {
        ConditionError { offset: self.at, message }
    }
}

fn push(arguments: &mut [String], character: char) {
    if let Some(last) = arguments.last_mut() {
        last.push(character);
    }
}

/// A version as something that orders: numbers, then whether it is a release (a `-dev` version comes before).
fn version(text: &str) -> (Vec<u32>, u32) {
    let (numbers, suffix) = text.split_once('-').unwrap_or((text, ""));
    let mut parts: Vec<u32> = numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    parts.resize(4, 0);
    let stage = match suffix.strip_prefix("dev") {
        Some(rest) => {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        }
        None => u32::MAX,
    };
    (parts, stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> Result<bool, String> {
        let mut environment = Environment::default();
        environment.set("HERE", "");
        let facts = Facts { environment: &environment, features: &["THREAD"], version: "2.6.12" };
        evaluate(text, &facts).map_err(|error| error.message)
    }

    #[test]
    fn expressions_follow_precedence() {
        for text in
            ["1", "-3", "!0", "0 || 1", "1 && (0 || 1)", "0 && 0 || 1", "!(0 || 0)", "!!1", "defined(HERE)"]
        {
            assert_eq!(holds(text), Ok(true), "{text}");
        }
        for text in ["", "0", "!1", "1 && 0", "defined(NOPE)", "defined", "feature(LUA)"] {
            assert_eq!(holds(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn predicates_compare_strings_and_versions() {
        for text in [
            "streq(a,a)",
            "strneq(a,b)",
            "streq(,)",
            r#"streq("a,b","a,b")"#,
            "feature(THREAD)",
            "version_atleast(2.6)",
            "version_atleast(2.6.12)",
            "version_before(2.6.13)",
            "version_before(3.0-dev1)",
            "version_atleast(2.4-dev19)",
            "version_atleast(2.6.12-dev3)",
            "!version_atleast(2.6.13-dev1)",
            "enabled(EPOLL)",
        ] {
            assert_eq!(holds(text), Ok(true), "{text}");
        }
    }

    #[test]
    fn mistakes_are_errors() {
        for text in ["foo(1)", "1 x", "12z", "(1", "1 &&", "streq(a", "streq(a,b,c)", "|| 1", "nosuch"] {
            assert!(holds(text).is_err(), "{text}");
        }
        assert!(holds(&"(".repeat(10_000)).is_err());
        assert!(holds("version_atlest(1)").unwrap_err().contains("did you mean `version_atleast`"));
    }
}
