//! One keepalived.conf with virtual routers and virtual servers, under the real keepalived and ours.

/// Without dates. At the end chance decides whether the checkers see the router's address go before they are stopped
/// themselves: what they say of it then is left out.
fn lines(log: &str, wanted: &[&str]) -> Vec<String> {
    let mut is_stopping = false;
    let after_date = |line: &str| {
        line.split_once(" 2026: ").or_else(|| line.split_once(": ")).map(|pair| pair.1.to_owned())
    };
    let is_wanted = |line: &String| {
        is_stopping |= line == "Stopping";
        let is_of_the_end = is_stopping && line.starts_with("Suspending");
        !is_of_the_end && wanted.iter().any(|word| line.contains(word))
    };
    let mut lines: Vec<String> = log.lines().filter_map(after_date).filter(is_wanted).collect();
    // Checks of different servers run in an order of chance.
    lines.sort();
    lines
}

/// What was told, without what chance decides: a connection that nobody answers fails by a refusal or by its timeout, and
/// the order of lines in a section follows the words.
fn settled(told: &str) -> String {
    let section = |section: &str| {
        let mut lines: Vec<String> = section
            .lines()
            .map(|line| line.replace("Connection timeout to server", "Could not connect to server"))
            .collect();
        lines.sort();
        lines.join("\n")
    };
    told.split("== ").map(section).collect::<Vec<_>>().join("\n== ")
}

// row: 211, 257, 265, 266, 267, 270, 275, 280, 281, 286
#[test]
fn one_daemon_moves_addresses_and_checks_servers_as_keepalived() {
    const WORDS: [&str; 13] = [
        "Adding",
        "Removing",
        "Gained",
        "Lost",
        "Shutting",
        "succeed on service",
        "success.",
        "success to",
        "_CHECK on",
        "Could not connect",
        "activating",
        "Suspending",
        "no longer exist",
    ];
    let outcome = vm::run("daemon", include_str!("daemon.sh"), &[]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (real, ours) = (outcome.file("real"), outcome.file("ours"));
    assert!(!real.contains("never:"), "{real}");
    let log = outcome.file("log-ours");
    assert_eq!(
        settled(&ours),
        settled(&real),
        "tables, sync daemons, timeouts, pid files, and what was told:\n{log}"
    );
    assert_eq!(lines(&log, &WORDS), lines(&outcome.file("log-real"), &WORDS), "{log}");
    assert!(log.contains("died: Respawning"), "{log}");
    assert!(real.contains("backup sync daemon") && real.contains("master sync daemon"), "{real}");
}
