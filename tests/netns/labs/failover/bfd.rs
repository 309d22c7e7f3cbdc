//! Sessions of BFD: with ourselves, with keepalived 2.2.7, with frr's bfdd; and what instances make of them.

use netns::hosts::{Daemon, Net, Vrrp};
use netns::{lab, wait_until};
use std::time::{Duration, Instant};

/// Host `me` with a session to host `other`; VI_1 of its own VRID tracks it with a weight, VI_2 depends on it.
fn configuration(me: u8, other: u8, session: &str) -> String {
    format!(
        "global_defs {{\n script_user root\n}}\n\
         bfd_instance peer {{\n neighbor_ip 10.9.0.{other}\n source_ip 10.9.0.{me}\n min_rx 50\n min_tx 50\n \
         multiplier 3\n {session}\n}}\n\
         vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 6{me}\n priority 100\n version 3\n advert_int 0.1\n \
         track_bfd {{\n  peer weight 10\n }}\n virtual_ipaddress {{\n 10.9.0.10{me}\n }}\n}}\n\
         vrrp_instance VI_2 {{\n interface eth0\n virtual_router_id 7{me}\n priority 100\n version 3\n advert_int 0.1\n \
         track_bfd {{\n  peer\n }}\n virtual_ipaddress {{\n 10.9.0.11{me}\n }}\n}}\n"
    )
}

/// Lines of the log about the session and what follows from it, without times.
fn story(daemon: &Daemon) -> Vec<String> {
    let wanted = ["Entering Up state", "Entering Down state", "Tracked BFD", "Expired after"];
    let log = daemon.log();
    let lines = log.lines().filter(|line| wanted.iter().any(|text| line.contains(text)));
    lines
        .filter_map(|line| line.split_once(" 20").and_then(|(_, rest)| rest.split_once(": ")))
        .map(|(_, text)| match text.split_once(" Expired after ") {
            Some((who, _)) => format!("{who} Expired"),
            None => text.to_owned(),
        })
        .collect()
}

fn wait_for_up(daemon: &Daemon, times: usize) {
    daemon.wait_for_times("(peer) Entering Up state", times);
}

/// A session comes up, its neighbour is silent, speaks again, and ends. What host `a` says of it.
fn life(a: Vrrp, b: Vrrp) -> Vec<String> {
    let net = Net::new(&["a", "b"]);
    let a = net.start(a, "a", &configuration(1, 2, ""));
    a.wait_for("(VI_1) Entering MASTER STATE");
    assert!(!a.log().contains("(VI_2) Entering MASTER STATE"), "{}", a.log());
    let mut b = net.start(b, "b", &configuration(2, 1, ""));
    wait_for_up(&a, 1);
    wait_for_up(&b, 1);
    a.wait_for("(VI_2) Entering MASTER STATE");
    wait_until(Duration::from_secs(5), "the address of VI_2", || net.has("a", "10.9.0.111"));
    let children = format!("$(pgrep -P {})", b.pid());
    netns::run(&format!("kill -STOP {children}"));
    a.wait_for("(peer) Entering Down state");
    wait_until(Duration::from_secs(5), "the address to go", || !net.has("a", "10.9.0.111"));
    assert!(net.has("a", "10.9.0.101"), "a weight is no fault");
    netns::run(&format!("kill -CONT {children}"));
    wait_for_up(&a, 2);
    a.wait_for_times("(VI_2) Entering MASTER STATE", 2);
    let ended = Instant::now();
    b.stop();
    a.wait_for_times("(peer) Entering Down state", 2);
    assert!(ended.elapsed() < Duration::from_secs(5), "{:?}", ended.elapsed());
    wait_until(Duration::from_secs(5), "the address to go", || !net.has("a", "10.9.0.111"));
    story(&a)
}

#[test]
fn sessions_live_between_hawser_and_keepalived_in_both_roles() {
    lab("failover::bfd::sessions_live_between_hawser_and_keepalived_in_both_roles", || {
        let ours = life(Vrrp::Hawser, Vrrp::Keepalived);
        let theirs = life(Vrrp::Keepalived, Vrrp::Hawser);
        for text in ["VRRP_Instance(VI_1) Tracked BFD instance peer is UP", "(peer) Entering Up state"] {
            for story in [&ours, &theirs] {
                assert_eq!(story.iter().filter(|line| *line == text).count(), 2, "{text}: {story:#?}");
            }
        }
        // Who ends goes without a word, and is missed.
        assert_eq!(ours.iter().filter(|line| *line == "(peer) Expired").count(), 2, "{ours:#?}");
        assert_eq!(ours, theirs, "hawser on the left, keepalived on the right");
    });
}

