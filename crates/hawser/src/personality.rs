//! Which program to be: by the name we were started under, or by the first argument.

use std::ffi::{OsStr, OsString};
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    Haproxy,
    Ipvsadm,
    Keepalived,
    Vrrp,
    Cert,
    Check,
    Dashboard,
    Demo,
    Diff,
    Director,
    Doctor,
    Explain,
    Lab,
    Manual,
    Completions,
    Run,
    Help,
    Version,
}

/// One name that starts something.
struct Name {
    name: &'static str,
    personality: Personality,
    help: &'static str,
}

/// Everything that can be asked for.
const NAMES: &[Name] = &[
    Name {
        name: "haproxy",
        personality: Personality::Haproxy,
        help: "the proxy, with HAProxy's command line (also as a symlink `haproxy`)",
    },
    Name {
        name: "keepalived",
        personality: Personality::Keepalived,
        help: "virtual addresses, with keepalived's command line",
    },
    Name {
        name: "ipvsadm",
        personality: Personality::Ipvsadm,
        help: "the kernel's packet director, with ipvsadm's command line (also as a symlink `ipvsadm`)",
    },
    Name {
        name: "vrrp",
        personality: Personality::Vrrp,
        help: "state of the virtual addresses; handover, maintenance, priority",
    },
    Name {
        name: "cert",
        personality: Personality::Cert,
        help: "whether a certificate, its key and its names will do",
    },
    Name {
        name: "check",
        personality: Personality::Check,
        help: "every mistake of configurations and scripts, and between them",
    },
    Name {
        name: "dashboard",
        personality: Personality::Dashboard,
        help: "a web page about everything, and /metrics",
    },
    Name {
        name: "demo",
        personality: Personality::Demo,
        help: "three backends and the proxy before them, on loopback, to try",
    },
    Name {
        name: "diff",
        personality: Personality::Diff,
        help: "what a reload with another haproxy.cfg would change for clients",
    },
    Name {
        name: "director",
        personality: Personality::Director,
        help: "the virtual servers of a keepalived.conf, in the foreground; show, drain, weight",
    },
    Name {
        name: "doctor",
        personality: Personality::Doctor,
        help: "what this machine needs to carry the load, measured and explained",
    },
    Name {
        name: "explain",
        personality: Personality::Explain,
        help: "what each line does; which rule, backend and server a request gets",
    },
    Name {
        name: "lab",
        personality: Personality::Lab,
        help: "two directors, two real servers and a client on this machine, to try failover",
    },
    Name {
        name: "manual",
        personality: Personality::Manual,
        help: "manual pages, made from the tables that parsing reads",
    },
    Name {
        name: "completions",
        personality: Personality::Completions,
        help: "completions for bash, zsh or fish",
    },
    Name {
        name: "run",
        personality: Personality::Run,
        help: "proxy and virtual addresses under one supervisor, which know of each other",
    },
    Name { name: "--help", personality: Personality::Help, help: "this text" },
    Name { name: "--version", personality: Personality::Version, help: "the version" },
];

/// Chooses by program name, else by the first argument, which is then removed from `arguments`.
///
/// # Errors
/// A line for standard error: what was asked for is unknown.
pub fn choose(program: &OsStr, arguments: &mut Vec<OsString>) -> Result<Personality, String> {
    let base = Path::new(program).file_name().unwrap_or(program);
    // Packagers install `haproxy-2.6`, test tools `haproxy.hawser`.
    let base = base.to_string_lossy();
    let base = base.split(['-', '.']).next().unwrap_or_default();
    if let Some(row) = NAMES.iter().find(|row| row.name == base) {
        return Ok(row.personality);
    }
    if arguments.is_empty() {
        return Err(help());
    }
    let word = arguments.remove(0);
    let word = word.to_string_lossy();
    let word = match &*word {
        "-h" | "help" => "--help",
        "-V" | "version" => "--version",
        other => other,
    };
    match NAMES.iter().find(|row| row.name == word) {
        Some(row) => Ok(row.personality),
        None => Err(format!("hawser: unknown command '{word}'\n\n{}", help())),
    }
}

/// The words after `hawser`, each with its line of help.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.iter().map(|row| (row.name, row.help)).filter(|(name, _)| !name.starts_with('-'))
}

/// `hawser --help`.
pub fn help() -> String {
    let mut text = String::from("Usage: hawser COMMAND [ARGUMENTS]\n\n");
    for row in NAMES {
        text.push_str(&format!("  {:12} {}\n", row.name, row.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(program: &str, arguments: &[&str]) -> Result<Personality, String> {
        let mut arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        choose(OsStr::new(program), &mut arguments)
    }

    #[test]
    fn the_name_of_the_symlink_decides() {
        assert_eq!(chosen("/usr/sbin/haproxy", &["-v"]), Ok(Personality::Haproxy));
        assert_eq!(chosen("haproxy-2.6", &["-v"]), Ok(Personality::Haproxy));
    }

    #[test]
    fn otherwise_the_first_argument_decides() {
        assert_eq!(chosen("/usr/bin/hawser", &["haproxy", "-v"]), Ok(Personality::Haproxy));
        assert_eq!(chosen("hawser", &["--version"]), Ok(Personality::Version));
    }

    #[test]
    fn the_director_is_there_by_both_names() {
        for found in [chosen("/sbin/ipvsadm", &["-Ln"]), chosen("hawser", &["ipvsadm", "-Ln"])] {
            assert_eq!(found, Ok(Personality::Ipvsadm));
        }
    }

    #[test]
    fn an_unknown_command_shows_the_commands() {
        assert!(chosen("hawser", &["proxy"]).expect_err("unknown").contains("haproxy"));
    }
}
