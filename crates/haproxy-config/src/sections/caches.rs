//! `cache`: how much may be kept, and for how long (configuration manual §6.2.1).

use crate::keywords::Status::Works;
use crate::keywords::{Keyword, read, row};
use crate::language::Section;
use crate::model::Cache;
use crate::parse::{Arguments, Context, Outcome};
use diag::Diagnostic;
use std::time::Duration;

pub(super) static KEYWORDS: &[Keyword<Cache>] = &[
    row("max-age", Works, read!(max_age = seconds), "longest time an object is kept"),
    row("max-object-size", Works, read!(max_object_size = Some(positive)), "largest object, bytes"),
    row("max-secondary-entries", Works, read!(max_secondary_entries = positive), "variants of one object"),
    row("process-vary", Works, read!(process_vary = switch), "keep variants by `Vary`"),
    row("total-max-size", Works, total, "size of the cache, megabytes"),
];

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Cache {
    let mut cache = Cache {
        name: super::name(section, context),
        total_max_size: 0,
        max_object_size: None,
        max_age: Duration::from_secs(60),
        process_vary: false,
        max_secondary_entries: 10,
    };
    super::read_lines(KEYWORDS, section, &mut cache, context);
    let span = section.header.span;
    if cache.total_max_size == 0 {
        let message = format!("cache `{}` has no size", cache.name);
        context.report.push(Diagnostic::alert(span, message).with_help("add `total-max-size 4` (megabytes)"));
    }
    let half = cache.total_max_size.saturating_mul(1 << 20) / 2;
    if cache.max_object_size.is_some_and(|size| size > half) {
        context
            .report
            .push(Diagnostic::alert(span, "max-object-size must be at most half of total-max-size"));
    }
    cache
}

fn total(draft: &mut Cache, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.total_max_size = arguments.integer(1..=4095)? as u32;
    Ok(())
}
