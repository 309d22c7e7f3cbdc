//! The state machine of one virtual router, point by point of the conformance list.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use vrrp::router::{AnnounceConfig, NotifyEvent};
use vrrp::{
    Action, Advert, Counter, InitialState, Interval, Notice, Preempt, Router, RouterConfig, Start, State,
    Version, Vrid,
};

static T0: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What matters most of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Advert(u8),
    Add,
    Remove,
    Announce(u32),
    Cancel,
    Notify(NotifyEvent),
}
use Did::{Add, Announce, Cancel, Notify, Remove};

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 9, 0, last))
}

/// Priority 100 at 10.9.0.10.
fn config(version: Version, interval: u64) -> RouterConfig {
    let interval = Interval::new(version, Duration::from_millis(interval)).expect("an interval");
    let mut config = RouterConfig::new("VI_1", version, Vrid::new(52).expect("not 0"), 100);
    config.interval = interval;
    config.source = Some(address(10));
    config
}

fn v2() -> RouterConfig {
    config(Version::V2, 1000)
}

fn v3() -> RouterConfig {
    config(Version::V3, 1000)
}

fn at(micros: u64) -> Instant {
    *T0 + Duration::from_micros(micros)
}

fn advert(last: u8, priority: u8, millis: u64) -> Advert {
    let interval = Interval::new(Version::V3, Duration::from_millis(millis)).expect("an interval");
    Advert { source: address(last), priority, interval }
}

fn drain(router: &mut Router) -> (Vec<Did>, Vec<Notice>) {
    let (mut did, mut said) = (Vec::new(), Vec::new());
    while let Some(action) = router.poll_action() {
        match action {
            Action::SendAdvert { priority, .. } => did.push(Did::Advert(priority)),
            Action::AddAddresses { .. } => did.push(Add),
            Action::RemoveAddresses => did.push(Remove),
            Action::Announce { rounds } => did.push(Announce(rounds)),
            Action::CancelAnnouncements => did.push(Cancel),
            Action::Notify(notification) => did.push(Notify(notification.event)),
            Action::Log(notice) => said.push(notice),
        }
    }
    (did, said)
}

fn did(router: &mut Router) -> Vec<Did> {
    drain(router).0
}

fn said(router: &mut Router) -> Vec<String> {
    drain(router).1.iter().map(Notice::to_string).collect()
}

fn backup(config: RouterConfig) -> Router {
    let mut router = Router::new(config);
    router.start(at(0), Start::Fresh);
    assert_eq!(router.state(), State::Backup);
    drain(&mut router);
    router
}

