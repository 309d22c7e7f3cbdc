//! keepalived's command line: one row per option in [`OPTIONS`], which parsing and the usage text read. It parses words;
//! it opens and starts nothing.

use super::process;
use failover::log::{FACILITY_DAEMON, FACILITY_LOCAL0, Wanted};
use failover::office::signal;
use keepalived_config::model::AgentSocket;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

/// What the words ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Run(Arguments),
    /// `-t`
    Test(Arguments),
    /// To standard output.
    Print(String),
    /// To standard error, as keepalived tells its version and usage.
    Tell(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub file: PathBuf,
    pub foreground: bool,
    pub log: Wanted,
    pub pid_file: PathBuf,
    pub vrrp_pid_file: PathBuf,
    pub checkers_pid_file: PathBuf,
    /// `-P`
    pub vrrp: bool,
    /// `-C`
    pub checkers: bool,
    /// `--all`
    pub all: bool,
    /// `-I`
    pub keep_services: bool,
    pub dump: bool,
    pub keep_addresses: bool,
    pub dont_respawn: bool,
    pub namespace: Option<String>,
    pub config_id: Option<String>,
    /// `-x`
    pub snmp: bool,
    /// `-A`; it wins over the configuration.
    pub snmp_socket: Option<AgentSocket>,
    /// `-e`: a missing include is an error.
    pub check_includes: bool,
    pub test: bool,
    /// Where `-t` writes; `None`: standard error.
    pub test_log: Option<PathBuf>,
    /// Options that were given and do nothing here, each with the reason.
    pub without_effect: Vec<String>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            file: PathBuf::from(keepalived_config::DEFAULT_PATH),
            foreground: false,
            log: Wanted {
                console: false,
                no_syslog: false,
                detail: false,
                facility: FACILITY_DAEMON,
                file: None,
                name: "Keepalived".to_owned(),
            },
            pid_file: PathBuf::from(process::PID_FILE),
            vrrp_pid_file: PathBuf::from(process::VRRP_PID_FILE),
            checkers_pid_file: PathBuf::from(process::CHECKERS_PID_FILE),
            vrrp: false,
            checkers: false,
            all: false,
            keep_services: false,
            dump: false,
            keep_addresses: false,
            dont_respawn: false,
            namespace: None,
            config_id: None,
            snmp: false,
            snmp_socket: None,
            check_includes: false,
            test: false,
            test_log: None,
            without_effect: Vec::new(),
        }
    }
}

