//! A pair that is stopped, killed, cut off and split: how long clients wait.

use netns::lab;
use netns::site::{Clients, MASTERS, Seen, Site};
use std::time::{Duration, Instant};

/// What a client may miss with timers below a second, beside what the machine itself adds at rest.
const LIMIT: Duration = Duration::from_millis(50);
/// Within which the change of masters happens.
const CHANGE: Duration = Duration::from_millis(500);

/// Lets something happen while clients ask, watches for `after`, and tells what they saw and when it happened.
#[track_caller]
fn seen_during(site: &Site, after: Duration, happens: impl FnOnce(&Site)) -> (Seen, Instant) {
    let clients = Clients::start();
    std::thread::sleep(Duration::from_millis(1000));
    let at = Instant::now();
    happens(site);
    std::thread::sleep(after);
    (clients.finish(), at)
}

/// What happened cost clients less than the limit, and what the machine adds when nothing happens: before it, where the
/// first node serves, and behind it, where the second does.
#[track_caller]
fn assert_short(what: &str, seen: &Seen, at: Instant) {
    let (gap, noise) = (seen.gap_between(at, at + CHANGE), seen.noise_outside(at, at + CHANGE));
    // A machine that is that late by itself proves nothing; what lasts longer than this is no noise.
    let noise = noise.min(LIMIT);
    println!(
        "{what}: {gap:?} (at rest {noise:?}), slowest answer {:?}, {} of {} failed",
        seen.slowest(at, at + CHANGE),
        seen.failed,
        seen.answers.len() + seen.failed
    );
    let around = (at - Duration::from_millis(30), at + CHANGE + CHANGE);
    assert!(gap <= LIMIT + noise, "{what}: {gap:?}, at rest {noise:?}\n{}", seen.story(around.0, around.1));
}

/// Both servers answer in turn, once the checks of whoever owns the address have found both: a node that was cut off had
/// lost them.
#[track_caller]
fn assert_alternates(site: &Site) {
    netns::wait_until(Duration::from_secs(10), "both servers to answer in turn", || {
        let bodies: Vec<String> = (0..6).map(|_| site.curl()).collect();
        bodies.windows(2).all(|pair| pair[0] != pair[1])
            && bodies.iter().all(|body| body == "111" || body == "112")
    });
}

/// Programs that run in the lab; those that ended and were not fetched are none.
fn running() -> Vec<String> {
    // Not in a pipe of the shell: its parts would come and go while they are listed.
    let output =
        std::process::Command::new("ps").args(["-e", "-o", "stat=,comm="]).output().expect("ps is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let living = text.lines().filter(|line| !line.starts_with('Z'));
    let mut names: Vec<String> =
        living.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect();
    names.sort();
    names
}

// row: 1
#[test]
fn the_laboratory_is_built_again_and_again_and_leaves_nothing() {
    lab("system::pair::the_laboratory_is_built_again_and_again_and_leaves_nothing", || {
        let before = running();
        let mut site = Site::up("");
        for _ in 0..2 {
            site.wait_for_owner(MASTERS[0]);
            assert_alternates(&site);
            site.down();
            assert_eq!(netns::run("ls /run/netns"), "");
            assert!(!std::path::Path::new("/run/hawser-lab").exists());
            site = Site::again("");
        }
        site.down();
        assert_eq!(running(), before);
    });
}

// row: 319, 10, 260
#[test]
fn stopping_the_master_costs_a_moment_with_the_tutorials_timers() {
    lab("system::pair::stopping_the_master_costs_a_moment_with_the_tutorials_timers", || {
        let site = Site::up("--timers tutorial");
        site.wait_for_owner(MASTERS[0]);
        // The standby has bound an address that it does not have.
        assert!(site.on(MASTERS[1], "ss -Hltn").contains("192.168.1.200:80"));
        assert_alternates(&site);
        let (seen, at) = seen_during(&site, Duration::from_secs(3), |site| site.stop(MASTERS[0]));
        assert_short("clean stop, advert_int 1", &seen, at);
        site.wait_for_owner(MASTERS[1]);
        assert_alternates(&site);
    });
}

// row: 320
#[test]
fn a_killed_master_is_missed_within_the_tutorials_timers() {
    lab("system::pair::a_killed_master_is_missed_within_the_tutorials_timers", || {
        let site = Site::up("--timers tutorial");
        site.wait_for_owner(MASTERS[0]);
        std::thread::sleep(Duration::from_secs(2));
        let (seen, at) = seen_during(&site, Duration::from_secs(6), |site| site.kill(MASTERS[0]));
        println!("kill -9, advert_int 1: {:?}, {} failed", seen.gap_after(at), seen.failed);
        assert!(seen.gap_after(at) <= Duration::from_secs(4), "{:?}", seen.gap_after(at));
        assert!(site.owns(MASTERS[1]));
        assert_alternates(&site);
    });
}

// row: 319
#[test]
fn stopping_the_master_costs_less_than_fifty_milliseconds() {
    lab("system::pair::stopping_the_master_costs_less_than_fifty_milliseconds", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let (seen, at) = seen_during(&site, Duration::from_secs(1), |site| site.stop(MASTERS[0]));
        assert_short("clean stop, advert_int 0.01", &seen, at);
        site.wait_for_owner(MASTERS[1]);
    });
}

