//! What each line of a file does, and below it what is wrong with it.

use super::lore;
use crate::inspect::kind::Kind;
use crate::inspect::{Examined, Inputs};
use diag::{Diagnostic, FileId, Report, Severity, Sources};
use haproxy_config::model::{Model, Proxy};
use std::collections::HashMap;
use std::fmt::Write;

/// Blocks inside each other that are followed.
const DEPTH_MAX: usize = 64;

/// The whole explanation.
pub fn explain(inputs: &Inputs, examined: &Examined) -> String {
    let mut out = String::new();
    if let Some(loaded) = &examined.proxy {
        let mut lines = Proxies::new(loaded.model.as_ref());
        for file in files(&loaded.sources) {
            write_file(&mut out, file, &loaded.sources, &loaded.report, &mut |words| lines.line(words));
        }
        write_unplaced(&mut out, &loaded.report);
    }
    for node in &examined.nodes {
        for file in files(&node.loaded.sources) {
            let mut blocks = Blocks::new();
            let (sources, report) = (&node.loaded.sources, &node.loaded.report);
            write_file(&mut out, file, sources, report, &mut |words| blocks.line(words));
        }
        write_unplaced(&mut out, &node.loaded.report);
    }
    let (report, sources) = &examined.others;
    for (file, (kind, _)) in files(sources).into_iter().zip(&inputs.others) {
        let kind = *kind;
        write_file(&mut out, file, sources, report, &mut |words| other(kind, words));
    }
    write_unplaced(&mut out, &examined.across);
    out
}

fn files(sources: &Sources) -> Vec<FileId> {
    (0..).map(FileId).take_while(|file| sources.name(*file) != "?").collect()
}

/// Each line with its number, what it does, and its findings.
fn write_file(
    out: &mut String,
    file: FileId,
    sources: &Sources,
    report: &Report,
    meaning: &mut dyn FnMut(&[&str]) -> Vec<String>,
) {
    let mut found: HashMap<u32, Vec<&Diagnostic>> = HashMap::new();
    for diagnostic in report.diagnostics().iter().filter(|one| one.severity >= Severity::Notice) {
        if let Some(span) = diagnostic.span.filter(|span| span.file == file) {
            found.entry(sources.locate(file, span.start).line).or_default().push(diagnostic);
        }
    }
    let text = String::from_utf8_lossy(sources.text(file));
    let name = sources.name(file);
    for (index, line) in text.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let words: Vec<&str> =
            line.split_whitespace().take_while(|word| !word.starts_with(['#', '!'])).collect();
        let found = found.remove(&number).unwrap_or_default();
        if words.is_empty() && found.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name}:{number}: {}", line.trim());
        for text in meaning(&words) {
            let _ = writeln!(out, "      {text}");
        }
        for diagnostic in found {
            write_finding(out, diagnostic);
        }
    }
}

fn write_finding(out: &mut String, diagnostic: &Diagnostic) {
    let _ = writeln!(out, "    ! {}: {}", diagnostic.severity.name(), diagnostic.message);
    for note in &diagnostic.notes {
        let _ = writeln!(out, "      {}", note.message);
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "      -> {help}");
    }
}

/// Findings about no line in particular.
fn write_unplaced(out: &mut String, report: &Report) {
    for diagnostic in report.diagnostics().iter().filter(|one| one.span.is_none()) {
        write_finding(out, diagnostic);
    }
}

/// haproxy.cfg: the section a line is in decides which table its words are in.
struct Proxies<'m> {
    model: Option<&'m Model>,
    listed: HashMap<(&'static str, &'static str), &'static str>,
    section: String,
}

impl<'m> Proxies<'m> {
    fn new(model: Option<&'m Model>) -> Self {
        let listed = haproxy_config::listing::all();
        let listed = listed.into_iter().map(|row| ((row.class, row.name), row.summary)).collect();
        Proxies { model, listed, section: String::new() }
    }

