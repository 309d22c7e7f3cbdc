//! Packets through services that our ipvsadm made.

// row: 209, 292, 293, 295, 300, 308, 309, 314, 315, 316, 317
#[test]
fn nat_routing_and_tunnels_alternate_across_real_servers() {
    let outcome = vm::run("forwarding", include_str!("forwarding.sh"), &[]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    assert!(!outcome.printed.contains("WRONG"), "{}", outcome.printed);
    for name in ["NAT", "NAT6", "DR", "TUN", "GUE"] {
        assert!(outcome.printed.contains(&format!("{name}: rs")), "{}", outcome.printed);
    }
}
