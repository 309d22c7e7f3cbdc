//! Files → [`Model`], or a report of everything that is wrong.

use crate::global::GlobalDraft;
use crate::language::{Ast, Environment, Reader, SectionKind, Settings, condition};
use crate::model::Model;
use crate::names::Names;
use crate::parse::Context;
use crate::proxy::{self, ProxyReader};
use crate::sections;
use diag::{Diagnostic, FileId, Report, Sources};
use std::path::{Path, PathBuf};

/// The version that conditions in a configuration compare with: the HAProxy whose behaviour is matched.
pub const COMPATIBLE_VERSION: &str = "2.6.12";

/// The version as people and scripts are told it: HAProxy's numbers first, then who we are.
pub const VERSION_TEXT: &str = concat!("2.6.12-hawser", env!("CARGO_PKG_VERSION"));

/// The release's date in HAProxy's form.
pub const RELEASE_DATE: &str = "2026/11/22";

/// What `feature()` finds: the build options of HAProxy that have a counterpart here.
pub const FEATURES: [&str; 24] = [
    "ACCEPT4",
    "BACKTRACE",
    "CPU_AFFINITY",
    "CRYPT_H",
    "DL",
    "EPOLL",
    "GETADDRINFO",
    "LIBCRYPT",
    "LINUX_SPLICE",
    "LINUX_TPROXY",
    "NETFILTER",
    "NS",
    "PCRE2",
    "PCRE2_JIT",
    "POLL",
    "PRCTL",
    "RT",
    "SHM_OPEN",
    "STATIC_PCRE2",
    "SYSTEMD",
    "TFO",
    "THREAD",
    "THREAD_DUMP",
    "TPROXY",
];

/// Largest configuration file that is read.
const FILE_LENGTH_MAX: u64 = 256 << 20;
/// Files a directory may hold.
const DIRECTORY_FILES_MAX: usize = 65_536;

/// What to load, and with which surroundings.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// `-f`: files and directories in order; `-` is standard input.
    pub files: Vec<PathBuf>,
    pub environment: Environment,
    /// Compared with by `version_atleast()`.
    pub version: String,
    /// `-L`: sets HAPROXY_LOCALPEER.
    pub local_peer: Option<String>,
    /// `-W`: sets HAPROXY_MWORKER.
    pub master_worker: bool,
}

impl LoadOptions {
    /// Loads these files in the process's own environment.
    pub fn new(files: Vec<PathBuf>) -> Self {
        LoadOptions {
            files,
            environment: Environment::of_process(),
            version: COMPATIBLE_VERSION.to_owned(),
            local_peer: None,
            master_worker: false,
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
}

/// Reads, parses and checks a configuration. Never fails: what is wrong is in the report.
pub fn load(options: &LoadOptions) -> Loaded {
    let mut sources = Sources::default();
    let mut report = Report::default();
    let files = read_files(&options.files, &mut sources, &mut report);
    load_sources(options, files, sources, report)
}

/// Loads one configuration given as text: for embedded configurations and tests.
pub fn load_text(options: &LoadOptions, name: &str, text: &str) -> Loaded {
    let mut sources = Sources::default();
    let file = sources.add(name, text.as_bytes().to_vec());
    load_sources(options, vec![file], sources, Report::default())
}

/// Evaluates the expression of `-cc`. The error tells what is wrong with it, and at which byte.
pub fn evaluate_condition(text: &str, options: &LoadOptions) -> Result<bool, condition::ConditionError> {
    let facts = condition::Facts {
        environment: &options.environment,
        features: &FEATURES,
        version: &options.version,
    };
    condition::evaluate(text, &facts)
}

fn load_sources(options: &LoadOptions, files: Vec<FileId>, sources: Sources, mut report: Report) -> Loaded {
    let settings = Settings { features: &FEATURES, version: &options.version, is_keyword: crate::is_keyword };
    let mut environment = options.environment.clone();
    environment.set("HAPROXY_STARTUP_VERSION", options.version.as_str());
    let names: Vec<&str> = files.iter().map(|file| sources.name(*file)).collect();
    environment.set("HAPROXY_CFGFILES", names.join(";"));
    if let Some(peer) = &options.local_peer {
        environment.set("HAPROXY_LOCALPEER", peer.as_str());
    }
    if options.master_worker {
        environment.set("HAPROXY_MWORKER", "1");
    }
    let mut reader = Reader::new(settings, environment);
    for file in files {
        reader.read(&sources, file, &mut report);
    }
    let (ast, environment) = reader.finish();
    let model = build(&ast, &environment, &sources, &mut report);
    report.sort();
    Loaded { model: (!report.has_alerts()).then_some(model), report, sources }
}

fn build(ast: &Ast, environment: &Environment, sources: &Sources, report: &mut Report) -> Model {
    let names = Names::collect(ast);
    let mut context = Context {
        report,
        sources,
        names: &names,
        environment,
        patterns: Default::default(),
        uses: Default::default(),
        tables: Vec::new(),
        unix_bind: Default::default(),
        base_directory: PathBuf::new(),
    };
    // Global sections first, wherever they stand: proxies copy from them.
    let mut global = GlobalDraft::new();
    for section in ast.sections.iter().filter(|section| section.kind == SectionKind::Global) {
        global.read(section, &mut context);
    }
    let global = global.finish(&mut context);
    let mut model = Model { global, ..Model::default() };
    sections::check_duplicates(&ast.sections, &mut context);
    let mut proxies = ProxyReader::default();
    for section in &ast.sections {
        if section.kind == SectionKind::Defaults || section.kind.is_proxy() {
            proxies.read(section, &mut context);
        } else {
            sections::read(section, &mut model, &mut context);
        }
    }
    model.proxies = proxy::finish(proxies.drafts, &model, &mut context);
    let mut tables = std::mem::take(&mut context.tables);
    tables.sort_by_key(|(id, _)| *id);
    model.tables = tables.into_iter().map(|(_, table)| table).collect();
    context.patterns.assign_ids();
    model.uses = context.uses;
    model.patterns = std::mem::take(&mut context.patterns);
    model
}

/// Adds every file to the table; directories give their `*.cfg` files, sorted, hidden ones left out.
fn read_files(paths: &[PathBuf], sources: &mut Sources, report: &mut Report) -> Vec<FileId> {
    let mut files = Vec::new();
    for path in paths {
        match expand(path) {
            Ok(paths) => files.extend(paths.iter().filter_map(|path| read_file(path, sources, report))),
            Err(error) => {
                report.push(Diagnostic::alert(None, format!("cannot read `{}`: {error}", path.display())))
            }
        }
    }
    files
}

fn expand(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.as_os_str() == "-" || !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)?.take(DIRECTORY_FILES_MAX) {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && name.as_encoded_bytes().ends_with(b".cfg") && !entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn read_file(path: &Path, sources: &mut Sources, report: &mut Report) -> Option<FileId> {
    use std::io::Read;
    let mut text = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_LENGTH_MAX + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_LENGTH_MAX + 1).read_to_end(&mut text))
    };
    match read {
        Ok(length) if length as u64 > FILE_LENGTH_MAX => {
            let message = format!("`{}` is larger than {FILE_LENGTH_MAX} bytes", path.display());
            report.push(Diagnostic::alert(None, message));
            None
        }
        Ok(_) => Some(sources.add(path.display().to_string(), text)),
        Err(error) => {
            report.push(Diagnostic::alert(None, format!("cannot read `{}`: {error}", path.display())));
            None
        }
    }
}
