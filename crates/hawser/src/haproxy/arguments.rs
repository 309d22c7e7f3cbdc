//! HAProxy's command line: one row per flag in [`FLAGS`], which parsing, the usage text, the manual page and shell
//! completion all read. It parses words; it opens and starts nothing.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Configuration files and old process ids on one command line.
const LIST_LENGTH_MAX: usize = 4096;

/// How reports about the configuration are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
}

/// How much `-v` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionDetail {
    Short,
    Build,
}

/// What to do with the processes that `-sf`, `-st` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldProcesses {
    Finish,
    Terminate,
}

/// A parsed command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    pub files: Vec<PathBuf>,
    pub check: bool,
    pub condition: Option<String>,
    pub version: Option<VersionDetail>,
    pub debug: bool,
    pub foreground: bool,
    pub daemon: bool,
    pub master_worker: bool,
    pub systemd: bool,
    pub verbose: bool,
    pub quiet: bool,
    pub zero_warning: bool,
    pub diagnostics: bool,
    pub format: ReportFormat,
    pub master_sockets: Vec<String>,
    pub pidfile: Option<PathBuf>,
    pub memory_megabytes: Option<u64>,
    pub maxconn: Option<u32>,
    pub default_maxconn: Option<u32>,
    pub working_directory: Option<PathBuf>,
    pub transfer_from: Option<PathBuf>,
    pub old_processes: Option<(OldProcesses, Vec<i32>)>,
    pub local_peer: Option<String>,
    pub no_splice: bool,
    pub no_reuseport: bool,
    pub ignore_resolve_failures: bool,
    pub no_server_verify: bool,
    pub list_objects: bool,
    pub dump_keywords: Vec<String>,
}

/// Why a command line is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentError {
    /// Print the usage text.
    Usage,
    /// Print this as an alert.
    Alert(String),
}

