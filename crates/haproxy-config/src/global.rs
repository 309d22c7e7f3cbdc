//! `global` sections (configuration manual §3): many of them make one.

mod cpu_map;
mod process;
mod tls;
mod tune;

use crate::keywords::{self, Keyword};
use crate::language::Section;
use crate::model::{CpuMap, Global};
use crate::parse::{Arguments, Context, Outcome, Prefix, fail};
use diag::{Diagnostic, Span};

/// Keywords that `no` may stand before.
const NEGATABLE: [&str; 6] =
    ["busy-polling", "insecure-fork-wanted", "log", "numa-cpu-mapping", "set-dumpable", "strict-limits"];

/// The global section while it is read.
#[derive(Debug, Default)]
pub(crate) struct GlobalDraft {
    pub global: Global,
    pub cpu_maps: Vec<cpu_map::CpuMapLine>,
    pub nbproc: Option<(u32, Span)>,
    pub nbthread: Option<(u32, Span)>,
}

impl GlobalDraft {
    pub fn new() -> Self {
        let global = Global { strict_limits: true, ..Global::default() };
        GlobalDraft { global, ..GlobalDraft::default() }
    }

    /// Reads one section; mistakes are reported and reading goes on.
    pub fn read(&mut self, section: &Section, context: &mut Context<'_>) {
        if let Some(extra) = section.header.words.get(1) {
            context.report.push(Diagnostic::alert(extra.span, "`global` takes no name"));
        }
        for line in &section.lines {
            let mut arguments = Arguments::new(line);
            let outcome = self.line(&mut arguments, context);
            context.report_error(outcome);
        }
    }

    fn line(&mut self, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
        let keyword = arguments.last();
        let Some(row) = tables().find(|row| row.name == keyword.value) else {
            return Err(keywords::unknown(
                "keyword",
                keyword,
                "in the `global` section",
                tables().map(|row| row.name),
            ));
        };
        if arguments.prefix != Prefix::None && !NEGATABLE.contains(&row.name) {
            return fail(keyword.span, format!("`no` and `default` cannot stand before `{}`", row.name));
        }
        keywords::check_status(context, row.name, row.status, keyword.span)?;
        context.warn_not_utf8(arguments.line());
        (row.parse)(self, arguments, context)?;
        arguments.end()
    }

    /// Settles what depends on several lines.
    pub fn finish(mut self, context: &mut Context<'_>) -> Global {
        if let Some((processes, span)) = self.nbproc {
            let threads = self.nbthread.map(|(threads, _)| threads);
            let total = match threads {
                Some(threads) => threads.saturating_mul(processes),
                None => processes,
            };
            if processes == 1 {
                context.warn_old(
                    span,
                    "`nbproc` is an old form: there is one process with threads",
                    "drop the line",
                );
            } else {
                let message = format!(
                    "`nbproc {processes}` is an old form: there is one process with threads; {} threads at most are used",
                    total
                );
                context.report.push(
                    Diagnostic::warning(span, message)
                        .with_help("write `nbthread`, or nothing: every CPU is used"),
                );
                self.global.nbthread = Some(total);
            }
            self.global.nbproc = Some(processes);
        }
        let per_process = self.global.nbproc.is_some_and(|processes| processes > 1);
        let threads = self.global.nbthread;
        let maps: Vec<CpuMap> =
            self.cpu_maps.iter().flat_map(|line| line.expand(per_process, threads)).collect();
        self.global.cpu_maps = maps;
        self.global.environment =
            context.environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.global
    }
}

/// Every keyword of the global section.
pub(crate) fn tables() -> impl Iterator<Item = &'static Keyword<GlobalDraft>> {
    process::KEYWORDS.iter().chain(tls::KEYWORDS).chain(tune::KEYWORDS)
}
