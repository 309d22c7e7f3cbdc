//! `hawser check`: every mistake of every file, and what the files contradict each other about. Starts nothing, opens no
//! listener.

use crate::inspect::{self, Inputs};
use diag::Severity;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

pub const HELP: &str = "Usage: hawser check [--json] [-q] FILE…

Reads haproxy.cfg, keepalived.conf, sysctl.conf, limits.conf and shell scripts, told apart by their text, and reports every
mistake in them, and what they contradict each other about: addresses that nobody moves, ports claimed twice, proxies that are
tracked and do not exist, nodes of one pair that differ.

  -f FILE   a haproxy.cfg (several are one configuration, as for haproxy)
  -k FILE   a keepalived.conf (several are the nodes of one pair)
  --json    one object for programs
  -q        errors only

Exit code: 0 valid, 1 with errors, 2 when the command line or a file cannot be read.";

const USAGE: u8 = 2;

struct Arguments {
    inputs: Inputs,
    is_json: bool,
    is_quiet: bool,
}

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    if words.iter().any(|word| word == "-h" || word == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(words) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("hawser check: {reason}\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    let examined = inspect::examine(&arguments.inputs);
    let (errors, warnings) = examined.counts();
    if arguments.is_json {
        println!("{}", examined.to_json());
    } else {
        let least = if arguments.is_quiet { Severity::Alert } else { Severity::Notice };
        print!("{}", examined.render(least));
        if !arguments.is_quiet {
            println!("{}", summary(&arguments.inputs, errors, warnings));
        }
    }
    if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn summary(inputs: &Inputs, errors: usize, warnings: usize) -> String {
    let files = inputs.proxy.len() + inputs.keepalived.len() + inputs.others.len();
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!("{}: {}, {}", many(files, "file"), many(errors, "error"), many(warnings, "warning"))
}

fn parse(words: &[OsString]) -> Result<Arguments, String> {
    let mut arguments = Arguments { inputs: Inputs::default(), is_json: false, is_quiet: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let mut value = || words.next().map(PathBuf::from).ok_or_else(|| format!("{text} needs a file"));
        match &*text {
            "--json" => arguments.is_json = true,
            "-q" => arguments.is_quiet = true,
            "-f" => arguments.inputs.proxy.push(value()?),
            "-k" | "--keepalived" => arguments.inputs.keepalived.push(value()?),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => arguments.inputs.add(PathBuf::from(word))?,
        }
    }
    if arguments.inputs.is_empty() {
        return Err("no file is named".to_owned());
    }
    Ok(arguments)
}
