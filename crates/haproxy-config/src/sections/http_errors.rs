//! `http-errors`: sets of error messages that proxies refer to.

use crate::keywords::Status::Works;
use crate::keywords::{Keyword, row};
use crate::language::Section;
use crate::model::{ErrorContent, ErrorReply, HttpErrors};
use crate::parse::{Arguments, Context, Outcome};
use crate::proxy::errors;

pub(super) static KEYWORDS: &[Keyword<HttpErrors>] =
    &[row("errorfile", Works, errorfile, "file sent for a status")];

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> HttpErrors {
    let mut draft = HttpErrors { name: super::name(section, context), replies: Vec::new() };
    super::read_lines(KEYWORDS, section, &mut draft, context);
    draft
}

fn errorfile(draft: &mut HttpErrors, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let status = errors::status(arguments)?;
    let word = arguments.expect("a file")?;
    let content = ErrorContent::Raw(errors::read_file(word, status, context)?);
    errors::set(&mut draft.replies, ErrorReply { status, content });
    Ok(())
}
