//! Compares keyword tables with haproxy's own dump (and with keepalived's, see [`keepalived`]): owns its reading and the report, never what a keyword means.

mod keepalived;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::command::{cargo, must, root};

/// Names of one program, by class.
type Tables = BTreeMap<&'static str, BTreeSet<String>>;

/// Class, how the report calls it.
const CLASSES: &[(&str, &str)] = &[
    ("global", "`global` keywords"),
    ("proxy", "proxy keywords"),
    ("option", "proxy options"),
    ("bind", "`bind` keywords"),
    ("server", "`server` keywords"),
    ("crt-list", "`crt-list` keywords"),
    ("tcp-request connection", "`tcp-request connection` actions"),
    ("tcp-request session", "`tcp-request session` actions"),
    ("tcp-request content", "`tcp-request content` actions"),
    ("tcp-response", "`tcp-response content` actions"),
    ("http-request", "`http-request` actions"),
    ("http-response", "`http-response` actions"),
    ("http-after-response", "`http-after-response` actions"),
    ("acl", "ACL keywords"),
    ("fetch", "sample fetches"),
    ("converter", "converters"),
    ("filter", "filters"),
    ("service", "services"),
    ("cli", "runtime API commands"),
];

/// What the project wants of the rule engine: name, the classes together, percent. TLS, Lua, SPOE, FastCGI, QUIC,
/// OpenTracing and device detection do not count.
const CRITERIA: &[(&str, &[&str], usize)] = &[
    ("fetches", &["fetch"], 95),
    ("converters", &["converter"], 97),
    (
        "actions",
        &[
            "tcp-request connection",
            "tcp-request session",
            "tcp-request content",
            "tcp-response",
            "http-request",
            "http-response",
            "http-after-response",
        ],
        97,
    ),
    ("server and bind keywords", &["server", "bind"], 95),
    ("config keywords", &["global", "proxy", "option"], 90),
    ("runtime API", &["cli"], 85),
];

/// Keywords of TLS that do not say so by their name.
const OF_TLS: &[&str] = &[
    "allow-0rtt",
    "alpn",
    "ca-file",
    "ca-ignore-err",
    "ca-sign-file",
    "ca-sign-pass",
    "ca-verify-file",
    "check-alpn",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "crt",
    "crt-ignore-err",
    "crt-list",
    "curves",
    "ecdhe",
    "generate-certificates",
    "npn",
    "ocsp-update",
    "prefer-client-ciphers",
    "sni",
    "strict-sni",
    "verify",
    "verifyhost",
    "aes_gcm_dec",
    "sha2",
    "x509_v_err_str",
    "httpclient.ssl.ca-file",
    "httpclient.ssl.verify",
];

/// Whether a keyword belongs to what the criteria leave out.
fn is_left_out(name: &str) -> bool {
    const PARTS: [&str; 14] = [
        "ssl",
        "tls",
        "lua",
        "spoe",
        "spop",
        "fcgi",
        "quic",
        "ot-group",
        "opentracing",
        "51degrees",
        "wurfl",
        "deviceatlas",
        "ca-base",
        "crt-base",
    ];
    OF_TLS.contains(&name) || PARTS.iter().any(|part| name.contains(part))
}

/// Prints the share of each criterion; names those that are missed.
fn criteria(haproxy: &Tables, hawser: &Tables) -> Vec<&'static str> {
    println!(
        "{:34}{:>8}{:>8}{:>7}{:>9}",
        "rule engine, exclusions left out", "known", "theirs", "share", "wanted"
    );
    let mut missed = Vec::new();
    for (name, classes, wanted) in CRITERIA {
        let counted = classes.iter().flat_map(|class| {
            haproxy[class]
                .iter()
                .filter(|name| !is_left_out(name))
                .map(move |name| hawser[class].contains(name))
        });
        let (known, all) =
            counted.fold((0, 0), |(known, all), is_known| (known + usize::from(is_known), all + 1));
        println!("  {name:32}{known:>8}{all:>8}{:>6} %{wanted:>7} %", percent(known, all));
        if 100 * known < wanted * all {
            missed.push(*name);
        }
    }
    missed
}

const DUMP: &[&str] = &["-dKall", "-q", "-c", "-f", "/dev/null"];

