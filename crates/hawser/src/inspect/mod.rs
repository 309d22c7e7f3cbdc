//! Files that somebody names on a command line: which language each is in, read and judged together. Owns what `check`,
//! `explain` and `diff` share; prints nothing.

pub mod across;
pub mod kind;
mod lints;
mod nodes;
mod script;

use crate::doctor::machine::Machine;
use diag::{Diagnostic, Report, Severity, Sources};
use haproxy_config::LoadOptions;
use keepalived_config::SystemHost;
use kind::Kind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Files of one command line; more are refused.
pub const FILES_MAX: usize = 256;

/// What was named, by language.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// Read as one configuration, as by `haproxy -f A -f B`.
    pub proxy: Vec<PathBuf>,
    /// Each the configuration of one node.
    pub keepalived: Vec<PathBuf>,
    /// Files for the machine, and scripts.
    pub others: Vec<(Kind, PathBuf)>,
}

impl Inputs {
    /// Adds a file whose language its name or its text tells.
    ///
    /// # Errors
    /// It cannot be read, or is in no known language.
    pub fn add(&mut self, path: PathBuf) -> Result<(), String> {
        let text = if path.is_dir() {
            Vec::new()
        } else {
            kind::beginning(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?
        };
        let found = if path.is_dir() { Some(Kind::Proxy) } else { kind::of(&path, &text) };
        match found {
            Some(Kind::Proxy) => self.proxy.push(path),
            Some(Kind::Keepalived) => self.keepalived.push(path),
            Some(other) => self.others.push((other, path)),
            None => {
                return Err(format!(
                    "`{}` looks like no configuration: name it by -f (haproxy.cfg) or -k (keepalived.conf)",
                    path.display()
                ));
            }
        }
        if self.proxy.len() + self.keepalived.len() + self.others.len() > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.proxy.is_empty() && self.keepalived.is_empty() && self.others.is_empty()
    }
}

/// One keepalived.conf.
pub struct Node {
    pub path: PathBuf,
    pub loaded: keepalived_config::Loaded,
}

/// Everything that was read, with what is wrong with it.
pub struct Examined {
    pub proxy: Option<haproxy_config::Loaded>,
    pub nodes: Vec<Node>,
    /// Files for the machine and scripts share one table of texts.
    pub others: (Report, Sources),
    /// Between files; their places are in their texts.
    pub across: Report,
}

/// Reads and judges all of them.
pub fn examine(inputs: &Inputs) -> Examined {
    let proxy = (!inputs.proxy.is_empty()).then(|| load_proxy(&inputs.proxy));
    let nodes: Vec<Node> = inputs.keepalived.iter().map(|path| load_node(path)).collect();
    let machine = Machine::here();
    let (mut report, mut sources) = (Report::default(), Sources::default());
    for (kind, path) in &inputs.others {
        other(*kind, path, &machine, &mut sources, &mut report);
    }
    let mut across = Report::default();
    let model = proxy.as_ref().and_then(|loaded| Some((loaded.model.as_ref()?, &loaded.sources)));
    let models: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some((node.path.as_path(), node.loaded.model.as_ref()?, &node.loaded.sources)))
        .collect();
    across::judge(model, &models, &mut across);
    nodes::judge(&models, &mut across);
    Examined { proxy, nodes, others: (report, sources), across }
}

fn load_proxy(files: &[PathBuf]) -> haproxy_config::Loaded {
    let mut loaded = haproxy_config::load(&LoadOptions::new(files.to_vec()));
    if let Some(model) = &loaded.model {
        let (_, found) = proxy::Tls::load(model);
        found.into_iter().for_each(|diagnostic| loaded.report.push(diagnostic));
    }
    lints::judge(&loaded.sources, &mut loaded.report);
    loaded.report.sort();
    loaded
}

fn load_node(path: &Path) -> Node {
    let options = keepalived_config::LoadOptions::new(path.to_path_buf());
    Node { path: path.to_path_buf(), loaded: keepalived_config::load(&options, &SystemHost) }
}

fn other(kind: Kind, path: &Path, machine: &Machine, sources: &mut Sources, report: &mut Report) {
    let Ok(text) = kind::beginning(path) else {
        report.push(Diagnostic::alert(None, format!("cannot read `{}`", path.display())));
        return;
    };
    let file = sources.add(path.display().to_string(), text);
    match kind {
        Kind::Limits => {
            crate::doctor::files::lint(crate::doctor::files::Kind::Limits, file, sources, machine, report)
        }
        Kind::Sysctl => {
            crate::doctor::files::lint(crate::doctor::files::Kind::Sysctl, file, sources, machine, report)
        }
        Kind::Script => script::judge(file, sources, report),
        Kind::Proxy | Kind::Keepalived => {}
    }
}

impl Examined {
    /// The reports, each with the texts that its places are in.
    pub fn reports(&self) -> Vec<(&Report, &Sources)> {
        let proxy = self.proxy.iter().map(|loaded| (&loaded.report, &loaded.sources));
        let nodes = self.nodes.iter().map(|node| (&node.loaded.report, &node.loaded.sources));
        let others = std::iter::once((&self.others.0, &self.others.1));
        // Findings between files have no place in one table.
        let across = std::iter::once((&self.across, &self.others.1));
        proxy.chain(nodes).chain(others).chain(across).collect()
    }

    /// Errors and warnings of all reports.
    pub fn counts(&self) -> (usize, usize) {
        let reports = self.reports();
        (
            reports.iter().map(|(report, _)| report.alerts()).sum(),
            reports.iter().map(|(report, _)| report.warnings()).sum(),
        )
    }

    /// Every finding for people, with carets.
    pub fn render(&self, least: Severity) -> String {
        self.reports().iter().map(|(report, sources)| diag::render(report, sources, least)).collect()
    }

    /// Every finding as one object, as [`diag::to_json`] writes it.
    pub fn to_json(&self) -> Value {
        let (errors, warnings) = self.counts();
        let mut diagnostics = Vec::new();
        let mut dropped = 0;
        for (report, sources) in self.reports() {
            dropped += report.dropped();
            let text = diag::to_json(report, sources);
            if let Ok(Value::Object(mut object)) = serde_json::from_str(&text)
                && let Some(Value::Array(list)) = object.remove("diagnostics")
            {
                diagnostics.extend(list);
            }
        }
        json!({ "errors": errors, "warnings": warnings, "dropped": dropped, "diagnostics": diagnostics })
    }
}

/// `file:line` of a place.
pub fn place(sources: &Sources, span: diag::Span) -> String {
    format!("{}:{}", sources.name(span.file), sources.locate(span.file, span.start).line)
}
