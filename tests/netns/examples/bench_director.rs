//! Nanoseconds per packet of the director's programs, by runs without traffic, beside a plain C program of the same job
//! (its object is the argument). In a network namespace of its own: `cargo xtask bench-director`.

use aya::EbpfLoader;
use aya::programs::Xdp as Program;
use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, TestRun, TestRunOptions, Xdp};
use netlink::ipvs::{Destination, Forward, Key, Service, TCP, Tunnel};
use netns::packet::{ACK, SYN, network, tcp};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;
use sys::bpf::Map;
use xdp_abi::{Flow, FlowKey, state};

const REALS: u8 = 100;
const FLOWS: u32 = 1 << 20;
/// Single runs that an average is taken of.
const SINGLE: u32 = 100_000;
const REPEAT: u32 = 1_000_000;
const ROUNDS: usize = 9;
const VIP: [u8; 4] = [10, 1, 0, 100];

fn service() -> Key {
    Key::Address { protocol: TCP, address: VIP.into(), port: 80 }
}

/// The number-th client.
fn client(number: u32) -> SocketAddr {
    let [_, second, third, fourth] = (number / 32).to_be_bytes();
    SocketAddr::new([11, second, third, fourth].into(), 10_000 + u16::try_from(number % 32).expect("small"))
}

