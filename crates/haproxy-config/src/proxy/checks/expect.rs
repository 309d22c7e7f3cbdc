//! `expect`: what an answer must look like.

use super::super::Draft;
use super::steps;
use crate::keywords::unknown;
use crate::language::Word;
use crate::parse::{Arguments, Context, Outcome, fail};
use ::checks::{CheckStatus, Expect, FieldMatch, FieldPattern, Match, Pattern, StatusSet, Step, Text};

type Words<'a, 'l> = &'a mut Arguments<'l>;

const TCP_TESTS: [&str; 6] = ["string", "string-lf", "rstring", "binary", "binary-lf", "rbinary"];
const HTTP_TESTS: [&str; 7] = ["string", "string-lf", "rstring", "status", "rstatus", "hdr", "fhdr"];
const SETTINGS: [&str; 8] = [
    "min-recv",
    "comment",
    "ok-status",
    "error-status",
    "tout-status",
    "on-success",
    "on-error",
    "status-code",
];

pub(super) fn tcp(draft: &Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<Step> {
    parse(draft, arguments, context, &TCP_TESTS)
}

pub(super) fn http(draft: &Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<Step> {
    parse(draft, arguments, context, &HTTP_TESTS)
}

/// `[settings] [!] TEST PATTERN`.
fn parse(
    draft: &Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
    tests: &[&'static str],
) -> Outcome<Step> {
    arguments.clone().expect("what to expect, such as `string OK`")?;
    let mut expect = Expect::new(Match::String(Vec::new()));
    loop {
        let word = arguments.expect("what to expect, such as `string OK`")?;
        if SETTINGS.contains(&word.value.as_str()) {
            setting(word, &mut expect, draft, arguments, context)?;
            continue;
        }
        let (negated, name) = match word.value.strip_prefix('!') {
            Some("") => (true, arguments.expect("a test")?),
            Some(_) => (true, word),
            None => (false, word),
        };
        let test = name.value.trim_start_matches('!');
        if !tests.contains(&test) {
            return Err(unknown("test", name, "after `expect`", tests.iter().copied().chain(SETTINGS)));
        }
        expect.negated = negated;
        expect.test = pattern(test, draft, arguments, context)?;
        break;
    }
    // The settings may also stand behind the test.
    while let Some(word) = arguments.peek().filter(|word| SETTINGS.contains(&word.value.as_str())) {
        arguments.next();
        setting(word, &mut expect, draft, arguments, context)?;
    }
    Ok(Step::Expect(Box::new(expect)))
}

fn setting(
    word: &Word,
    expect: &mut Expect,
    draft: &Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    match word.value.as_str() {
        "min-recv" => {
            let count = arguments.integer(-1..=i64::from(i32::MAX))?;
            expect.min_receive = u32::try_from(count).ok();
        }
        "comment" => expect.comment = Some(arguments.string()?),
        "ok-status" => expect.ok_status = Some(status(arguments, &["L4OK", "L6OK", "L7OK", "L7OKC"])?),
        "error-status" => {
            expect.error_status = Some(status(arguments, &["L7OKC", "L7RSP", "L7STS", "L6RSP", "L4CON"])?);
        }
        "tout-status" => expect.timeout_status = Some(status(arguments, &["L7TOUT", "L6TOUT", "L4TOUT"])?),
        "on-success" => expect.on_success = Some(steps::text(draft, arguments.expect("a format")?, context)?),
        "on-error" => expect.on_error = Some(steps::text(draft, arguments.expect("a format")?, context)?),
        _ => expect.status_code = Some(steps::expression(draft, arguments, context)?),
    }
    Ok(())
}

fn status(arguments: Words<'_, '_>, known: &[&str]) -> Outcome<CheckStatus> {
    let word = arguments.expect("a status")?;
    match CheckStatus::from_word(&word.value) {
        Some(status) if known.contains(&word.value.as_str()) => Ok(status),
        _ => Err(unknown("status", word, "here", known.iter().copied())),
    }
}

fn pattern(test: &str, draft: &Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<Match> {
    if test == "hdr" || test == "fhdr" {
        let field = field(draft, arguments, context)?;
        return Ok(if test == "hdr" { Match::Field(field) } else { Match::FullField(field) });
    }
    let word = arguments.expect("a pattern")?;
    Ok(match test {
        "string" => Match::String(word.bytes().to_vec()),
        "string-lf" => Match::StringFormat(steps::format(draft, word, context)?),
        "rstring" => Match::Regex(regex(word)?),
        "binary" => Match::Binary(steps::hexadecimal(word)?),
        "binary-lf" => Match::BinaryFormat(steps::format(draft, word, context)?),
        "rbinary" => Match::BinaryRegex(regex(word)?),
        "status" => Match::Status(StatusSet::parse(&word.value).or_else(|message| fail(word.span, message))?),
        _ => Match::StatusRegex(regex(word)?),
    })
}

fn regex(word: &Word) -> Outcome<Pattern> {
    Pattern::new(&word.value)
        .or_else(|error| fail(word.span, format!("invalid regular expression: {}", error.message)))
}

/// `name [-m METHOD] PATTERN [value [-m METHOD] PATTERN]`; `name-lf` and `value-lf` take formats.
fn field(draft: &Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<FieldPattern> {
    let is_format = arguments.choice(&[("name", false), ("name-lf", true)])?;
    let name = field_match(is_format, draft, arguments, context)?;
    let mut value = None;
    if arguments.peek().is_some_and(|word| word.value == "value" || word.value == "value-lf") {
        let is_format = arguments.choice(&[("value", false), ("value-lf", true)])?;
        if arguments.take("full") {
            context.warn(arguments.last().span, "`full` is an old form: use `fhdr`");
        }
        value = Some(field_match(is_format, draft, arguments, context)?);
    }
    Ok(FieldPattern { name, value })
}

#[derive(Clone, Copy)]
enum Method {
    Exact,
    Prefix,
    Suffix,
    Contains,
    Regex,
}

fn field_match(
    is_format: bool,
    draft: &Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<FieldMatch> {
    let mut method = Method::Exact;
    if arguments.take("-m") {
        method = arguments.choice(&[
            ("str", Method::Exact),
            ("beg", Method::Prefix),
            ("end", Method::Suffix),
            ("sub", Method::Contains),
            ("reg", Method::Regex),
        ])?;
    }
    let word = arguments.expect("a pattern")?;
    if let Method::Regex = method {
        if is_format {
            return fail(word.span, "a regular expression cannot be a format");
        }
        return Ok(FieldMatch::Regex(regex(word)?));
    }
    let text = match is_format {
        true => Text::Format(Box::new(steps::format(draft, word, context)?)),
        false => Text::literal(word.bytes()),
    };
    Ok(match method {
        Method::Exact | Method::Regex => FieldMatch::Exact(text),
        Method::Prefix => FieldMatch::Prefix(text),
        Method::Suffix => FieldMatch::Suffix(text),
        Method::Contains => FieldMatch::Contains(text),
    })
}
