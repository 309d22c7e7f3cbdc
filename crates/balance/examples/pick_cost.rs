//! Prints what a request costs in the picker: nanoseconds for pick, taken and dropped, by number of servers.
//!
//! `cargo run --profile quick -p balance --example pick_cost`

use std::hint::black_box;
use std::time::Instant;

use balance::{Algorithm, HashMethod, HashType, Picker, Server};

const REQUESTS: u32 = 1_000_000;
const SERVERS: [u32; 4] = [5, 50, 500, 5000];

fn main() {
    let algorithms = [
        ("roundrobin", Algorithm::RoundRobin),
        ("static-rr", Algorithm::StaticRoundRobin),
        ("leastconn", Algorithm::LeastConn),
        ("first", Algorithm::First),
        ("random(2)", Algorithm::Random { draws: 2, balance_factor: 0 }),
        ("hash map-based", Algorithm::Hash(HashType::new(HashMethod::MapBased))),
        ("hash consistent", Algorithm::Hash(HashType::new(HashMethod::Consistent))),
    ];
    print!("{:<16}", "ns per request");
    SERVERS.iter().for_each(|count| print!("{count:>10}"));
    println!("{:>22}", "down+up of 500, µs");
    for (name, algorithm) in algorithms {
        print!("{name:<16}");
        for count in SERVERS {
            print!("{:>10.1}", nanoseconds_per_request(algorithm, count));
        }
        println!("{:>22.1}", microseconds_per_change(algorithm, 500));
    }
}

fn picker(algorithm: Algorithm, count: u32) -> Picker {
    let servers: Vec<Server> =
        (1..=count).map(|id| Server::new(id).weight(u16::try_from(id % 10 + 1).expect("small"))).collect();
    Picker::new(algorithm, &servers, false, 1)
}

fn nanoseconds_per_request(algorithm: Algorithm, count: u32) -> f64 {
    let mut picker = picker(algorithm, count);
    let tracks_load = algorithm.tracks_load();
    let begin = Instant::now();
    for request in 0..REQUESTS {
        let key = request.wrapping_mul(0x9e37_79b9);
        let server = picker.pick(Some(key), None, &|_| false).expect("a usable server");
        if tracks_load {
            picker.taken(server);
            picker.dropped(server);
        }
        black_box(server);
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS)
}

fn microseconds_per_change(algorithm: Algorithm, count: u32) -> f64 {
    const ROUNDS: u32 = 100;
    let mut picker = picker(algorithm, count);
    let begin = Instant::now();
    for round in 0..ROUNDS {
        let server = balance::ServerIndex::at((round % count) as usize);
        picker.set_up(server, false);
        picker.set_up(server, true);
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}