    fn line(&mut self, words: &[&str]) -> Vec<String> {
        let mut words = words;
        if let [first, ..] = words
            && SECTIONS.iter().any(|(name, _)| name == first)
        {
            self.section = (*first).to_owned();
            return self.section_line(words);
        }
        let mut meaning = Vec::new();
        if words.len() > 1 && matches!(words[0], "no" | "default") {
            meaning
                .push(if words[0] == "no" { "turns this off:" } else { "back to the default:" }.to_owned());
            words = &words[1..];
        }
        meaning.extend(self.summary(words));
        meaning.extend(lore::of(Kind::Proxy, words).map(str::to_owned));
        meaning.extend(self.word_by_word(words));
        meaning
    }

    fn summary(&self, words: &[&str]) -> Option<String> {
        let first = *words.first()?;
        let second = words.get(1).copied().unwrap_or_default();
        let find = |class: &str, name: &str| {
            self.listed
                .iter()
                .find(|((known, word), _)| *known == class && *word == name)
                .map(|(_, text)| *text)
        };
        let text = match first {
            "option" => find("option", second),
            "timeout" => find("timeout", second),
            _ => None,
        };
        let class = if self.section == "global" { "global" } else { "proxy" };
        let two = format!("{first} {second}");
        let text = match text {
            // A bare class says nothing.
            Some("a switch" | "an option with words of its own" | "a longest wait") | None => None,
            some => some,
        };
        if let Some(text) = lore::meaning(words) {
            return Some(text.to_owned());
        }
        let text = text
            .or_else(|| find(class, &two))
            .or_else(|| find(class, first))
            .or_else(|| find(&self.section, first))?;
        Some(text.to_owned())
    }

    /// The words of `bind` and `server` lines.
    fn word_by_word(&self, words: &[&str]) -> Vec<String> {
        let (class, from) = match words.first() {
            Some(&"bind") => ("bind", 2),
            Some(&("server" | "default-server")) => ("server", if words[0] == "server" { 3 } else { 1 }),
            _ => return Vec::new(),
        };
        let known = |word: &&&str| self.listed.get_key_value(&(class, **word)).is_some();
        words
            .iter()
            .skip(from)
            .filter(known)
            .filter_map(|word| {
                let text = self.listed.iter().find(|((known, name), _)| *known == class && name == word)?.1;
                Some(format!("{word}: {text}"))
            })
            .collect()
    }

    fn section_line(&self, words: &[&str]) -> Vec<String> {
        let text = SECTIONS.iter().find(|(name, _)| *name == words[0]).map_or("", |(_, text)| text);
        let mut meaning = vec![text.to_owned()];
        let proxy = words.get(1).and_then(|name| {
            let proxies = &self.model?.proxies;
            let is_wanted = |proxy: &&Proxy| match words[0] {
                "frontend" => proxy.is_frontend && proxy.name == *name,
                "backend" => proxy.is_backend && proxy.name == *name,
                "listen" => proxy.name == *name,
                _ => false,
            };
            proxies.iter().find(is_wanted)
        });
        if let Some(proxy) = proxy.filter(|proxy| proxy.is_backend && !proxy.servers.is_empty()) {
            meaning.push(balancing(proxy));
        }
        meaning
    }
}

/// How a backend's servers are chosen, and whether that is static or dynamic.
pub fn balancing(proxy: &Proxy) -> String {
    let algorithm = proxy.balance.algorithm;
    let name = match algorithm {
        balance::Algorithm::RoundRobin => "roundrobin: servers take turns by weight",
        balance::Algorithm::StaticRoundRobin => "static-rr: servers take turns by a fixed table",
        balance::Algorithm::LeastConn => "leastconn: the server with the fewest requests for its weight",
        balance::Algorithm::First => "first: the first server that is not full",
        balance::Algorithm::Random { .. } => "random: the less loaded of some drawn servers",
        balance::Algorithm::Hash(kind) => match kind.method {
            balance::HashMethod::MapBased => {
                "by hash, map-based: a key has one server while the servers stay the same"
            }
            balance::HashMethod::Consistent => {
                "by hash, consistent: when a server changes, its own keys move and no others"
            }
        },
    };
    let kind = if algorithm.is_dynamic() {
        "dynamic: weights may change while it runs, and slow start works"
    } else {
        "static: while it runs a weight is either its first value or 0; slow start has no effect"
    };
    format!("balance {name}. {kind}")
}

