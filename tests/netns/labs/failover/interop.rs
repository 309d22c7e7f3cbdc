//! With keepalived 2.2.7 beside us, in both roles, in every mode that it speaks.

use super::configuration;
use netns::hosts::{Net, Vrrp};
use netns::lab;

/// The address that moves, and what both nodes say: the two parts for unicast name the other node.
struct Mode {
    address: &'static str,
    a: &'static str,
    b: &'static str,
}

impl Mode {
    const fn same(address: &'static str, lines: &'static str) -> Self {
        Self { address, a: lines, b: lines }
    }
}

/// `a` has the higher priority. It takes over from `b`, which works, and gives back when it stops.
#[track_caller]
fn takes_over_and_gives_back(mode: &Mode, a: Vrrp, b: Vrrp) {
    let net = Net::new(&["a", "b"]);
    let b = net.start(b, "b", &configuration(100, mode.address, mode.b));
    b.wait_for("(VI_1) Entering MASTER STATE");
    netns::wait_until(std::time::Duration::from_secs(5), "the address", || net.has("b", mode.address));
    let mut a = net.start(a, "a", &configuration(200, mode.address, mode.a));
    b.wait_for("with higher priority 200, ours 100");
    b.wait_for_times("(VI_1) Entering BACKUP STATE", 2);
    a.wait_for("(VI_1) Entering MASTER STATE");
    netns::wait_until(std::time::Duration::from_secs(5), "the address to move", || {
        net.has("a", mode.address) && !net.has("b", mode.address)
    });
    assert_eq!(a.stop(), Some(0));
    b.wait_for("(VI_1) Backup received priority 0 advertisement");
    b.wait_for_times("(VI_1) Entering MASTER STATE", 2);
    netns::wait_until(std::time::Duration::from_secs(5), "the address to come back", || {
        net.has("b", mode.address) && !net.has("a", mode.address)
    });
}

macro_rules! modes {
    ($($(#[$rows:meta])* $name:ident: $mode:expr,)*) => {$(
        mod $name {
            use super::*;
            const MODE: Mode = $mode;

            #[test]
            fn hawser_takes_over_from_keepalived() {
                let name = concat!("failover::interop::", stringify!($name), "::hawser_takes_over_from_keepalived");
                lab(name, || takes_over_and_gives_back(&MODE, Vrrp::Hawser, Vrrp::Keepalived));
            }

            #[test]
            fn keepalived_takes_over_from_hawser() {
                let name = concat!("failover::interop::", stringify!($name), "::keepalived_takes_over_from_hawser");
                lab(name, || takes_over_and_gives_back(&MODE, Vrrp::Keepalived, Vrrp::Hawser));
            }
        }
    )*};
}

const VIP: &str = "10.9.0.100";
const VIP6: &str = "fe80::100";

// row: 230, 231, 235, 236, 239, 243
modes! {
    v2: Mode::same(VIP, ""),
    v2_password: Mode::same(VIP, " authentication {\n  auth_type PASS\n  auth_pass s3cret12\n }"),
    v2_ah: Mode::same(VIP, " authentication {\n  auth_type AH\n  auth_pass s3cret12\n }"),
    v2_unicast: Mode {
        address: VIP,
        a: " unicast_src_ip 10.9.0.1\n unicast_peer {\n  10.9.0.2\n }",
        b: " unicast_src_ip 10.9.0.2\n unicast_peer {\n  10.9.0.1\n }",
    },
    v3: Mode::same(VIP, " version 3\n advert_int 0.1"),
    v3_unicast: Mode {
        address: VIP,
        a: " version 3\n advert_int 0.1\n unicast_peer {\n  10.9.0.2\n }",
        b: " version 3\n advert_int 0.1\n unicast_peer {\n  10.9.0.1\n }",
    },
    v3_vmac: Mode::same(VIP, " version 3\n advert_int 0.1\n use_vmac"),
    v3_ipv6: Mode::same(VIP6, " version 3\n advert_int 0.1"),
    v3_ipv6_vmac: Mode::same(VIP6, " version 3\n advert_int 0.1\n use_vmac"),
    v3_ipv6_unicast: Mode {
        address: VIP6,
        a: " version 3\n advert_int 0.1\n unicast_src_ip fd09::1\n unicast_peer {\n  fd09::2\n }",
        b: " version 3\n advert_int 0.1\n unicast_src_ip fd09::2\n unicast_peer {\n  fd09::1\n }",
    },
}
