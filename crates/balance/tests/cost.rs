//! Five hundred servers cost hardly more than five: picks and updates are O(log n) or better.

use std::time::{Duration, Instant};

use balance::{Algorithm, HashMethod, HashType, Picker, Server};

const REQUESTS: u32 = 100_000;

/// The best of a few rounds, so that a busy machine does not decide.
fn time_of_requests(algorithm: Algorithm, count: u32) -> Duration {
    let servers: Vec<Server> = (1..=count).map(Server::new).collect();
    let mut picker = Picker::new(algorithm, &servers, false, 1);
    let round = |picker: &mut Picker| {
        let begin = Instant::now();
        for request in 0..REQUESTS {
            let key = request.wrapping_mul(0x9e37_79b9);
            let server = picker.pick(Some(key), None, &|_| false).expect("a usable server");
            picker.taken(server);
            picker.dropped(server);
        }
        begin.elapsed()
    };
    (0..5).map(|_| round(&mut picker)).min().expect("some rounds")
}

// row: 112, 117, 119
#[test]
fn a_hundred_times_the_servers_cost_less_than_eight_times_the_time() {
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::LeastConn,
        Algorithm::StaticRoundRobin,
        Algorithm::Hash(HashType::new(HashMethod::MapBased)),
        Algorithm::Hash(HashType::new(HashMethod::Consistent)),
        Algorithm::Random { draws: 2, balance_factor: 0 },
    ] {
        let few = time_of_requests(algorithm, 5);
        let many = time_of_requests(algorithm, 500);
        assert!(many < few * 8, "{algorithm:?}: {few:?} with 5 servers, {many:?} with 500");
    }
}

// row: 112
#[test]
fn round_robin_has_no_limit_of_4095_servers() {
    let servers: Vec<Server> = (1..=5000).map(|id| Server::new(id).weight(256)).collect();
    let mut picker = Picker::new(Algorithm::RoundRobin, &servers, false, 0);
    let mut turns = vec![0u32; servers.len()];
    for _ in 0..2 * servers.len() {
        let server = picker.pick(None, None, &|_| false).expect("a usable server");
        turns[server.position()] += 1;
    }
    assert!(turns.iter().all(|&count| count == 2), "everyone has had two turns");
}
