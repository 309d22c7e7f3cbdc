//! `help`, and what an unknown command is answered with. Reads the table; runs nothing.

use super::session::{Outcome, Reply, Session};
use super::table::{Command, Mode, TABLE};
use std::fmt::Write;

/// Suggestions for an unknown command at most.
const SUGGESTIONS_MAX: usize = 5;

/// Words that name a command at most.
const NAME_WORDS_MAX: usize = 5;

/// The commands that every list ends with.
const CLOSING: [(&str, &str); 3] = [
    ("help [<command>]", "list matching or all commands"),
    ("prompt", "toggle interactive mode with prompt"),
    ("quit", "disconnect"),
];

pub fn help(session: &mut Session, words: &[&str]) -> Outcome {
    Ok(Reply::info(list("The following commands are valid at this level:\n", session, &words[1..])))
}

/// The answer to a command that nobody knows.
pub fn unknown(session: &Session, words: &[&str]) -> Reply {
    let title = if words.is_empty() {
        "Unknown command. Please enter one of the following commands only:\n"
    } else {
        "Unknown command, but maybe one of the following ones is a better match:\n"
    };
    Reply::info(list(title, session, words))
}

fn list(title: &str, session: &Session, words: &[&str]) -> String {
    let mut out = title.to_owned();
    let listed = suggestions(session, words);
    let usages = listed.iter().filter_map(|command| command.usage);
    for (usage, meaning) in usages.chain(CLOSING) {
        let _ = writeln!(out, "  {usage:<40}: {meaning}");
    }
    out
}

fn is_visible(session: &Session, command: &Command) -> bool {
    command.usage.is_some()
        && match command.mode {
            Mode::Always => true,
            Mode::Experimental => session.experimental,
            Mode::Expert => session.expert,
        }
}

/// The commands that share the longest beginning with `words`, narrowed down to those closest to the word behind it.
fn suggestions(session: &Session, words: &[&str]) -> Vec<&'static Command> {
    let visible = || TABLE.iter().filter(|command| is_visible(session, command));
    let common = |command: &Command| command.words.iter().zip(words).take_while(|(a, b)| a == b).count();
    let shared = visible().map(common).max().unwrap_or(0);
    let candidates: Vec<&'static Command> =
        visible().filter(|command| shared <= command.words.len() && common(command) >= shared).collect();
    let rest = &words[shared.min(words.len())..];
    if rest.is_empty() {
        return candidates;
    }
    let rest = &rest[..rest.len().min(NAME_WORDS_MAX)];
    let wanted = Fingerprint::of(rest);
    // Later rows win ties.
    let mut near: Vec<(u32, &'static Command)> = candidates
        .iter()
        .rev()
        .filter_map(|command| {
            let tail = &command.words[shared..];
            let letters = tail.iter().chain(rest).map(|word| word.len()).sum::<usize>().max(1) as u32;
            let distance = wanted.distance(&Fingerprint::of(tail));
            (2 * distance < 5 * letters).then_some((distance, *command))
        })
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.truncate(SUGGESTIONS_MAX);
    let Some(&(best, _)) = near.first() else { return candidates };
    near.retain(|(distance, _)| 2 * distance <= 5 * best);
    near.sort_by_key(|(_, command)| command.words);
    near.into_iter().map(|(_, command)| command).collect()
}

/// Which letters some words have, and which follow which: what HAProxy compares words by.
struct Fingerprint([u8; SYMBOLS * SYMBOLS]);

/// Letters, "digit", "other", and nothing.
const SYMBOLS: usize = 32;
const DIGIT: usize = 27;
/// Also stands for the beginning and the end of a word.
const OTHER: usize = 28;

impl Fingerprint {
    fn of(words: &[&str]) -> Fingerprint {
        let mut counts = [0_u8; SYMBOLS * SYMBOLS];
        for word in words {
            let mut from = OTHER;
            for byte in word.bytes() {
                let to = match byte {
                    b'a'..=b'z' | b'A'..=b'Z' => usize::from(byte.to_ascii_lowercase() - b'a') + 1,
                    b'0'..=b'9' => DIGIT,
                    _ => OTHER,
                };
                counts[to] = 1;
                let pair = &mut counts[SYMBOLS * from + to];
                *pair = pair.saturating_add(1);
                from = to;
            }
            let pair = &mut counts[SYMBOLS * from + OTHER];
            *pair = pair.saturating_add(1);
        }
        Fingerprint(counts)
    }

    fn distance(&self, other: &Fingerprint) -> u32 {
        self.0.iter().zip(&other.0).map(|(one, two)| u32::from(one.abs_diff(*two))).sum()
    }
}
