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

/// Files of a folder of Debian's packages, some left out.
fn files(folder: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}: install it"));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("listed").path()).collect();
    found.retain(|path| is_wanted(&path.file_name().unwrap_or_default().to_string_lossy()));
    found.sort();
    found
}

fn code(command: &mut Command) -> Option<i32> {
    command.output().expect("it starts").status.code()
}

// row: 256
#[test]
fn every_sample_of_keepalived_is_judged_as_by_keepalived() {
    let samples = files("/usr/share/doc/keepalived/samples", |name| name.starts_with("keepalived.conf."));
    assert!(samples.len() >= 25, "{}", samples.len());
    let mut judged = Vec::new();
    for path in samples {
        let theirs = code(Command::new("/usr/sbin/keepalived").args(["-t", "-f"]).arg(&path));
        let ours =
            code(Command::new(env!("CARGO_BIN_EXE_hawser")).args(["keepalived", "-t", "-f"]).arg(&path));
        assert_eq!(ours, theirs, "{}: hawser on the left, keepalived on the right", path.display());
        judged.push(ours);
    }
    // Files of both kinds, or this compares nothing.
    assert!(judged.contains(&Some(0)) && judged.contains(&Some(5)), "{judged:?}");
}

#[test]
fn every_example_of_haproxy_is_judged_as_by_haproxy_and_can_be_looked_at() {
    let mut examples = files("/usr/share/doc/haproxy/examples", |name| name.ends_with(".cfg"));
    assert!(examples.len() >= 7, "{examples:?}");
    examples.push(root().join("tests/vectors/tutorial/haproxy.cfg"));
    for path in &examples {
        let is_own = path.starts_with(root());
        let theirs = code(Command::new("/usr/sbin/haproxy").args(["-c", "-f"]).arg(path));
        let ours = code(Command::new(env!("CARGO_BIN_EXE_hawser")).args(["haproxy", "-c", "-f"]).arg(path));
        // The tutorial's `nbproc` is a thing of the past for HAProxy.
        assert_eq!(ours, if is_own { Some(0) } else { theirs }, "{}", path.display());
        let name = path.to_string_lossy();
        let checked = hawser(&["check", "--json", &name]);
        for line in checked.lines() {
            let parsed: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            assert!(parsed.is_object() || parsed.is_array(), "{line}");
        }
        let explained = hawser(&["explain", &name]);
        let said = std::fs::read_to_string(path).expect("it is there");
        let sections = said.lines().filter(|line| {
            ["global", "defaults", "listen", "frontend", "backend"]
                .contains(&line.split_whitespace().next().unwrap_or_default())
                && !line.starts_with([' ', '\t'])
        });
        for section in sections {
            let words: Vec<&str> = section.split_whitespace().collect();
            assert!(explained.contains(&words.join(" ")), "{name}: {section}");
        }
        if ours == Some(0) {
            assert_eq!(hawser(&["diff", &name, &name]), "nothing changes\n", "{name}");
            let moved = hawser(&["diff", &name, "/etc/haproxy/haproxy.cfg"]);
            assert!(moved.lines().count() > 1 && !moved.contains("Some("), "{name}: {moved}");
        }
    }
}