/// Master since its timer ran out; returns when that was.
fn master(config: RouterConfig) -> (Router, Instant) {
    let mut router = backup(config);
    let now = router.poll_timeout().expect("it waits");
    router.handle_timeout(now);
    assert_eq!(router.state(), State::Master);
    drain(&mut router);
    (router, now)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const TOOK_OVER: [Did; 4] = [Did::Advert(100), Add, Announce(5), Notify(NotifyEvent::Master)];

// Point 8; row: 235.
#[test]
fn point_08_a_master_sends_an_advert_at_once_and_then_every_interval() {
    let (mut router, since) = master(v2());
    for beat in 1..=4 {
        let due = since + secs(beat);
        assert_eq!(router.poll_timeout(), Some(due));
        router.handle_timeout(due);
        assert_eq!(did(&mut router), [Did::Advert(100)]);
    }
}

// Points 9 and 41; row: 238.
#[test]
fn point_09_a_master_that_stops_or_fails_says_priority_0_first() {
    let (mut router, since) = master(RouterConfig { fast_hand_over: false, ..v2() });
    router.stop(since);
    assert_eq!(did(&mut router), [Did::Advert(0), Cancel, Remove, Notify(NotifyEvent::Stop)]);
    assert_eq!((router.state(), router.poll_timeout()), (State::Initialize, None));

    let (mut router, since) = master(v2());
    router.set_fault(since, true);
    let (did, said) = drain(&mut router);
    let zeros = [Did::Advert(0), Did::Advert(0)];
    assert_eq!(did, [zeros.as_slice(), &[Cancel, Remove, Notify(NotifyEvent::Fault)]].concat());
    let entering = Notice::Entering { state: State::Fault, initial: false };
    assert_eq!(said, [entering, Notice::SentPriorityZero]);
    assert_eq!((router.state(), router.poll_timeout()), (State::Fault, None));
    assert_eq!(router.statistics().get(Counter::PriorityZeroSent), 2);
}

// Point 41: who is no master has nothing to say.
#[test]
fn point_41_a_backup_stops_in_silence() {
    let mut router = backup(v2());
    router.stop(at(1));
    assert_eq!(did(&mut router), [Notify(NotifyEvent::Stop)]);
    assert_eq!((router.state(), router.poll_timeout()), (State::Initialize, None));
    router.handle_advert(at(2), &advert(1, 200, 1000));
    router.handle_timeout(at(9_000_000));
    assert_eq!(router.state(), State::Initialize);
}

// Point 15: an owner can be told to hear nothing.
#[test]
fn point_15_an_owner_ignores_adverts_when_told_to() {
    let owner = RouterConfig { priority: 255, ..v3() };
    let hears = |owner_ignore_adverts| {
        let mut router = Router::new(RouterConfig { owner_ignore_adverts, ..owner.clone() });
        router.start(at(0), Start::Fresh);
        drain(&mut router);
        router.handle_advert(at(1), &advert(200, 255, 1000));
        router.state()
    };
    assert_eq!(hears(true), State::Master);
    assert_eq!(hears(false), State::Backup, "point 37: equals are decided by address");
}

// Point 18.
#[test]
fn point_18_a_backup_of_version_3_learns_the_interval_of_its_master() {
    let mut router = backup(v3());
    router.handle_advert(at(0), &advert(1, 200, 2000));
    assert_eq!(said(&mut router), ["advertisement interval updated from 1000ms to 2000ms by master"]);
    // 3 * 2 s + 156/256 * 2 s
    assert_eq!(router.poll_timeout(), Some(at(7_218_750)));
    router.handle_timeout(at(7_218_750));
    let said = said(&mut router);
    assert!(said.contains(&"changing advert interval from 2000ms to locally configured 1000ms".to_owned()));
    assert_eq!(router.poll_timeout(), Some(at(8_218_750)), "its own interval as master");
}

// Point 23; row: 225.
#[test]
fn point_23_an_owner_is_master_at_once_unless_the_file_says_backup() {
    let owner = |initial_state| {
        let mut router = Router::new(RouterConfig { priority: 255, initial_state, ..v2() });
        router.start(at(0), Start::Fresh);
        router
    };
    for initial_state in [InitialState::Unset, InitialState::Master] {
        let mut router = owner(initial_state);
        let expected = [Did::Advert(255), Add, Announce(5), Notify(NotifyEvent::Master)];
        assert_eq!(did(&mut router), expected);
    }
    let router = owner(InitialState::Backup);
    assert_eq!(router.state(), State::Backup);
    assert_eq!(router.poll_timeout(), Some(at(3_003_906) + Duration::from_nanos(250)));
}

// Point 24; row: 225.
#[test]
fn point_24_everyone_else_listens_first_even_with_state_master() {
    for initial_state in [InitialState::Unset, InitialState::Master, InitialState::Backup] {
        let mut router = Router::new(RouterConfig { initial_state, ..v2() });
        router.start(at(0), Start::Fresh);
        let (did, said) = drain(&mut router);
        assert_eq!(did, [Remove, Notify(NotifyEvent::Backup)], "what an earlier life left is removed");
        assert_eq!(said.first().map(Notice::to_string).as_deref(), Some("Entering BACKUP STATE (init)"));
        assert_eq!(router.poll_timeout(), Some(at(3_609_375)));
    }
}

// Point 25: the tracked priority counts, and a change moves the timer that runs.
#[test]
fn point_25_the_effective_priority_makes_the_skew() {
    let mut router = backup(v2());
    router.set_priority(at(1_000_000), 228);
    assert_eq!(said(&mut router), ["Changing effective priority from 100 to 228"]);
    assert_eq!(router.poll_timeout(), Some(at(3_109_375)));
    router.set_priority(at(1_000_000), 1);
    assert_eq!(router.poll_timeout(), Some(at(3_996_093) + Duration::from_nanos(750)));
}

// Point 26; row: 237.
#[test]
fn point_26_backup_takes_over_after_three_intervals_and_skew() {
    let mut router = backup(RouterConfig { priority: 99, ..v2() });
    router.handle_advert(at(500_000), &advert(1, 100, 1000));
    let down = at(500_000 + 3_613_281) + Duration::from_nanos(250);
    assert_eq!(router.poll_timeout(), Some(down));
    router.handle_timeout(down - Duration::from_nanos(1));
    assert_eq!(router.state(), State::Backup);
    router.handle_timeout(down);
    assert_eq!(router.state(), State::Master);

    let mut fast = backup(config(Version::V3, 10));
    fast.handle_advert(at(0), &advert(1, 200, 10));
    assert_eq!(fast.poll_timeout(), Some(at(36_093) + Duration::from_nanos(750)));

    let fewer = backup(RouterConfig { down_timer_adverts: 1, ..v2() });
    assert_eq!(fewer.poll_timeout(), Some(at(1_609_375)));
}

// Point 27; row: 238.
#[test]
fn point_27_a_backup_waits_the_skew_when_the_master_leaves() {
    let mut router = backup(v2());
    router.handle_advert(at(0), &advert(1, 200, 1000));
    router.handle_advert(at(250_000), &advert(1, 0, 1000));
    assert_eq!(said(&mut router), ["Backup received priority 0 advertisement"]);
    assert_eq!(router.poll_timeout(), Some(at(250_000 + 609_375)));
    router.handle_timeout(at(250_000 + 609_375));
    assert_eq!(did(&mut router), TOOK_OVER);
}

// Point 28; rows: 236, 239.
#[test]
fn point_28_a_better_or_equal_master_starts_the_timer_again() {
    for priority in [100, 101, 255] {
        let mut router = backup(v2());
        router.handle_advert(at(2_000_000), &advert(1, priority, 1000));
        assert_eq!(router.poll_timeout(), Some(at(2_000_000 + 3_609_375)));
        assert_eq!(did(&mut router), []);
    }
}

// Point 28; row: 240.
#[test]
fn point_28_nopreempt_leaves_a_lesser_master_alone() {
    let mut router = backup(RouterConfig { preempt: Preempt::Never, ..v2() });
    router.handle_advert(at(2_000_000), &advert(1, 50, 1000));
    assert_eq!(router.poll_timeout(), Some(at(2_000_000 + 3_609_375)));
}

// Point 28; row: 242. keepalived waits from the first advert of a lesser master on, not from its start.
#[test]
fn point_28_preempt_delay_leaves_a_lesser_master_alone_for_a_while() {
    let config = RouterConfig { preempt: Preempt::After(secs(5)), ..v2() };
    let mut alone = backup(config.clone());
    assert_eq!(alone.poll_timeout(), Some(at(3_609_375)), "nobody is preempted");
    alone.handle_timeout(at(3_609_375));
    assert_eq!(alone.state(), State::Master);

    let mut router = backup(config.clone());
    router.handle_advert(at(1_000_000), &advert(1, 50, 1000));
    assert_eq!(said(&mut router), ["start preempt delay (5.000000)"]);
    let mut now = 1_000_000;
    while now < 6_000_000 {
        router.handle_advert(at(now), &advert(1, 50, 1000));
        assert_eq!(router.poll_timeout(), Some(at(now + 3_609_375)));
        now += 1_000_000;
    }
    router.handle_advert(at(6_000_000), &advert(1, 50, 1000));
    router.handle_advert(at(7_000_000), &advert(1, 50, 1000));
    assert_eq!(router.poll_timeout(), Some(at(5_000_000 + 3_609_375)), "the timer runs out at last");

    let mut router = backup(config);
    router.handle_advert(at(1_000_000), &advert(1, 50, 1000));
    router.handle_advert(at(1_500_000), &advert(2, 200, 1000));
    let heard = said(&mut router);
    assert_eq!(heard.last().map(String::as_str), Some("stop preempt delay"));
}

// Point 29; row: 236.
#[test]
fn point_29_the_timer_runs_on_over_the_adverts_of_a_lesser_master() {
    let mut router = backup(v3());
    for beat in 1..=3 {
        router.handle_advert(at(beat * 1_000_000), &advert(1, 50, 500));
        assert_eq!(router.poll_timeout(), Some(at(3_609_375)));
        assert_eq!(router.master_interval(), v3().interval, "nothing is learned of it");
    }
    let expected = "received lower priority (50) advert from 10.9.0.1 - discarding";
    assert_eq!(said(&mut router), [expected], "point 42: one line, not one for each advert");
}

// Point 30; rows: 236, 244.
#[test]
fn point_30_a_new_master_sends_an_advert_adds_addresses_and_tells_neighbours() {
    let mut router = backup(v2());
    router.handle_timeout(at(3_609_375));
    let (did, said) = drain(&mut router);
    assert_eq!(did, TOOK_OVER);
    let said: Vec<String> = said.iter().map(Notice::to_string).collect();
    assert_eq!(said, ["Receive advertisement timeout", "Entering MASTER STATE"]);
    assert_eq!(router.statistics().get(Counter::BecameMaster), 1);
}

/// What the announcements of a master are, with their times, for so many seconds.
fn announcements(announce: AnnounceConfig, seconds: u64) -> Vec<(u64, u32)> {
    let (mut router, since) = master(RouterConfig { announce, ..v2() });
    let mut seen = Vec::new();
    while let Some(now) = router.poll_timeout().filter(|now| *now <= since + secs(seconds)) {
        router.handle_timeout(now);
        for action in did(&mut router) {
            if let Announce(rounds) = action {
                seen.push(((now - since).as_secs(), rounds));
            }
        }
    }
    seen
}

// Point 30, the second burst; row: 244.
#[test]
fn point_30_neighbours_are_told_again_after_the_delay_and_at_each_refresh() {
    let default = AnnounceConfig::default();
    assert_eq!(announcements(default, 30), [(5, 5)]);
    assert_eq!(announcements(AnnounceConfig { delay: secs(10), repeat: 3, ..default }, 30), [(10, 3)]);
    assert_eq!(announcements(AnnounceConfig { delay: Duration::ZERO, ..default }, 30), []);
    let refresh = AnnounceConfig { refresh: secs(8), refresh_repeat: 2, ..default };
    assert_eq!(announcements(refresh, 30), [(5, 5), (8, 2), (16, 2), (24, 2)]);
}

// Point 33.
#[test]
fn point_33_a_master_answers_another_that_leaves() {
    let (mut router, since) = master(v2());
    let now = since + Duration::from_millis(300);
    router.handle_advert(now, &advert(1, 0, 1000));
    let (did, said) = drain(&mut router);
    assert_eq!(did, [Did::Advert(100)]);
    assert_eq!(said[0].to_string(), "Master received priority 0 message");
    assert_eq!(router.poll_timeout(), Some(now + secs(1)), "the timer starts again");
}

// Point 34; row: 239.
#[test]
fn point_34_a_master_yields_to_a_better_priority_or_to_a_higher_address() {
    let yields = |last, priority| {
        let (mut router, since) = master(v3());
        let now = since + Duration::from_millis(300);
        router.handle_advert(now, &advert(last, priority, 2000));
        let (did, said) = drain(&mut router);
        (router.state(), did, said[0].to_string(), router.poll_timeout().map(|at| at - now))
    };
    let gave_up = vec![Cancel, Remove, Notify(NotifyEvent::Backup)];
    // The interval is learned: 3 * 2 s + 156/256 * 2 s.
    let wait = Some(Duration::from_micros(7_218_750));
    let line = "Master received advert from 10.9.0.1 with higher priority 101, ours 100".to_owned();
    assert_eq!(yields(1, 101), (State::Backup, gave_up.clone(), line, wait));
    let line =
        "Master received advert from 10.9.0.200 with same priority 100 but higher IP address than ours";
    // Unsigned: 200 is more than 10.
    assert_eq!(yields(200, 100), (State::Backup, gave_up, line.to_owned(), wait));
    assert_eq!(yields(9, 100).0, State::Master);
}

#[test]
fn a_router_without_an_address_yields_to_its_equals() {
    let (mut router, since) = master(RouterConfig { source: None, ..v2() });
    router.handle_advert(since, &advert(1, 100, 1000));
    assert_eq!(router.state(), State::Backup);
}

#[test]
fn higher_prio_send_advert_makes_the_better_one_tell_neighbours_again() {
    let (mut router, since) = master(RouterConfig { higher_prio_send_advert: true, ..v2() });
    router.handle_advert(since, &advert(1, 200, 1000));
    assert_eq!(did(&mut router), [Did::Advert(100), Cancel, Remove, Notify(NotifyEvent::Backup)]);
}

// Point 35; row: 262.
#[test]
fn point_35_a_master_answers_a_lesser_one_at_once_and_tells_neighbours() {
    let (mut router, since) = master(v2());
    let now = since + secs(2);
    router.handle_timeout(now);
    drain(&mut router);
    router.handle_advert(now, &advert(1, 50, 1000));
    let (did, said) = drain(&mut router);
    let heard = Notify(NotifyEvent::MasterRxLowerPriority);
    assert_eq!(did, [Did::Advert(100), Announce(5), heard]);
    let again = now + AnnounceConfig::default().lower_priority_delay;
    while router.poll_timeout().is_some_and(|at| at < again) {
        router.handle_timeout(router.poll_timeout().expect("it is master"));
    }
    drain(&mut router);
    router.handle_timeout(again);
    assert!(self::did(&mut router).contains(&Announce(5)), "and once more later");
    let line = "Received advert from 10.9.0.1 with lower priority 50, ours 100, forcing new election";
    assert_eq!(said.last().map(Notice::to_string).as_deref(), Some(line));

    let (mut silent, since) = master(RouterConfig { lower_prio_no_advert: true, ..v2() });
    silent.handle_advert(since, &advert(1, 50, 1000));
    let (did, said) = drain(&mut silent);
    assert_eq!(did, [Announce(5), heard], "RFC 5798");
    let line = "Received advert from 10.9.0.1 with lower priority 50, ours 100";
    assert_eq!(said.last().map(Notice::to_string).as_deref(), Some(line));
}

// Point 35: a flood of lesser adverts is not answered one by one.
#[test]
fn point_35_a_flood_of_lesser_adverts_makes_no_flood_of_ours() {
    let (mut router, since) = master(v2());
    for micros in 0..10_000 {
        router.handle_advert(since + Duration::from_micros(micros), &advert(1, 50, 1000));
    }
    let did = did(&mut router);
    assert_eq!(did.iter().filter(|did| **did == Did::Advert(100)).count(), 2, "10 ms");
    assert_eq!(router.state(), State::Master);
}

// Point 36.
#[test]
fn point_36_someone_with_our_address_and_priority_is_reported_once() {
    let (mut router, since) = master(v2());
    for beat in 0..3 {
        router.handle_advert(since + secs(beat), &advert(10, 100, 1000));
    }
    let (did, said) = drain(&mut router);
    assert_eq!(did, []);
    let line = "WARNING - equal priority advert received from remote host with our IP address.";
    assert_eq!(said.iter().map(Notice::to_string).collect::<Vec<_>>(), [line]);
}

// Point 37: the address decides, so that one of them is left, and the mistake is told.
#[test]
fn point_37_of_two_owners_one_yields() {
    for (last, state) in [(9, State::Master), (11, State::Backup)] {
        let mut router = Router::new(RouterConfig { priority: 255, ..v2() });
        router.start(at(0), Start::Fresh);
        drain(&mut router);
        router.handle_advert(at(1), &advert(last, 255, 1000));
        assert_eq!(router.state(), state);
        let line = "CONFIGURATION ERROR: local instance and a remote instance are both configured as \
                    address owner, please fix - reducing local priority";
        assert_eq!(said(&mut router)[0], line);
    }
}

// Point 38: the shell has the firewall, the core says when.
#[test]
fn point_38_packets_to_the_addresses_are_taken_by_default_and_by_the_owner() {
    let accepts = |accept, priority| {
        let (mut router, _) = (backup(RouterConfig { accept, priority, ..backup_even_owner() }), ());
        let now = router.poll_timeout().expect("it waits");
        router.handle_timeout(now);
        std::iter::from_fn(|| router.poll_action())
            .find_map(|action| match action {
                Action::AddAddresses { accept } => Some(accept),
                Action::SendAdvert { .. }
                | Action::RemoveAddresses
                | Action::Announce { .. }
                | Action::CancelAnnouncements
                | Action::Notify(_)
                | Action::Log(_) => None,
            })
            .expect("it adds addresses")
    };
    assert!(accepts(true, 100));
    assert!(!accepts(false, 100));
    assert!(accepts(false, 255));
}

fn backup_even_owner() -> RouterConfig {
    RouterConfig { initial_state: InitialState::Backup, ..v2() }
}

// Point 40.
#[test]
fn point_40_a_backup_has_no_addresses() {
    let (mut router, since) = master(v2());
    router.handle_advert(since, &advert(1, 200, 1000));
    let did = did(&mut router);
    assert!(did.contains(&Remove) && !did.contains(&Add));
}

#[test]
fn a_start_can_be_delayed() {
    let mut router = Router::new(RouterConfig { start_delay: Duration::from_millis(5500), ..v2() });
    router.start(at(0), Start::Fresh);
    assert_eq!((router.state(), router.poll_timeout()), (State::Initialize, Some(at(5_500_000))));
    assert_eq!(did(&mut router), [Remove], "what an earlier life left does not wait");
    router.handle_advert(at(1), &advert(1, 50, 1000));
    router.handle_timeout(at(5_500_000));
    assert_eq!((router.state(), router.poll_timeout()), (State::Backup, Some(at(5_500_000 + 3_609_375))));
    assert_eq!(did(&mut router), [Notify(NotifyEvent::Backup)]);
}

#[test]
fn a_router_at_fault_starts_in_fault_and_listens_once_mended() {
    let mut router = Router::new(v2());
    router.set_fault(at(0), true);
    router.start(at(0), Start::Fresh);
    assert_eq!(said(&mut router), ["Entering FAULT STATE (init)"]);
    router.handle_advert(at(1), &advert(1, 200, 1000));
    assert_eq!((router.state(), router.poll_timeout()), (State::Fault, None));
    router.set_priority(at(2), 130);
    assert_eq!(said(&mut router), ["Setting effective priority to 130"]);
    router.set_fault(at(1_000_000), false);
    assert_eq!(said(&mut router), ["Entering BACKUP STATE"]);
    assert_eq!(router.poll_timeout(), Some(at(4_000_000) + Duration::from_nanos(492_187_500)));
}

// Hand-over without skew: docs/decisions/0010.
#[test]
fn a_backup_that_hears_the_second_priority_0_takes_over_at_once() {
    let (mut leaving, since) = master(RouterConfig { priority: 200, ..v2() });
    leaving.stop(since);
    let zeros = did(&mut leaving).iter().filter(|did| **did == Did::Advert(0)).count();
    assert_eq!(zeros, 2);

    let mut router = backup(v2());
    router.handle_advert(at(0), &advert(1, 200, 1000));
    router.handle_advert(at(100_000), &advert(1, 0, 1000));
    router.handle_advert(at(100_010), &advert(1, 0, 1000));
    // 156/256 of 3 ms.
    let due = at(100_010) + Duration::from_nanos(1_828_125);
    assert_eq!(router.poll_timeout(), Some(due));
    router.handle_timeout(due);
    assert_eq!(did(&mut router), TOOK_OVER);
}

#[test]
fn a_second_priority_0_counts_only_if_nothing_was_said_in_between() {
    let mut router = backup(v2());
    router.handle_advert(at(0), &advert(1, 0, 1000));
    router.handle_advert(at(10), &advert(1, 200, 1000));
    router.handle_advert(at(20), &advert(1, 0, 1000));
    assert_eq!(router.poll_timeout(), Some(at(20 + 609_375)), "only one since it spoke");
    router.handle_advert(at(30), &advert(2, 0, 1000));
    assert_eq!(router.poll_timeout(), Some(at(30 + 609_375)), "of someone else");
}

#[test]
fn a_backup_does_not_overtake_a_better_one_it_knows_of() {
    let mut router = backup(v2());
    router.handle_advert(at(0), &advert(2, 150, 1000));
    router.handle_advert(at(10), &advert(1, 200, 1000));
    for micros in [20, 30] {
        router.handle_advert(at(micros), &advert(1, 0, 1000));
    }
    assert_eq!(router.poll_timeout(), Some(at(20 + 609_375)), "the better one may be of another make");
    let mut router = backup(RouterConfig { fast_hand_over: false, ..v2() });
    for micros in [20, 30] {
        router.handle_advert(at(micros), &advert(1, 0, 1000));
    }
    assert_eq!(router.poll_timeout(), Some(at(20 + 609_375)), "switched off");
}

#[test]
fn who_handed_over_does_not_take_back_while_a_lesser_master_works() {
    let (mut router, since) = master(v2());
    router.hand_over(since);
    assert_eq!(router.state(), State::Backup);
    let mut now = since;
    for _ in 0..20 {
        now += secs(1);
        router.handle_advert(now, &advert(1, 50, 1000));
        router.handle_timeout(now);
    }
    assert_eq!(router.state(), State::Backup);
    let silent = router.poll_timeout().expect("it waits");
    router.handle_timeout(silent);
    assert_eq!(router.state(), State::Master);
    // That was all: from now on it preempts again.
    router.handle_advert(silent, &advert(2, 200, 1000));
    let down = router.poll_timeout();
    router.handle_advert(silent + secs(1), &advert(1, 50, 1000));
    assert_eq!(router.poll_timeout(), down);
}

#[test]
fn a_daemon_that_died_as_master_goes_on_when_it_is_back_in_time() {
    let mut router = Router::new(v2());
    router.start(at(0), Start::Adopt { silent_for: Some(Duration::from_millis(3600)) });
    assert_eq!(did(&mut router), TOOK_OVER);
    assert_eq!(router.poll_timeout(), Some(at(1_000_000)));
}

#[test]
fn a_daemon_that_was_dead_for_long_listens_before_it_goes_on() {
    let adopted = |silent_for, preempt| {
        let mut router = Router::new(RouterConfig { preempt, ..v2() });
        router.start(at(0), Start::Adopt { silent_for });
        assert_eq!(did(&mut router), [Add, Notify(NotifyEvent::Master)], "not a word on the wire");
        assert_eq!(router.poll_timeout(), Some(at(1_609_375)));
        router
    };
    for silent_for in [None, Some(Duration::from_micros(3_609_375))] {
        let mut alone = adopted(silent_for, Preempt::AT_ONCE);
        alone.handle_timeout(at(1_609_375));
        assert_eq!(did(&mut alone), [Did::Advert(100), Announce(5)]);
        assert!(!alone.is_listening());

        let mut replaced = adopted(silent_for, Preempt::AT_ONCE);
        replaced.handle_advert(at(500_000), &advert(1, 150, 1000));
        assert_eq!(did(&mut replaced), [Cancel, Remove, Notify(NotifyEvent::Backup)]);

        let mut better = adopted(silent_for, Preempt::AT_ONCE);
        better.handle_advert(at(500_000), &advert(1, 50, 1000));
        assert_eq!(better.state(), State::Master);
        assert!(did(&mut better).contains(&Did::Advert(100)), "the lesser one hears it");

        let mut polite = adopted(silent_for, Preempt::Never);
        polite.handle_advert(at(500_000), &advert(1, 50, 1000));
        assert_eq!(polite.state(), State::Backup);
    }
}

#[test]
fn a_backup_that_slept_through_its_timer_gives_the_master_another_chance() {
    let mut router = backup(v2());
    router.handle_advert(at(0), &advert(1, 200, 1000));
    let woke = at(20_000_000);
    router.handle_timeout(woke);
    assert_eq!(router.state(), State::Backup);
    assert_eq!(router.poll_timeout(), Some(woke + Duration::from_micros(1_609_375)));
    assert_eq!(router.statistics().get(Counter::Stalls), 1);
    let mut heard = backup(v2());
    heard.handle_timeout(woke);
    heard.handle_advert(woke + secs(1), &advert(1, 200, 1000));
    assert_eq!(heard.poll_timeout(), Some(woke + secs(1) + Duration::from_micros(3_609_375)));
    heard.handle_timeout(woke + secs(30));
    assert_eq!(heard.state(), State::Backup, "it spoke, so it has a chance again");
    router.handle_timeout(woke + secs(30));
    assert_eq!(router.state(), State::Master, "late again: the master had its chance");
}

#[test]
fn a_master_that_slept_for_long_listens_before_it_claims_mastership() {
    let (mut router, since) = master(v2());
    router.handle_timeout(since + Duration::from_millis(3609));
    assert_eq!(did(&mut router), [Did::Advert(100)], "nobody took over yet");
    let woke = since + Duration::from_millis(3609) + secs(4);
    router.handle_timeout(woke);
    assert_eq!(router.state(), State::Master);
    assert!(router.is_listening());
    let (did, said) = drain(&mut router);
    assert!(!did.iter().any(|did| matches!(did, Did::Advert(_))), "{did:?}");
    let line = "timer ran 3000 ms late, listening before claiming anything";
    assert_eq!(said.iter().map(Notice::to_string).collect::<Vec<_>>(), [line]);
    let next = router.poll_timeout().expect("it listens");
    assert_eq!(next - woke, Duration::from_micros(1_609_375));
    router.handle_timeout(next);
    assert_eq!(self::did(&mut router), [Did::Advert(100), Announce(5)]);
}

// Found by the simulation: it took itself for asleep again and again.
#[test]
fn a_master_that_listens_claims_its_place_against_a_lesser_one_even_if_it_is_told_not_to_answer() {
    let mut router = Router::new(RouterConfig { lower_prio_no_advert: true, ..v2() });
    router.start(at(0), Start::Adopt { silent_for: None });
    drain(&mut router);
    router.handle_advert(at(500_000), &advert(1, 50, 1000));
    assert_eq!(did(&mut router)[0], Did::Advert(100));
    assert_eq!(router.poll_timeout(), Some(at(1_500_000)));
}

// row: 262
#[test]
fn another_master_beside_an_established_one_is_a_split_brain_until_it_is_silent() {
    let (mut router, since) = master(v2());
    // In flight while it took over: no split.
    router.handle_advert(since + Duration::from_millis(10), &advert(1, 50, 1000));
    assert_eq!(router.split_with(), None);
    let now = since + Duration::from_millis(1100);
    router.handle_advert(now, &advert(1, 50, 1000));
    assert_eq!(router.split_with(), Some(address(1)));
    assert_eq!(router.statistics().get(Counter::SplitBrains), 1);
    let said = said(&mut router);
    assert!(said.contains(&"split brain: 10.9.0.1 is master too, with priority 50".to_owned()), "{said:?}");
    let mut last = now;
    while last < now + secs(4) {
        last = router.poll_timeout().expect("it is master");
        router.handle_timeout(last);
    }
    assert_eq!(router.split_with(), None);
    assert!(self::said(&mut router).contains(&"split brain ended: 10.9.0.1 is silent".to_owned()));
}

#[test]
fn addresses_that_someone_takes_away_come_back_at_once_but_not_without_end() {
    let (mut router, since) = master(v2());
    for _ in 0..5 {
        router.handle_addresses_lost(since);
        assert_eq!(did(&mut router), [Add, Announce(5)]);
    }
    router.handle_addresses_lost(since);
    router.handle_addresses_lost(since);
    assert_eq!(did(&mut router), []);
    let mut restored = Vec::new();
    while let Some(now) = router.poll_timeout().filter(|now| *now <= since + secs(15)) {
        router.handle_timeout(now);
        if did(&mut router).contains(&Add) {
            restored.push(now - since);
        }
    }
    assert_eq!(restored, [secs(10)]);
    assert_eq!(router.state(), State::Master);

    let mut backup = backup(v2());
    backup.handle_addresses_lost(at(1));
    assert_eq!(did(&mut backup), []);
}

#[test]
fn without_its_witness_a_backup_takes_nothing_over_and_a_master_keeps_what_it_has() {
    let mut router = backup(v2());
    router.set_promotion_allowed(false);
    router.handle_timeout(at(3_609_375));
    assert_eq!(said(&mut router), ["not taking over: the witness does not answer"]);
    assert_eq!((router.state(), router.poll_timeout()), (State::Backup, Some(at(4_609_375))));
    router.set_promotion_allowed(true);
    router.handle_timeout(at(4_609_375));
    assert_eq!(router.state(), State::Master);
    router.set_promotion_allowed(false);
    router.handle_timeout(at(5_609_375));
    assert_eq!(router.state(), State::Master);
}

#[test]
fn a_reload_leaves_state_and_timers_alone() {
    let (mut router, since) = master(v2());
    router.reconfigure(since + Duration::from_millis(500), RouterConfig { accept: false, ..v2() });
    assert_eq!(did(&mut router), []);
    assert_eq!((router.state(), router.poll_timeout()), (State::Master, Some(since + secs(1))));
    let mut slower = v2();
    slower.interval = Interval::seconds(5).expect("in range");
    router.reconfigure(since + Duration::from_millis(500), slower);
    assert_eq!(router.poll_timeout(), Some(since + secs(1)), "the next one is not put off");
}
