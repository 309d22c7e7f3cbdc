//! `hawser cert FILE`: whether a certificate, its key and its names will do, before a listener gets them.

use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use tls::inspect::{Inspected, inspect};

pub const HELP: &str = "Usage: hawser cert [--json] [--name HOST]… [--days N] FILE…

Reads each file as `bind … ssl crt FILE` does (a folder: every file in it; the key may be in FILE.key) and says whether the key
belongs to the certificate, for which names it is, until when it is valid, and what goes out with it.

  --name HOST  some certificate must be for this name
  --days N     tell of those that end within N days (14)
  --json       for programs

Exit code: 0 all is well, 1 something is wrong or ends soon, 2 the command line is wrong.";

const TROUBLE: u8 = 2;
const DAYS_DEFAULT: i64 = 14;
const DAY: i64 = 86_400;
/// Files of one folder.
const FOLDER_MAX: usize = 65_536;

/// One file, and what is wrong with it.
struct Verdict {
    file: String,
    found: Option<Inspected>,
    wrong: Vec<String>,
    remarks: Vec<String>,
}

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let (mut files, mut hosts, mut days, mut is_json) = (Vec::new(), Vec::new(), DAYS_DEFAULT, false);
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            "--json" => is_json = true,
            "--name" => match words.next() {
                Some(host) => hosts.push(host),
                None => return trouble("--name needs a host"),
            },
            "--days" => match words.next().and_then(|days| days.parse().ok()) {
                Some(number @ 0..=100_000) => days = number,
                Some(_) | None => return trouble("--days needs a number"),
            },
            option if option.starts_with('-') => return trouble(&format!("unknown option {option}")),
            _ => files.push(word),
        }
    }
    if files.is_empty() {
        return trouble("no file is named");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let verdicts: Vec<Verdict> = spread(files).iter().map(|file| judge(file, now, days)).collect();
    let covered = |host: &&String| {
        !verdicts.iter().filter_map(|verdict| verdict.found.as_ref()).any(|found| found.covers(host))
    };
    let missing: Vec<&String> = hosts.iter().filter(covered).collect();
    if is_json {
        println!("{}", to_json(&verdicts, &missing));
    } else {
        print!("{}", to_text(&verdicts, &missing, now));
    }
    let is_well = missing.is_empty() && verdicts.iter().all(|verdict| verdict.wrong.is_empty());
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn trouble(reason: &str) -> ExitCode {
    eprintln!("hawser cert: {reason}\n\n{HELP}");
    ExitCode::from(TROUBLE)
}

/// Folders as the files in them, in the order of their names; keys and their like are read beside their certificates.
fn spread(words: Vec<String>) -> Vec<String> {
    const BESIDE: [&str; 4] = ["key", "ocsp", "sctl", "issuer"];
    let mut files = Vec::new();
    for word in words {
        let Ok(entries) = std::fs::read_dir(&word) else {
            files.push(word);
            continue;
        };
        let mut inside: Vec<String> = entries
            .flatten()
            .take(FOLDER_MAX)
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .filter(|path| !path.extension().is_some_and(|end| BESIDE.iter().any(|beside| end == *beside)))
            .map(|path: std::path::PathBuf| path.display().to_string())
            .collect();
        inside.sort();
        files.extend(inside);
    }
    files
}

fn judge(file: &str, now: i64, days: i64) -> Verdict {
    let mut verdict = Verdict { file: file.to_owned(), found: None, wrong: Vec::new(), remarks: Vec::new() };
    let found = match inspect(file) {
        Ok(found) => found,
        Err(fault) => {
            verdict.wrong.push(format!("{}\n           help: {}", fault.message, fault.help));
            return verdict;
        }
    };
    if found.not_after < now {
        verdict.wrong.push(format!("ended {} days ago", (now - found.not_after) / DAY));
    } else if found.not_after - now < days * DAY {
        verdict.wrong.push(format!("ends in {} days", (found.not_after - now) / DAY));
    }
    if found.not_before > now {
        verdict.wrong.push("is not valid yet".to_owned());
    }
    if !found.has_alternative_names {
        verdict.remarks.push("has no alternative names: browsers do not look at the common name".to_owned());
    }
    if found.chain_length == 1 && !found.is_self_issued {
        verdict.remarks.push(
            "goes out alone: clients that do not know its issuer refuse it; append the intermediate certificates"
                .to_owned(),
        );
    }
    if found.is_self_issued {
        verdict.remarks.push("is signed by itself: clients must be told to trust it".to_owned());
    }
    verdict.remarks.extend(found.warnings.iter().cloned());
    verdict.found = Some(found);
    verdict
}

fn to_text(verdicts: &[Verdict], missing: &[&String], now: i64) -> String {
    let mut out = String::new();
    for verdict in verdicts {
        let word = if verdict.wrong.is_empty() { "good" } else { "BAD" };
        let _ = writeln!(out, "{}: {word}", verdict.file);
        if let Some(found) = &verdict.found {
            let _ = writeln!(out, "  names    {}", found.names.join(", "));
            let _ = writeln!(out, "  subject  {}", found.subject);
            let _ = writeln!(out, "  issuer   {}", found.issuer);
            let _ = writeln!(out, "  key      {}, belongs to the certificate", found.algorithm);
            let _ = writeln!(
                out,
                "  valid    {} to {} ({} days left)",
                found.valid_from,
                found.valid_to,
                (found.not_after - now).div_euclid(DAY)
            );
            let _ = writeln!(out, "  chain    {} sent", found.chain_length);
        }
        verdict.wrong.iter().for_each(|wrong| _ = writeln!(out, "  error    {wrong}"));
        verdict.remarks.iter().for_each(|remark| _ = writeln!(out, "  remark   {remark}"));
    }
    missing.iter().for_each(|host| _ = writeln!(out, "no certificate is for {host}"));
    out
}

fn to_json(verdicts: &[Verdict], missing: &[&String]) -> Value {
    let files = verdicts.iter().map(|verdict| {
        let found = verdict.found.as_ref().map(|found| {
            json!({
                "names": found.names, "subject": found.subject, "issuer": found.issuer,
                "algorithm": found.algorithm, "not_before": found.not_before, "not_after": found.not_after,
                "chain_length": found.chain_length, "self_issued": found.is_self_issued,
            })
        });
        json!({ "file": verdict.file, "certificate": found, "errors": verdict.wrong, "remarks": verdict.remarks })
    });
    json!({ "files": files.collect::<Vec<_>>(), "missing_names": missing })
}