/// What an option does with its value.
enum Effect {
    Flag(fn(&mut Arguments)),
    Value(&'static str, fn(&mut Arguments, &str) -> Result<(), String>),
    /// The value is glued to the letter or follows `=`; it may be missing.
    Optional(&'static str, fn(&mut Arguments, Option<&str>)),
    /// Taken, and does nothing in this program. The text says why; the first field names a value if one follows.
    Nothing(Option<&'static str>, &'static str),
    /// Known, and refused.
    Refused(Option<&'static str>, &'static str),
}

struct Row {
    short: Option<char>,
    long: &'static str,
    effect: Effect,
    help: &'static str,
}

/// `const` functions keep the table narrow.
const fn flag(short: char, long: &'static str, help: &'static str, effect: fn(&mut Arguments)) -> Row {
    Row { short: Some(short), long, effect: Effect::Flag(effect), help }
}

const fn value(
    short: char,
    long: &'static str,
    name: &'static str,
    help: &'static str,
    effect: fn(&mut Arguments, &str) -> Result<(), String>,
) -> Row {
    Row { short: Some(short), long, effect: Effect::Value(name, effect), help }
}

const fn nothing(
    short: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    help: &'static str,
    reason: &'static str,
) -> Row {
    Row { short, long, effect: Effect::Nothing(value, reason), help }
}

const OPTIONS: &[Row] = &[
    value(
        'f',
        "use-file",
        "FILE",
        "the configuration (/etc/keepalived/keepalived.conf)",
        |arguments, text| {
            arguments.file = text.into();
            Ok(())
        },
    ),
    flag('P', "vrrp", "VRRP only", |arguments| arguments.vrrp = true),
    flag('C', "check", "checkers only", |arguments| arguments.checkers = true),
    nothing(Some('B'), "no_bfd", None, "no BFD", "there is no BFD to leave out"),
    Row {
        short: None,
        long: "all",
        effect: Effect::Flag(|arguments| arguments.all = true),
        help: "start every process, even with nothing to do",
    },
    flag('l', "log-console", "log to the console", |arguments| arguments.log.console = true),
    flag('D', "log-detail", "log in detail", |arguments| arguments.log.detail = true),
    value(
        'S',
        "log-facility",
        "FACILITY",
        "syslog facility: 0 to 7, local0 to local7, user, daemon",
        facility,
    ),
    value('g', "log-file", "FILE", "log to a file", |arguments, text| {
        arguments.log.file = Some(text.into());
        Ok(())
    }),
    nothing(
        None,
        "flush-log-file",
        None,
        "write each line of it at once",
        "lines are always written at once",
    ),
    flag('G', "no-syslog", "no syslog", |arguments| arguments.log.no_syslog = true),
    value('u', "umask", "MASK", "rights that new files do not get", |_, text| match parse_number(text) {
        Some(mask) if mask <= 0o777 => Ok(()),
        Some(_) | None => Err(format!("Invalid --umask option {text}")),
    }),
    nothing(Some('X'), "release-vips", None, "drop addresses on a signal", "STOP always drops them"),
    flag('V', "dont-release-vrrp", "leave addresses and routes at the end", |arguments| {
        arguments.keep_addresses = true;
    }),
    flag('I', "dont-release-ipvs", "leave IPVS at the end", |arguments| arguments.keep_services = true),
    flag('R', "dont-respawn", "do not start a dead process again", |arguments| arguments.dont_respawn = true),
    flag('n', "dont-fork", "stay in the foreground", |arguments| arguments.foreground = true),
    flag('d', "dump-conf", "log the configuration at start", |arguments| arguments.dump = true),
    value('p', "pid", "FILE", "pid file", |arguments, text| {
        arguments.pid_file = text.into();
        Ok(())
    }),
    value('r', "vrrp_pid", "FILE", "pid file of VRRP", |arguments, text| {
        arguments.vrrp_pid_file = text.into();
        Ok(())
    }),
    Row {
        short: Some('T'),
        long: "genhash",
        effect: Effect::Refused(None, "digests are made by `curl URL | md5sum`"),
        help: "print the digest of a page",
    },
    value('c', "checkers_pid", "FILE", "pid file of the checkers", |arguments, text| {
        arguments.checkers_pid_file = text.into();
        Ok(())
    }),
    nothing(Some('a'), "address-monitoring", None, "log changes of addresses", "changes are logged by `-D`"),
    nothing(Some('b'), "bfd_pid", Some("FILE"), "pid file of BFD", "there is no BFD process"),
    flag('x', "snmp", "SNMP, as the words of global_defs ask for it; no traps", |arguments| {
        arguments.snmp = true
    }),
    value('A', "snmp-agent-socket", "SOCKET", "socket of the SNMP master", |arguments, text| {
        arguments.snmp_socket = Some(AgentSocket::parse(text)?);
        Ok(())
    }),
    value('s', "namespace", "NAME", "network namespace to run in", |arguments, text| {
        arguments.namespace = Some(text.to_owned());
        Ok(())
    }),
    nothing(Some('m'), "core-dump", None, "dump core", "the system's settings for core dumps hold"),
    nothing(
        Some('M'),
        "core-dump-pattern",
        Some("PATTERN"),
        "pattern of core dumps",
        "the system's settings for core dumps hold",
    ),
    flag('e', "all-config", "a missing include is an error", |arguments| arguments.check_includes = true),
    value(
        'i',
        "config-id",
        "ID",
        "what `@ID` lines are compared with (the host's name)",
        |arguments, text| {
            arguments.config_id = Some(text.to_owned());
            Ok(())
        },
    ),
    nothing(None, "perf", Some("WHAT"), "record performance", "use perf"),
    nothing(None, "debug", Some("BITS"), "debugging output", "there is none"),
    nothing(None, "no-mem-check", None, "no checks of memory", "there are none"),
    nothing(None, "ignore-sigint", None, "ignore Ctrl-C", "use `nohup`"),
    Row {
        short: Some('t'),
        long: "config-test",
        effect: Effect::Optional("LOG_FILE", |arguments, file| {
            arguments.test = true;
            arguments.test_log = file.map(PathBuf::from);
        }),
        help: "check the configuration: 0 fine, 5 problems, 6 unsafe scripts",
    },
];

/// Options that print something and end.
const PRINTING: [(&str, &str); 3] = [
    ("    --signum=SIGNAL", "the number of STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON"),
    ("-v, --version", "the version"),
    ("-h, --help", "this text"),
];

fn facility(arguments: &mut Arguments, text: &str) -> Result<(), String> {
    /// LOG_USER
    const FACILITY_USER: u8 = 1;
    let digits = text.strip_prefix("local").unwrap_or(text);
    arguments.log.facility = match (text, digits.parse::<u8>()) {
        ("user", _) => FACILITY_USER,
        ("daemon", _) => FACILITY_DAEMON,
        (_, Ok(number @ 0..=7)) => FACILITY_LOCAL0 + number,
        (_, Ok(_) | Err(_)) => return Err(format!("Invalid log facility '{text}'")),
    };
    Ok(())
}

/// Decimal, octal with 0, hexadecimal with 0x.
fn parse_number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        Some(_) | None => text.parse().ok(),
    }
}

