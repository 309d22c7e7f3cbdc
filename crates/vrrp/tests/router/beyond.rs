//! What the conformance list does not ask for: hand-over, adoption, stalls, splits, addresses taken away, reloads.

use crate::support::*;
use std::time::Duration;
use vrrp::router::NotifyEvent;
use vrrp::{Counter, Interval, Notice, Preempt, Router, RouterConfig, Start, State, Version, Witness};

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
    router.set_witness(at(0), Witness::Silent);
    router.handle_timeout(at(3_609_375));
    assert_eq!(said(&mut router), ["not taking over: the witness does not answer"]);
    assert_eq!((router.state(), router.poll_timeout()), (State::Backup, Some(at(4_609_375))));
    router.set_witness(at(4_000_000), Witness::Answers { asked: at(3_990_000) });
    assert_eq!(router.poll_timeout(), Some(at(4_000_000)), "it was only waiting for that");
    router.handle_timeout(at(4_000_000));
    assert_eq!(router.state(), State::Master);
    router.set_witness(at(4_500_000), Witness::Silent);
    router.handle_timeout(at(5_609_375));
    assert_eq!(router.state(), State::Master);
}

#[test]
fn a_witness_that_was_asked_before_the_silence_proves_nothing() {
    // The link may have gone between its answer and the first advert that did not come.
    let mut router = backup(v2());
    router.set_witness(at(500_000), Witness::Answers { asked: at(499_000) });
    router.handle_timeout(at(3_609_375));
    assert_eq!((router.state(), router.poll_timeout()), (State::Backup, Some(at(4_609_375))));
    assert_eq!(said(&mut router), Vec::<String>::new());
    router.set_witness(at(3_700_000), Witness::Silent);
    router.handle_timeout(at(4_609_375));
    assert_eq!(said(&mut router), ["not taking over: the witness does not answer"]);
    let mut router = backup(v2());
    router.set_witness(at(1_200_000), Witness::Answers { asked: at(1_100_000) });
    router.handle_timeout(at(3_609_375));
    assert_eq!(router.state(), State::Master, "asked when an advert was overdue");
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

    let (mut router, since) = master(v3());
    router.reconfigure(since + Duration::from_millis(500), config(Version::V3, 100));
    let sooner = Some(since + Duration::from_millis(600));
    assert_eq!(router.poll_timeout(), sooner, "a shorter interval counts at once");
}