/// How a flag takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    /// The next word.
    Next(&'static str),
    /// Glued to the flag: `-dKall`. May be empty.
    Glued(&'static str),
    /// All words up to the next flag.
    List(&'static str),
}

struct Flag {
    name: &'static str,
    value: Value,
    help: &'static str,
    apply: fn(&mut Arguments, &str) -> Result<(), ArgumentError>,
}

macro_rules! flag {
    ($name:literal, $value:expr, $help:literal, $apply:expr) => {
        Flag { name: $name, value: $value, help: $help, apply: $apply }
    };
}

/// Exact names are tried before glued ones, longest first.
const FLAGS: &[Flag] = &[
    flag!(
        "-f",
        Value::Next("FILE|DIR"),
        "configuration file, or directory of *.cfg; may be repeated",
        |a, v| { push(&mut a.files, PathBuf::from(v)) }
    ),
    flag!("-c", Value::None, "check the configuration and exit: 0 valid, 1 not", |a, _| set(&mut a.check)),
    flag!(
        "-cc",
        Value::Next("CONDITION"),
        "evaluate a condition of .if and exit: 0 true, 1 false",
        |a, v| {
            a.condition = Some(v.to_owned());
            Ok(())
        }
    ),
    flag!("--format", Value::Next("text|json"), "form of the report of -c", |a, v| {
        a.format = match v {
            "text" => ReportFormat::Text,
            "json" => ReportFormat::Json,
            other => return alert(format!("--format: 'text' or 'json' expected, found '{other}'.")),
        };
        Ok(())
    }),
    flag!("-v", Value::None, "print the version", |a, _| {
        a.version.get_or_insert(VersionDetail::Short);
        Ok(())
    }),
    flag!("-vv", Value::None, "print the version and what is built in", |a, _| {
        a.version = Some(VersionDetail::Build);
        Ok(())
    }),
    flag!("-D", Value::None, "go to the background", |a, _| set(&mut a.daemon)),
    flag!("-d", Value::None, "debug: stay in the foreground", |a, _| set(&mut a.debug)),
    flag!("-db", Value::None, "stay in the foreground", |a, _| set(&mut a.foreground)),
    flag!("-W", Value::None, "master and worker processes", |a, _| set(&mut a.master_worker)),
    flag!("-Ws", Value::None, "the same, and tell systemd", |a, _| {
        a.master_worker = true;
        set(&mut a.systemd)
    }),
    flag!("-S", Value::Next("ADDRESS[,OPTION...]"), "socket of the master's runtime API", |a, v| {
        push(&mut a.master_sockets, v.to_owned())
    }),
    flag!("-p", Value::Next("FILE"), "write the process id to this file", |a, v| {
        a.pidfile = Some(PathBuf::from(v));
        Ok(())
    }),
    flag!(
        "-sf",
        Value::List("PID"),
        "these old processes finish (SIGUSR1) once this one has started",
        |a, v| { old_process(a, OldProcesses::Finish, v) }
    ),
    flag!(
        "-st",
        Value::List("PID"),
        "these old processes end (SIGTERM) once this one has started",
        |a, v| { old_process(a, OldProcesses::Terminate, v) }
    ),
    flag!(
        "-x",
        Value::Next("SOCKET"),
        "take the listeners over from the process behind this socket",
        |a, v| {
            a.transfer_from = Some(PathBuf::from(v));
            Ok(())
        }
    ),
    flag!("-C", Value::Next("DIR"), "change to this directory first", |a, v| {
        a.working_directory = Some(PathBuf::from(v));
        Ok(())
    }),
    flag!("-L", Value::Next("NAME"), "name of the local peer, instead of the host name", |a, v| {
        a.local_peer = Some(v.to_owned());
        Ok(())
    }),
    flag!("-n", Value::Next("COUNT"), "connections of the process, instead of global maxconn", |a, v| {
        a.maxconn = number(v);
        Ok(())
    }),
    flag!("-N", Value::Next("COUNT"), "default maxconn of frontends", |a, v| {
        a.default_maxconn = number(v);
        Ok(())
    }),
    flag!("-m", Value::Next("MEGABYTES"), "limit of memory", |a, v| {
        a.memory_megabytes = number(v).map(u64::from);
        Ok(())
    }),
    flag!("-q", Value::None, "print nothing", |a, _| set(&mut a.quiet)),
    flag!("-V", Value::None, "print more, also when quiet is configured", |a, _| set(&mut a.verbose)),
    flag!("-dW", Value::None, "a warning is an error", |a, _| set(&mut a.zero_warning)),
    flag!("-dD", Value::None, "warn about suspicious statements", |a, _| set(&mut a.diagnostics)),
    flag!("-dr", Value::None, "servers whose names do not resolve start without address", |a, _| {
        set(&mut a.ignore_resolve_failures)
    }),
    flag!("-dS", Value::None, "never splice", |a, _| set(&mut a.no_splice)),
    flag!("-dR", Value::None, "no SO_REUSEPORT", |a, _| set(&mut a.no_reuseport)),
    flag!("-dV", Value::None, "do not verify servers' certificates", |a, _| set(&mut a.no_server_verify)),
    flag!("-dL", Value::None, "list the loaded objects after the check", |a, _| set(&mut a.list_objects)),
    flag!("-dK", Value::Glued("CLASS,..."), "print the known keywords of these classes, or 'all'", |a, v| {
        if v.is_empty() || v == "help" {
            return Err(ArgumentError::Usage);
        }
        v.split(',').try_for_each(|class| push(&mut a.dump_keywords, class.to_owned()))
    }),
    flag!("-dM", Value::Glued("BYTE,..."), "accepted; memory is never read before it is written", |_, _| Ok(
        ()
    )),
    flag!("-dI", Value::None, "accepted; integrity is not optional here", |_, _| Ok(())),
    flag!("-dG", Value::None, "accepted; addresses are resolved by getaddrinfo", |_, _| Ok(())),
    flag!("-de", Value::None, "accepted; epoll stays", |_, _| Ok(())),
    flag!("-dp", Value::None, "accepted; poll is not used", |_, _| Ok(())),
    flag!("-dk", Value::None, "accepted; kqueue is not used", |_, _| Ok(())),
];

fn set(field: &mut bool) -> Result<(), ArgumentError> {
    *field = true;
    Ok(())
}

fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), ArgumentError> {
    if list.len() >= LIST_LENGTH_MAX {
        return alert(format!("more than {LIST_LENGTH_MAX} of one argument."));
    }
    list.push(value);
    Ok(())
}

fn alert<T>(text: String) -> Result<T, ArgumentError> {
    Err(ArgumentError::Alert(text))
}

/// HAProxy reads these numbers with `atol`: what is no number counts as not given.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|value| *value > 0)
}

fn old_process(arguments: &mut Arguments, action: OldProcesses, word: &str) -> Result<(), ArgumentError> {
    let list = &mut arguments.old_processes.get_or_insert_with(|| (action, Vec::new()));
    list.0 = action;
    // The value itself comes word by word; without any, the flag alone is legal (no old process yet).
    if word.is_empty() {
        return Ok(());
    }
    let name = if action == OldProcesses::Finish { "-sf" } else { "-st" };
    // `-sf "$(pidof haproxy)"` gives several numbers in one word.
    for word in word.split_whitespace() {
        match word.parse::<i32>() {
            Ok(pid) if pid > 0 => push(&mut list.1, pid)?,
            Ok(_) | Err(_) => {
                return alert(format!("{name} option: some bytes unconsumed in PID list {{{word}}}"));
            }
        }
    }
    Ok(())
}

