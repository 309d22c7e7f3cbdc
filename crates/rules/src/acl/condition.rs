//! Conditions: `if` or `unless` and a disjunction of conjunctions of ACLs.

use super::predefined::PREDEFINED;
use super::{Acl, Criterion, Verdict, first_that_passes};
use crate::context::{LoadError, ParseContext, Word};
use crate::expr::Expr;
use crate::scope::Scope;
use crate::suggest::hint;
use std::sync::Arc;

/// Whether the rule applies when the condition holds or when it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    If,
    Unless,
}

/// A parsed `if …` or `unless …`.
#[derive(Debug, Clone)]
pub struct Condition {
    polarity: Polarity,
    /// Alternatives; each holds when all its terms do.
    suites: Vec<Vec<Term>>,
}

#[derive(Debug, Clone)]
struct Term {
    negated: bool,
    acl: Arc<Acl>,
}

impl Condition {
    /// Parses `words`, the first of which is `if` or `unless`.
    ///
    /// # Errors
    /// No condition, unknown ACLs, unclosed braces, all that an anonymous ACL may have wrong.
    pub fn parse(words: &[Word<'_>], context: &mut ParseContext<'_>) -> Result<Condition, LoadError> {
        let (keyword, rest) = match words {
            [] => return Err(LoadError::new(nowhere(), "a condition is expected here: 'if' or 'unless'")),
            [keyword, rest @ ..] => (keyword, rest),
        };
        let polarity = match keyword.text {
            b"if" => Polarity::If,
            b"unless" => Polarity::Unless,
            other => {
                let found = String::from_utf8_lossy(other);
                return Err(LoadError::new(
                    keyword.span,
                    format!("expected 'if' or 'unless', found '{found}'"),
                ));
            }
        };
        if rest.is_empty() {
            return Err(LoadError::new(keyword.span, "a condition is missing after this word"));
        }
        let suites = parse_suites(rest, context)?;
        let condition = Condition { polarity, suites };
        condition.warn(*keyword, context);
        Ok(condition)
    }

    /// Whether the rule applies. What is not known yet counts as not matched.
    pub fn matches(&self, scope: &Scope<'_>) -> bool {
        match self.test(scope) {
            Verdict::Pass => true,
            Verdict::Fail => false,
            Verdict::Wait => self.polarity == Polarity::Unless,
        }
    }

    /// Whether the rule applies, or whether that is not known yet. `Pass` means it applies, `unless` included.
    pub fn test(&self, scope: &Scope<'_>) -> Verdict {
        // Nearly all conditions are one ACL or one row of them.
        let verdict = match &self.suites[..] {
            [suite] => test_suite(suite, scope),
            suites => first_that_passes(suites, |suite| test_suite(suite, scope)),
        };
        match self.polarity {
            Polarity::If => verdict,
            Polarity::Unless => verdict.negate(),
        }
    }

    /// Whether a term reads a parsed HTTP message: in TCP rules the caller must parse one for it.
    pub fn uses_http(&self) -> bool {
        self.expressions().any(Expr::uses_http)
    }

    /// All expressions, for checks over the whole configuration.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.suites.iter().flatten().flat_map(|term| term.acl.criteria()).map(Criterion::expr)
    }

    /// Terms that can never have a value where the condition stands.
    fn warn(&self, keyword: Word<'_>, context: &mut ParseContext<'_>) {
        for term in self.suites.iter().flatten() {
            for expr in term.acl.criteria().iter().map(Criterion::expr) {
                if expr.places().meets(context.places) {
                    continue;
                }
                let message = format!(
                    "'{}' will never match here ({}): it works in: {}",
                    String::from_utf8_lossy(expr.source()),
                    context.places,
                    expr.places()
                );
                context.warnings.push(LoadError::new(keyword.span, message));
            }
        }
    }
}

impl Term {
    #[inline]
    fn test(&self, scope: &Scope<'_>) -> Verdict {
        let tested = self.acl.test(scope);
        if self.negated { tested.negate() } else { tested }
    }
}

fn test_suite(suite: &[Term], scope: &Scope<'_>) -> Verdict {
    if let [term] = suite {
        return term.test(scope);
    }
    let mut verdict = Verdict::Pass;
    for term in suite {
        verdict = verdict.and(term.test(scope));
        if verdict == Verdict::Fail {
            break;
        }
    }
    verdict
}

fn nowhere() -> diag::Span {
    diag::Span { file: diag::FileId(0), start: 0, end: 0 }
}

fn parse_suites(words: &[Word<'_>], context: &mut ParseContext<'_>) -> Result<Vec<Vec<Term>>, LoadError> {
    let mut suites = Vec::new();
    let mut suite = Vec::new();
    let mut negated = false;
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        at += 1;
        let mut text = word.text;
        let bangs = text.iter().take_while(|byte| **byte == b'!').count();
        negated ^= bangs % 2 == 1;
        text = &text[bangs..];
        if text.is_empty() {
            continue;
        }
        if bangs == 0 && (text == b"||" || text.eq_ignore_ascii_case(b"or")) {
            match suite.is_empty() {
                // HAProxy takes it and goes on.
                true => {
                    context.warnings.push(LoadError::new(word.span, "an ACL is missing before this 'or'"))
                }
                false => suites.push(std::mem::take(&mut suite)),
            }
            continue;
        }
        let acl = match text {
            b"{" => {
                let length = closing_brace(&words[at..])
                    .ok_or_else(|| LoadError::new(word.span, "missing closing '}' of an anonymous ACL"))?;
                let inside = &words[at..at + length];
                at += length + 1;
                anonymous(inside, word, context)?
            }
            name => named(name, word, context)?,
        };
        suite.push(Term { negated, acl });
        negated = false;
    }
    let last = words.last().map_or_else(nowhere, |word| word.span);
    if negated || (suites.is_empty() && suite.is_empty()) {
        return Err(LoadError::new(last, "an ACL is missing after this word"));
    }
    match suite.is_empty() {
        true => context.warnings.push(LoadError::new(last, "an ACL is missing after this 'or'")),
        false => suites.push(suite),
    }
    Ok(suites)
}

fn closing_brace(words: &[Word<'_>]) -> Option<usize> {
    words.iter().position(|word| word.text == b"}")
}

fn anonymous(
    inside: &[Word<'_>],
    brace: Word<'_>,
    context: &mut ParseContext<'_>,
) -> Result<Arc<Acl>, LoadError> {
    if inside.is_empty() {
        return Err(LoadError::new(brace.span, "an anonymous ACL needs a criterion between its braces"));
    }
    let criterion = Criterion::parse(inside, context)?;
    Ok(Arc::new(Acl { name: Box::default(), criteria: vec![criterion] }))
}

fn named(name: &[u8], word: Word<'_>, context: &mut ParseContext<'_>) -> Result<Arc<Acl>, LoadError> {
    if let Some(acl) = context.acls.get(name) {
        return Ok(acl.clone());
    }
    let shown = String::from_utf8_lossy(name);
    let Some((_, definition)) = PREDEFINED.iter().find(|(known, _)| *known == shown) else {
        let declared: Vec<String> =
            context.acls.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let known = declared.iter().map(String::as_str).chain(PREDEFINED.iter().map(|(name, _)| *name));
        return Err(LoadError::new(word.span, format!("there is no ACL '{shown}'{}", hint(&shown, known))));
    };
    let words: Vec<Word<'_>> =
        definition.iter().map(|text| Word { text: text.as_bytes(), span: word.span }).collect();
    let criterion = Criterion::parse(&words, context)?;
    Ok(Arc::new(Acl { name: name.into(), criteria: vec![criterion] }))
}
