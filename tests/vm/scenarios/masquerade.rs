//! Masquerading and IPVS on one director.

// row: 311
#[test]
fn services_are_masqueraded_with_connection_tracking_alone() {
    let hosts = ("hosts.sh", include_str!("hosts.sh").to_owned());
    let outcome = vm::run("masquerade", include_str!("masquerade.sh"), &[hosts]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (real, ours) = (outcome.file("real"), outcome.file("ours"));
    assert_eq!(ours, real);
    for line in
        ["out: 10.0.0.1 10.0.0.1\n", "tracking 0: 10.0.0.2 10.0.0.2\n", "tracking 1: 10.0.1.1 10.0.1.1\n"]
    {
        assert!(ours.contains(line), "{line}: {ours}");
    }
    let translated = ours.lines().find_map(|line| line.strip_prefix("translated: ")).expect("a line");
    let servers: Vec<&str> = translated.split_whitespace().collect();
    assert!(servers.len() == 6 && servers.windows(2).all(|pair| pair[0] != pair[1]), "{ours}");
    for (tracks, verdict) in [("0", "warning"), ("1", "good")] {
        let found = outcome.file(&format!("doctor-{tracks}"));
        let at = found.find("net.ipv4.vs.conntrack").unwrap_or_else(|| panic!("not looked at: {found}"));
        let rest = &found[at..];
        let end = rest.find('}').unwrap_or(rest.len());
        let start = found[..at].rfind('{').unwrap_or(0);
        assert!(found[start..at + end].contains(verdict), "{tracks}: {}", &found[start..at + end]);
    }
}
