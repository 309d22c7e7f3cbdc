//! Edits of a message: fields, path, query, method, status. Two steps, because what an edit writes is computed from
//! the message it changes: [`Edit::evaluate`] reads, [`Edit::apply`] writes. Owns no policy about failures: strict mode
//! is the engine's.

use super::normalize::Normalizer;
use crate::log_format::LogContext;
use crate::regex::{self, Regex};
use crate::{LogFormat, Scope};
use http::Head;

/// A change of a message.
#[derive(Debug, Clone)]
pub enum Edit {
    AddHeader {
        name: Box<[u8]>,
        value: LogFormat,
    },
    /// Removes all lines of that name, then adds one.
    SetHeader {
        name: Box<[u8]>,
        value: LogFormat,
    },
    DelHeader(NameMatch),
    /// Regular expression on whole lines.
    ReplaceHeader {
        name: Box<[u8]>,
        regex: Regex,
        value: LogFormat,
    },
    /// Regular expression on each comma-separated value.
    ReplaceValue {
        name: Box<[u8]>,
        regex: Regex,
        value: LogFormat,
    },
    ReplacePath {
        regex: Regex,
        value: LogFormat,
    },
    ReplacePathQuery {
        regex: Regex,
        value: LogFormat,
    },
    ReplaceUri {
        regex: Regex,
        value: LogFormat,
    },
    SetMethod(LogFormat),
    /// The query stays.
    SetPath(LogFormat),
    SetPathQuery(LogFormat),
    /// Without a question mark: one that is given is part of the query.
    SetQuery(LogFormat),
    SetUri(LogFormat),
    /// Without a reason: the usual one of that status.
    SetStatus {
        status: u16,
        reason: Option<Box<[u8]>>,
    },
    Normalize(Normalizer),
}

/// `del-header <name> [-m <method>]`.
#[derive(Debug, Clone)]
pub enum NameMatch {
    Exact(Box<[u8]>),
    Begins(Box<[u8]>),
    Ends(Box<[u8]>),
    Contains(Box<[u8]>),
    Regex(Regex),
}

impl NameMatch {
    /// Whether a field of that name is meant. Names compare without case; expressions see the name as received.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            NameMatch::Exact(text) => name.eq_ignore_ascii_case(text),
            NameMatch::Begins(text) => {
                name.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
            }
            NameMatch::Ends(text) => {
                name.len() >= text.len() && name[name.len() - text.len()..].eq_ignore_ascii_case(text)
            }
            NameMatch::Contains(text) => {
                text.is_empty() || name.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
            }
            NameMatch::Regex(regex) => regex.is_match(&name.to_ascii_lowercase()),
        }
    }
}

/// Why an edit was not made: the message stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditError {
    /// What was to be written cannot stand there: a line break in a field, a space in a path.
    Invalid,
    /// `normalize-uri … strict`, or a path that climbs above its root: the request is bad (400).
    BadRequest,
}

impl Edit {
    /// Computes the text that the edit needs and puts it into `text`, which comes back empty when there is none.
    pub fn evaluate(&self, scope: &Scope<'_>, context: &mut LogContext, text: &mut Vec<u8>) {
        text.clear();
        match self {
            Edit::AddHeader { value, .. }
            | Edit::SetHeader { value, .. }
            | Edit::ReplaceHeader { value, .. }
            | Edit::ReplaceValue { value, .. }
            | Edit::ReplacePath { value, .. }
            | Edit::ReplacePathQuery { value, .. }
            | Edit::ReplaceUri { value, .. }
            | Edit::SetMethod(value)
            | Edit::SetPath(value)
            | Edit::SetPathQuery(value)
            | Edit::SetQuery(value)
            | Edit::SetUri(value) => value.write(scope, context, text),
            Edit::DelHeader(_) | Edit::SetStatus { .. } | Edit::Normalize(_) => {}
        }
    }

    /// Makes the edit with what [`evaluate`](Edit::evaluate) gave.
    ///
    /// # Errors
    /// The message is unchanged.
    pub fn apply(&self, head: &mut Head, text: &[u8]) -> Result<(), EditError> {
        match self {
            Edit::AddHeader { name, .. } => head.add(name, field_value(text)?),
            Edit::SetHeader { name, .. } => head.set(name, field_value(text)?),
            Edit::DelHeader(NameMatch::Exact(name)) => {
                head.remove(name);
            }
            Edit::DelHeader(wanted) => {
                head.remove_matching(&mut |name| wanted.matches(name));
            }
            Edit::ReplaceHeader { name, regex, .. } => {
                field_value(text)?;
                let mut groups = regex.locations();
                head.replace_lines(name, &mut |line, out| replace_first(regex, text, line, &mut groups, out));
            }
            Edit::ReplaceValue { name, regex, .. } => {
                field_value(text)?;
                let mut groups = regex.locations();
                head.replace_values(name, &mut |value, out| {
                    replace_first(regex, text, value, &mut groups, out)
                });
            }
            Edit::ReplacePath { regex, .. } => {
                if let Some(new) = replaced(regex, text, head.path()) {
                    head.set_path(target_part(&new)?);
                }
            }
            Edit::ReplacePathQuery { regex, .. } => {
                if let Some(new) = replaced(regex, text, head.path_and_query()) {
                    head.set_path_and_query(target_part(&new)?);
                }
            }
            Edit::ReplaceUri { regex, .. } => {
                if let Some(new) = replaced(regex, text, head.uri()) {
                    head.set_uri(target_part(&new)?);
                }
            }
            Edit::SetMethod(_) => {
                if !http::is_token_bytes(text) {
                    return Err(EditError::Invalid);
                }
                head.set_method(text);
            }
            Edit::SetPath(_) => head.set_path(target_part(text)?),
            Edit::SetPathQuery(_) => head.set_path_and_query(target_part(text)?),
            Edit::SetQuery(_) => head.set_query(target_part(text)?),
            Edit::SetUri(_) => head.set_uri(target_part(text)?),
            Edit::SetStatus { status, reason } => head.set_status(*status, reason.as_deref()),
            Edit::Normalize(normalizer) => normalizer.apply(head)?,
        }
        Ok(())
    }
}

fn field_value(text: &[u8]) -> Result<&[u8], EditError> {
    if http::is_field_value(text) { Ok(text) } else { Err(EditError::Invalid) }
}

/// A space, a line break or another control character would end the request line early or split it.
fn target_part(text: &[u8]) -> Result<&[u8], EditError> {
    match text.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        true => Err(EditError::Invalid),
        false => Ok(text),
    }
}

/// Writes `subject` with the first match replaced; false: no match.
fn replace_first(
    regex: &Regex,
    template: &[u8],
    subject: &[u8],
    groups: &mut pcre2::bytes::CaptureLocations,
    out: &mut Vec<u8>,
) -> bool {
    if regex.find(subject, 0, groups).is_none() {
        return false;
    }
    regex::expand(template, subject, groups, out);
    true
}

fn replaced(regex: &Regex, template: &[u8], subject: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    replace_first(regex, template, subject, &mut regex.locations(), &mut out).then_some(out)
}
