//! Checks that are told of changes: sessions of BFD and numbers in files, under the real keepalived and ours.

/// What the checkers say of them, without dates and durations.
fn lines(log: &str) -> Vec<String> {
    const WORDS: [&str; 6] =
        ["BFD event", "BFD check", "Activating BFD", "Adding service", "Removing service", "Changing weight"];
    let text = log.lines().filter_map(|line| line.split_once(" 2026: ").map(|pair| pair.1));
    let wanted = text.filter(|line| WORDS.iter().any(|word| line.contains(word)));
    wanted.map(|line| line.split(" (delivered").next().unwrap_or(line).to_owned()).collect()
}

// row: 281
#[test]
fn sessions_and_files_weigh_as_under_keepalived() {
    let outcome = vm::run("bfd", include_str!("bfd.sh"), &[]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (real, ours) = (outcome.file("real"), outcome.file("ours"));
    let log = outcome.file("log-ours");
    assert!(!real.contains("never:") && real.contains("10.5.0.1:81 "), "{real}");
    assert_eq!(ours, real, "{log}");
    // After a reload each of two processes speaks when it is ready: who hears what first is chance.
    let parted = |log: &str| {
        let (mut events, rest): (Vec<_>, Vec<_>) =
            lines(log).into_iter().partition(|line| line.contains("event"));
        events.sort();
        (events, rest)
    };
    assert_eq!(parted(&log), parted(&outcome.file("log-real")), "{log}");
}
