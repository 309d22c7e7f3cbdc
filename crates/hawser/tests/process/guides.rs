//! The commands that the guides tell people to type: each names a subcommand that there is, with options and words that its
//! manual page has.

use super::program::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

fn hawser(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hawser")).args(arguments).output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files that people read before they type.
const GUIDES: [&str; 7] = [
    "README.md",
    "docs/migration-haproxy.md",
    "docs/migration-keepalived.md",
    "docs/migration-lvs.md",
    "docs/walk-through.md",
    "docs/threat-model.md",
    "packaging/grafana/README.md",
];

/// Command lines of a guide: in blocks for a shell, and between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_inside = line == "```sh";
        } else if is_inside {
            found.extend(line.split(['|', ';', '&']).map(|part| part.trim().to_owned()));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(|part| part.trim().to_owned()));
        }
    }
    let after_host = |line: String| match line.split_once("hawser ") {
        Some((before, rest)) if before.is_empty() || before.starts_with("ip netns exec") => {
            Some(rest.split(" #").next().unwrap_or_default().trim().to_owned())
        }
        _ => None,
    };
    found.into_iter().filter_map(after_host).collect()
}

#[test]
fn every_command_of_the_guides_is_in_its_manual() {
    let pages = hawser(&["manual", "--list"]);
    let page_of = |command: &str| {
        let start = format!("hawser-{command}.");
        pages.lines().find(|page| page.strip_prefix(&start).is_some_and(|rest| rest.len() == 1))
    };
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for guide in GUIDES {
        let text = std::fs::read_to_string(root().join(guide)).expect("a guide");
        for line in commands(&text) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(&command) = words.first() else { continue };
            let Some(page) = page_of(command) else {
                let is_plain = ["demo", "manual", "completions", "--help", "--version"].contains(&command);
                if !is_plain {
                    wrong.push(format!("{guide}: there is no `hawser {command}`: {line}"));
                }
                continue;
            };
            // Roff writes hyphens as `\-`.
            let manual = hawser(&["manual", page]).replace('\\', "");
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let name = option.split('=').next().unwrap_or_default();
                if !manual.contains(name) {
                    wrong.push(format!("{guide}: `hawser {command}` has no {name}: {line}"));
                }
            }
            // Words of a command of its own: `director drain`, `vrrp handover`, `lab up`.
            if let (true, Some(word)) = (["director", "vrrp", "lab"].contains(&command), words.get(1))
                && word.chars().all(|letter| letter.is_ascii_lowercase())
                && !manual.contains(word)
            {
                wrong.push(format!("{guide}: `hawser {command}` has no {word}: {line}"));
            }
            seen.insert(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.len() > 40, "{}: {seen:#?}", seen.len());
}

#[test]
fn completions_know_every_command_of_the_help() {
    let help = hawser(&["--help"]);
    let listed = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let commands: Vec<&str> = listed.filter(|word| !word.starts_with('-')).collect();
    assert!(commands.len() >= 15, "{help}");
    let folder = Folder::new();
    for (shell, checker) in [("bash", Some(["bash", "-n"])), ("zsh", None), ("fish", None)] {
        let text = hawser(&["completions", shell]);
        for command in &commands {
            assert!(text.contains(command), "{shell}: {command}");
        }
        if let Some([program, option]) = checker {
            let path = folder.file("completion", &text);
            let status = Command::new(program).arg(option).arg(path).status().expect("the shell is there");
            assert!(status.success(), "{shell} reads it");
        }
    }
    // As bash asks: after `hawser ` the commands, after `hawser doctor --` its options.
    let script = folder.file("ask", &(hawser(&["completions", "bash"]) + ASK));
    let output = Command::new("bash").arg(script).output().expect("bash is there");
    let offered = String::from_utf8_lossy(&output.stdout).into_owned();
    let (first, second) = offered.split_once("---").expect("two answers");
    for command in &commands {
        assert!(first.split_whitespace().any(|word| word == *command), "{command}: {offered}");
    }
    assert!(second.contains("--emit-sysctl") && second.contains("--json"), "{offered}");
}

/// What readline would offer, in bash.
const ASK: &str = r#"
spec=$(complete -p hawser)
function=${spec##*-F }
function=${function%% *}
COMP_WORDS=(hawser "") COMP_CWORD=1; $function; echo "${COMPREPLY[@]}"
echo ---
COMP_WORDS=(hawser doctor --) COMP_CWORD=2 COMPREPLY=(); $function; echo "${COMPREPLY[@]}"
"#;
