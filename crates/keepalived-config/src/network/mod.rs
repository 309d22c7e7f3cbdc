//! Lines of iproute2 words: addresses, routes and rules. Flat tables of words; the same ones for static and virtual.

pub(crate) mod address;
mod numbers;
pub(crate) mod route;
pub(crate) mod rule;

use crate::arguments::Arguments;
use crate::context::{Context, Outcome};
use crate::language::Word;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Static,
    Virtual,
}

/// A line read, and the name of its track group, which is resolved when all groups are known.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub value: T,
    pub span: diag::Span,
    pub track_group: Option<Word>,
}

/// Reads each line of a block; lines with mistakes are told and left out.
pub(crate) fn read_lines<T>(
    arguments: &Arguments<'_>,
    place: Place,
    context: &mut Context<'_>,
    read: fn(&mut Arguments<'_>, Place, &mut Context<'_>) -> Outcome<Entry<T>>,
) -> Vec<Entry<T>> {
    let mut entries = Vec::new();
    for node in arguments.block() {
        if node.block.is_some() {
            context.push_alert(diag::Diagnostic::alert(node.span(), "no block is expected here"));
            continue;
        }
        match read(&mut Arguments::new(node), place, context) {
            Ok(entry) => entries.push(entry),
            Err(error) => context.push_alert(*error),
        }
    }
    entries
}

/// One word of a line and what it reads. `D` is the draft.
pub(crate) struct LineOption<D: 'static> {
    pub name: &'static str,
    pub read: fn(&mut D, &mut Arguments<'_>, &mut Context<'_>) -> Outcome,
}

/// A row of such a table.
pub(crate) const fn option<D>(
    name: &'static str,
    read: fn(&mut D, &mut Arguments<'_>, &mut Context<'_>) -> Outcome,
) -> LineOption<D> {
    LineOption { name, read }
}
