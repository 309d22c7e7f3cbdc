//! The sections beside `global` and the proxies: each is a small table of keywords over its own draft.

mod caches;
mod http_errors;
mod log_forwards;
mod mailers;
mod peers;
mod programs;
mod resolvers;
mod rings;
mod userlists;

use crate::keywords::{self, Keyword, Listed};
use crate::language::{Section, SectionKind, Word};
use crate::model::Model;
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::server::invalid_character;
use diag::Diagnostic;
use std::collections::HashMap;

/// Reads a section that is neither `global` nor a proxy into the model.
pub(crate) fn read(section: &Section, model: &mut Model, context: &mut Context<'_>) {
    match section.kind {
        SectionKind::Userlist => model.userlists.push(userlists::read(section, context)),
        SectionKind::Resolvers => model.resolvers.push(resolvers::read(section, context)),
        SectionKind::Peers => model.peers.push(peers::read(section, context)),
        SectionKind::Mailers => model.mailers.push(mailers::read(section, context)),
        SectionKind::Ring => model.rings.push(rings::read(section, context)),
        SectionKind::Cache => model.caches.push(caches::read(section, context)),
        SectionKind::HttpErrors => model.http_errors.push(http_errors::read(section, context)),
        SectionKind::Program => model.programs.push(programs::read(section, context)),
        SectionKind::LogForward => {
            let forward = log_forwards::read(section, &model.global, context);
            model.log_forwards.push(forward);
        }
        SectionKind::FcgiApp => refuse(section, "put an HTTP server in front of the application", context),
        SectionKind::Global
        | SectionKind::Defaults
        | SectionKind::Frontend
        | SectionKind::Backend
        | SectionKind::Listen => {}
    }
}

fn refuse(section: &Section, instead: &str, context: &mut Context<'_>) {
    let message = format!("`{}` sections are not implemented", section.kind.keyword());
    context.report.push(Diagnostic::alert(section.header.span, message).with_help(instead));
}

/// The name in the header; sections of one kind must have different ones.
fn name(section: &Section, context: &mut Context<'_>) -> String {
    let header = &section.header;
    let outcome = expect_name(section);
    match outcome {
        Ok(name) => name.value.clone(),
        Err(error) => {
            context.report.push(*error);
            header.text(1).to_owned()
        }
    }
}

fn expect_name(section: &Section) -> Outcome<&Word> {
    let mut arguments = Arguments::new(&section.header);
    let name = arguments.expect("a name")?;
    if let Some(character) = invalid_character(&name.value) {
        return fail(name.span, format!("character `{character}` is not permitted in a name"));
    }
    arguments.end()?;
    Ok(name)
}

/// Reads line after line by a table; mistakes are reported and reading goes on.
fn read_lines<D>(table: &[Keyword<D>], section: &Section, draft: &mut D, context: &mut Context<'_>) {
    let place = format!("in the `{}` section", section.kind.keyword());
    for line in &section.lines {
        let mut arguments = Arguments::new(line);
        context.warn_not_utf8(line);
        let keyword = arguments.last();
        let outcome = match table.iter().find(|row| row.name == keyword.value) {
            Some(row) => keywords::check_status(context, row.name, row.status, keyword.span)
                .and_then(|()| (row.parse)(draft, &mut arguments, context))
                .and_then(|()| arguments.end()),
            None => Err(keywords::unknown("keyword", keyword, &place, table.iter().map(|row| row.name))),
        };
        context.report_error(outcome);
    }
}

/// Two sections of one kind and name are an error.
pub(crate) fn check_duplicates(sections: &[Section], context: &mut Context<'_>) {
    let mut seen = HashMap::new();
    for section in sections {
        let named =
            !matches!(section.kind, SectionKind::Global | SectionKind::Defaults) && !section.kind.is_proxy();
        let name = section.header.text(1);
        if !named || name.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert((section.kind, name), section.header.span) {
            let message = format!("there are two `{} {name}` sections", section.kind.keyword());
            context.report.push(
                Diagnostic::alert(section.header.span, message).with_note(first, "the first one is here"),
            );
        }
    }
}

/// Every keyword of these sections.
pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    keywords::list("userlist", userlists::KEYWORDS)
        .chain(keywords::list("resolvers", resolvers::KEYWORDS))
        .chain(keywords::list("peers", peers::KEYWORDS))
        .chain(keywords::list("mailers", mailers::KEYWORDS))
        .chain(keywords::list("ring", rings::KEYWORDS))
        .chain(keywords::list("cache", caches::KEYWORDS))
        .chain(keywords::list("http-errors", http_errors::KEYWORDS))
        .chain(keywords::list("log-forward", log_forwards::KEYWORDS))
        .chain(keywords::list("program", programs::KEYWORDS))
}
