//! What must hold for every backend and every history: drawn at random by proptest.

use balance::{Algorithm, HashFunction, HashMethod, HashType, Load, Picker, Server, ServerIndex, hash};
use proptest::prelude::*;

const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RoundRobin,
    Algorithm::StaticRoundRobin,
    Algorithm::LeastConn,
    Algorithm::First,
    Algorithm::Random { draws: 2, balance_factor: 0 },
    Algorithm::Random { draws: 1, balance_factor: 150 },
    Algorithm::Hash(MAP),
    Algorithm::Hash(RING),
];

const MAP: HashType = HashType {
    method: HashMethod::MapBased,
    function: HashFunction::Sdbm,
    avalanche: false,
    balance_factor: 0,
    looks_when_alone: false,
};

const RING: HashType = HashType {
    method: HashMethod::Consistent,
    function: HashFunction::Sdbm,
    avalanche: true,
    balance_factor: 125,
    looks_when_alone: false,
};

fn servers(weights: &[u16]) -> Vec<Server> {
    (1..).zip(weights).map(|(id, &weight)| Server::new(id).weight(weight)).collect()
}

fn picks(picker: &mut Picker, count: usize) -> Vec<usize> {
    (0..count).map(|_| picker.pick(None, None, &|_| false).expect("a usable server").position()).collect()
}

/// Something that happens to a backend.
#[derive(Clone, Debug)]
enum Event {
    Pick { key: Option<u32>, avoid: Option<usize>, full: u16 },
    Drop(usize),
    SetUp(usize, bool),
    SetWeight(usize, u16),
    SetRamp(usize, u8),
    Queue(usize, u32),
    Add(u16, bool),
    Remove(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let server = 0..12usize;
    prop_oneof![
        8 => (any::<Option<u32>>(), prop::option::of(server.clone()), any::<u16>(), any::<bool>()).prop_map(
            |(key, avoid, full, any_full)| Event::Pick { key, avoid, full: if any_full { full } else { 0 } }
        ),
        3 => server.clone().prop_map(Event::Drop),
        2 => (server.clone(), any::<bool>()).prop_map(|(server, up)| Event::SetUp(server, up)),
        2 => (server.clone(), 0..=300u16).prop_map(|(server, weight)| Event::SetWeight(server, weight)),
        1 => (server.clone(), any::<u8>()).prop_map(|(server, ramp)| Event::SetRamp(server, ramp)),
        1 => (server.clone(), 0..5u32).prop_map(|(server, queued)| Event::Queue(server, queued)),
        1 => (0..=256u16, any::<bool>()).prop_map(|(weight, backup)| Event::Add(weight, backup)),
        1 => server.prop_map(Event::Remove),
    ]
}

/// A backend beside its picker: just enough to judge a pick.
struct Model {
    picker: Picker,
    /// By index; `None` for a removed server.
    backups: Vec<Option<bool>>,
    all_backups: bool,
}

impl Model {
    fn apply(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Pick { key, avoid, full } => self.pick(key, avoid.map(ServerIndex::at), full)?,
            Event::Drop(server) => self.picker.dropped(ServerIndex::at(server)),
            Event::SetUp(server, up) => self.picker.set_up(ServerIndex::at(server), up),
            Event::SetWeight(server, weight) => {
                let dynamic = self.picker.algorithm().is_dynamic();
                let result = self.picker.set_weight(ServerIndex::at(server), weight);
                prop_assert!(result.is_ok() || !dynamic);
            }
            Event::SetRamp(server, ramp) => self.picker.set_ramp(ServerIndex::at(server), ramp),
            Event::Queue(server, queued) => self.picker.set_queued(ServerIndex::at(server), queued),
            Event::Add(weight, backup) => {
                let id = u32::try_from(self.backups.len()).expect("few servers") + 100;
                let server = Server { backup, ..Server::new(id).weight(weight) };
                let index = self.picker.add(server);
                prop_assert!(!self.picker.is_usable(index), "a new server waits to be set up");
                if index.position() == self.backups.len() {
                    self.backups.push(Some(backup));
                } else {
                    prop_assert_eq!(self.backups[index.position()], None);
                    self.backups[index.position()] = Some(backup);
                }
            }
            Event::Remove(server) => {
                self.picker.remove(ServerIndex::at(server));
                if let Some(slot) = self.backups.get_mut(server) {
                    *slot = None;
                }
            }
        }
        self.totals_agree()
    }

    fn candidates(&self) -> Vec<ServerIndex> {
        let usable = |backup: bool| {
            let indexes = (0..self.backups.len()).filter(move |&slot| self.backups[slot] == Some(backup));
            indexes.map(ServerIndex::at).filter(|&index| self.picker.is_usable(index)).collect::<Vec<_>>()
        };
        let active = usable(false);
        if active.is_empty() { usable(true) } else { active }
    }

