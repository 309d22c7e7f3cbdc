//! Connections that directors tell each other of, the kernel's and ours.

// row: 324
#[test]
fn the_kernel_and_the_programs_tell_each_other_of_connections() {
    let hosts = ("hosts.sh", include_str!("hosts.sh").to_owned());
    let outcome = vm::run("sync", include_str!("sync.sh"), &[hosts]);
    assert_eq!(outcome.status, 0, "{}{}", outcome.printed, outcome.file("log"));
    assert!(!outcome.printed.contains("never:"), "{}{}", outcome.printed, outcome.file("log"));
    let lines: Vec<&str> = outcome.printed.lines().map(str::trim_end).collect();
    let told = lines.join("\n");
    assert!(
        told.contains(
            "backup sync daemon (mcast=wan, syncid=5, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
        ),
        "{told}"
    );
    for (address, count) in [("10.0.0.100:80", 4), ("10.0.0.100:81", 1), ("10.0.0.101:80", 4)] {
        let of_service = lines.iter().filter(|line| line.contains("ESTABLISHED") && line.contains(address));
        assert_eq!(of_service.count(), count, "{told}");
    }
    for last in [11, 12] {
        let row = format!("  -> 10.0.1.{last}:80                 Route   1      2          0");
        assert_eq!(lines.iter().filter(|line| **line == row).count(), 2, "counted on both planes: {told}");
    }
}
