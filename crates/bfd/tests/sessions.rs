//! Two sessions under virtual time, over a link that delays, loses, and is cut.

use bfd::{Action, Config, Diagnostic, Packet, Session, State};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn config() -> Config {
    Config {
        send_interval: 50 * MS,
        receive_interval: 50 * MS,
        idle_interval: 1000 * MS,
        multiplier: 3,
        passive: false,
    }
}

/// Both ends, and the packets between them.
struct World {
    start: Instant,
    now: Instant,
    ends: [Session; 2],
    wire: VecDeque<(Instant, usize, Packet)>,
    delay: Duration,
    is_cut: bool,
    /// One of so many packets is lost; 0: none.
    loss: u64,
    random: u64,
    /// Who did what, when, in milliseconds; sending is counted only.
    told: Vec<(u128, usize, Action)>,
    sent: [usize; 2],
    polls: [usize; 2],
}

impl World {
    fn new(configs: [Config; 2], seed: u64) -> Self {
        let start = Instant::now();
        let [one, other] = configs;
        Self {
            start,
            now: start,
            ends: [Session::new(start, one, 11, seed), Session::new(start, other, 22, seed.wrapping_add(7))],
            wire: VecDeque::new(),
            delay: MS,
            is_cut: false,
            loss: 0,
            random: seed | 1,
            told: Vec::new(),
            sent: [0, 0],
            polls: [0, 0],
        }
    }

