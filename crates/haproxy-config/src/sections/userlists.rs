//! `userlist`: who may log in.

use crate::keywords::Status::Works;
use crate::keywords::{Keyword, row, unknown};
use crate::language::{Section, Word};
use crate::model::{Password, User, Userlist};
use crate::parse::{Arguments, Context, Outcome};
use diag::Diagnostic;

#[derive(Default)]
pub(crate) struct Draft {
    list: Userlist,
    /// `group` lines: a name and the users it lists.
    groups: Vec<(Word, Vec<String>)>,
    /// Groups that user lines name.
    wanted: Vec<(usize, Word)>,
}

pub(super) static KEYWORDS: &[Keyword<Draft>] = &[
    row("group", Works, group, "a group of users"),
    row("user", Works, user, "a user with a password and groups"),
];

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Userlist {
    let mut draft = Draft::default();
    draft.list.name = super::name(section, context);
    super::read_lines(KEYWORDS, section, &mut draft, context);
    for (user, word) in &draft.wanted {
        for name in word.value.split(',') {
            if !draft.groups.iter().any(|(group, _)| group.value == name) {
                let message = format!("there is no group `{name}` in this userlist");
                context.report.push(Diagnostic::alert(word.span, message));
            }
            draft.list.users[*user].groups.push(name.to_owned());
        }
    }
    for (group, users) in &draft.groups {
        for name in users {
            match draft.list.users.iter_mut().find(|user| user.name == *name) {
                Some(user) if !user.groups.contains(&group.value) => user.groups.push(group.value.clone()),
                Some(_) => {}
                None => {
                    let message = format!("there is no user `{name}` in this userlist");
                    context.report.push(Diagnostic::alert(group.span, message));
                }
            }
        }
    }
    draft.list
}

fn group(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a group name")?;
    let mut users = Vec::new();
    if arguments.peek().is_some() {
        arguments.choice(&[("users", ())])?;
        let list = arguments.expect("users with commas between them")?;
        users = list.value.split(',').map(str::to_owned).collect();
    }
    if draft.groups.iter().any(|(group, _)| group.value == name.value) {
        context.warn(name.span, format!("group `{}` is there already: this line is ignored", name.value));
        return Ok(());
    }
    draft.groups.push((name.clone(), users));
    Ok(())
}

fn user(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a user name")?;
    let duplicate = draft.list.users.iter().any(|user| user.name == name.value);
    let mut user = User { name: name.value.clone(), password: None, groups: Vec::new() };
    let mut groups = None;
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "password" => user.password = Some(Password::Crypt(arguments.string()?)),
            "insecure-password" => user.password = Some(Password::Plain(arguments.string()?)),
            "groups" => groups = Some(arguments.expect("groups with commas between them")?.clone()),
            _ => {
                let known = ["password", "insecure-password", "groups"];
                return Err(unknown("word", word, "after `user NAME`", known));
            }
        }
    }
    if duplicate {
        context.warn(name.span, format!("user `{}` is there already: this line is ignored", name.value));
        return Ok(());
    }
    if let Some(groups) = groups {
        draft.wanted.push((draft.list.users.len(), groups));
    }
    draft.list.users.push(user);
    Ok(())
}