/// Prints shares and missing names and writes docs/compat/haproxy.md (`--dry-run`: prints the shares alone; `--check`:
/// and fails where one of the [`CRITERIA`] is missed).
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (dry, check) = match arguments {
        [] => (false, false),
        [flag] if flag == "--dry-run" => (true, false),
        [flag] if flag == "--check" => (true, true),
        // Needs no build of the program and no haproxy.
        [name] if name == "keepalived" => return keepalived::run(false),
        _ => return Err("takes --dry-run, --check, keepalived or nothing".to_owned()),
    };
    must(&mut cargo(&["build", "--quiet", "--package", "hawser"]))?;
    let haproxy = tables(&dump(Command::new("/usr/sbin/haproxy").args(DUMP))?);
    let hawser = root().join("target/debug/hawser");
    let hawser = tables(&dump(Command::new(hawser).arg("haproxy").args(DUMP))?);
    if haproxy.values().all(BTreeSet::is_empty) {
        return Err("haproxy printed no tables".to_owned());
    }
    println!("{:34}{:>8}{:>8}{:>7}", "parity with haproxy", "known", "theirs", "share");
    for (class, title) in CLASSES {
        let (known, all) = counts(&haproxy, &hawser, class);
        println!("  {:32}{known:>8}{all:>8}{:>6} %", title.replace('`', ""), percent(known, all));
    }
    let missed = criteria(&haproxy, &hawser);
    if check && !missed.is_empty() {
        return Err(format!("criteria missed: {}", missed.join(", ")));
    }
    keepalived::run(dry)?;
    if dry {
        return Ok(());
    }
    let report = report(&haproxy, &hawser);
    for line in report.lines().filter(|line| line.starts_with("Missing")) {
        println!("{line}");
    }
    let path = root().join("docs/compat/haproxy.md");
    fs::create_dir_all(path.parent().expect("a file in docs/compat")).map_err(|error| error.to_string())?;
    fs::write(&path, report).map_err(|error| format!("{}: {error}", path.display()))
}

