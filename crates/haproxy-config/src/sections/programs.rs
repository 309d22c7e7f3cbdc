//! `program`: commands that ran beside the workers of a master.

use crate::keywords::Status::Works;
use crate::keywords::{Keyword, read, row};
use crate::language::Section;
use crate::model::Program;
use crate::parse::{Arguments, Context, Outcome, Prefix};
use diag::Diagnostic;

pub(super) static KEYWORDS: &[Keyword<Program>] = &[
    row("command", Works, command, "the command line"),
    row("group", Works, read!(group = Some(string)), "group it runs as"),
    row("option", Works, option, "start-on-reload"),
    row("user", Works, read!(user = Some(string)), "user it runs as"),
];

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Program {
    let mut draft = Program {
        name: super::name(section, context),
        command: Vec::new(),
        user: None,
        group: None,
        start_on_reload: true,
    };
    super::read_lines(KEYWORDS, section, &mut draft, context);
    let span = section.header.span;
    if draft.command.is_empty() {
        context.report.push(Diagnostic::alert(span, format!("program `{}` has no `command`", draft.name)));
    }
    let message = format!("program `{}` is not started: HAProxy 3.3 has no programs either", draft.name);
    context.warn_old(span, message, "let the service manager start it");
    draft
}

fn command(draft: &mut Program, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("a command")?;
    draft.command = arguments.rest().iter().map(|word| word.value.clone()).collect();
    Ok(())
}

fn option(draft: &mut Program, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("start-on-reload", ())])?;
    draft.start_on_reload = arguments.prefix == Prefix::None;
    Ok(())
}