/// Names of `--signum`.
const SIGNALS: &[(&str, i32)] = &[
    ("STOP", signal::STOP),
    ("RELOAD", signal::RELOAD),
    ("DATA", signal::DATA),
    ("STATS", signal::STATS),
    ("STATS_CLEAR", signal::STATS_CLEAR),
    ("JSON", signal::JSON),
];

/// The usage text.
pub fn usage(program: &str) -> String {
    let mut text = format!("Usage: {program} [OPTION...]\n");
    for row in OPTIONS {
        let short = row.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
        let value = match row.effect {
            Effect::Value(name, _) => format!("={name}"),
            Effect::Optional(name, _) => format!("[={name}]"),
            Effect::Nothing(name, _) | Effect::Refused(name, _) => {
                name.map(|name| format!("={name}")).unwrap_or_default()
            }
            Effect::Flag(_) => String::new(),
        };
        let note = match row.effect {
            Effect::Nothing(_, reason) => format!(" (no effect: {reason})"),
            Effect::Refused(_, reason) => format!(" (refused: {reason})"),
            Effect::Flag(_) | Effect::Value(..) | Effect::Optional(..) => String::new(),
        };
        let _ = writeln!(text, "  {:32} {}{note}", format!("{short}--{}{value}", row.long), row.help);
    }
    for (names, help) in PRINTING {
        let _ = writeln!(text, "  {names:32} {help}");
    }
    text
}

/// # Errors
/// A line for standard error.
pub fn parse(program: &str, words: &[OsString]) -> Result<Asked, String> {
    let mut arguments = Arguments::default();
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
            let (name, given) = match long.split_once('=') {
                Some((name, given)) => (name, Some(given.to_owned())),
                None => (long, None),
            };
            if let Some(printed) = printing(program, name, &given, &mut rest)? {
                return Ok(printed);
            }
            let option = find_long(name)?;
            if let (Effect::Flag(_) | Effect::Nothing(None, _) | Effect::Refused(None, _), Some(_)) =
                (&option.effect, &given)
            {
                return Err(format!("keepalived: option '--{}' doesn't allow an argument", option.long));
            }
            let glued = given.clone();
            apply(option, &mut arguments, given, &mut || glued.clone().or_else(|| rest.next().cloned()))?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    'v' => return Ok(Asked::Tell(format!("{}\n", super::process::version_text()))),
                    'h' => return Ok(Asked::Tell(usage(program))),
                    _ => {}
                }
                let option = OPTIONS.iter().find(|option| option.short == Some(letter));
                let option = option.ok_or_else(|| format!("Unknown option -{letter}"))?;
                // A value may stand right behind its letter.
                let tail = letters.as_str().to_owned();
                let takes = match option.effect {
                    Effect::Value(..) | Effect::Optional(..) => true,
                    Effect::Nothing(value, _) | Effect::Refused(value, _) => value.is_some(),
                    Effect::Flag(_) => false,
                };
                let glued = (takes && !tail.is_empty()).then(|| tail.clone());
                apply(option, &mut arguments, glued.clone(), &mut || {
                    glued.clone().or_else(|| rest.next().cloned())
                })?;
                if takes {
                    break;
                }
            }
        } else {
            return Err(format!("Unexpected argument(s): {word}"));
        }
    }
    Ok(if arguments.test { Asked::Test(arguments) } else { Asked::Run(arguments) })
}

/// `--version`, `--help`, `--signum`: they end the program whatever else is given.
fn printing<'w>(
    program: &str,
    name: &str,
    given: &Option<String>,
    rest: &mut impl Iterator<Item = &'w String>,
) -> Result<Option<Asked>, String> {
    Ok(match name {
        "version" => Some(Asked::Tell(format!("{}\n", super::process::version_text()))),
        "help" => Some(Asked::Tell(usage(program))),
        "signum" => {
            let given = given.clone().or_else(|| rest.next().cloned()).unwrap_or_default();
            Some(Asked::Print(signal_number(&given)?))
        }
        _ => None,
    })
}

/// An option by its name, or by the start of it when only one begins so.
fn find_long(name: &str) -> Result<&'static Row, String> {
    if let Some(row) = OPTIONS.iter().find(|row| row.long == name) {
        return Ok(row);
    }
    let mut matching = OPTIONS.iter().filter(|row| row.long.starts_with(name));
    match (matching.next(), matching.next()) {
        (Some(row), None) => Ok(row),
        (Some(_), Some(_)) => Err(format!("keepalived: option '--{name}' is ambiguous")),
        (None, _) => Err(format!("Unknown option --{name}")),
    }
}

