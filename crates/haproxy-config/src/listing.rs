//! All keywords as lists: for the docs, and as `-dK` prints them.

use crate::keywords::{self, Keyword, Listed, Status};
use crate::proxy::{self, Side};
use crate::{bind, global, sections, server};
use std::fmt::Write;

/// Every keyword of the configuration with its class, status and one line about it.
pub fn all() -> Vec<Listed> {
    let mut listed: Vec<Listed> = global::tables().map(|row| describe("global", row)).collect();
    listed.extend(proxy::rows().map(|row| describe("proxy", &row.keyword)));
    listed.extend(proxy::SWITCHES.iter().map(|row| Listed {
        class: "option",
        name: row.name,
        status: row.status,
        summary: "a switch",
    }));
    listed.extend(proxy::option_rows().map(|row| Listed {
        class: "option",
        name: row.name,
        status: row.status,
        summary: "an option with words of its own",
    }));
    listed.extend(proxy::TIMEOUTS.iter().map(|row| Listed {
        class: "timeout",
        name: row.name,
        status: Status::Works,
        summary: "a longest wait",
    }));
    listed.extend(keywords::list("bind", bind::KEYWORDS));
    listed.extend(keywords::list("server", server::KEYWORDS));
    listed.extend(sections::listed());
    listed
}

fn describe<P>(class: &'static str, row: &Keyword<P>) -> Listed {
    Listed { class, name: row.name, status: row.status, summary: row.summary }
}

/// What works counts, and what needs not do anything; the rest is not listed by `-dK`.
fn works(status: Status) -> bool {
    match status {
        Status::Works | Status::NoEffect | Status::Old(_) => true,
        Status::Idle | Status::ParsedOnly(_) | Status::Refused(_) => false,
    }
}

/// The `cfg` class of `-dK`, in the form HAProxy prints it: section names, then tab and keyword.
pub fn configuration_keywords() -> String {
    let mut out = String::from("# List of registered configuration keywords:\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "global");
    for row in sorted(global::tables().filter(|row| works(row.status)).map(|row| row.name.to_owned())) {
        let _ = writeln!(out, "\t{row}");
    }
    let _ = writeln!(out, "listen");
    for row in
        sorted(proxy::rows().filter(|row| works(row.keyword.status)).map(|row| row.keyword.name.to_owned()))
    {
        let _ = writeln!(out, "\t{row}");
    }
    lines_of_words(&mut out, "bind <addr>", bind::KEYWORDS);
    lines_of_words(&mut out, "server <name> <addr>", server::KEYWORDS);
    for row in proxy::SWITCHES.iter().filter(|row| works(row.status)) {
        let side = match row.side {
            Side::Frontend => "FE ",
            Side::Backend => "BE ",
            Side::Both => "FE BE ",
        };
        let http = if row.http { "HTTP " } else { "" };
        let _ = writeln!(out, "\toption {} [ {side}{http}]", row.name);
    }
    for ruleset in RULESETS {
        let rows = rules::action::keywords().iter().filter(|row| row.is_valid_in(ruleset));
        for row in rows {
            // HAProxy lists its tracking actions as one keyword with a number behind it.
            let (name, star) = match (row.name, row.has_argument) {
                ("track-sc0", _) => ("track-sc", "*"),
                ("track-sc1" | "track-sc2", _) => continue,
                (name, true) => (name, "*"),
                (name, false) => (name, ""),
            };
            let _ = writeln!(out, "\t{} {name}{star}", ruleset.name());
        }
    }
    for section in ["userlist", "peers", "resolvers", "mailers", "ring", "cache", "http-errors", "program"] {
        let _ = writeln!(out, "{section}");
        for row in sections::listed().filter(|row| row.class == section && works(row.status)) {
            let _ = writeln!(out, "\t{}", row.name);
        }
    }
    out
}

/// In the order HAProxy lists them.
const RULESETS: [rules::Ruleset; 7] = [
    rules::Ruleset::TcpRequestConnection,
    rules::Ruleset::TcpRequestSession,
    rules::Ruleset::TcpRequestContent,
    rules::Ruleset::TcpResponseContent,
    rules::Ruleset::HttpRequest,
    rules::Ruleset::HttpResponse,
    rules::Ruleset::HttpAfterResponse,
];

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn lines_of_words<P>(out: &mut String, place: &str, table: &[Keyword<P>]) {
    for row in table.iter().filter(|row| works(row.status)) {
        let arity = match (row.name, row.argument) {
            ("source", _) => " +-1",
            (_, true) => " +1",
            (_, false) => "",
        };
        let _ = writeln!(out, "\t{place} {}{arity}", row.name);
    }
}