/// Reads the words after the program's name.
///
/// # Errors
/// [`ArgumentError`]: exit with 1.
pub fn parse(words: &[OsString]) -> Result<Arguments, ArgumentError> {
    let mut arguments = Arguments::default();
    let mut words = words.iter().map(OsString::as_os_str).peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            for file in words.by_ref() {
                push(&mut arguments.files, PathBuf::from(file))?;
            }
            break;
        }
        let (flag, glued) = find(word).ok_or(ArgumentError::Usage)?;
        match flag.value {
            Value::None => (flag.apply)(&mut arguments, "")?,
            Value::Glued(_) => (flag.apply)(&mut arguments, &glued)?,
            Value::Next(expected) => {
                let missing = || ArgumentError::Alert(format!("{} expects {expected}.", flag.name));
                let value = words.next().ok_or_else(missing)?;
                (flag.apply)(&mut arguments, &text(value)?)?;
            }
            Value::List(_) => {
                (flag.apply)(&mut arguments, "")?;
                while let Some(value) = words.next_if(|word| !word.as_encoded_bytes().starts_with(b"-")) {
                    (flag.apply)(&mut arguments, &text(value)?)?;
                }
            }
        }
    }
    Ok(arguments)
}

fn text(word: &OsStr) -> Result<String, ArgumentError> {
    match word.to_str() {
        Some(word) => Ok(word.to_owned()),
        None => alert(format!("'{}' is not UTF-8.", word.display())),
    }
}

fn find(word: &OsStr) -> Option<(&'static Flag, String)> {
    let word = word.to_str()?;
    if let Some(flag) = FLAGS.iter().find(|flag| flag.name == word) {
        return Some((flag, String::new()));
    }
    FLAGS
        .iter()
        .filter(|flag| matches!(flag.value, Value::Glued(_)))
        .find_map(|flag| Some((flag, word.strip_prefix(flag.name)?.to_owned())))
}

/// The usage text.
pub fn usage(program: &str) -> String {
    let mut text = format!("Usage : {program} [-f FILE|DIR]* [FLAGS] [-- FILE*]\n");
    for flag in FLAGS {
        let synopsis = match flag.value {
            Value::None => flag.name.to_owned(),
            Value::Next(value) => format!("{} {value}", flag.name),
            Value::Glued(value) => format!("{}[{value}]", flag.name),
            Value::List(value) => format!("{} [{value} ...]", flag.name),
        };
        text.push_str(&format!("        {synopsis:24} {}\n", flag.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, ArgumentError> {
        parse(&line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_of_debians_unit_is_understood() {
        let arguments =
            parsed("-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock")
                .expect("valid");
        assert!(arguments.master_worker && arguments.systemd && !arguments.daemon);
        assert_eq!(arguments.files, [PathBuf::from("/etc/haproxy/haproxy.cfg")]);
        assert_eq!(arguments.master_sockets, ["/run/haproxy-master.sock"]);
    }

    #[test]
    fn old_processes_are_taken_until_the_next_flag() {
        let arguments = parsed("-D -sf 12 34 -f a.cfg -- b.cfg c.cfg").expect("valid");
        assert_eq!(arguments.old_processes, Some((OldProcesses::Finish, vec![12, 34])));
        assert_eq!(arguments.files.len(), 3);
        assert_eq!(parsed("-c -f a -sf").expect("valid").old_processes, Some((OldProcesses::Finish, vec![])));
        let refused = parsed("-sf abc").expect_err("no pid");
        assert_eq!(
            refused,
            ArgumentError::Alert("-sf option: some bytes unconsumed in PID list {abc}".to_owned())
        );
    }

    #[test]
    fn short_flags_are_not_prefixes_of_longer_ones() {
        let arguments = parsed("-db -dW -dKall,acl -dM0x50,fail -c").expect("valid");
        assert!(arguments.foreground && arguments.zero_warning && arguments.check && !arguments.debug);
        assert_eq!(arguments.dump_keywords, ["all", "acl"]);
    }

    #[test]
    fn unknown_flags_and_bare_words_ask_for_the_usage() {
        for line in ["--zork", "-zork", "extra", "-h", "-dX", "-dK", "-dKhelp"] {
            assert_eq!(parsed(line), Err(ArgumentError::Usage), "{line}");
        }
    }

    #[test]
    fn a_flag_without_its_value_is_an_alert_that_names_it() {
        for flag in ["-f", "-p", "-S", "-L", "-n", "-x", "-cc"] {
            let ArgumentError::Alert(text) = parsed(flag).expect_err("no value") else { panic!("{flag}") };
            assert!(text.starts_with(flag), "{text}");
        }
    }

    #[test]
    fn every_flag_is_in_the_usage_once() {
        let usage = usage("haproxy");
        for flag in FLAGS {
            let named =
                usage.lines().filter(|line| line.split_whitespace().next() == Some(flag.name)).count();
            let glued =
                usage.lines().filter(|line| line.trim().starts_with(&format!("{}[", flag.name))).count();
            assert_eq!(named + glued, 1, "{}", flag.name);
        }
    }
}
