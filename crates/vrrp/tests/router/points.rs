//! Point by point of the conformance list.

use crate::support::*;
use std::time::Duration;
use vrrp::router::{AnnounceConfig, NotifyEvent};
use vrrp::{Action, Counter, InitialState, Notice, Preempt, Router, RouterConfig, Start, State, Version};

// row: 235
// Point 8.
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

// row: 238
// Points 9 and 41.
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

// row: 225
// Point 23.
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

// row: 225
// Point 24.
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

// row: 237
// Point 26.
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

// row: 238
// Point 27.
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

// row: 236, 239
// Point 28.
#[test]
fn point_28_a_better_or_equal_master_starts_the_timer_again() {
    for priority in [100, 101, 255] {
        let mut router = backup(v2());
        router.handle_advert(at(2_000_000), &advert(1, priority, 1000));
        assert_eq!(router.poll_timeout(), Some(at(2_000_000 + 3_609_375)));
        assert_eq!(did(&mut router), []);
    }
}

// row: 240
// Point 28.
#[test]
fn point_28_nopreempt_leaves_a_lesser_master_alone() {
    let mut router = backup(RouterConfig { preempt: Preempt::Never, ..v2() });
    router.handle_advert(at(2_000_000), &advert(1, 50, 1000));
    assert_eq!(router.poll_timeout(), Some(at(2_000_000 + 3_609_375)));
}

// row: 242
// Point 28. keepalived waits from the first advert of a lesser master on, not from its start.
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

// row: 236
// Point 29.
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

// row: 236, 244
// Point 30.
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

// row: 244
// Point 30, the second burst.
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

// row: 239
// Point 34.
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

#[test]
fn a_master_that_missed_a_better_one_has_the_last_word_and_one_that_was_preempted_has_not() {
    let config = || RouterConfig { last_word_after_silence: true, ..v2() };
    let yields = [Cancel, Remove, Notify(NotifyEvent::Backup)];
    // Nobody better was ever heard: an ordinary preemption.
    let (mut router, since) = master(config());
    router.handle_advert(since, &advert(1, 200, 1000));
    assert_eq!(did(&mut router), yields);
    // It fell silent, and speaks again.
    let mut now = since;
    let again = |router: &mut Router, now: &mut std::time::Instant| {
        while router.state() == State::Backup {
            *now = router.poll_timeout().expect("it waits");
            router.handle_timeout(*now);
        }
        did(router);
        router.handle_advert(*now, &advert(1, 200, 1000));
        did(router)
    };
    assert_eq!(again(&mut router, &mut now)[..2], [Did::Advert(100), Cancel]);
    // It left with a word: whoever takes over from it was not split from it.
    router.handle_advert(now, &advert(1, 0, 1000));
    assert_eq!(again(&mut router, &mut now), yields);
}

#[test]
fn a_master_whose_timer_ran_too_late_is_backup_when_the_file_says_so() {
    let (mut router, since) = master(RouterConfig { backup_when_late: true, ..v2() });
    router.handle_timeout(since + secs(1));
    assert_eq!(did(&mut router), [Did::Advert(100)]);
    // Less than what others wait.
    router.handle_timeout(since + secs(3));
    assert_eq!(router.state(), State::Master);
    router.handle_timeout(since + secs(8));
    assert_eq!(router.state(), State::Backup);
}

// row: 262
// Point 35.
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
