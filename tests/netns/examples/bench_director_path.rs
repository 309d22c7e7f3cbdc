//! Packets per second from a client through the director to real servers over veth: our programs beside nftables' DNAT, in
//! turns. And how long a thousand services with ten real servers each take to be loaded, read and compared. In a network
//! namespace of its own: `cargo xtask bench-director`.

use director::dataplane::Dataplane;
use director::table::{Change, Table, difference};
use director::xdp::{Options, Xdp, XdpMode};
use netlink::ipvs::{Destination, Forward, Key, Service, TCP, UDP};
use netns::run;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const WARM: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_secs(1);
/// Flows of the client, each with a port of its own.
const FLOWS: usize = 256;
const PAYLOAD: [u8; 18] = [0; 18];
const VIP: [u8; 4] = [10, 1, 0, 100];
const SERVICES: u16 = 1000;
const REALS: u8 = 10;

/// Who translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Nftables,
    Generic,
    Native,
}

const PEERS: [(Peer, &str); 3] = [
    (Peer::Nftables, "nftables DNAT"),
    (Peer::Generic, "hawser, generic XDP, NAT"),
    (Peer::Native, "hawser, native XDP, NAT"),
];

/// `client` 10.1.0.2 ── wan ── director ── lan ── `servers` 10.2.0.11 and 10.2.0.12.
fn wire() {
    run(
        "ip link set lo up && mount -t tmpfs tmp /run && mkdir /run/netns && sysctl -qw net.ipv4.ip_forward=1",
    );
    for (host, arm, network) in [("client", "wan", 1), ("servers", "lan", 2)] {
        run(&format!("ip netns add {host} && ip link add {arm} type veth peer name {arm} netns {host}"));
        run(&format!("ip link set {arm} up && ip addr add 10.{network}.0.1/24 dev {arm}"));
        run(&format!("ip -n {host} link set lo up && ip -n {host} link set {arm} up"));
        run(&format!("ip -n {host} addr add 10.{network}.0.2/24 dev {arm}"));
        run(&format!("ip -n {host} route add default via 10.{network}.0.1"));
        // Programs in the driver send to a peer only where it polls.
        run(&format!("ip netns exec {host} ethtool -K {arm} gro on tx off >/dev/null"));
        run(&format!("ethtool -K {arm} tx off >/dev/null"));
    }
    run("ip addr add 10.1.0.100/32 dev wan");
    run("ip -n servers addr add 10.2.0.11/24 dev lan && ip -n servers addr add 10.2.0.12/24 dev lan");
    // Known before the first packet.
    run(
        "ip netns exec client ping -qc1 10.2.0.11 >/dev/null && ip netns exec client ping -qc1 10.2.0.12 >/dev/null",
    );
}

fn enter(host: &str) {
    let namespace = File::open(format!("/run/netns/{host}")).expect("the host is there");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("we may");
}

fn received() -> u64 {
    let text = run("ip netns exec servers cat /sys/class/net/lan/statistics/rx_packets");
    text.trim().parse().expect("a number")
}

fn service(port: u16) -> Key {
    Key::Address { protocol: UDP, address: VIP.into(), port }
}

fn plane(mode: XdpMode) -> Xdp {
    let mut plane = Xdp::load(&Options::default()).expect("loaded");
    for interface in ["wan", "lan"] {
        plane.attach(interface, mode).expect("attached");
    }
    let mut changes = vec![Change::AddService(Service::new(service(80), "rr"))];
    for last in [11, 12] {
        let server = Destination::new([10, 2, 0, last].into(), 8080, Forward::Masquerade, 1);
        changes.push(Change::AddServer(service(80), server));
    }
    assert!(plane.apply_all(&changes).is_empty());
    plane
}