    fn totals_agree(&self) -> Result<(), TestCaseError> {
        let candidates = self.candidates();
        let one_backup = self.picker.active() == 0 && !self.all_backups;
        let expected = if one_backup { candidates.len().min(1) } else { candidates.len() };
        prop_assert_eq!(self.picker.usable(), expected);
        if !one_backup {
            let weight: u64 =
                candidates.iter().map(|&index| u64::from(self.picker.effective_weight(index))).sum();
            prop_assert_eq!(self.picker.total_weight(), weight);
        }
        Ok(())
    }

    fn pick(&mut self, key: Option<u32>, avoid: Option<ServerIndex>, full: u16) -> Result<(), TestCaseError> {
        let candidates = self.candidates();
        let is_full = |server: ServerIndex| full & (1 << (server.position() % 16)) != 0;
        let Some(chosen) = self.picker.pick(key, avoid, &is_full) else {
            let all_full = candidates.iter().any(|&server| is_full(server));
            prop_assert!(candidates.is_empty() || all_full, "a server was free");
            return Ok(());
        };
        prop_assert!(candidates.contains(&chosen), "{chosen:?} is not usable");
        let by_load = match self.picker.algorithm() {
            Algorithm::Hash(_) => key.is_none(),
            Algorithm::RoundRobin
            | Algorithm::StaticRoundRobin
            | Algorithm::LeastConn
            | Algorithm::First
            | Algorithm::Random { .. } => true,
        };
        if self.picker.active() > 0 && self.picker.usable() > 1 && by_load {
            prop_assert!(!is_full(chosen), "{chosen:?} is full");
            let another = candidates.iter().any(|&other| Some(other) != avoid && !is_full(other));
            let random = matches!(self.picker.algorithm(), Algorithm::Random { .. });
            prop_assert!(Some(chosen) != avoid || !another || random, "{chosen:?} was to be avoided");
        }
        self.picker.taken(chosen);
        Ok(())
    }
}