    fn collect(&mut self) {
        for from in 0..2 {
            while let Some(action) = self.ends[from].poll_action() {
                let Action::Send(packet) = action else {
                    self.told.push(((self.now - self.start).as_millis(), from, action));
                    continue;
                };
                self.sent[from] += 1;
                self.polls[from] += usize::from(packet.poll);
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                let is_lost = self.loss != 0 && self.random.is_multiple_of(self.loss);
                if !self.is_cut && !is_lost {
                    let packet = Packet::read(&packet.write()).expect("what we write is sound");
                    self.wire.push_back((self.now + self.delay, 1 - from, packet));
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.collect();
            let arrival = self.wire.front().map(|(at, ..)| *at);
            let timers = self.ends.iter().filter_map(Session::poll_timeout);
            let Some(next) = timers.chain(arrival).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            while let Some((_, to, packet)) = self.wire.pop_front_if(|(at, ..)| *at <= self.now) {
                self.ends[to].handle_packet(self.now, &packet);
            }
            for session in &mut self.ends {
                session.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}

#[test]
fn two_ends_meet_agree_on_intervals_and_keep_their_pace() {
    let mut world = World::new([config(), config()], 1);
    world.run(100 * MS);
    assert_eq!(world.states(), [State::Up, State::Up]);
    world.run(200 * MS);
    for session in &world.ends {
        assert_eq!((session.send_interval(), session.detection_time()), (50 * MS, 150 * MS));
    }
    // The poll sequences ended.
    let polls = world.polls;
    world.sent = [0, 0];
    world.run(10_000 * MS);
    assert_eq!(world.polls, polls);
    // 10 s of 37.5 to 50 ms.
    for sent in world.sent {
        assert!((200..=267).contains(&sent), "{sent}");
    }
}

#[test]
fn the_slower_end_decides_in_each_direction() {
    let slow = Config { send_interval: 30 * MS, receive_interval: 300 * MS, multiplier: 5, ..config() };
    let mut world = World::new([config(), slow], 1);
    world.run(2000 * MS);
    assert_eq!(world.ends[0].send_interval(), 300 * MS);
    assert_eq!(world.ends[0].detection_time(), 5 * 50 * MS);
    assert_eq!(world.ends[1].send_interval(), 50 * MS);
    assert_eq!(world.ends[1].detection_time(), 3 * 300 * MS);
}

#[test]
fn silence_is_noticed_after_the_detection_time_and_not_before() {
    let mut world = World::new([config(), config()], 1);
    world.run(1000 * MS);
    world.told.clear();
    world.is_cut = true;
    let cut = (world.now - world.start).as_millis();
    world.run(99 * MS);
    assert_eq!(world.states(), [State::Up, State::Up]);
    world.run(60 * MS);
    assert_eq!(world.states(), [State::Down, State::Down]);
    assert_eq!(world.ends[0].diagnostic(), Diagnostic::TIME_EXPIRED);
    assert!(world.told.iter().all(|(at, ..)| *at - cut <= 151), "{:?}", world.told);
    let expired = (0..2).map(|end| {
        let mut all = world.told.iter();
        all.any(|(_, who, what)| {
            *who == end && matches!(what, Action::Expired { after, .. } if *after == 150 * MS)
        })
    });
    assert!(expired.into_iter().all(|one| one), "{:?}", world.told);
    // Slowly while nobody answers.
    world.sent = [0, 0];
    world.run(10_000 * MS);
    assert!(world.sent.iter().all(|sent| (10..=15).contains(sent)), "{:?}", world.sent);
    world.is_cut = false;
    world.run(1100 * MS);
    assert_eq!(world.states(), [State::Up, State::Up]);
}

#[test]
fn who_stops_says_so_and_is_missed_at_once() {
    let mut world = World::new([config(), config()], 1);
    world.run(1000 * MS);
    let now = world.now;
    world.ends[1].stop(now);
    world.run(2 * MS);
    assert_eq!(world.states(), [State::Down, State::AdminDown]);
    assert_eq!(world.ends[0].diagnostic(), Diagnostic::NEIGHBOUR_SAYS_DOWN);
    assert_eq!(world.ends[0].remote_diagnostic(), Diagnostic::ADMINISTRATIVELY_DOWN);
    world.run(5000 * MS);
    assert_eq!(world.states(), [State::Down, State::AdminDown]);
}

#[test]
fn one_direction_that_fails_is_down_for_both() {
    let mut world = World::new([config(), config()], 1);
    world.run(1000 * MS);
    // What the second sends arrives nowhere.
    for _ in 0..400 {
        world.run(MS);
        world.collect();
        world.wire.retain(|(_, to, _)| *to == 1);
    }
    assert_eq!(world.ends[0].state(), State::Down);
    assert_ne!(world.ends[1].state(), State::Up);
}

#[test]
fn a_passive_end_waits_and_two_of_them_for_ever() {
    let passive = Config { passive: true, ..config() };
    let mut world = World::new([config(), passive.clone()], 1);
    world.run(1500 * MS);
    assert_eq!(world.states(), [State::Up, State::Up]);
    let mut world = World::new([passive.clone(), passive], 1);
    world.run(60_000 * MS);
    assert_eq!((world.sent, world.states()), ([0, 0], [State::Down, State::Down]));
}

#[test]
fn other_intervals_are_polled_for_and_the_session_stays_up() {
    let mut world = World::new([config(), config()], 1);
    world.run(1000 * MS);
    world.told.clear();
    let (now, before) = (world.now, world.polls[0]);
    let slower = Config { send_interval: 400 * MS, receive_interval: 20 * MS, ..config() };
    world.ends[0].reconfigure(now, slower);
    // Until the neighbour knows, it is served as before.
    assert_eq!(world.ends[0].send_interval(), 50 * MS);
    world.run(2000 * MS);
    assert_eq!(world.ends[0].send_interval(), 400 * MS);
    assert_eq!(world.ends[1].detection_time(), 1200 * MS);
    assert!(world.polls[0] > before);
    assert_eq!((world.states(), world.told.len()), ([State::Up, State::Up], 0));
}

#[test]
fn a_neighbour_in_demand_mode_or_that_takes_nothing_is_left_in_peace() {
    let mut world = World::new([config(), config()], 1);
    world.run(1000 * MS);
    let now = world.now;
    let packet = Packet {
        state: State::Up,
        diagnostic: Diagnostic::NONE,
        poll: true,
        is_final: false,
        demand: true,
        multiplier: 3,
        my_discriminator: 22,
        your_discriminator: 11,
        desired_send: 50 * MS,
        required_receive: 50 * MS,
        required_echo: Duration::ZERO,
    };
    let session = &mut world.ends[0];
    let sends = |session: &mut Session| {
        let mut all = Vec::new();
        while let Some(action) = session.poll_action() {
            all.push(action);
        }
        all
    };
    session.handle_packet(now, &packet);
    // The poll is answered all the same.
    assert!(matches!(sends(session)[..], [Action::Send(Packet { is_final: true, poll: false, .. })]));
    assert_eq!(session.poll_timeout(), Some(now + 150 * MS), "only the end of its patience");
    session.handle_packet(
        now,
        &Packet { demand: false, poll: false, required_receive: Duration::ZERO, ..packet },
    );
    assert_eq!((sends(session), session.poll_timeout()), (vec![], Some(now + 150 * MS)));
    session.handle_packet(now, &Packet { demand: false, poll: false, ..packet });
    assert!(session.poll_timeout() <= Some(now + 50 * MS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever was lost and cut: a sound link has both ends up within two idle intervals and keeps them there, and a dead
    /// one has both down within the detection time.
    #[test]
    fn ends_agree_about_a_link_that_is_sound_or_dead(seed in any::<u64>(), delay in 0_u32..20, loss in 2_u64..20,
        cuts in proptest::collection::vec((1_u32..3000, 1_u32..3000), 0..6)) {
        let mut world = World::new([config(), config()], seed);
        (world.delay, world.loss) = (MS * delay, loss);
        for (sound, dead) in cuts {
            world.run(MS * sound);
            world.is_cut = true;
            world.run(MS * dead);
            world.is_cut = false;
        }
        world.loss = 0;
        world.run(3000 * MS);
        prop_assert_eq!(world.states(), [State::Up, State::Up]);
        world.told.clear();
        world.run(20_000 * MS);
        prop_assert_eq!(&world.told, &vec![]);
        world.is_cut = true;
        world.run(150 * MS + world.delay + MS);
        prop_assert_eq!(world.states(), [State::Down, State::Down]);
    }
}
