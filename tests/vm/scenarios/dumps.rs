//! `keepalived_check.data`: the same file under the real keepalived and ours, line by line.

/// Lines of chance, or of keepalived's inner life.
const LEFT_OUT: &[&str] = &[
    "libnftnl version",
    "SNMP socket",
    "DBus service name",
    "Last ran",
    // The processes beside that of VRRP never work these out.
    "lower priority delay",
    "lower priority repeat",
    // Once one is given, keepalived names every option that it knows.
    "Regex options",
];

/// The lines that are compared. A checker that is down goes on counting failures, and nothing comes of it.
fn compared(text: &str) -> Vec<String> {
    let mut is_down = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.contains(" -> ") {
            is_down = false;
        }
        is_down |= line == "   Up = no";
        let is_chance = is_down && line.contains("Retries iterations");
        if !is_chance && !LEFT_OUT.iter().any(|what| line.contains(what)) {
            lines.push(line.to_owned());
        }
    }
    lines
}

#[test]
fn what_sigusr1_makes_the_checkers_write_is_what_keepalived_writes() {
    let own = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).expect("a certificate");
    let files = [("certificate", own.cert.pem()), ("key", own.signing_key.serialize_pem())];
    let outcome = vm::run("dumps", include_str!("dumps.sh"), &files);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    assert!(!outcome.printed.contains("never:"), "{}", outcome.printed);
    let [real, ours] = ["data-real", "data-ours"].map(|name| compared(&outcome.file(name)));
    for part in ["SSL definitions", "Virtual server group", "Health checkers", "Checker track files"] {
        assert!(real.iter().any(|line| line.contains(part)), "{part}: {real:#?}");
    }
    if let Some(at) = (0..real.len().max(ours.len())).find(|at| real.get(*at) != ours.get(*at)) {
        let near =
            |lines: &[String]| lines.iter().skip(at.saturating_sub(12)).take(20).cloned().collect::<Vec<_>>();
        panic!("line {at}\nkeepalived: {:#?}\nhawser: {:#?}", near(&real), near(&ours));
    }
}
