//! ACLs and conditions: named and anonymous tests, combined by and, or and not, evaluated as far as needed.

mod condition;
mod criterion;
mod predefined;

pub use condition::{Condition, Polarity};
pub(crate) use criterion::Criterion;
pub use criterion::derived_names;

use crate::context::{LoadError, ParseContext, Word};
use crate::scope::Scope;
use std::collections::HashMap;
use std::sync::Arc;

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    /// Not known before more bytes came (TCP inspection only).
    Wait,
}

impl Verdict {
    fn negate(self) -> Verdict {
        match self {
            Verdict::Pass => Verdict::Fail,
            Verdict::Fail => Verdict::Pass,
            Verdict::Wait => Verdict::Wait,
        }
    }

    /// Both: a failure decides, else a wait.
    fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Wait, _) | (_, Verdict::Wait) => Verdict::Wait,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        }
    }

    /// Either: a pass decides, else a wait.
    fn or(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Pass, _) | (_, Verdict::Pass) => Verdict::Pass,
            (Verdict::Wait, _) | (_, Verdict::Wait) => Verdict::Wait,
            (Verdict::Fail, Verdict::Fail) => Verdict::Fail,
        }
    }
}

/// The alternatives joined by "or", as far as they have to be looked at.
fn first_that_passes<T>(alternatives: &[T], test: impl Fn(&T) -> Verdict) -> Verdict {
    let mut verdict = Verdict::Fail;
    for alternative in alternatives {
        verdict = verdict.or(test(alternative));
        if verdict == Verdict::Pass {
            break;
        }
    }
    verdict
}

/// A named test: several lines of one name are alternatives.
#[derive(Debug)]
pub struct Acl {
    pub name: Box<[u8]>,
    criteria: Vec<Criterion>,
}

impl Acl {
    fn test(&self, scope: &Scope<'_>) -> Verdict {
        match &self.criteria[..] {
            [criterion] => criterion.test(scope),
            criteria => first_that_passes(criteria, |criterion| criterion.test(scope)),
        }
    }

    fn criteria(&self) -> &[Criterion] {
        &self.criteria
    }
}

/// The ACLs declared in a section. Declare all lines of a section before its conditions are parsed: a condition keeps
/// the lines that are there when it is parsed.
#[derive(Debug, Default, Clone)]
pub struct AclSet {
    by_name: HashMap<Box<[u8]>, Vec<Criterion>>,
    built: HashMap<Box<[u8]>, Arc<Acl>>,
}

impl AclSet {
    /// No ACL; the predefined ones are always there.
    pub fn new() -> AclSet {
        AclSet::default()
    }

    /// Takes one `acl` line: `words` are its name, criterion, flags and patterns. Call on a copy of the context whose
    /// `acls` is not this set.
    ///
    /// # Errors
    /// A name with bytes that are not allowed; all that [`Expr::parse`](crate::Expr::parse) refuses; a matching method
    /// that does not fit; patterns that do not parse; files that cannot be read.
    pub fn declare(&mut self, words: &[Word<'_>], context: &mut ParseContext<'_>) -> Result<(), LoadError> {
        let criterion = AclSet::parse(words, context)?;
        self.insert(criterion);
        Ok(())
    }

    /// Parses one `acl` line for [`insert`](AclSet::insert).
    ///
    /// # Errors
    /// As [`declare`](AclSet::declare).
    pub fn parse(words: &[Word<'_>], context: &mut ParseContext<'_>) -> Result<NamedCriterion, LoadError> {
        let (name, rest) = match words {
            [] => {
                return Err(LoadError::new(
                    diag::Span { file: diag::FileId(0), start: 0, end: 0 },
                    "an ACL needs a name",
                ));
            }
            [name, rest @ ..] => (name, rest),
        };
        let is_allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if let Some(&byte) = name.text.iter().find(|byte| !is_allowed(byte)) {
            let message = format!(
                "'{}' is not allowed in the name of an ACL, only letters, digits, '-', '_', '.' and ':'",
                char::from(byte)
            );
            return Err(LoadError::new(name.span, message));
        }
        if name.text.eq_ignore_ascii_case(b"or") || name.text.is_empty() {
            return Err(LoadError::new(
                name.span,
                "an ACL cannot have this name: it is an operator of conditions",
            ));
        }
        if rest.is_empty() {
            return Err(LoadError::new(name.span, "an ACL needs a criterion after its name"));
        }
        let criterion = Criterion::parse(rest, context)?;
        Ok(NamedCriterion { name: name.text.into(), criterion })
    }

    /// Adds a parsed line.
    pub fn insert(&mut self, line: NamedCriterion) {
        let criteria = self.by_name.entry(line.name.clone()).or_default();
        criteria.push(line.criterion);
        let acl = Arc::new(Acl { name: line.name.clone(), criteria: criteria.clone() });
        self.built.insert(line.name, acl);
    }

    /// The ACL of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Acl>> {
        self.built.get(name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.built.keys().map(|name| &**name)
    }
}

/// A parsed `acl` line.
#[derive(Debug, Clone)]
pub struct NamedCriterion {
    name: Box<[u8]>,
    criterion: Criterion,
}