#[test]
fn a_neighbour_is_missed_within_the_detection_time_and_a_reload_keeps_the_session() {
    lab(
        "failover::bfd::a_neighbour_is_missed_within_the_detection_time_and_a_reload_keeps_the_session",
        || {
            let net = Net::new(&["a", "b"]);
            let a = net.start(Vrrp::Hawser, "a", &configuration(1, 2, ""));
            let mut b = net.start(Vrrp::Hawser, "b", &configuration(2, 1, "passive"));
            wait_for_up(&a, 1);
            a.wait_for("(VI_2) Entering MASTER STATE");
            // Other intervals, and an instance more.
            let text = configuration(1, 2, "")
                .replace("min_tx 50", "min_tx 30")
                .replace("priority 100", "priority 90");
            a.configure(&text);
            a.signal("HUP");
            a.wait_for("Reloading");
            b.wait_for("(VI_2) Entering MASTER STATE");
            net.on("b", "timeout 5 tcpdump -c 40 -nni eth0 src host 10.9.0.1 and udp port 3784");
            assert_eq!(a.log().matches("(peer) Entering").count(), 1, "{}", a.log());
            assert_eq!(a.log().matches("(VI_2) Entering FAULT").count(), 1, "at its start: {}", a.log());
            b.kill();
            a.wait_for("(VI_2) Entering FAULT STATE");
            // Packets with too few hops left are nobody's: the session does not come up.
            b.configure(&configuration(2, 1, "ttl 200"));
            b.start();
            a.wait_for("(peer) Entering Down state");
            std::thread::sleep(Duration::from_secs(2));
            assert_eq!(a.log().matches("(peer) Entering Up state").count(), 1, "{}", a.log());
            a.configure(&configuration(1, 2, "max_hops 55"));
            a.signal("HUP");
            wait_for_up(&a, 2);
        },
    );
}

#[test]
fn a_session_over_ipv6_lives_with_frr() {
    lab("failover::bfd::a_session_over_ipv6_lives_with_frr", || {
        let net = Net::new(&["a", "b"]);
        let text = configuration(1, 2, "")
            .replace("10.9.0.2", "fd09::2")
            .replace("source_ip 10.9.0.1", "source_ip fd09::1");
        // frr's sender has 255 hops; a session of one hop takes no others.
        let a = net.start(Vrrp::Hawser, "a", &text.replace("multiplier 3", "multiplier 3\n hoplimit 255"));
        netns::run("mkdir -p /run/frr");
        let frr = "log file /run/frr/bfdd.log\nbfd\n peer fd09::1 local-address fd09::2 interface eth0\n  \
                   receive-interval 60\n  transmit-interval 40\n  detect-multiplier 4\n !\n!\n";
        std::fs::write("/run/frr/bfdd.conf", frr).expect("written");
        std::fs::write("/run/frr/zebra.conf", "").expect("written");
        netns::run("chown -R frr:frr /run/frr");
        let start = |program: &str, more: &str| {
            let line = format!(
                "/usr/lib/frr/{program} -d -f /run/frr/{program}.conf -i /run/frr/{program}.pid {more} \
                 --vty_socket /run/frr -z /run/frr/zserv.api > /run/frr/{program}.out 2>&1"
            );
            net.on("b", &line);
        };
        start("zebra", "");
        wait_until(Duration::from_secs(15), "zebra", || std::path::Path::new("/run/frr/zserv.api").exists());
        start("bfdd", "--bfdctl /run/frr/bfdd.sock");
        wait_for_up(&a, 1);
        a.wait_for("(VI_2) Entering MASTER STATE");
        let peers = || net.on("b", "vtysh --vty_socket /run/frr -c 'show bfd peers' || true");
        wait_until(Duration::from_secs(10), "frr to see it", || peers().contains("Status: up"));
        let seen = peers();
        for line in ["Transmission interval: 50ms", "Receive interval: 50ms"] {
            assert!(seen.contains(line), "{line}: {seen}");
        }
        // A session that the neighbour's operator shuts down says nothing of the path; silence does.
        let shut = |word: &str| {
            let session = "-c 'conf t' -c bfd -c 'peer fd09::1 local-address fd09::2 interface eth0'";
            net.on("b", &format!("vtysh --vty_socket /run/frr {session} -c '{word}'"));
        };
        shut("shutdown");
        a.wait_for("(peer) Entering Down state (Local diagnostic - Neighbor Signaled Session Down");
        shut("no shutdown");
        wait_for_up(&a, 2);
        assert_eq!(a.log().matches("(VI_2) Entering FAULT STATE").count(), 1, "{}", a.log());
        net.on("b", "kill -9 $(cat /run/frr/bfdd.pid)");
        a.wait_for("(peer) Expired after");
        a.wait_for_times("(VI_2) Entering FAULT STATE", 2);
        net.on("b", "kill $(cat /run/frr/zebra.pid)");
    });
}
