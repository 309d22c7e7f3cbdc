//! `cargo xtask fuzz`: owns how long each target of `fuzz/` runs and with what, never what it asserts (`tests/fuzzing`).
//!
//! Needs cargo-fuzz and a C++ compiler. The instrumentation of libFuzzer wants compiler flags that a stable compiler
//! hides, so RUSTC_BOOTSTRAP=1 opens it for these builds alone; the sanitizers stay out, for safe Rust gives them
//! nothing to find, while overflows and debug assertions are on.

use std::fs;
use std::process::Command;

use crate::command::{cargo, is_installed, must, root};

/// Seconds per target: forty minutes for eleven.
const SECONDS_DEFAULT: u32 = 200;

/// Longest input that is made, in bytes: what is wrong with long ones is wrong with short ones too.
const INPUT_LENGTH_MAX: u32 = 4096;

/// Seconds after which one input counts as a hang, and megabytes after which as a leak.
const HANG_SECONDS: u32 = 10;
const MEMORY_MAX_MB: u32 = 2048;

const HELP: &str = "cargo xtask fuzz [OPTIONS] [TARGET…]
  --seconds N   seconds per target (200)
  --minimize    put the smallest corpus with the same coverage in place of fuzz/corpus, do not fuzz
  --list        the targets";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let known = targets()?;
    let (mut seconds, mut minimize, mut wanted) = (SECONDS_DEFAULT, false, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let number = words.next().and_then(|number| number.parse().ok());
                seconds = number.filter(|number| *number > 0).ok_or("--seconds needs a number")?;
            }
            "--minimize" => minimize = true,
            "--list" => {
                println!("{}", known.join("\n"));
                return Ok(());
            }
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(());
            }
            name if known.iter().any(|target| target == name) => wanted.push(name.to_owned()),
            _ => return Err(format!("{word}?\n{HELP}")),
        }
    }
    if !is_installed("cargo-fuzz") {
        return Err("cargo-fuzz is missing: cargo install cargo-fuzz --locked".to_owned());
    }
    let wanted = if wanted.is_empty() { known } else { wanted };
    if minimize {
        return wanted.iter().try_for_each(|target| must(&mut minimization(target)));
    }
    must(&mut fuzz(&["build"]))?;
    let found: Vec<String> =
        wanted.into_iter().filter(|target| must(&mut fuzzing(target, seconds)).is_err()).collect();
    if found.is_empty() { Ok(()) } else { Err(format!("findings in fuzz/artifacts: {}", found.join(", "))) }
}

/// Whether the targets compile; needs neither cargo-fuzz nor a compiler that was opened.
pub fn check() -> Result<(), String> {
    // The common folder: most of it is compiled there already.
    must(&mut cargo(&["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"]))
}

/// The names of the targets: one file each.
fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn fuzz(words: &[&str]) -> Command {
    let mut command = cargo(&["fuzz"]);
    command.args(words).args(["--fuzz-dir", "fuzz", "--sanitizer", "none"]).env("RUSTC_BOOTSTRAP", "1");
    command
}

/// What is found new goes to `fuzz/corpus-grown`, which is not checked in.
fn fuzzing(target: &str, seconds: u32) -> Command {
    let grown = root().join("fuzz/corpus-grown").join(target);
    // Where it cannot be made, the engine says so.
    let _made = fs::create_dir_all(&grown);
    let mut command = fuzz(&["run"]);
    command.arg(target).arg(grown).arg(root().join("fuzz/corpus").join(target));
    command.args(["--".to_owned(), format!("-max_total_time={seconds}")]);
    command.args([
        format!("-max_len={INPUT_LENGTH_MAX}"),
        format!("-timeout={HANG_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_MAX_MB}"),
    ]);
    if reads_words(target) {
        command.arg(format!("-dict={}", root().join("fuzz/words.dict").display()));
    }
    command
}

fn minimization(target: &str) -> Command {
    let mut command = fuzz(&["cmin"]);
    command.arg(target).arg(root().join("fuzz/corpus").join(target));
    command
}

/// Whether the keywords of the configuration help to reach deeper.
fn reads_words(target: &str) -> bool {
    !target.starts_with("http_") && target != "proxy_header"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus() {
        let targets = targets().expect("the folder of the targets");
        assert!(targets.len() >= 8, "{targets:?}");
        for target in targets {
            assert!(root().join("fuzz/corpus").join(&target).is_dir(), "{target}");
        }
    }
}