/// Packets per second that arrive, and that are sent, with whoever translates now.
fn measure() -> (f64, f64) {
    let client = std::thread::spawn(|| {
        enter("client");
        let sockets: Vec<UdpSocket> = (0..FLOWS)
            .map(|_| {
                let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
                socket.connect((std::net::Ipv4Addr::from(VIP), 80)).expect("connected");
                socket
            })
            .collect();
        let send_for = |time: Duration| {
            let (start, mut sent) = (Instant::now(), 0_u64);
            while start.elapsed() < time {
                for socket in &sockets {
                    // An error of an earlier packet is told here; the next one goes.
                    sent += u64::from(socket.send(&PAYLOAD).is_ok());
                }
            }
            (sent, start.elapsed())
        };
        send_for(WARM);
        let before = received();
        let (sent, took) = send_for(MEASURED);
        let arrived = received() - before;
        (arrived as f64 / took.as_secs_f64(), sent as f64 / took.as_secs_f64())
    });
    client.join().expect("it does not panic")
}

fn round(peer: Peer) -> (f64, f64) {
    match peer {
        Peer::Nftables => {
            run(
                "nft add table ip peer && nft 'add chain ip peer pre { type nat hook prerouting priority -100; }'",
            );
            run("nft 'add rule ip peer pre ip daddr 10.1.0.100 udp dport 80 dnat to \
                 numgen inc mod 2 map { 0 : 10.2.0.11, 1 : 10.2.0.12 } : 8080'");
            let measured = measure();
            run("nft delete table ip peer");
            measured
        }
        Peer::Generic | Peer::Native => {
            let plane = plane(if peer == Peer::Native { XdpMode::Driver } else { XdpMode::Skb });
            let measured = measure();
            drop(plane);
            measured
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds, and what has to be done.
fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{name:<34} {:>8.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    result
}

fn load_and_compare() {
    let mut wanted = Table::default();
    for number in 0..SERVICES {
        let [high, low] = number.to_be_bytes();
        let key = Key::Address { protocol: TCP, address: [10, 9, high, low].into(), port: 80 };
        let servers = (0..REALS).map(|last| Destination::new([10, 2, 1, last].into(), 80, Forward::Route, 1));
        wanted.insert(Service::new(key, "wrr"), servers);
    }
    let owned: BTreeSet<Key> = wanted.0.keys().copied().collect();
    let mut plane = Xdp::load(&Options::default()).expect("loaded");
    println!("{SERVICES} services with {REALS} real servers each");
    let start = Instant::now();
    let changes = timed("what is to be done", || difference(&Table::default(), &wanted, &owned));
    assert_eq!(changes.len(), usize::from(SERVICES) * (1 + usize::from(REALS)));
    assert!(timed("loaded", || plane.apply_all(&changes)).is_empty());
    let there = timed("read", || plane.read().expect("read"));
    assert!(timed("compared", || difference(&there, &wanted, &owned)).is_empty());
    println!("{:<34} {:>8.1} ms", "together", start.elapsed().as_secs_f64() * 1000.0);
}

fn main() {
    wire();
    // Datagrams that are taken make no errors that go back.
    let sink = std::thread::spawn(|| {
        enter("servers");
        UdpSocket::bind("0.0.0.0:8080").expect("the port is free")
    });
    let _sink = sink.join().expect("it does not panic");
    let mut arrived: [Vec<f64>; PEERS.len()] = Default::default();
    let mut shares: [Vec<f64>; PEERS.len()] = Default::default();
    for _ in 0..ROUNDS {
        for (at, (peer, _)) in PEERS.iter().enumerate() {
            let (came, sent) = round(*peer);
            arrived[at].push(came);
            shares[at].push(came / sent);
        }
    }
    let base = median(arrived[0].clone());
    println!(
        "packets/s through veth, {FLOWS} flows, one sender, median of {ROUNDS} interleaved rounds of 1 s"
    );
    for (at, (_, name)) in PEERS.iter().enumerate() {
        let (rate, share) = (median(arrived[at].clone()), median(shares[at].clone()));
        println!(
            "{name:<34} {rate:>10.0}/s   {:.2} of nftables, {:.1} % arrived",
            rate / base,
            share * 100.0
        );
    }
    load_and_compare();
}
