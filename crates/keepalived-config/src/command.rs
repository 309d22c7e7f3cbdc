//! Programs that keywords name: split into words, given a user, looked at for safety.

use crate::arguments::Arguments;
use crate::context::{Context, Outcome, fail};
use crate::host::ProgramFacts;
use crate::language::{Text, Word, split_quoted};
use crate::model::{Command, RunAs};
use diag::{Diagnostic, Span};

/// `PROGRAM [USER [GROUP]]`, the program quoted when it has arguments. `None`: nothing that could run.
pub(crate) fn command_and_user(
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<Option<Command>> {
    if arguments.peek().is_none() {
        return fail(arguments.end(), format!("`{}` needs a program", context.keyword));
    }
    let words = arguments.quoted_rest()?;
    let mut words = words.into_iter();
    let Some(program) = words.next() else {
        return fail(arguments.end(), format!("`{}` needs a program", context.keyword));
    };
    let user = words.next();
    let group = words.next();
    if let Some(extra) = words.next() {
        context.advise(
            Diagnostic::warning(extra.span, "this is ignored: a program is followed by a user and a group")
                .with_help("quote the program together with its arguments"),
        );
    }
    let run_as = match user {
        None if context.script_user_missing => {
            context.no_script_user(program.span);
            return Ok(None);
        }
        None => context.script_user,
        Some(user) => match find_user(&user, group.as_ref(), context) {
            Ok(run_as) => run_as,
            Err(error) => {
                // keepalived drops such a script and goes on; its configuration test ends with 0.
                context.advise(
                    Diagnostic { severity: diag::Severity::Warning, ..*error }
                        .with_help("the program will never run; quote it together with its arguments"),
                );
                return Ok(None);
            }
        },
    };
    build(&program.value, program.span, run_as, context)
}

/// A program that is all of the line, as `vrrp_script` and MISC_CHECK write it. Checked when its user is known.
pub(crate) fn command_words(
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<(Vec<String>, Span)> {
    if arguments.peek().is_none() {
        return fail(arguments.end(), format!("`{}` needs a program", context.keyword));
    }
    let words = arguments.quoted_rest()?;
    let span = words
        .iter()
        .fold(words.first().map_or(arguments.end(), |word| word.span), |span, word| span.to(word.span));
    let mut all = Vec::new();
    for (index, word) in words.iter().enumerate() {
        // The first word may hold the whole command.
        if index == 0 { all.extend(split(&word.value, word.span)?) } else { all.push(word.value.clone()) }
    }
    if all.is_empty() {
        return fail(span, "the program is empty");
    }
    Ok((all, span))
}

fn split(value: &str, span: Span) -> Outcome<Vec<String>> {
    match split_quoted(&Text::substituted(span, value)) {
        Ok(words) => Ok(words.into_iter().map(|word| word.value).collect()),
        Err(span) => fail(span, "a quote within this command is never closed"),
    }
}

fn build(value: &str, span: Span, run_as: RunAs, context: &mut Context<'_>) -> Outcome<Option<Command>> {
    let words = split(value, span)?;
    if words.is_empty() {
        return fail(span, "the program is empty");
    }
    Ok(inspected(Command { words, run_as }, span, context))
}

/// Tells what is wrong with a program; `None` when it must not run.
pub(crate) fn inspected(command: Command, span: Span, context: &mut Context<'_>) -> Option<Command> {
    let name = &command.words[0];
    match context.host.program(name, command.run_as) {
        ProgramFacts::Unknown => Some(command),
        ProgramFacts::Missing => {
            context.advise(Diagnostic::warning(span, format!("program `{name}` is not there")));
            Some(command)
        }
        ProgramFacts::NotExecutable => {
            context.advise(Diagnostic::warning(
                span,
                format!("program `{name}` cannot be executed by its user"),
            ));
            Some(command)
        }
        facts @ (ProgramFacts::Runs | ProgramFacts::Insecure) => {
            if command.run_as.user != 0 {
                return Some(command);
            }
            if !context.script_security {
                context.root_script(span);
                return Some(command);
            }
            if facts == ProgramFacts::Insecure {
                context.advise(
                    Diagnostic::warning(
                        span,
                        format!(
                            "`{name}` would run as root, but others than root may change it: it never runs"
                        ),
                    )
                    .with_help(
                        "let only root write the program and its directories, or give it another user",
                    ),
                );
                return None;
            }
            Some(command)
        }
    }
}

/// A user and a group by name or number.
pub(crate) fn find_user(user: &Word, group: Option<&Word>, context: &Context<'_>) -> Outcome<RunAs> {
    let Some(mut run_as) = context.host.user(&user.value) else {
        return fail(user.span, format!("there is no user `{}`", user.value));
    };
    if let Some(group) = group {
        match context.host.group(&group.value) {
            Some(number) => run_as.group = number,
            None => return fail(group.span, format!("there is no group `{}`", group.value)),
        }
    }
    Ok(run_as)
}
