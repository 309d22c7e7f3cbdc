//! Packets through services that our ipvsadm made.

// row: 209, 292, 293, 295, 300, 308, 309, 314, 315, 316, 317
#[test]
fn nat_routing_and_tunnels_alternate_across_real_servers() {
    let outcome = vm::run(
        "forwarding",
        include_str!("forwarding.sh"),
        &[("hosts.sh", include_str!("hosts.sh").to_owned())],
    );
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    assert!(!outcome.printed.contains("WRONG"), "{}", outcome.printed);
    for name in ["NAT", "NAT6", "DR", "TUN", "GUE"] {
        assert!(outcome.printed.contains(&format!("{name}: rs")), "{}", outcome.printed);
    }
}

/// Without the last column of real servers: connections that are over are forgotten at times of their own.
fn lists(text: &str) -> String {
    let line = |line: &str| match line.trim_end().rsplit_once(' ') {
        Some((rest, number)) if line.starts_with("  -> 10.") && number.parse::<u32>().is_ok() => {
            format!("{} N", rest.trim_end())
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

// row: 265, 290, 291, 292, 293, 294, 295, 305, 306, 307, 318
#[test]
fn the_same_script_prints_the_same_lists_on_both_planes() {
    let files = [("hosts.sh", include_str!("hosts.sh").to_owned())];
    let outcome = vm::run("planes", include_str!("planes.sh"), &files);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (kernel, programs) = (lists(&outcome.file("ipvs")), lists(&outcome.file("xdp")));
    assert!(kernel.contains("Tunnel") && kernel.contains("rs1 rs2") && !kernel.contains("none"), "{kernel}");
    assert_eq!(programs, kernel, "{}", outcome.printed);
}

#[test]
fn a_client_learns_what_fits_the_tunnel_on_both_planes() {
    let files = [("hosts.sh", include_str!("hosts.sh").to_owned())];
    let outcome = vm::run("narrow", include_str!("narrow.sh"), &files);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (kernel, programs) = (outcome.file("ipvs"), outcome.file("xdp"));
    assert_eq!(kernel.matches("200000").count(), 3, "{kernel}");
    for size in ["mtu 1480", "mtu 1468", "mtu 1460"] {
        assert!(kernel.contains(size), "{size}: {kernel}");
    }
    assert_eq!(programs, kernel, "{}", outcome.printed);
}