// row: 320
#[test]
fn a_killed_master_is_missed_for_less_than_fifty_milliseconds() {
    lab("system::pair::a_killed_master_is_missed_for_less_than_fifty_milliseconds", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let (seen, at) = seen_during(&site, Duration::from_secs(1), |site| site.kill(MASTERS[0]));
        assert_short("kill -9, advert_int 0.01", &seen, at);
        assert!(site.owns(MASTERS[1]));
        assert_alternates(&site);
    });
}

#[test]
fn a_master_whose_wire_is_cut_is_missed_for_less_than_fifty_milliseconds() {
    lab("system::pair::a_master_whose_wire_is_cut_is_missed_for_less_than_fifty_milliseconds", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let (seen, at) = seen_during(&site, Duration::from_secs(1), |site| site.link(MASTERS[0], "down"));
        assert_short("link loss, advert_int 0.01", &seen, at);
        site.link(MASTERS[0], "up");
        // It preempts: one owner again, and clients are served.
        site.wait_for_owner(MASTERS[0]);
        assert_alternates(&site);
    });
}

#[test]
fn a_partition_makes_two_masters_and_its_end_one() {
    lab("system::pair::a_partition_makes_two_masters_and_its_end_one", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let isolate = |state: &str| {
            for port in ["p113", "p114"] {
                netns::run(&format!("bridge -n hk-switch link set dev {port} isolated {state}"));
            }
        };
        let (seen, at) = seen_during(&site, Duration::from_secs(2), |site| {
            isolate("on");
            netns::wait_until(Duration::from_secs(5), "the other to take over", || site.owns(MASTERS[1]));
            assert!(site.owns(MASTERS[0]), "neither can know of the other");
            isolate("off");
        });
        assert_short("partition and its end", &seen, at);
        site.wait_for_owner(MASTERS[0]);
        // Whoever the client reaches serves, to the end.
        assert!(seen.gap_after(at) <= Duration::from_millis(500), "{:?}", seen.gap_after(at));
        assert_alternates(&site);
    });
}

// row: 325
#[test]
fn a_failed_master_that_returns_under_nopreempt_takes_nothing() {
    lab("system::pair::a_failed_master_that_returns_under_nopreempt_takes_nothing", || {
        let site = Site::up("--bare");
        for host in MASTERS {
            let path = site.directory(host).join("keepalived.conf");
            let text = std::fs::read_to_string(&path).expect("its configuration");
            std::fs::write(&path, text.replace("state BACKUP", "state BACKUP\n    nopreempt"))
                .expect("written");
            site.start(host);
            if host == MASTERS[0] {
                netns::wait_until(Duration::from_secs(10), "the first to be master", || site.owns(host));
            }
        }
        site.wait_for_owner(MASTERS[0]);
        site.kill(MASTERS[0]);
        netns::wait_until(Duration::from_secs(10), "the second to be master", || site.owns(MASTERS[1]));
        // Nothing of the dead one is left to answer.
        site.on(MASTERS[0], "ip addr del 192.168.1.200/24 dev ens33");
        let (seen, at) = seen_during(&site, Duration::from_secs(2), |site| site.start(MASTERS[0]));
        assert!(site.owns(MASTERS[1]) && !site.owns(MASTERS[0]));
        assert_short("the dead one returns", &seen, at);
        assert_eq!(seen.failed, 0);
        assert_eq!(site.log(MASTERS[1]).matches("Entering BACKUP STATE").count(), 1, "that of its start");
    });
}
