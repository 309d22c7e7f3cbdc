//! Collects the check lines of a proxy section, in the order they are read, and completes them into a [`Recipe`]:
//! the implicit connect, request and expectation. Never parses words; that is the configuration crate's.

use crate::{
    Connect, Expect, FieldMatch, HttpSend, Match, Recipe, RecipeKind, SendField, StatusSet, Step, Text,
};

/// Steps a ruleset may have.
pub const STEPS_MAX: usize = 1024;

/// The `option …chk` and `…-check` lines of one section.
///
/// ```text
/// option httpchk GET /up      ─► set_http_request(..)
/// http-check send hdr host x  ─► push(Step::HttpSend(..))
/// http-check expect status 2… ─► push(Step::Expect(..))      finish() ─► Recipe
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    kind: RecipeKind,
    request: Option<HttpSend>,
    steps: Vec<Step>,
}

/// Why lines do not make a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulesetError {
    /// Rules that start without a `connect` although one comes later.
    ConnectMustComeFirst,
    /// HTTP: a `send` with no `connect` since the last expectation. The step counts from 1.
    SendWithoutConnect(usize),
    /// HTTP: an `expect` with no `send` before it.
    ExpectWithoutSend(usize),
    /// HTTP: a `connect` while the exchange before it has no expectation yet.
    ConnectWithoutExpect(usize),
    /// More than [`STEPS_MAX`] steps.
    TooLong,
}

/// `option httpchk` with the old trick of headers hidden behind the version, taken apart.
#[derive(Debug, Clone)]
pub struct LegacyHttpRequest {
    pub request: HttpSend,
    /// Headers or a body were hidden in the version: the user should be told of `http-check send`.
    pub has_hidden_fields: bool,
}

impl Ruleset {
    /// An empty ruleset; `kind` by the `option` that selects it.
    pub fn new(kind: RecipeKind) -> Ruleset {
        Ruleset { kind, ..Ruleset::default() }
    }

    /// The request of `option httpchk`.
    pub fn set_http_request(&mut self, request: HttpSend) {
        self.kind = RecipeKind::Http;
        self.request = Some(request);
    }

    /// Adds one rule. Rules are checked as they come, so that the error can point at the line.
    pub fn push(&mut self, mut step: Step) -> Result<(), RulesetError> {
        if self.steps.len() >= STEPS_MAX {
            return Err(RulesetError::TooLong);
        }
        let number = self.steps.len() + 1;
        if let Step::Connect(_) = step {
            let opens = self.steps.iter().all(|step| {
                matches!(step, Step::SetVariable(_) | Step::UnsetVariable { .. } | Step::Comment(_))
            });
            let connected = self.steps.iter().any(|step| matches!(step, Step::Connect(_)));
            if !opens && !connected {
                return Err(RulesetError::ConnectMustComeFirst);
            }
        }
        if self.kind == RecipeKind::Http {
            self.check_http_order(&step, number)?;
        }
        ignore_case_of_names(&mut step);
        self.steps.push(step);
        Ok(())
    }

    // An HTTP exchange is connect, send, expect…: there is no keep-alive between exchanges.
    fn check_http_order(&self, step: &Step, number: usize) -> Result<(), RulesetError> {
        let previous = self.steps.iter().rev().find(|step| {
            matches!(step, Step::Connect(_) | Step::Send(_) | Step::HttpSend(_) | Step::Expect(_))
        });
        match (step, previous) {
            (
                Step::HttpSend(_) | Step::Send(_),
                Some(Step::Expect(_) | Step::HttpSend(_) | Step::Send(_)),
            ) => Err(RulesetError::SendWithoutConnect(number)),
            (Step::Expect(_), Some(Step::Connect(_))) => Err(RulesetError::ExpectWithoutSend(number)),
            (Step::Connect(_), Some(Step::Connect(_) | Step::HttpSend(_) | Step::Send(_))) => {
                Err(RulesetError::ConnectWithoutExpect(number))
            }
            (
                Step::Connect(_)
                | Step::Send(_)
                | Step::HttpSend(_)
                | Step::Expect(_)
                | Step::SetVariable(_)
                | Step::UnsetVariable { .. }
                | Step::Comment(_),
                _,
            ) => Ok(()),
        }
    }

    /// Completes the steps.
    pub fn finish(self) -> Recipe {
        let Ruleset { kind, request, mut steps } = self;
        if kind == RecipeKind::Http {
            complete_request(&mut steps, request);
            if !ends_with_expect(&steps) {
                let mut expect = Expect::new(Match::Status(StatusSet::two_or_three_hundred()));
                expect.implicit = true;
                steps.push(Step::Expect(Box::new(expect)));
            }
        }
        if !steps.iter().any(|step| matches!(step, Step::Connect(_))) {
            steps.insert(0, Step::Connect(Box::new(Connect::implicit())));
        }
        Recipe { kind, steps }
    }
}

// Field names have no case, so neither have expressions for them.
fn ignore_case_of_names(step: &mut Step) {
    if let Step::Expect(expect) = step
        && let Match::Field(field) | Match::FullField(field) = &mut expect.test
        && let FieldMatch::Regex(pattern) = &mut field.name
    {
        *pattern = pattern.caseless();
    }
}

