//! Numbers that have names in iproute2's files.

use crate::arguments::any_base;
use crate::context::{Context, Outcome, fail};
use crate::host::NumberNames;
use crate::language::Word;

/// Names that hold without a file.
fn builtin(names: NumberNames, name: &str) -> Option<u32> {
    Some(match (names, name) {
        (NumberNames::Scopes, "global") => 0,
        (NumberNames::Scopes, "site") => 200,
        (NumberNames::Scopes, "link") => 253,
        (NumberNames::Scopes, "host") => 254,
        (NumberNames::Scopes, "nowhere") => 255,
        (NumberNames::Tables, "default") => 253,
        (NumberNames::Tables, "main") => 254,
        (NumberNames::Tables, "local") => 255,
        (NumberNames::Tables, "unspec" | "all") => 0,
        (NumberNames::Protocols, "redirect") => 1,
        (NumberNames::Protocols, "kernel") => 2,
        (NumberNames::Protocols, "boot") => 3,
        (NumberNames::Protocols, "static") => 4,
        (NumberNames::Protocols, "ra") => 9,
        (NumberNames::Protocols, "bird") => 12,
        (NumberNames::Protocols, "dhcp") => 16,
        (NumberNames::Protocols, "keepalived") => 18,
        _ => return None,
    })
}

/// A number or a name.
pub(super) fn number(word: &Word, names: NumberNames, most: u32, context: &Context<'_>) -> Outcome<u32> {
    if word.value.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(any_base(word, 0..=i64::from(most))? as u32);
    }
    match builtin(names, &word.value).or_else(|| context.host.number(names, &word.value)) {
        Some(number) if number <= most => Ok(number),
        Some(_) | None => fail(
            word.span,
            format!("`{}` is neither a number up to {most} nor a name in {}", word.value, names.file()),
        ),
    }
}

/// `[FROM/]TO` realms, each a number or a name, in the kernel's form.
pub(super) fn realms(word: &Word, context: &Context<'_>) -> Outcome<u32> {
    let part = |text: &str| {
        let part = Word { value: text.to_owned(), ..word.clone() };
        number(&part, NumberNames::Realms, 0xffff, context)
    };
    match word.value.split_once('/') {
        Some((from, to)) => Ok((part(from)? << 16) | part(to)?),
        None => part(&word.value),
    }
}

/// TOS: a name of iproute2's or a number, decimal where it looks so. iproute2 itself would read `16` as hexadecimal.
pub(super) fn tos(word: &Word, context: &Context<'_>) -> Outcome<u8> {
    Ok(number(word, NumberNames::Dsfield, 255, context)? as u8)
}
