//! Commands of the master's socket, and their answers. Text in, text out.

use super::socket::Level;
use super::workers::{Standing, Workers};
use crate::version;
use std::time::{Duration, Instant};

/// What answers are made from.
pub struct Facts<'a> {
    pub workers: &'a Workers,
    pub began: Instant,
    pub reloads: u32,
    pub failed_reloads: u32,
}

/// What a command asks of the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Text, which an empty line ends.
    Answer(String),
    /// Close; the master reloads.
    Reload,
    TogglePrompt,
    Lower(Level),
    Quit,
}

struct Command {
    /// Leading words that name it.
    words: &'static [&'static str],
    /// As `help` shows it, and what it does.
    synopsis: &'static str,
    help: &'static str,
    level: Level,
    run: fn(&Facts<'_>, Level) -> Outcome,
}

/// The names of all commands, as `-dKcli` lists them.
pub fn command_names() -> impl Iterator<Item = String> {
    COMMANDS.iter().map(|command| command.words.join(" "))
}

/// In HAProxy's order.
const COMMANDS: &[Command] = &[
    row(&["@!<pid>"], "@!<pid>", "send a command to the <pid> process", Level::User, nothing),
    row(
        &["@<relative pid>"],
        "@<relative pid>",
        "send a command to the <relative pid> process",
        Level::User,
        nothing,
    ),
    row(&["@master"], "@master", "send a command to the master process", Level::User, nothing),
    row(
        &["operator"],
        "operator",
        "lower the level of the current CLI session to operator",
        Level::Operator,
        |_, _| Outcome::Lower(Level::Operator),
    ),
    row(&["reload"], "reload", "reload haproxy", Level::Operator, |_, _| Outcome::Reload),
    row(
        &["show", "cli", "level"],
        "show cli level",
        "display the level of the current CLI session",
        Level::User,
        show_level,
    ),
    row(&["show", "cli", "sockets"], "show cli sockets", "dump list of cli sockets", Level::User, nothing),
    row(&["show", "proc"], "show proc", "show processes status", Level::User, show_processes),
    row(
        &["show", "version"],
        "show version",
        "show version of the current process",
        Level::User,
        show_version,
    ),
    row(&["user"], "user", "lower the level of the current CLI session to user", Level::User, |_, _| {
        Outcome::Lower(Level::User)
    }),
    row(&["help"], "help [<command>]", "list matching or all commands", Level::User, nothing),
    row(&["prompt"], "prompt", "toggle interactive mode with prompt", Level::User, |_, _| {
        Outcome::TogglePrompt
    }),
    row(&["quit"], "quit", "disconnect", Level::User, |_, _| Outcome::Quit),
];

const fn row(
    words: &'static [&'static str],
    synopsis: &'static str,
    help: &'static str,
    level: Level,
    run: fn(&Facts<'_>, Level) -> Outcome,
) -> Command {
    Command { words, synopsis, help, level, run }
}

/// Runs one command of a client with rights `level`.
pub fn run(line: &str, facts: &Facts<'_>, level: Level) -> Outcome {
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.first() == Some(&"help") {
        return Outcome::Answer(help(&words[1..], "The following commands are valid at this level:\n"));
    }
    if words.is_empty() {
        let heading = "Unknown command. Please enter one of the following commands only:\n";
        return Outcome::Answer(help(&words, heading));
    }
    match COMMANDS.iter().find(|row| words.starts_with(row.words)) {
        Some(row) if row.level > level => Outcome::Answer("Permission denied\n".to_owned()),
        Some(row) => (row.run)(facts, level),
        None => Outcome::Answer(help(
            &words,
            "Unknown command, but maybe one of the following ones is a better match:\n",
        )),
    }
}