// The first `http-check send` takes what it does not say from the `option httpchk` line; without any, the line itself
// is the request.
fn complete_request(steps: &mut Vec<Step>, request: Option<HttpSend>) {
    let request = request.unwrap_or_default();
    for step in steps.iter_mut() {
        match step {
            Step::HttpSend(send) => {
                merge(send, request);
                return;
            }
            Step::Expect(_) | Step::Send(_) => break,
            Step::Connect(_) | Step::SetVariable(_) | Step::UnsetVariable { .. } | Step::Comment(_) => {}
        }
    }
    let after_connect =
        steps.iter().take_while(|step| !matches!(step, Step::Expect(_) | Step::Send(_))).count();
    steps.insert(after_connect, Step::HttpSend(Box::new(request)));
}

fn merge(send: &mut HttpSend, defaults: HttpSend) {
    let HttpSend { method, uri, version, fields, body, comment } = defaults;
    send.method = send.method.take().or(method);
    send.uri = send.uri.take().or(uri);
    send.version = send.version.take().or(version);
    send.comment = send.comment.take().or(comment);
    if send.fields.is_empty() {
        send.fields = fields;
    }
    send.body = send.body.take().or(body);
}

fn ends_with_expect(steps: &[Step]) -> bool {
    steps
        .iter()
        .rev()
        .find(|step| matches!(step, Step::Connect(_) | Step::Send(_) | Step::HttpSend(_) | Step::Expect(_)))
        .is_some_and(|step| matches!(step, Step::Expect(_)))
}

impl LegacyHttpRequest {
    /// `option httpchk [uri | method uri [version…]]`: the words after the option, escapes already resolved.
    /// Headers and a body behind the version (`HTTP/1.1\r\nHost:\ x`) are taken apart.
    pub fn from_words(words: &[&str]) -> LegacyHttpRequest {
        let mut request = HttpSend::default();
        let mut has_hidden_fields = false;
        let (method, uri, version) = match words {
            [] => (None, None, None),
            [uri] => (None, Some(*uri), None),
            [method, uri] => (Some(*method), Some(*uri), None),
            [method, uri, version, ..] => (Some(*method), Some(*uri), Some(*version)),
        };
        request.method = method.map(str::to_owned);
        request.uri = uri.map(|uri| Text::literal(uri.as_bytes()));
        if let Some(text) = version {
            let (line, rest) = match text.find(['\r', '\n']) {
                Some(end) => text.split_at(end),
                None => (text, ""),
            };
            request.version = Some(line.to_owned());
            has_hidden_fields = !rest.is_empty();
            if has_hidden_fields {
                take_hidden(&mut request, rest);
            }
        }
        LegacyHttpRequest { request, has_hidden_fields }
    }
}

fn take_hidden(request: &mut HttpSend, rest: &str) {
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    let (head, body) = match rest.split_once("\r\n\r\n") {
        Some((head, body)) => (head, body),
        None => (rest, ""),
    };
    for line in head.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        request
            .fields
            .push(SendField { name: name.trim().to_owned(), value: Text::literal(value.trim().as_bytes()) });
    }
    if !body.is_empty() {
        request.body = Some(Text::literal(body.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Send;

    fn step(word: &str, kind: RecipeKind) -> Step {
        match (word, kind) {
            ("connect", _) => Step::Connect(Box::default()),
            ("send", RecipeKind::Http) => Step::HttpSend(Box::default()),
            ("send", _) => Step::Send(Send { data: Text::literal("a"), comment: None }),
            ("expect", _) => Step::Expect(Box::new(Expect::new(Match::String(b"b".to_vec())))),
            ("comment", _) => Step::Comment("x".to_owned()),
            (other, _) => panic!("{other}"),
        }
    }

    #[test]
    fn orders_of_rules_are_judged_as_haproxy_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/checks/rulesets.tsv");
        let text = std::fs::read_to_string(path).unwrap();
        let mut wrong = Vec::new();
        for line in text.lines() {
            let [kind, words, verdict] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let kind = if kind == "http" { RecipeKind::Http } else { RecipeKind::Tcp };
            let mut ruleset = Ruleset::new(kind);
            let ours = words.split(' ').all(|word| ruleset.push(step(word, kind)).is_ok());
            if ours != (verdict == "valid") {
                wrong.push(line);
            }
        }
        assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), text.lines().count());
    }

    #[test]
    fn the_first_send_takes_what_it_does_not_say_from_the_option() {
        let mut ruleset = Ruleset::new(RecipeKind::Http);
        ruleset.set_http_request(LegacyHttpRequest::from_words(&["GET", "/up", "HTTP/1.1"]).request);
        let host = SendField { name: "host".to_owned(), value: Text::literal("x") };
        let send = HttpSend { fields: vec![host], ..HttpSend::default() };
        ruleset.push(Step::HttpSend(Box::new(send))).unwrap();
        let steps = ruleset.finish().steps;
        assert_eq!(steps.len(), 3, "connect, send, expect");
        let Step::HttpSend(send) = &steps[1] else { panic!("{steps:?}") };
        assert_eq!((send.method.as_deref(), send.version.as_deref()), (Some("GET"), Some("HTTP/1.1")));
        assert_eq!(send.fields.len(), 1);
    }
}
