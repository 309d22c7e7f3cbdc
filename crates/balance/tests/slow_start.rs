//! A returning server grows into its weight second by second as it does in the real haproxy.

use std::time::Duration;

use balance::slow_start::{SlowStart, throttle_percent};
use balance::{Algorithm, Picker, Server, ServerIndex, WEIGHT_SCALE};

// row: 111
#[test]
fn weights_and_throttle_grow_as_recorded() {
    let path = format!("{}/../../tests/vectors/balance/slow-start.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the recorded vectors are checked in");
    let mut current = None;
    let mut compared = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (word, numbers) = line.split_once(' ').expect("a word and its arguments");
        let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
        if word == "ramp" {
            let weight = u16::try_from(numbers[1]).expect("a weight");
            current = SlowStart::new(Duration::from_secs(numbers[0])).map(|ramp| (ramp, weight));
            continue;
        }
        let (ramp, weight) = current.expect("a ramp begins the file");
        let sixteenths = ramp.ramp(Duration::from_secs(numbers[0]));
        // The statistics round effective weights up to whole ones.
        let shown = (u32::from(weight) * u32::from(sixteenths)).div_ceil(WEIGHT_SCALE);
        let throttle = throttle_percent(weight, sixteenths);
        assert_eq!(
            (u64::from(shown), u64::from(throttle)),
            (numbers[1], numbers[2]),
            "{line} of weight {weight}"
        );
        compared += 1;
    }
    assert_eq!(compared, 52);
}

// row: 111
#[test]
fn a_server_on_its_ramp_gets_its_share_and_a_static_one_all_at_once() {
    let share = |algorithm| {
        let mut picker = Picker::new(algorithm, &[Server::new(1).down(), Server::new(2)], false, 0);
        picker.set_ramp(ServerIndex::at(0), 4);
        picker.set_up(ServerIndex::at(0), true);
        let picks = (0..2000).filter_map(|_| picker.pick(None, None, &|_| false));
        picks.filter(|server| server.position() == 0).count()
    };
    assert_eq!(share(Algorithm::StaticRoundRobin), 1000);
    let ramped = share(Algorithm::RoundRobin);
    assert!((395..=405).contains(&ramped), "4 of 20 sixteenths, got {ramped} of 2000");
}