proptest! {
    // row: 100, 101, 102
    #[test]
    fn no_history_makes_a_picker_choose_an_unusable_server(
        algorithm in prop::sample::select(&ALGORITHMS[..]),
        group in prop::collection::vec((0..=256u16, any::<bool>()), 0..9),
        all_backups in any::<bool>(),
        events in prop::collection::vec(event(), 1..120),
    ) {
        let servers: Vec<Server> = (1..)
            .zip(&group)
            .map(|(id, &(weight, backup))| Server { backup, ..Server::new(id).weight(weight) })
            .collect();
        let picker = Picker::new(algorithm, &servers, all_backups, 7);
        let backups = group.iter().map(|&(_, backup)| Some(backup)).collect();
        let mut model = Model { picker, backups, all_backups };
        for event in &events {
            model.apply(event)?;
        }
    }

    // row: 115, 117
    #[test]
    fn turns_are_in_proportion_to_weights_over_each_round(weights in prop::collection::vec(1..=60u16, 1..8)) {
        let round: usize = weights.iter().map(|&weight| usize::from(weight)).sum();
        for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRoundRobin] {
            let mut picker = Picker::new(algorithm, &servers(&weights), false, 0);
            // roundrobin keeps its rhythm over sixteen rounds, as many as there are steps in a weight.
            let turns = picks(&mut picker, 16 * round);
            for (server, &weight) in weights.iter().enumerate() {
                let count = turns.iter().filter(|&&turn| turn == server).count();
                let exact = 16 * usize::from(weight);
                prop_assert!(count.abs_diff(exact) <= 2, "{algorithm:?}: {count} turns for {exact}");
            }
        }
    }

    // row: 117
    #[test]
    fn round_robin_is_smooth(weights in prop::collection::vec(1..=20u16, 2..6)) {
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let mut picker = Picker::new(Algorithm::RoundRobin, &servers(&weights), false, 0);
        let mut counts = vec![0f64; weights.len()];
        for (done, server) in (1..).zip(picks(&mut picker, 600)) {
            counts[server] += 1.0;
            for (count, &weight) in counts.iter().zip(&weights) {
                let due = f64::from(done) * f64::from(weight) / total;
                prop_assert!((count - due).abs() <= 5.0, "{count} turns when {due} were due");
            }
        }
    }

    // row: 119
    #[test]
    fn leastconn_picks_a_least_loaded_server(
        weights in prop::collection::vec(1..=256u16, 1..10),
        loads in prop::collection::vec((0..50u32, 0..5u32), 10),
    ) {
        let mut picker = Picker::new(Algorithm::LeastConn, &servers(&weights), false, 0);
        for (server, &(served, queued)) in (0..weights.len()).zip(&loads) {
            picker.set_load(ServerIndex::at(server), Load { served, queued });
        }
        // As it would be with the new request; an idle server comes before all others.
        let cost = |server: usize| match loads[server].0 + loads[server].1 {
            0 => 0,
            total => u64::from(total + 1) * 4096 / (16 * u64::from(weights[server])),
        };
        let least = (0..weights.len()).map(cost).min();
        let chosen = picker.pick(None, None, &|_| false).map(|server| cost(server.position()));
        prop_assert_eq!(chosen, least);
    }

    // row: 122, 141
    #[test]
    fn on_the_ring_only_the_keys_of_a_lost_server_move_and_they_return(count in 2..12u16, lost in 0..12usize) {
        let lost = ServerIndex::at(lost % usize::from(count));
        let kind = HashType::new(HashMethod::Consistent);
        let mut picker = Picker::new(Algorithm::Hash(kind), &servers(&vec![4; count.into()]), false, 0);
        let place = |picker: &mut Picker| -> Vec<ServerIndex> {
            let place_one = |key: u32| picker.pick(Some(hash::avalanche(key)), None, &|_| false);
            (0..2000).map(place_one).map(|server| server.expect("a usable server")).collect()
        };
        let before = place(&mut picker);
        picker.set_up(lost, false);
        let during = place(&mut picker);
        for (was, is) in before.iter().zip(&during) {
            prop_assert_ne!(*is, lost);
            prop_assert!(was == is || *was == lost, "a key moved though its server stayed");
        }
        let moved = before.iter().filter(|&&was| was == lost).count() * usize::from(count);
        prop_assert!((800..4000).contains(&moved), "about one key in {count}, got {moved} of 2000 times {count}");
        picker.set_up(lost, true);
        prop_assert_eq!(place(&mut picker), before);
    }

    // row: 138
    #[test]
    fn bounded_load_holds_for_one_hot_key(count in 2..10u16, factor in 101..300u32, key in any::<u32>()) {
        let kind = HashType { balance_factor: factor, ..HashType::new(HashMethod::Consistent) };
        let mut picker = Picker::new(Algorithm::Hash(kind), &servers(&vec![1; count.into()]), false, 0);
        for done in 1..=200u32 {
            let server = picker.pick(Some(key), None, &|_| false).expect("a usable server");
            picker.taken(server);
            let bound = (done * factor).div_ceil(100).div_ceil(count.into()).max(1);
            let served = picker.load(server).served;
            prop_assert!(served <= bound, "{served} requests on one of {count} servers, bound {bound}");
        }
    }

    // row: 136
    #[test]
    fn random_draws_respect_weights_and_load(seed in any::<u64>()) {
        let draw = |draws| Algorithm::Random { draws, balance_factor: 0 };
        let mut picker = Picker::new(draw(1), &servers(&[60, 30, 10]), false, seed);
        let turns = picks(&mut picker, 5000);
        for (server, share) in [3000usize, 1500, 500].into_iter().enumerate() {
            let count = turns.iter().filter(|&&turn| turn == server).count();
            prop_assert!(count.abs_diff(share) < 450, "{count} draws for {share}");
        }
        let mut picker = Picker::new(draw(2), &servers(&[10; 10]), false, seed);
        for _ in 0..1000 {
            let server = picker.pick(None, None, &|_| false).expect("a usable server");
            picker.taken(server);
        }
        let most = (0..10).map(|server| picker.load(ServerIndex::at(server)).served).max();
        prop_assert!(most.is_some_and(|most| most < 112), "two draws even out the load, got {most:?} of 100");
        let mut again = Picker::new(draw(2), &servers(&[10; 10]), false, seed);
        let mut same = Picker::new(draw(2), &servers(&[10; 10]), false, seed);
        prop_assert_eq!(picks(&mut again, 50), picks(&mut same, 50));
    }
}

// row: 134
#[test]
fn static_algorithms_take_only_zero_and_the_initial_weight() {
    for algorithm in ALGORITHMS {
        let mut picker = Picker::new(algorithm, &servers(&[5, 5]), false, 0);
        let server = ServerIndex::at(0);
        assert_eq!(picker.set_weight(server, 3).is_ok(), algorithm.is_dynamic(), "{algorithm:?}");
        assert!(picker.set_weight(server, 0).is_ok());
        assert!(!picker.is_usable(server));
        assert!(picker.set_weight(server, 5).is_ok());
        assert!(picker.is_usable(server));
    }
}
