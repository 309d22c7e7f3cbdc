//! Connections through the director's XDP programs, between hosts in namespaces.

use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, Xdp, XdpMode};
use netlink::ipvs::{Destination, Forward, Key, Service, TCP};
use netns::{lab, run, run_quietly};

const FLOWS: u32 = 4096;

/// A client, two real servers and a router, on one network; this namespace is the director, 10.1.0.1.
fn hosts() {
    // Names of namespaces are files: on a folder of our own, so that they end with the lab.
    run("mount -t tmpfs tmp /run");
    run("ip link add lan type bridge && ip link set lan up && sysctl -qw net.ipv4.ip_forward=1");
    // The bridge is the network alone: it must not answer for the director's addresses.
    run("sysctl -qw net.ipv4.conf.lan.arp_ignore=1");
    run("ip link add own type veth peer name port && ip link set port master lan && ip link set port up");
    run("ip addr add 10.1.0.1/24 dev own && ip link set own up");
    for (name, last) in [("client", 2), ("rs1", 11), ("rs2", 12)] {
        run(&format!("ip netns add {name} && ip -n {name} link set lo up"));
        run(&format!(
            "ip link add {name} type veth peer name lan netns {name} && ip link set {name} master lan"
        ));
        run(&format!("ip link set {name} up && ip -n {name} link set lan up"));
        run(&format!("ip -n {name} addr add 10.1.0.{last}/24 dev lan"));
        // Checksums are left to hardware that is not there: the programs see them unfinished.
        run(&format!("ip netns exec {name} ethtool -K lan tx off >/dev/null"));
    }
    run("ethtool -K own tx off >/dev/null");
    for name in ["rs1", "rs2"] {
        run(&format!("mkdir -p /run/{name} && echo {name} > /run/{name}/index.html"));
        run(&format!(
            "cd /run/{name} && ip netns exec {name} python3 -m http.server 80 >/dev/null 2>&1 & sleep 0.1"
        ));
        netns_wait(&format!("ip netns exec {name} sh -c 'ss -Hltn | grep -q :80'"));
    }
}

fn netns_wait(line: &str) {
    for _ in 0..100 {
        if run_quietly(line) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("never: {line}");
}

fn answers(count: usize) -> Vec<String> {
    let get = "ip netns exec client curl -sS -m 5 http://10.1.0.100/ 2>&1 || true";
    (0..count).map(|_| run(get).trim().to_owned()).collect()
}

// row: 209, 317, 318
#[test]
fn without_ipvs_translation_and_routing_alternate_all_the_same() {
    lab("director_traffic::without_ipvs_translation_and_routing_alternate_all_the_same", || {
        hosts();
        let key = Key::Address { protocol: TCP, address: [10, 1, 0, 100].into(), port: 80 };
        run("ip addr add 10.1.0.100/32 dev own");
        for last in [2, 11, 12] {
            run(&format!("ping -c 1 -W 5 10.1.0.{last} >/dev/null"));
        }

        // Direct routing: the real servers have the address too, and keep quiet about it.
        for name in ["rs1", "rs2"] {
            run(&format!(
                "ip netns exec {name} sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"
            ));
            run(&format!("ip -n {name} addr add 10.1.0.100/32 dev lo"));
        }
        let mut plane = Xdp::load(&Options { flows_max: FLOWS, ..Options::default() }).expect("loaded");
        plane.attach("own", XdpMode::Skb).expect("attached");
        plane.apply(&Change::AddService(Service::new(key, "rr"))).expect("added");
        for last in [11, 12] {
            let server = Destination::new([10, 1, 0, last].into(), 80, Forward::Route, 1);
            plane.apply(&Change::AddServer(key, server)).expect("added");
        }
        let routed = answers(6);
        assert!(routed.windows(2).all(|pair| pair[0] != pair[1]), "{routed:?}");

        // Translation: the director is the way back.
        for name in ["rs1", "rs2"] {
            run(&format!("ip -n {name} addr del 10.1.0.100/32 dev lo"));
            run(&format!("ip -n {name} route add 10.1.0.2/32 via 10.1.0.1"));
        }
        for last in [11, 12] {
            let server = Destination::new([10, 1, 0, last].into(), 80, Forward::Masquerade, 1);
            plane.apply(&Change::EditServer(key, server)).expect("changed");
        }
        let translated = answers(6);
        assert!(translated.windows(2).all(|pair| pair[0] != pair[1]), "{translated:?}");
        let counters = plane.counters().expect("readable");
        assert!(counters.iter().any(|(name, count)| *name == "reply" && *count > 6), "{counters:?}");
    });
}
