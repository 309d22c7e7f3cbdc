//! The words of check reports: where in the recipe a failure happened, and what was not found. Interface texts of
//! HAProxy 2.6, which operators grep for.

use crate::{Expect, Match, PortSource, Recipe, RecipeKind, Step};

/// Longest description of an outcome, in bytes.
pub(crate) const DESCRIPTION_MAX: usize = 127;

/// The number of a step as users count: from 1, without those they did not write.
pub(crate) fn number(recipe: &Recipe, step: usize) -> usize {
    recipe.steps.iter().take(step + 1).filter(|step| !is_implicit(step)).count()
}

fn is_implicit(step: &Step) -> bool {
    match step {
        Step::Connect(connect) => connect.implicit,
        Step::Expect(expect) => expect.implicit,
        Step::Send(_)
        | Step::HttpSend(_)
        | Step::SetVariable(_)
        | Step::UnsetVariable { .. }
        | Step::Comment(_) => false,
    }
}

/// The comment of a step: its own, else that of the `comment` rule right before it.
pub(crate) fn comment(recipe: &Recipe, step: usize) -> Option<&str> {
    let own = match recipe.steps.get(step)? {
        Step::Connect(connect) => connect.comment.as_deref(),
        Step::Send(send) => send.comment.as_deref(),
        Step::HttpSend(send) => send.comment.as_deref(),
        Step::Expect(expect) => expect.comment.as_deref(),
        Step::SetVariable(_) | Step::UnsetVariable { .. } | Step::Comment(_) => None,
    };
    own.or_else(|| match recipe.steps.get(step.checked_sub(1)?)? {
        Step::Comment(text) => Some(text.as_str()),
        Step::Connect(_)
        | Step::Send(_)
        | Step::HttpSend(_)
        | Step::Expect(_)
        | Step::SetVariable(_)
        | Step::UnsetVariable { .. } => None,
    })
}

/// ` comment: 'text'`, or nothing.
pub(crate) fn quoted_comment(recipe: &Recipe, step: usize) -> String {
    comment(recipe, step).map_or(String::new(), |text| format!(" comment: '{text}'"))
}

/// `text comment: …`.
pub(crate) fn with_comment(text: &str, comment: Option<&str>) -> String {
    match comment {
        Some(comment) => format!("{text} comment: {comment}"),
        None => text.to_owned(),
    }
}

/// ` at step 2 of tcp-check (expect string '+OK')`: behind connection errors and alone for timeouts. Only rulesets
/// that were written have steps to speak of; HTTP checks and plain connects do not.
pub(crate) fn at_step(recipe: &Recipe, step: usize) -> String {
    match recipe.kind {
        RecipeKind::Http | RecipeKind::Protocol | RecipeKind::Agent => return String::new(),
        RecipeKind::Tcp => {}
    }
    let Some(current) = recipe.steps.get(step) else { return String::new() };
    let place = match current {
        Step::Connect(connect) if connect.implicit && recipe.steps.len() == 1 => return String::new(),
        Step::Connect(connect) if connect.implicit => {
            return " at initial connection step of tcp-check".to_owned();
        }
        Step::Connect(connect) => match &connect.port {
            Some(PortSource::Fixed(port)) => format!(" (connect port {port})"),
            Some(PortSource::Expr(_)) | None => " (connect)".to_owned(),
        },
        Step::Send(_) | Step::HttpSend(_) => " (send)".to_owned(),
        Step::Expect(expect) => format!(" (expect {})", expected(&expect.test)),
        Step::SetVariable(_) | Step::UnsetVariable { .. } | Step::Comment(_) => String::new(),
    };
    format!(" at step {} of tcp-check{place}{}", number(recipe, step), quoted_comment(recipe, step))
}

fn expected(test: &Match) -> String {
    match test {
        Match::String(bytes) => format!("string '{}'", String::from_utf8_lossy(bytes)),
        Match::Binary(bytes) => format!("binary '{}'", String::from_utf8_lossy(bytes)),
        Match::Regex(_) => "regex".to_owned(),
        Match::BinaryRegex(_) => "binary regex".to_owned(),
        Match::StringFormat(_) => "log-format string".to_owned(),
        Match::BinaryFormat(_) => "log-format binary".to_owned(),
        Match::Status(_) => "HTTP status codes".to_owned(),
        Match::StatusRegex(_) => "HTTP status regex".to_owned(),
        Match::Field(_) | Match::FullField(_) => "HTTP header pattern".to_owned(),
        Match::Reply(_) | Match::AgentReply => "custom function".to_owned(),
    }
}

/// `TCPCHK did not match content 'x' at step 2`.
pub(crate) fn tcp_mismatch(expect: &Expect, number: usize, comment: Option<&str>) -> String {
    let verdict =
        if expect.negated { "TCPCHK matched unwanted content" } else { "TCPCHK did not match content" };
    let what = match &expect.test {
        Match::String(bytes) => format!("'{}'", String::from_utf8_lossy(bytes)),
        Match::Binary(_) => "(binary)".to_owned(),
        Match::Regex(_) => "(regex)".to_owned(),
        Match::BinaryRegex(_) => "(binary regex)".to_owned(),
        Match::StringFormat(_) => "(log-format string)".to_owned(),
        Match::BinaryFormat(_) => "(log-format binary)".to_owned(),
        Match::Status(_) | Match::StatusRegex(_) => "(status codes)".to_owned(),
        Match::Field(_) | Match::FullField(_) => "(header pattern)".to_owned(),
        Match::Reply(_) | Match::AgentReply => "(custom function)".to_owned(),
    };
    with_comment(&format!("{verdict} {what} at step {number}"), comment)
}

/// A description as logs quote it: bytes outside printable ASCII and quotes as `<22>`.
pub fn encode_info(description: &str) -> String {
    let mut out = String::with_capacity(description.len());
    for byte in description.bytes() {
        if (0x20..0x7f).contains(&byte) && byte != b'"' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("<{byte:02X}>"));
        }
    }
    out
}
