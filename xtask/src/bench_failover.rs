//! How long clients miss an address: keepalived and hawser in the same labs, one after the other. Owns the build and the
//! options; what is measured is the labs' (`tests/netns`).

use crate::command::{cargo, must, root};

const HELP: &str = "cargo xtask bench-failover [--rounds N] [--profile NAME]\n  \
    --rounds N       runs of each event and program (10)\n  \
    --profile NAME   how hawser is built (quick)\n\
    Needs root, keepalived, and a quiet machine.";
const TEST: &str = "failover::outage::outages_side_by_side";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut rounds, mut profile) = ("10".to_owned(), "quick".to_owned());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let target = match word.as_str() {
            "--rounds" => &mut rounds,
            "--profile" => &mut profile,
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("'{other}' is unknown\n{HELP}")),
        };
        target.clone_from(words.next().ok_or_else(|| format!("{word} needs a value"))?);
    }
    if !rounds.parse::<usize>().is_ok_and(|rounds| (1..=1000).contains(&rounds)) {
        return Err("--rounds is 1 to 1000".to_owned());
    }
    must(&mut cargo(&["build", "--package", "hawser", "--profile", &profile]))?;
    // Cargo's folder of the profile `dev` is `debug`.
    let folder = if profile == "dev" { "debug" } else { &profile };
    let binary = root().join("target").join(folder).join("hawser");
    let mut labs = cargo(&["test", "--package", "netns", "--test", "labs", "--"]);
    labs.args([TEST, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    must(labs.env("HAWSER_BIN", binary).env("HAWSER_ROUNDS", rounds))
}
