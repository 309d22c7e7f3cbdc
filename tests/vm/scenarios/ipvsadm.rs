//! The same commands through the real ipvsadm and ours, on the same kernel: the same output, texts and exit codes.

// row: 289, 290, 291, 301, 302, 303, 304, 305, 306

/// Each line is a command line; `<` begins the lines for standard input, `\n` ends one; `@` is no argument at all.
const COMMANDS: &str = include_str!("ipvsadm.txt");

/// Runs every line of `commands` with the program, and tells what it printed and returned.
const SCRIPT: &str = include_str!("ipvsadm.sh");

/// What each line printed, by its number.
fn sections(text: &str) -> Vec<(usize, &str)> {
    let parts = text.split("### ").skip(1);
    parts
        .map(|part| {
            let (number, rest) = part.split_once('\n').expect("a number and a line end");
            (number.parse().expect("a number"), rest)
        })
        .collect()
}

/// The texts that are ours: help and version.
fn is_our_text(line: &str) -> bool {
    let first = line.split('<').next().unwrap_or_default().trim();
    let words: Vec<&str> = first.split(' ').collect();
    matches!(words[0], "-h" | "--help" | "-v" | "--version") || line.contains("<-h") || line.contains("<-v")
}

#[test]
fn ipvsadm_and_ours_say_the_same() {
    let outcome = vm::run("ipvsadm", SCRIPT, &[("commands", COMMANDS.to_owned())]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (real, ours) = (outcome.file("real"), outcome.file("ours"));
    let (real, ours) = (sections(&real), sections(&ours));
    assert_eq!(real.len(), ours.len());
    assert!(real.len() > 300, "{} commands ran", real.len());
    let lines: Vec<&str> = COMMANDS.lines().collect();
    let mut different = Vec::new();
    for ((number, real), (_, ours)) in real.iter().zip(&ours) {
        let line = lines[number - 1];
        let last = |text: &str| text.lines().last().map(str::to_owned);
        let same = if is_our_text(line) { last(real) == last(ours) } else { real == ours };
        if !same {
            different.push(format!("ipvsadm {line}\n--- real\n{real}--- ours\n{ours}"));
        }
    }
    let count = different.len();
    different.truncate(20);
    assert!(count == 0, "{count} of {} commands differ:\n{}", real.len(), different.join("\n"));
}
