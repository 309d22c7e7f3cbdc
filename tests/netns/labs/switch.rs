//! The network of the director's labs: hosts on one switch, and real servers with nginx.

use netns::{Nginx, run};
use std::path::PathBuf;

/// The address of the virtual server; real servers have it too, and do not answer for it.
pub const VIP: &str = "10.1.0.100";

/// A client and two real servers on a bridge; this namespace is the director, 10.1.0.1 on `own`.
pub fn around_a_director() -> Vec<Nginx> {
    run("mount -t tmpfs tmp /run && mount -t tmpfs tmp /tmp && mkdir /run/bpf && mount -t bpf bpf /run/bpf");
    run("sysctl -qw net.ipv4.ip_forward=1 && ip link add lan type bridge && ip link set lan up");
    // The bridge is the network alone: it must not answer for the director's addresses.
    run("sysctl -qw net.ipv4.conf.lan.arp_ignore=1");
    run("ip link add own type veth peer name port && ip link set port master lan && ip link set port up");
    run("ip addr add 10.1.0.1/24 dev own && ip link set own up && ethtool -K own tx off >/dev/null");
    for (name, last) in [("client", 2), ("rs1", 11), ("rs2", 12)] {
        join("lan", name, last);
    }
    real_servers()
}

/// A host of its own namespace, 10.1.0.LAST on its interface `lan`.
pub fn join(bridge: &str, name: &str, last: u8) {
    run(&format!("ip netns add {name} && ip -n {name} link set lo up"));
    run(&format!("ip link add {name} type veth peer name lan netns {name}"));
    run(&format!("ip link set {name} master {bridge} up && ip -n {name} link set lan up"));
    run(&format!("ip -n {name} addr add 10.1.0.{last}/24 dev lan"));
    // Checksums are left to hardware that is not there: the programs see them unfinished.
    run(&format!("ip netns exec {name} ethtool -K lan tx off >/dev/null"));
}

/// What `rs1` and `rs2` need to be real servers of direct routing; each answers with its name.
pub fn real_servers() -> Vec<Nginx> {
    let serve = |name: &str| {
        run(&format!(
            "ip netns exec {name} sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"
        ));
        run(&format!("ip -n {name} addr add {VIP}/32 dev lo"));
        let folder = PathBuf::from(format!("/tmp/{name}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        Nginx::start_in(name, &folder, "0.0.0.0:80", name)
    };
    ["rs1", "rs2"].map(serve).into()
}
