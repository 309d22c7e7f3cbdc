//! All keywords as lists: for the docs, and as `-dK` prints them.

use crate::keywords::{self, Keyword, Listed, Status};
use crate::proxy::{self, Side};
use crate::{bind, global, sections, server, tls};
use rules::{Param, Place, PlaceSet, ValueType};
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
    for row in proxy::option_rows().filter(|row| works(row.status)) {
        let _ = writeln!(out, "\toption {}", row.name);
    }
    for ruleset in RULESETS {
        let rows = rules::action::keywords().iter().filter(|row| row.works() && row.is_valid_in(ruleset));
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
    let _ = writeln!(out, "crt-list");
    let with_count = |(name, argument)| format!("{name}{}", if argument { " +1" } else { "" });
    for row in sorted(tls::words().map(with_count)) {
        let _ = writeln!(out, "\t{row}");
    }
    for section in [
        "userlist",
        "peers",
        "resolvers",
        "mailers",
        "ring",
        "log-forward",
        "cache",
        "http-errors",
        "program",
    ] {
        let _ = writeln!(out, "{section}");
        for row in sections::listed().filter(|row| row.class == section && works(row.status)) {
            let _ = writeln!(out, "\t{}", row.name);
        }
    }
    out
}

/// The `acl` class of `-dK`: criteria that are more than the name of a sample fetch.
pub fn acl_keywords() -> String {
    let mut out = String::from("# List of registered ACL keywords:\n");
    let line = |(name, fetch, method): (String, &str, &str)| format!("{name} = {fetch} -m {method}");
    for row in sorted(rules::acl_names().map(line)) {
        let _ = writeln!(out, "{row}");
    }
    out
}

/// The `smp` class of `-dK`: where each sample fetch works, its arguments and its type.
pub fn sample_fetches() -> String {
    let mut out = String::from("# List of registered sample fetch functions:\n");
    let mut lines: Vec<(String, String)> = Vec::new();
    for row in rules::all_fetches() {
        let places: Vec<Place> = row.places.iter().collect();
        let flags: Vec<&str> =
            PlaceSet::ALL.iter().map(|place| if places.contains(&place) { "Y" } else { "." }).collect();
        for name in std::iter::once(&row.name).chain(row.aliases) {
            let arguments = arguments_of(row.params, row.required);
            let line = format!("[ {} ] {name}{arguments}: {}", flags.join(" "), type_name(row.output));
            lines.push(((*name).to_owned(), line));
        }
    }
    lines.sort();
    for (_, line) in lines {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// The `cnv` class of `-dK`: converters with arguments, input and output type.
pub fn converters() -> String {
    let mut out = String::from("# List of registered sample converter functions:\n");
    let line = |row: &rules::Converter| {
        let arguments = arguments_of(row.params, row.required);
        format!("{}{arguments}: {} => {}", row.name, type_name(row.input), type_name(row.output))
    };
    for row in sorted(rules::all_converters().map(line)) {
        let _ = writeln!(out, "{row}");
    }
    out
}

/// `(string,integer[,string])`; nothing when there is no parameter.
fn arguments_of(params: &[Param], required: usize) -> String {
    if params.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = params.iter().map(|param| param_name(*param)).collect();
    let (needed, optional) = names.split_at(required.min(names.len()));
    let comma = if needed.is_empty() { "" } else { "," };
    match optional {
        [] => format!("({})", needed.join(",")),
        _ => format!("({}[{comma}{}])", needed.join(","), optional.join(",")),
    }
}

fn param_name(param: Param) -> &'static str {
    match param {
        Param::Int => "integer",
        Param::Str => "string",
        Param::Ip4 => "ipv4",
        Param::Ip6 => "ipv6",
        Param::Mask4 => "mask4",
        Param::Mask6 => "mask6",
        Param::Frontend => "frontend",
        Param::Backend => "backend",
        Param::Server => "server",
        Param::Table => "table",
        Param::Userlist => "userlist",
    }
}

/// HAProxy's names of the types.
fn type_name(value: ValueType) -> &'static str {
    match value {
        ValueType::Any => "any",
        ValueType::Bool => "bool",
        ValueType::Int => "sint",
        ValueType::Address => "addr",
        ValueType::Ip4 => "ipv4",
        ValueType::Ip6 => "ipv6",
        ValueType::Str => "str",
        ValueType::Bin => "bin",
        ValueType::Method => "meth",
    }
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
