//! keepalived's options.

use failover::log::{FACILITY_DAEMON, FACILITY_LOCAL0, Wanted};
use failover::office::signal;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the words ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Run(Arguments),
    /// `-t`
    Test(Arguments),
    Print(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub file: PathBuf,
    pub foreground: bool,
    pub log: Wanted,
    pub pid_file: PathBuf,
    pub vrrp_pid_file: PathBuf,
    pub dump: bool,
    pub keep_addresses: bool,
    pub dont_respawn: bool,
    pub namespace: Option<String>,
    pub config_id: Option<String>,
    pub test: bool,
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
            pid_file: PathBuf::from("/run/keepalived.pid"),
            vrrp_pid_file: PathBuf::from("/run/vrrp.pid"),
            dump: false,
            keep_addresses: false,
            dont_respawn: false,
            namespace: None,
            config_id: None,
            test: false,
        }
    }
}

/// What an option does with its value.
enum Effect {
    Flag(fn(&mut Arguments)),
    Value(fn(&mut Arguments, &str) -> Result<(), String>),
}

struct Row {
    short: char,
    long: &'static str,
    effect: Effect,
}

/// `const` to keep the table narrow.
const fn flag(short: char, long: &'static str, effect: fn(&mut Arguments)) -> Row {
    Row { short, long, effect: Effect::Flag(effect) }
}

const fn value(
    short: char,
    long: &'static str,
    effect: fn(&mut Arguments, &str) -> Result<(), String>,
) -> Row {
    Row { short, long, effect: Effect::Value(effect) }
}

const OPTIONS: &[Row] = &[
    value('f', "use-file", |arguments, text| {
        arguments.file = text.into();
        Ok(())
    }),
    flag('P', "vrrp", |_| {}),
    flag('l', "log-console", |arguments| arguments.log.console = true),
    flag('D', "log-detail", |arguments| arguments.log.detail = true),
    value('S', "log-facility", |arguments, text| match text.parse::<u8>() {
        Ok(number @ 0..=7) => {
            arguments.log.facility = FACILITY_LOCAL0 + number;
            Ok(())
        }
        Ok(_) | Err(_) => Err(format!("Invalid log facility '{text}'")),
    }),
    value('g', "log-file", |arguments, text| {
        arguments.log.file = Some(text.into());
        Ok(())
    }),
    flag('G', "no-syslog", |arguments| arguments.log.no_syslog = true),
    flag('V', "dont-release-vrrp", |arguments| arguments.keep_addresses = true),
    flag('R', "dont-respawn", |arguments| arguments.dont_respawn = true),
    flag('n', "dont-fork", |arguments| arguments.foreground = true),
    flag('d', "dump-conf", |arguments| arguments.dump = true),
    value('p', "pid", |arguments, text| {
        arguments.pid_file = text.into();
        Ok(())
    }),
    value('r', "vrrp_pid", |arguments, text| {
        arguments.vrrp_pid_file = text.into();
        Ok(())
    }),
    value('s', "namespace", |arguments, text| {
        arguments.namespace = Some(text.to_owned());
        Ok(())
    }),
    value('i', "config-id", |arguments, text| {
        arguments.config_id = Some(text.to_owned());
        Ok(())
    }),
    flag('t', "config-test", |arguments| arguments.test = true),
];

/// Names of `--signum`.
const SIGNALS: &[(&str, i32)] = &[
    ("STOP", signal::STOP),
    ("RELOAD", signal::RELOAD),
    ("DATA", signal::DATA),
    ("STATS", signal::STATS),
    ("STATS_CLEAR", signal::STATS_CLEAR),
    ("JSON", signal::JSON),
];

/// # Errors
/// A line for standard error.
pub fn parse(words: &[OsString]) -> Result<Asked, String> {
    let mut arguments = Arguments::default();
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, given) = match long.split_once('=') {
                Some((name, given)) => (name, Some(given.to_owned())),
                None => (long, None),
            };
            match name {
                "version" => return Ok(Asked::Print(format!("{}\n", super::process::version_text()))),
                "signum" => {
                    let given = given.or_else(|| rest.next().cloned()).unwrap_or_default();
                    return signal_number(&given).map(Asked::Print);
                }
                _ => {}
            }
            let option = OPTIONS.iter().find(|option| option.long == name);
            let option = option.ok_or_else(|| format!("keepalived: unrecognized option '{word}'"))?;
            let mut more = || given.clone().or_else(|| rest.next().cloned());
            apply(option, &mut arguments, &mut more)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            if letters == "v" {
                return Ok(Asked::Print(format!("{}\n", super::process::version_text())));
            }
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                let option = OPTIONS.iter().find(|option| option.short == letter);
                let option = option.ok_or_else(|| format!("keepalived: invalid option -- '{letter}'"))?;
                // A value may stand right behind its letter.
                let tail = letters.as_str().to_owned();
                let takes = matches!(option.effect, Effect::Value(_));
                let mut more = || if tail.is_empty() { rest.next().cloned() } else { Some(tail.clone()) };
                apply(option, &mut arguments, &mut more)?;
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

fn apply(
    option: &Row,
    arguments: &mut Arguments,
    more: &mut dyn FnMut() -> Option<String>,
) -> Result<(), String> {
    match option.effect {
        Effect::Flag(effect) => {
            effect(arguments);
            Ok(())
        }
        Effect::Value(effect) => {
            let missing = || format!("keepalived: option requires an argument -- '{}'", option.short);
            effect(arguments, &more().ok_or_else(missing)?)
        }
    }
}

fn signal_number(name: &str) -> Result<String, String> {
    let found = SIGNALS.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| format!("{number}\n")).ok_or_else(|| format!("Unknown sigfunc {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked, String> {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn letters_may_be_joined_and_values_may_stand_behind_them() {
        let Ok(Asked::Run(arguments)) = parsed("-nlDP -f /x -p/y --vrrp_pid=/z -S 3") else { panic!("runs") };
        assert!(arguments.foreground && arguments.log.console && arguments.log.detail);
        assert_eq!(arguments.file, PathBuf::from("/x"));
        assert_eq!(arguments.pid_file, PathBuf::from("/y"));
        assert_eq!(arguments.vrrp_pid_file, PathBuf::from("/z"));
        assert_eq!(arguments.log.facility, 19);
    }

    #[test]
    fn numbers_of_signals_are_told_by_name() {
        assert_eq!(parsed("--signum=JSON"), Ok(Asked::Print("36\n".to_owned())));
        assert_eq!(parsed("--signum STATS"), Ok(Asked::Print("12\n".to_owned())));
        assert!(parsed("--signum=NONE").is_err());
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(parsed("--nonsense").is_err());
        assert!(parsed("-Z").is_err());
        assert!(parsed("-f").is_err());
        assert!(parsed("word").is_err());
    }
}