fn apply(
    option: &Row,
    arguments: &mut Arguments,
    glued: Option<String>,
    more: &mut dyn FnMut() -> Option<String>,
) -> Result<(), String> {
    let missing = || match option.short {
        Some(letter) => format!("Missing parameter for option -{letter}"),
        None => format!("Missing parameter for option --{}", option.long),
    };
    match option.effect {
        Effect::Flag(effect) => effect(arguments),
        Effect::Value(_, effect) => effect(arguments, &more().ok_or_else(missing)?)?,
        Effect::Optional(_, effect) => effect(arguments, glued.as_deref()),
        Effect::Nothing(value, reason) => {
            if value.is_some() {
                more().ok_or_else(missing)?;
            }
            arguments.without_effect.push(format!("option --{} has no effect: {reason}", option.long));
        }
        Effect::Refused(_, reason) => {
            return Err(format!("option --{} is not supported: {reason}", option.long));
        }
    }
    Ok(())
}

fn signal_number(name: &str) -> Result<String, String> {
    let found = SIGNALS.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| format!("{number}\n")).ok_or_else(|| format!("Unknown sigfunc {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked, String> {
        parse("keepalived", &line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn letters_may_be_joined_and_values_may_stand_behind_them() {
        let Ok(Asked::Run(arguments)) = parsed("-nlDP -f /x -p/y --vrrp_pid=/z -S 3") else { panic!("runs") };
        assert!(arguments.foreground && arguments.log.console && arguments.log.detail);
        assert_eq!(arguments.file, PathBuf::from("/x"));
        assert_eq!(arguments.pid_file, PathBuf::from("/y"));
        assert_eq!(arguments.vrrp_pid_file, PathBuf::from("/z"));
        assert_eq!(arguments.log.facility, 19);
        assert!(arguments.vrrp && !arguments.checkers);
        let Ok(Asked::Run(arguments)) = parsed("-CI -c/c --all") else { panic!("runs") };
        assert!(arguments.checkers && arguments.keep_services && arguments.all && !arguments.vrrp);
        assert_eq!(arguments.checkers_pid_file, PathBuf::from("/c"));
    }

    #[test]
    fn numbers_of_signals_are_told_by_name() {
        assert_eq!(parsed("--signum=JSON"), Ok(Asked::Print("36\n".to_owned())));
        assert_eq!(parsed("--signum STATS"), Ok(Asked::Print("12\n".to_owned())));
        assert!(parsed("--signum=NONE").is_err());
    }

    #[test]
    fn a_test_may_name_a_file_glued_to_its_letter() {
        let Ok(Asked::Test(arguments)) = parsed("-t/tmp/log -e -i main --use /x") else { panic!("tests") };
        assert_eq!(arguments.test_log, Some(PathBuf::from("/tmp/log")));
        assert_eq!(arguments.file, PathBuf::from("/x"));
        assert!(arguments.check_includes);
        let Ok(Asked::Test(arguments)) = parsed("--config-test") else { panic!("tests") };
        assert_eq!(arguments.test_log, None);
    }

    #[test]
    fn what_does_nothing_is_said_so() {
        let Ok(Asked::Run(arguments)) = parsed("-m -b /p --core-dump-pattern=/s") else { panic!("runs") };
        assert_eq!(arguments.without_effect.len(), 3);
        assert!(parsed("-T").is_err_and(|text| text.contains("not supported")));
    }

    #[test]
    fn snmp_is_asked_for_with_its_socket() {
        let Ok(Asked::Run(arguments)) = parsed("-x --snmp-agent-socket=tcp:127.0.0.1:705") else {
            panic!("runs")
        };
        assert!(arguments.snmp && arguments.without_effect.is_empty());
        assert_eq!(
            arguments.snmp_socket.map(|socket| socket.to_string()).as_deref(),
            Some("tcp:127.0.0.1:705")
        );
        assert!(parsed("-A udp:127.0.0.1:705").is_err());
    }

    #[test]
    fn every_option_of_keepalived_is_known() {
        let letters = "fPCBlDSGuXVIRndprTcabxAsmMeitg";
        for letter in letters.chars() {
            assert!(OPTIONS.iter().any(|row| row.short == Some(letter)), "-{letter}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(parsed("--nonsense").is_err());
        assert!(parsed("-Z").is_err());
        assert!(parsed("-f").is_err());
        assert!(parsed("word").is_err());
    }
}
