//! Phase 1: the names of all sections and servers, so that phase 2 resolves them whatever the order of the file.

use crate::language::{Ast, Line, Section, SectionKind};
use diag::Span;
use rules::{ProxyId, ServerId, TableId};
use std::collections::HashMap;

/// Servers one `server-template` may make.
pub const TEMPLATE_SERVERS_MAX: u32 = 65_535;

/// A proxy as its header names it.
#[derive(Debug, Clone)]
pub(crate) struct ProxyName {
    pub name: String,
    pub kind: SectionKind,
    pub span: Span,
    /// Servers by name, with their position. Of equal names the first is kept.
    pub servers: HashMap<String, u32>,
}

impl ProxyName {
    pub fn is_frontend(&self) -> bool {
        self.kind == SectionKind::Frontend || self.kind == SectionKind::Listen
    }

    pub fn is_backend(&self) -> bool {
        self.kind == SectionKind::Backend || self.kind == SectionKind::Listen
    }
}

/// All names of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Indexed by [`ProxyId`].
    pub proxies: Vec<ProxyName>,
    frontends: HashMap<String, ProxyId>,
    backends: HashMap<String, ProxyId>,
    /// Names of the other sections, by kind, in order.
    others: HashMap<(SectionKind, String), u32>,
    counts: HashMap<SectionKind, u32>,
    /// Stick tables by name: their proxy's, or `section/table` inside of `peers`.
    tables: HashMap<String, TableId>,
    /// All names of tables, indexed by [`TableId`].
    table_names: Vec<String>,
}

impl Names {
    pub fn collect(ast: &Ast) -> Names {
        let mut names = Names::default();
        for section in &ast.sections {
            let name = section.header.text(1).to_owned();
            if section.kind.is_proxy() {
                names.add_proxy(section, name);
            } else {
                let count = names.counts.entry(section.kind).or_insert(0);
                names.others.entry((section.kind, name.clone())).or_insert(*count);
                *count += 1;
                if section.kind == SectionKind::Peers {
                    for line in section.lines.iter().filter(|line| line.text(0) == "table") {
                        names.add_table(format!("{name}/{}", line.text(1)));
                    }
                }
            }
        }
        names
    }

    fn add_proxy(&mut self, section: &Section, name: String) {
        let id = ProxyId(self.proxies.len() as u32);
        let proxy = ProxyName {
            name: name.clone(),
            kind: section.kind,
            span: section.header.span,
            servers: servers_of(section),
        };
        if proxy.is_frontend() {
            self.frontends.entry(name.clone()).or_insert(id);
        }
        if proxy.is_backend() {
            self.backends.entry(name).or_insert(id);
        }
        self.proxies.push(proxy);
        if section.lines.iter().any(|line| line.text(0) == "stick-table") {
            self.add_table(section.header.text(1).to_owned());
        }
    }

    fn add_table(&mut self, name: String) {
        let id = TableId(self.table_names.len() as u32);
        self.tables.entry(name.clone()).or_insert(id);
        self.table_names.push(name);
    }

    pub fn frontend(&self, name: &str) -> Option<ProxyId> {
        self.frontends.get(name).copied()
    }

    pub fn backend(&self, name: &str) -> Option<ProxyId> {
        self.backends.get(name).copied()
    }

    pub fn server(&self, backend: ProxyId, name: &str) -> Option<ServerId> {
        let index = *self.proxies.get(backend.index())?.servers.get(name)?;
        Some(ServerId { proxy: backend, index })
    }

    /// The stick table of this name: tables are named after their proxy, or `section/table`.
    pub fn table(&self, name: &str) -> Option<TableId> {
        self.tables.get(name).copied()
    }

    /// Names of all tables, indexed by their id.
    pub fn table_names(&self) -> &[String] {
        &self.table_names
    }

    /// Position of a section among those of its kind (`userlist`, `resolvers`, …).
    pub fn other(&self, kind: SectionKind, name: &str) -> Option<u32> {
        self.others.get(&(kind, name.to_owned())).copied()
    }

    pub fn backend_names(&self) -> impl Iterator<Item = &str> {
        self.proxies.iter().filter(|proxy| proxy.is_backend()).map(|proxy| proxy.name.as_str())
    }
}

/// The numbers a `server-template` counts through: `3` is 1..=3, `5-9` is itself.
pub(crate) fn template_range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
        None => (1, text.parse().ok()?),
    };
    (low <= high && high - low < TEMPLATE_SERVERS_MAX).then_some((low, high))
}

/// The names a line gives to servers: one for `server`, many for `server-template`.
pub(crate) fn names_of_line(line: &Line) -> Vec<String> {
    match line.text(0) {
        "server" if line.words.len() > 1 => vec![line.text(1).to_owned()],
        "server-template" => match template_range(line.text(2)) {
            Some((low, high)) => (low..=high).map(|number| format!("{}{number}", line.text(1))).collect(),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn servers_of(section: &Section) -> HashMap<String, u32> {
    let mut servers = HashMap::new();
    let mut index = 0;
    for line in &section.lines {
        for name in names_of_line(line) {
            servers.entry(name).or_insert(index);
            index += 1;
        }
    }
    servers
}