/// Section words with what they are.
const SECTIONS: &[(&str, &str)] = &[
    ("global", "settings of the whole program"),
    ("defaults", "what the proxies below have when they do not say otherwise"),
    ("frontend", "where clients connect, and which backend gets them"),
    ("backend", "servers and how they are chosen"),
    ("listen", "a frontend and its backend in one"),
    ("userlist", "names and passwords"),
    ("peers", "programs that share stick tables"),
    ("resolvers", "name servers for servers' addresses"),
    ("mailers", "where mails go"),
    ("ring", "messages kept in memory"),
    ("log-forward", "syslog messages that are received and sent on"),
    ("cache", "answers kept in memory"),
    ("http-errors", "a set of error messages"),
    ("program", "a program that is started beside"),
];

/// keepalived.conf: the blocks a line is inside decide which table its words are in.
struct Blocks {
    listed: Vec<keepalived_config::Listed>,
    open: Vec<String>,
}

impl Blocks {
    fn new() -> Self {
        Blocks { listed: keepalived_config::listing::all(), open: Vec::new() }
    }

    fn line(&mut self, words: &[&str]) -> Vec<String> {
        let Some(first) = words.first() else { return Vec::new() };
        let name = first.trim_matches(['{', '}']);
        let mut meaning: Vec<String> = self.summary(name).into_iter().map(str::to_owned).collect();
        meaning.extend(lore::of(Kind::Keepalived, words).map(str::to_owned));
        for word in words {
            for letter in word.chars() {
                match letter {
                    '{' if self.open.len() < DEPTH_MAX => self.open.push(name.to_owned()),
                    '}' => drop(self.open.pop()),
                    _ => {}
                }
            }
        }
        meaning
    }

    fn summary(&self, name: &str) -> Option<&'static str> {
        let parent = self.open.last().map_or("root", String::as_str);
        let of = |class: &str| {
            let row = self.listed.iter().find(|row| row.block == class && row.name == name)?;
            Some(row.summary)
        };
        let is_checker = parent.ends_with("_CHECK") || parent.ends_with("_GET");
        of(parent)
            .or_else(|| is_checker.then(|| of("HTTP_GET / SSL_GET")).flatten())
            .or_else(|| is_checker.then(|| of("checker common")).flatten())
            .or_else(|| (parent == "url").then(|| of("HTTP_GET / SSL_GET url")).flatten())
            // Words that stand in one block only are known wherever they are.
            .or_else(|| self.listed.iter().find(|row| row.name == name).map(|row| row.summary))
    }
}

fn other(kind: Kind, words: &[&str]) -> Vec<String> {
    match kind {
        Kind::Script => lore::of_command(words).into_iter().collect(),
        Kind::Sysctl => words
            .first()
            .and_then(|name| crate::doctor::sysctl::meaning(name.split('=').next().unwrap_or(name)))
            .map(str::to_owned)
            .into_iter()
            .collect(),
        Kind::Limits => limit(words).into_iter().collect(),
        Kind::Proxy | Kind::Keepalived => Vec::new(),
    }
}

fn limit(words: &[&str]) -> Option<String> {
    let [who, kind, item, value] = words else { return None };
    let who = if *who == "*" { "everybody but root" } else { who };
    let kind = match *kind {
        "soft" => "limit at login",
        "hard" => "highest that may be asked for",
        _ => "limit",
    };
    Some(format!("{item}: {kind} for {who} is {value}; systemd's units do not read this file"))
}
