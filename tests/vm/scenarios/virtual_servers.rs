//! keepalived's virtual servers under the real program and ours.

/// Lines that tell of real servers and quorum, without time and program. keepalived's lines on single URLs are not ours.
fn told(log: &str) -> Vec<String> {
    const WORDS: [&str; 8] =
        ["Adding", "Removing", "Enabling", "Disabling", "Gained", "Lost", "Shutting", "succeed on service"];
    const DATE_LENGTH: usize = "Sun Nov 22 21:22:19 2026".len();
    const CHECKS: [&str; 3] = ["TCP_CHECK", "HTTP_CHECK", "TCP connection"];
    // `Sun Nov 22 21:22:19 2026: ` comes before the real program's.
    let after_date = |line: &str| match line.split_once(": ") {
        Some((date, rest)) if date.len() == DATE_LENGTH && date.contains(':') => rest.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    let is_told = |line: &String| WORDS.iter().chain(&CHECKS).any(|word| line.contains(word));
    let mut lines: Vec<String> = log.lines().map(after_date).filter(is_told).collect();
    // Checks of different servers run in an order of chance.
    lines.sort();
    lines
}

// row: 263, 264, 265, 266, 267, 269, 270, 275, 277, 278, 280, 281, 283, 284, 287, 306
#[test]
fn virtual_servers_fail_and_return_as_under_keepalived() {
    let outcome = vm::run("virtual_servers", include_str!("virtual_servers.sh"), &[]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (real, ours) = (outcome.file("real"), outcome.file("ours"));
    assert!(!real.contains("never:") && !real.contains("always:"), "{real}");
    assert_eq!(ours, real, "the tables, and what the programs were told:\n{}", outcome.file("log-ours"));
    assert_eq!(told(&outcome.file("log-ours")), told(&outcome.file("log-real")));
}