fn dump(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn counts(haproxy: &Tables, hawser: &Tables, class: &str) -> (usize, usize) {
    let theirs = &haproxy[class];
    (theirs.intersection(&hawser[class]).count(), theirs.len())
}

fn percent(part: usize, all: usize) -> usize {
    (100 * part).checked_div(all).unwrap_or(100)
}

fn report(haproxy: &Tables, hawser: &Tables) -> String {
    let mut text = "# Keywords beside HAProxy 2.6\n\n\
        Generated by `cargo xtask parity` from the tables of both programs; do not edit. A keyword is in our tables\n\
        when it works, not before. HAProxy's own dump leaves out what its parsers compare by hand.\n\n\
        | class | known | HAProxy | share |\n|---|---|---|---|\n"
        .to_owned();
    for (class, title) in CLASSES {
        let (known, all) = counts(haproxy, hawser, class);
        let _ = writeln!(text, "| {title} | {known} | {all} | {} % |", percent(known, all));
    }
    for (class, title) in CLASSES {
        let names =
            |names: Vec<&String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        let missing: Vec<&String> = haproxy[class].difference(&hawser[class]).collect();
        let own: Vec<&String> = hawser[class].difference(&haproxy[class]).collect();
        if !missing.is_empty() || !own.is_empty() {
            let _ = writeln!(text, "\n## {title}\n");
        }
        if !missing.is_empty() {
            let _ = writeln!(text, "Missing ({}): {}\n", missing.len(), names(missing));
        }
        if !own.is_empty() {
            let _ = writeln!(text, "Beyond HAProxy 2.6 ({}): {}", own.len(), names(own));
        }
    }
    text
}

/// Sorts the lines of a dump into classes.
fn tables(dump: &str) -> Tables {
    let mut tables: Tables = CLASSES.iter().map(|(class, _)| (*class, BTreeSet::new())).collect();
    let mut part = "";
    let mut section = "";
    for line in dump.lines() {
        if let Some(title) = line.strip_prefix("# List of registered ") {
            (part, section) = (title.trim_end_matches(" keywords:").trim_end_matches(':'), "");
        } else if line.starts_with('#') || line.trim().is_empty() {
            // The legend of the table of sample fetches.
        } else if part == "configuration" && !line.starts_with('\t') {
            section = line.trim();
        } else if let Some((class, name)) = entry(part, section, line) {
            tables.entry(class).or_default().insert(name);
        }
    }
    tables
}

/// Class and name of one line.
fn entry(part: &str, section: &str, line: &str) -> Option<(&'static str, String)> {
    let line = line.trim();
    let until = |marks: &[char]| line.split(marks).next().unwrap_or_default().trim().to_owned();
    match part {
        "ACL" => Some(("acl", until(&['=']))),
        "CLI" => Some(("cli", until(&['[']))),
        "sample converter functions" => Some(("converter", until(&['(', ':']))),
        "filter names" => Some(("filter", until(&['[']))),
        "sample fetch functions" => {
            // A column of flags stands in brackets before the name; arguments may have brackets too.
            let name = line.split_once("] ").map_or(line, |(_, name)| name);
            Some(("fetch", name.split(['(', ':']).next().unwrap_or_default().trim().to_owned()))
        }
        "service names" => Some(("service", line.to_owned())),
        "configuration" => configuration(section, line),
        _ => None,
    }
}

fn configuration(section: &str, line: &str) -> Option<(&'static str, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // What follows the keyword: `+1` counts arguments, brackets tell where it is allowed, `*` marks a prefix.
    let name = |word: &&str| word.trim_end_matches('*').to_owned();
    let class = |class: &'static str, position: usize| words.get(position).map(|word| (class, name(word)));
    match (section, words.as_slice()) {
        ("global", _) => class("global", 0),
        ("crt-list", _) => class("crt-list", 0),
        ("listen", ["bind", _, "ssl", _, ..]) if words.get(3).is_some_and(|word| !word.starts_with('+')) => {
            class("bind", 3)
        }
        ("listen", ["bind", ..]) => class("bind", 2),
        ("listen", ["server", ..]) => class("server", 3),
        ("listen", ["option", ..]) => class("option", 1),
        ("listen", ["tcp-request", "connection", _, ..]) => class("tcp-request connection", 2),
        ("listen", ["tcp-request", "session", _, ..]) => class("tcp-request session", 2),
        ("listen", ["tcp-request", "content", _, ..]) => class("tcp-request content", 2),
        ("listen", ["tcp-response", "content", _, ..]) => class("tcp-response", 2),
        ("listen", ["http-request", _, ..]) => class("http-request", 1),
        ("listen", ["http-response", _, ..]) => class("http-response", 1),
        ("listen", ["http-after-response", _, ..]) => class("http-after-response", 1),
        ("listen", _) => class("proxy", 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_sorted_into_classes() {
        let dump = "# List of registered ACL keywords:\nhdr_beg = req.hdr -m beg\n\
                    # List of registered configuration keywords:\nglobal\n\tnbthread\nlisten\n\ttimeout\n\
                    \tbind <addr> maxconn +1\n\tbind <addr> ssl alpn +1\n\tserver <name> <addr> weight +1\n\
                    \toption persist [ BE ]\n\ttcp-request content set-var*\n\thttp-request deny\ncrt-list\n\tverify +1\n\
                    # List of registered CLI keywords:\nshow stat [WORKER] \n\
                    # List of registered sample converter functions:\nadd(string): sint => sint\n\
                    # List of registered sample fetch functions:\n# | |\n[ Y . ] urlp([string,string]): str\n\
                    # List of registered service names:\nprometheus-exporter\n";
        let found: Vec<(&str, String)> = tables(dump)
            .into_iter()
            .flat_map(|(class, names)| names.into_iter().map(move |name| (class, name)))
            .collect();
        let expected = [
            ("acl", "hdr_beg"),
            ("bind", "alpn"),
            ("bind", "maxconn"),
            ("cli", "show stat"),
            ("converter", "add"),
            ("crt-list", "verify"),
            ("fetch", "urlp"),
            ("global", "nbthread"),
            ("http-request", "deny"),
            ("option", "persist"),
            ("proxy", "timeout"),
            ("server", "weight"),
            ("service", "prometheus-exporter"),
            ("tcp-request content", "set-var"),
        ];
        assert_eq!(found, expected.map(|(class, name)| (class, name.to_owned())));
    }
}