/// One run; nanoseconds of each repeat.
fn run(program: &Program, interface: u32, frame: &[u8], repeat: u32) -> (u32, Duration) {
    let mut context = [0_u32; 6];
    context[1] = u32::try_from(frame.len()).expect("short");
    context[3] = interface;
    let context: Vec<u8> = context.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut output = [0; 2048];
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.data_out = Some(&mut output);
    options.ctx_in = Some(&context);
    options.repeat = repeat;
    let result = program.test_run(options).expect("it runs");
    (result.return_value, result.duration)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn plane(forward: Forward) -> Xdp {
    let options = Options { flows_max: 2 * FLOWS, ..Options::default() };
    let mut plane = Xdp::load(&options).expect("loaded");
    let mut changes = vec![Change::AddService(Service::new(service(), "rr"))];
    for last in 0..REALS {
        let port = if forward == Forward::Masquerade { 8080 } else { 80 };
        changes.push(Change::AddServer(
            service(),
            Destination::new([10, 1, 0, 110 + last].into(), port, forward, 1),
        ));
    }
    assert!(plane.apply_all(&changes).is_empty());
    plane
}

/// New flows, one each: the average of the program's own time.
fn open(plane: &mut Xdp, interface: u32, flags: u8, count: u32) -> f64 {
    let vip = SocketAddr::new(VIP.into(), 80);
    let program = plane.program().expect("there");
    let mut total = Duration::ZERO;
    for number in 0..count {
        let (said, took) = run(program, interface, &tcp(flags, client(number), vip), 1);
        assert_eq!(said, netns::packet::SEND_BACK);
        total += took;
    }
    total.as_nanos() as f64 / f64::from(count)
}

fn row(name: &str, nanoseconds: f64, how: &str) {
    println!("{name:<34} {nanoseconds:>8.1} ns   {how}");
}

fn main() {
    let object = std::env::args().nth(1).expect("the C program's object");
    let interface = network();
    for last in 0..REALS {
        let last = 110 + last;
        netns::run(&format!(
            "ip neigh add 10.1.0.{last} lladdr 02:00:00:00:01:{last:02x} dev lan nud permanent"
        ));
    }
    netns::run("ip route add 11.0.0.0/8 via 10.1.0.2 dev lan");
    let vip = SocketAddr::new(VIP.into(), 80);

    // Direct routing: a million flows, then one of them again and again, beside the C program with the same flows.
    let mut routing = plane(Forward::Route);
    let new = open(&mut routing, interface, SYN, FLOWS);
    row("new flow, DR, to a million", new, "average of 1048576 single runs");
    let random = |number: u32| number.wrapping_mul(2_654_435_761) % FLOWS;
    open(&mut routing, interface, ACK, SINGLE);
    let mut ebpf = EbpfLoader::new().map_max_entries("FLOWS", 2 * FLOWS).load_file(&object).expect("loaded");
    let map = |ebpf: &aya::Ebpf, name: &str| match ebpf.map(name).expect("there") {
        aya::maps::Map::LruHashMap(data) | aya::maps::Map::Array(data) => {
            Map::of(data.fd().as_fd()).expect("a map")
        }
        other => panic!("{other:?}"),
    };
    let (flows, reals) = (map(&ebpf, "FLOWS"), map(&ebpf, "REALS"));
    for last in 0..REALS {
        let number = u32::from(last).to_ne_bytes();
        let value = [10, 1, 0, 110 + last, 2, 0, 0, 0];
        reals.set(&number, &value).expect("set");
    }
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for number in 0..FLOWS {
        let from = client(number);
        let std::net::IpAddr::V4(address) = from.ip() else { continue };
        let key = FlowKey {
            source: u32::from_ne_bytes(address.octets()),
            destination: u32::from_ne_bytes(VIP),
            source_port: from.port().to_be(),
            destination_port: 80_u16.to_be(),
            protocol: 6,
        };
        let flow = Flow {
            seen: 0,
            real: number % u32::from(REALS),
            state: state::ESTABLISHED,
            direction: 0,
            port: 0,
            address: 0_u32,
        };
        let (mut key_bytes, mut flow_bytes) = ([0; 40], [0; 28]);
        key.write(&mut key_bytes);
        flow.write(&mut flow_bytes);
        keys.extend_from_slice(&key_bytes[..FlowKey::<u32>::LENGTH]);
        values.extend_from_slice(&flow_bytes[..Flow::<u32>::LENGTH]);
    }
    flows.set_all(&keys, &values).expect("set");
    let plain: &mut Program = ebpf.program_mut("direct_routing").expect("there").try_into().expect("XDP");
    plain.load().expect("loaded");
    let frame = tcp(ACK, client(7), vip);
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (said, one) = run(routing.program().expect("there"), interface, &frame, REPEAT);
        assert_eq!(said, netns::packet::SEND_BACK);
        let (said, other) = run(plain, interface, &frame, REPEAT);
        assert_eq!(said, netns::packet::SEND_BACK);
        ours.push(one.as_nanos() as f64);
        theirs.push(other.as_nanos() as f64);
        ratios.push(one.as_nanos() as f64 / other.as_nanos() as f64);
    }
    let how = "median of 9 interleaved rounds of a million";
    row("flow hit, DR", median(ours), how);
    row("flow hit, DR, plain C", median(theirs), how);
    println!("{:<34} {:>8.3}      median of the rounds", "ratio to plain C", median(ratios));
    let scattered = |program: &Program| {
        let total: Duration =
            (0..SINGLE).map(|at| run(program, interface, &tcp(ACK, client(random(at)), vip), 1).1).sum();
        total.as_nanos() as f64 / f64::from(SINGLE)
    };
    let how = "average of 100000 single runs, one flow each";
    let plain_scattered = scattered(plain);
    row("flow hit, DR, scattered", scattered(routing.program().expect("there")), how);
    row("flow hit, DR, scattered, plain C", plain_scattered, how);
    let foreign = tcp(ACK, client(7), SocketAddr::new(VIP.into(), 81));
    let misses = (0..ROUNDS)
        .map(|_| run(routing.program().expect("there"), interface, &foreign, REPEAT).1.as_nanos() as f64);
    row("no service of ours", median(misses.collect()), "median of 9 rounds of a million");

    // What changes packets cannot be repeated in one run.
    for (name, forward) in [("NAT in", Forward::Masquerade), ("IPIP", Forward::Tunnel(Tunnel::IpInIp))] {
        let mut plane = plane(forward);
        let new = open(&mut plane, interface, SYN, SINGLE);
        let hit = open(&mut plane, interface, ACK, SINGLE);
        row(&format!("new flow, {name}"), new, how);
        row(&format!("flow hit, {name}"), hit, how);
        if forward == Forward::Masquerade {
            // The newest real server has the first flow, and so on.
            let answer = |number: u32| {
                let last = 110 + REALS - 1 - u8::try_from(number % u32::from(REALS)).expect("small");
                tcp(ACK, SocketAddr::new([10, 1, 0, last].into(), 8080), client(number))
            };
            let program = plane.program().expect("there");
            let total: Duration = (0..SINGLE)
                .map(|number| {
                    let (said, took) = run(program, interface, &answer(number), 1);
                    assert_eq!(said, netns::packet::SEND_BACK);
                    took
                })
                .sum();
            row("flow hit, NAT out", total.as_nanos() as f64 / f64::from(SINGLE), how);
        }
    }
}
