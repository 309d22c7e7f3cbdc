//! What things cost, printed. Run with `cargo test -p rules --profile quick cost -- --ignored --nocapture`.

use crate::testing::World;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

/// Entries of the large maps.
const ENTRIES: u32 = 1_000_000;
/// Look-ups that are timed.
const LOOK_UPS: u32 = 1_000_000;

fn numbers() -> impl Iterator<Item = u32> {
    // A full-period congruence: every address once, far from the last.
    (0..LOOK_UPS).scan(1_u32, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(*state)
    })
}

#[test]
#[ignore = "measures"]
fn cost_of_a_map_of_a_million_networks() {
    let mut file = String::new();
    for index in 0..ENTRIES {
        let prefix = [24, 22, 20, 16, 28, 32][index as usize % 6];
        let address = std::net::Ipv4Addr::from(index.wrapping_mul(2_654_435_761));
        writeln!(file, "{address}/{prefix} country-{}", index % 250).unwrap();
    }
    let mut world = World::new();
    world.files.insert(b"nets.map".to_vec(), file.into_bytes());
    let start = Instant::now();
    let expr = world.expr("src,map_ip(nets.map,none)").unwrap();
    println!("load {ENTRIES} networks: {:?}", start.elapsed());
    let start = Instant::now();
    for number in numbers() {
        world.stream.src = Some(crate::Peer::Inet((number.to_be_bytes(), 1).into()));
        black_box(expr.eval(&world.scope()));
    }
    println!("look up a network: {:?}", start.elapsed() / LOOK_UPS);
    let list = world.patterns.by_file(b"nets.map").unwrap().clone();
    let start = Instant::now();
    for index in 0..1000_u32 {
        list.add(std::net::Ipv4Addr::from(index << 12).to_string().as_bytes(), Some(b"x"), None).unwrap();
    }
    println!("add a network: {:?}", start.elapsed() / 1000);
}

#[test]
#[ignore = "measures"]
fn cost_of_a_map_of_a_million_names() {
    let mut file = String::new();
    for index in 0..ENTRIES {
        writeln!(file, "host-{}.example.com backend-{}", index.wrapping_mul(2_654_435_761), index % 250)
            .unwrap();
    }
    let mut world = World::new();
    world.files.insert(b"hosts.map".to_vec(), file.into_bytes());
    let start = Instant::now();
    let expr = world.expr("var(txn.h),map(hosts.map,none)").unwrap();
    println!("load {ENTRIES} names: {:?}", start.elapsed());
    let list = world.patterns.by_file(b"hosts.map").unwrap().clone();
    let start = Instant::now();
    for index in 0..1000_u32 {
        list.add(format!("new-{index}").as_bytes(), Some(b"x"), None).unwrap();
    }
    println!("add a name: {:?}", start.elapsed() / 1000);
    let start = Instant::now();
    for index in 0..1000_u32 {
        assert_eq!(list.delete(format!("new-{index}").as_bytes()), 1);
    }
    println!("delete a name: {:?}", start.elapsed() / 1000);
    black_box(expr);
}

#[test]
#[ignore = "measures"]
fn cost_of_rules() {
    let request = "GET /static/images/logo.png?x=1 HTTP/1.1\nHost: www.example.com\nUser-Agent: curl/8.0\n\
                   Accept: */*\nCookie: a=1; SERVERID=s1\nX-Forwarded-For: 10.1.2.3";
    let mut world = World::with_request(request);
    let start = Instant::now();
    let mut conditions = Vec::new();
    for index in 0..10_000 {
        let text = match index % 5 {
            0 => format!("if {{ path_beg /app{index} /x{index} }}"),
            1 => format!("if {{ hdr(host) -i host{index}.example.com }}"),
            2 => format!("if {{ src 10.{}.0.0/16 }} METH_POST", index % 256),
            3 => format!("if {{ path_end .{index} }} !{{ req.cook(SERVERID) -m found }}"),
            _ => format!("if {{ hdr_dom(host) d{index} }} or {{ url_param(y) {index} }}"),
        };
        conditions.push(world.condition(&text).unwrap());
    }
    println!("load 10,000 rules: {:?}", start.elapsed());
    let scope = world.scope();
    let rounds = 1000;
    let start = Instant::now();
    for _ in 0..rounds {
        for condition in &conditions[..100] {
            black_box(condition.matches(&scope));
        }
    }
    println!("100 rules on a request: {:?}", start.elapsed() / rounds);
    for text in [
        "path",
        "req.hdr(host),lower,field(1,:)",
        "src",
        "req.cook(SERVERID)",
        "url_param(x)",
        "hdr_ip(x-forwarded-for)",
    ] {
        let mut other = World::with_request(request);
        let expr = other.expr(text).unwrap();
        let scope = other.scope();
        let start = Instant::now();
        for _ in 0..100_000 {
            black_box(expr.eval(&scope));
        }
        println!("{text}: {:?}", start.elapsed() / 100_000);
    }
}
