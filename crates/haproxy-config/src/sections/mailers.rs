//! `mailers`: mail servers for `email-alert`.

use crate::address::{self, Wanted};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, row};
use crate::language::Section;
use crate::model::Mailers;
use crate::parse::{Arguments, Context, Outcome, fail};
use std::time::Duration;

pub(super) static KEYWORDS: &[Keyword<Mailers>] = &[
    row("mailer", Works, mailer, "a mail server"),
    row("timeout", Works, timeout, "longest time for a mail"),
];

const ADDRESS: Wanted =
    Wanted { port_required: true, port_range: false, port_offset: false, datagram: false, stream: true };

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Mailers {
    let mut mailers = Mailers {
        name: super::name(section, context),
        mailers: Vec::new(),
        timeout: Duration::from_secs(10),
    };
    super::read_lines(KEYWORDS, section, &mut mailers, context);
    mailers
}

fn mailer(draft: &mut Mailers, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a name")?;
    let word = arguments.expect("an address and port")?;
    if draft.mailers.iter().any(|(known, _)| *known == name.value) {
        return fail(name.span, format!("mailer `{}` is there already", name.value));
    }
    let address = address::endpoint(word, context.environment, ADDRESS)?.address;
    draft.mailers.push((name.value.clone(), address));
    Ok(())
}

fn timeout(draft: &mut Mailers, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("mail", ())])?;
    draft.timeout = arguments.interval()?;
    Ok(())
}
