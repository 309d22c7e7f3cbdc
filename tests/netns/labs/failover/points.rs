//! Points of conformance that need a wire: where adverts come from, who answers for the address, what is logged.

use super::configuration;
use netns::hosts::{Net, Vrrp};
use netns::lab;
use std::time::Duration;

const VIP: &str = "10.9.0.100";
const FAST: &str = " version 3\n advert_int 0.1";

/// The next adverts that come out of `a`, with their Ethernet header.
fn adverts(net: &Net, filter: &str) -> String {
    net.on("sw", &format!("timeout 10 tcpdump -i pa -Q in -c 3 -n -e {filter} 2> /dev/null"))
}

#[test]
fn point_02_and_03_adverts_come_from_the_primary_address_and_with_a_macvlan_from_the_virtual_mac() {
    lab(
        "failover::points::point_02_and_03_adverts_come_from_the_primary_address_and_with_a_macvlan_from_the_virtual_mac",
        || {
            let net = Net::new(&["a", "b"]);
            let link_local = net.on("a", "ip -6 -o addr show dev eth0 scope link");
            let link_local =
                link_local.split_whitespace().find(|word| word.starts_with("fe80")).expect("one");
            let link_local = link_local.split('/').next().expect("an address").to_owned();
            for (more, v4_mac, v6_mac) in [
                ("", "02:00:00:00:00:01 >", "02:00:00:00:00:01 >"),
                ("\n use_vmac", "00:00:5e:00:01:33 >", "00:00:5e:00:02:33 >"),
            ] {
                let mut a = net.start(Vrrp::Hawser, "a", &configuration(100, VIP, &format!("{FAST}{more}")));
                a.wait_for("(VI_1) Entering MASTER STATE");
                let seen = adverts(&net, "ip proto 112");
                assert_eq!(seen.matches(v4_mac).count(), 3, "{seen}");
                assert_eq!(seen.matches(" 10.9.0.1 > 224.0.0.18: ").count(), 3, "{seen}");
                a.stop();
                let text = configuration(100, "fe80::100", &format!("{FAST}{more}"));
                let mut a = net.start(Vrrp::Hawser, "a", &text);
                a.wait_for("(VI_1) Entering MASTER STATE");
                let seen = adverts(&net, "ip6 proto 112");
                assert_eq!(seen.matches(v6_mac).count(), 3, "{seen}");
                assert_eq!(seen.matches(&format!(" {link_local} > ff02::12: ")).count(), 3, "{seen}");
                a.stop();
            }
        },
    );
}

#[test]
fn point_39_with_a_macvlan_the_address_is_answered_for_by_the_virtual_mac() {
    lab("failover::points::point_39_with_a_macvlan_the_address_is_answered_for_by_the_virtual_mac", || {
        let net = Net::new(&["a", "b", "c"]);
        let a = net.start(Vrrp::Hawser, "a", &configuration(100, VIP, &format!("{FAST}\n use_vmac")));
        a.wait_for("(VI_1) Entering MASTER STATE");
        // Behind both bursts of gratuitous ARP: only an answer tells.
        std::thread::sleep(Duration::from_secs(6));
        let filter = "arp[6:2] = 2 and arp[14:4] = 0x0a090064";
        let watch = std::thread::spawn(move || {
            let mut command = std::process::Command::new("ip");
            command.args(["netns", "exec", "sw", "timeout", "8", "tcpdump", "-i", "pa", "-Q", "in"]);
            let output = command.args(["-c", "1", "-n", "-e", filter]).output().expect("it runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        std::thread::sleep(Duration::from_secs(2));
        net.on("c", &format!("ip neigh flush all; ping -c 1 -W 2 {VIP}"));
        let answers = watch.join().expect("it does not panic");
        assert!(answers.to_lowercase().contains("10.9.0.100 is-at 00:00:5e:00:01:33"), "{answers}");
        assert!(answers.contains(" 00:00:5e:00:01:33 > "), "{answers}");
    });
}

#[test]
fn point_42_a_packet_that_is_refused_again_and_again_is_logged_once() {
    lab("failover::points::point_42_a_packet_that_is_refused_again_and_again_is_logged_once", || {
        let net = Net::new(&["a", "b"]);
        let secret = |word: &str| format!(" authentication {{\n  auth_type PASS\n  auth_pass {word}\n }}");
        let a = net.start(Vrrp::Hawser, "a", &configuration(200, VIP, &secret("ours")));
        a.wait_for("(VI_1) Entering MASTER STATE");
        let b = net.start(Vrrp::Keepalived, "b", &configuration(100, VIP, &secret("theirs")));
        b.wait_for("(VI_1) Entering MASTER STATE");
        // An advert a second from each; keepalived 2.2.7 has a line for each of ours.
        std::thread::sleep(Duration::from_secs(5));
        let log = a.log();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("invalid passwd")).collect();
        assert_eq!(told.len(), 1, "{log}");
    });
}
