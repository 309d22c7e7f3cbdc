//! How many inputs each name was compared over: in recorded vectors and in labs. The names are those that both programs
//! list (`-dK`).

use super::labs;
use differential::Program;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Inputs that each name must have been compared over.
const INPUTS_MIN: usize = 3;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names of a class that a program lists.
fn names(program: Program, class: &str) -> BTreeSet<String> {
    let listing = program.run(&[&format!("-dK{class}"), "-q", "-c", "-f", "/dev/null"]).stdout;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-+".contains(letter);
    listing
        .lines()
        .filter(|line| !line.starts_with('#'))
        // Places come first, in brackets.
        .map(
            |line| {
                if line.starts_with('[') { line.split_once("] ").map_or("", |(_, rest)| rest) } else { line }
            },
        )
        .map(|line| line.trim().chars().take_while(|letter| is_name(*letter)).collect::<String>())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The fetch and the converters of an expression, or the words of a condition.
fn parts(expression: &str) -> Vec<String> {
    let mut depth = 0;
    let parts = expression.split(|letter: char| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        depth <= 0 && (letter == ',' || letter == ' ')
    });
    parts.map(|part| part.split('(').next().unwrap_or_default().to_owned()).collect()
}

/// How often each name was evaluated: in vectors, each line is an input; in labs, each input asks every question.
fn uses() -> BTreeMap<String, usize> {
    let mut uses = BTreeMap::new();
    for entry in fs::read_dir(folder("../vectors/rules")).expect("the vectors") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let bytes = fs::read(&path).expect("a vector file");
        for line in String::from_utf8_lossy(&bytes).lines() {
            // Messages are no questions; what is refused was evaluated over nothing.
            if let Some((question, answer)) = line.split_once('\t')
                && !line.starts_with(['>', '<', '#'])
                && answer != "!"
            {
                for name in parts(question) {
                    *uses.entry(name).or_insert(0) += 1;
                }
            }
        }
    }
    for lab in labs() {
        for name in lab.questions.iter().flat_map(|question| parts(&question.expression)) {
            *uses.entry(name).or_insert(0) += lab.inputs.len();
        }
    }
    uses
}

#[test]
fn every_fetch_and_converter_is_compared_over_three_inputs() {
    let uses = uses();
    let mut few = Vec::new();
    for (class, what) in [("smp", "fetches"), ("cnv", "converters")] {
        let (theirs, ours) = (names(Program::Haproxy, class), names(Program::Hawser, class));
        let (mut compared, mut inputs) = (0, 0);
        for name in theirs.intersection(&ours) {
            match uses.get(name).copied().unwrap_or(0) {
                used @ INPUTS_MIN.. => (compared, inputs) = (compared + 1, inputs + used),
                used => few.push(format!("{name}: {used}")),
            }
        }
        let refused: Vec<&str> = theirs.difference(&ours).map(String::as_str).collect();
        println!(
            "{what}: {compared} compared over {inputs} inputs, {} refused by name: {refused:?}",
            refused.len()
        );
    }
    assert!(few.is_empty(), "fewer than {INPUTS_MIN} inputs: {few:#?}");
}