/// The commands that start as `words` do, or all, whoever asks; the last three always.
fn help(words: &[&str], heading: &str) -> String {
    const ALWAYS: usize = 3;
    let mut text = heading.to_owned();
    let usual = &COMMANDS[..COMMANDS.len() - ALWAYS];
    let alike = |row: &&Command| words.first().is_none_or(|word| row.words.first() == Some(word));
    let mut chosen: Vec<&Command> = usual.iter().filter(alike).collect();
    if chosen.is_empty() {
        // A first word that nothing starts with: HAProxy finds the commands of one word near it.
        chosen = usual.iter().filter(|row| !row.synopsis.contains(' ')).collect();
    }
    chosen.extend(&COMMANDS[COMMANDS.len() - ALWAYS..]);
    for row in chosen {
        text.push_str(&format!("  {:39} : {}\n", row.synopsis, row.help));
    }
    text
}

fn nothing(_: &Facts<'_>, _: Level) -> Outcome {
    Outcome::Answer(String::new())
}

fn show_level(_: &Facts<'_>, level: Level) -> Outcome {
    let name = match level {
        Level::User => "user",
        Level::Operator => "operator",
        Level::Admin => "admin",
    };
    Outcome::Answer(format!("{name}\n"))
}

fn show_version(_: &Facts<'_>, _: Level) -> Outcome {
    Outcome::Answer(format!("{}\n", version::COMPATIBLE))
}

fn show_processes(facts: &Facts<'_>, _: Level) -> Outcome {
    let line = |pid: u32, kind: &str, reloads: String, age: Duration| {
        format!("{pid:<15} {kind:<15} {reloads:<15} {:<15} {:<15}\n", uptime(age), version::COMPATIBLE)
    };
    let mut text = format!(
        "{:<15} {:<15} {:<15} {:<15} {:<15}\n",
        "#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"
    );
    let reloads = format!("{} [failed: {}]", facts.reloads, facts.failed_reloads);
    text.push_str(&line(std::process::id(), "master", reloads, facts.began.elapsed()));
    text.push_str("# workers\n");
    let mut former = String::new();
    for worker in facts.workers.serving() {
        let text_line = line(worker.pid(), "worker", worker.reloads.to_string(), worker.began.elapsed());
        match worker.standing {
            Standing::Former => former.push_str(&text_line),
            Standing::Current | Standing::Starting => text.push_str(&text_line),
        }
    }
    if !former.is_empty() {
        text.push_str("# old workers\n");
        text.push_str(&former);
    }
    text.push_str("# programs\n");
    Outcome::Answer(text)
}

fn uptime(age: Duration) -> String {
    let seconds = age.as_secs();
    format!("{}d{:02}h{:02}m{:02}s", seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str, level: Level) -> String {
        let workers = Workers::default();
        let facts = Facts { workers: &workers, began: Instant::now(), reloads: 4, failed_reloads: 1 };
        match run(line, &facts, level) {
            Outcome::Answer(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn processes_are_listed_in_haproxys_columns() {
        let pid = std::process::id();
        let expected = format!(
            "#<PID>          <type>          <reloads>       <uptime>        <version>      \n\
             {pid:<15} master          4 [failed: 1]   0d00h00m00s     {:<15}\n# workers\n# programs\n",
            version::COMPATIBLE
        );
        assert_eq!(answer("show proc", Level::User), expected);
    }

    #[test]
    fn help_and_unknown_commands_list_as_haproxy_does() {
        let all = answer("help", Level::Admin);
        assert!(all.starts_with("The following commands are valid at this level:\n  @!<pid>                                 : send"));
        assert_eq!(all.lines().count(), 14);
        let near = answer("show loadstatus", Level::Admin);
        assert!(near.starts_with(
            "Unknown command, but maybe one of the following ones is a better match:\n  show cli level"
        ));
        assert!(near.contains("  help [<command>]                        : list matching or all commands\n"));
        assert!(!near.contains("reload"));
    }

    #[test]
    fn rights_are_kept() {
        assert_eq!(answer("reload", Level::User), "Permission denied\n");
        assert_eq!(answer("show cli level", Level::Operator), "operator\n");
        assert!(answer("help", Level::User).contains("reload"), "as HAProxy, which lists everything");
    }
}
