//! What runs for minutes: owns the command line, never the load.

use crate::command::{cargo, must};

const HELP: &str = "cargo xtask soak-reload [--binary PATH]
  --binary PATH   the hawser that is to reload, such as target/release/hawser; otherwise one is built, optimized";

/// The ignored test of a thousand reloads; it prints requests, failures, and memory before and after.
///
/// # Errors
/// A request failed, or memory grew.
pub fn reload(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (profile, binary) = match words[..] {
        [] => ("quick", None),
        ["--binary", path] => {
            ("dev", Some(std::fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))?))
        }
        _ => return Err(HELP.to_owned()),
    };
    let test = "reload::a_thousand_reloads_under_load_lose_nothing";
    let build = ["test", "--profile", profile, "-p", "hawser", "--test", "process", "--"];
    let mut command = cargo(&[&build[..], &["--ignored", "--exact", "--nocapture", test]].concat());
    if let Some(path) = binary {
        command.env("HAWSER_UNDER_TEST", path);
    }
    must(&mut command)
}
