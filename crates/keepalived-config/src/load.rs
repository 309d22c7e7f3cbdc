//! A file → [`Model`], or a report of everything that is wrong.

use crate::Host;
use crate::context::Context;
use crate::language::{Reader, ReaderOptions};
use crate::model::{Model, RunAs};
use diag::{Diagnostic, Report, Sources};
use std::path::{Path, PathBuf};

/// Where the configuration is when `-f` does not say.
pub const DEFAULT_PATH: &str = "/etc/keepalived/keepalived.conf";

/// What to load, and with which surroundings.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// `-f`
    pub file: PathBuf,
    /// `-i`; `None`: the short host name.
    pub config_id: Option<String>,
    /// `-e`: every include must find something readable.
    pub check_includes: bool,
    /// Of `${_RANDOM}`.
    pub seed: u64,
    /// Lines that sequences and variables may expand the files to.
    pub lines_max: usize,
}

/// Enough for the largest example of keepalived's manual: 65,024 instances.
const LINES_MAX: usize = 1_200_000;

impl LoadOptions {
    pub fn new(file: impl Into<PathBuf>) -> Self {
        LoadOptions {
            file: file.into(),
            config_id: None,
            check_includes: false,
            seed: 1,
            lines_max: LINES_MAX,
        }
    }
}

/// What a configuration test ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing to say, or advice only.
    Clean,
    /// Mistakes, or values that were changed.
    Problems,
    /// Programs run as root while nothing guards them.
    Insecure,
}

impl Verdict {
    /// The exit code of `-t`, as keepalived 2.x has it.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::Problems => 5,
            Verdict::Insecure => 6,
        }
    }
}

/// The result of a load.
#[derive(Debug)]
pub struct Loaded {
    /// `None` when the report has errors.
    pub model: Option<Model>,
    /// Sorted by place.
    pub report: Report,
    /// The texts that the report's spans point into.
    pub sources: Sources,
    pub verdict: Verdict,
}

/// Reads, parses and checks a configuration. Never fails: what is wrong is in the report.
pub fn load(options: &LoadOptions, host: &dyn Host) -> Loaded {
    match host.read_file(&options.file) {
        Ok(text) => load_bytes(options, host, &options.file, text),
        Err(error) => {
            let mut report = Report::default();
            report
                .push(Diagnostic::alert(None, format!("cannot read `{}`: {error}", options.file.display())));
            Loaded { model: None, report, sources: Sources::default(), verdict: Verdict::Problems }
        }
    }
}

/// Loads one configuration given as text, with the surroundings of `options`; its file is a name only.
pub fn load_text_with(options: &LoadOptions, host: &dyn Host, text: &str) -> Loaded {
    load_bytes(options, host, &options.file, text.as_bytes().to_vec())
}

/// Loads one configuration given as text under a name.
pub fn load_text(host: &dyn Host, name: &str, text: &str) -> Loaded {
    load_bytes(&LoadOptions::new(name), host, Path::new(name), text.as_bytes().to_vec())
}

fn load_bytes(options: &LoadOptions, host: &dyn Host, path: &Path, text: Vec<u8>) -> Loaded {
    let mut sources = Sources::default();
    let mut report = Report::default();
    let reader_options = ReaderOptions {
        config_id: options.config_id.clone(),
        check_includes: options.check_includes,
        seed: options.seed,
        lines_max: options.lines_max,
    };
    let mut reader = Reader::new(host, &reader_options);
    reader.read(path, text, &mut sources, &mut report);
    let include_failed = reader.include_failed;
    let nodes = reader.finish(&mut report);
    let mut context = Context {
        report: &mut report,
        host,
        keyword: "",
        problems: 0,
        insecure_scripts: 0,
        script_user: RunAs { user: 0, group: 0 },
        script_security: false,
        script_user_missing: false,
        dropped_scripts: Vec::new(),
        dynamic_interfaces: false,
        interface_missing: false,
    };
    let model = crate::root::read(&nodes, &mut context);
    // keepalived ends its test with the same code for a missing include and for unsafe scripts.
    let insecure = include_failed || (context.insecure_scripts > 0 && !context.interface_missing);
    let problems = context.problems > 0;
    report.sort();
    let verdict = if insecure {
        Verdict::Insecure
    } else if problems || report.has_alerts() {
        Verdict::Problems
    } else {
        Verdict::Clean
    };
    Loaded { model: (!report.has_alerts()).then_some(model), report, sources, verdict }
}
