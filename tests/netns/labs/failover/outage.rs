//! How long a client misses the address: when a node stops, dies, crashes and comes back. `a` has priority 200, `b` 100.

use super::configuration;
use netns::hosts::{Daemon, Net, Prober, Probes, Vrrp, answer_probes};
use netns::lab;
use std::time::Duration;

pub const VIP: &str = "10.9.0.100";
const SLOW: &str = " version 2\n advert_int 1";
const FAST: &str = " version 3\n advert_int 0.01";

/// What happens to `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// What the machine itself adds.
    Nothing,
    CleanStop,
    /// SIGKILL to all processes, then a start 100 ms later, as a supervisor does it.
    KillAllAndRestart,
    /// SIGKILL to the VRRP child alone.
    KillChild,
    /// The host is gone.
    LinkDown,
}

/// What was seen.
pub struct Seen {
    pub probes: Probes,
    pub a: String,
    pub b: String,
}

/// Lets it happen once, and watches for as long as a takeover by timeout could take.
#[track_caller]
pub fn happen(program: Vrrp, lines: &str, event: Event) -> Seen {
    let net = Net::new(&["a", "b", "c"]);
    answer_probes("a", b'a');
    answer_probes("b", b'b');
    let mut a = net.start(program, "a", &configuration(200, VIP, lines));
    a.wait_for("(VI_1) Entering MASTER STATE");
    let b = net.start(program, "b", &configuration(100, VIP, lines));
    b.wait_for("(VI_1) Entering BACKUP STATE");
    let fast = lines == FAST;
    // One interval more than it takes to be heard.
    std::thread::sleep(Duration::from_millis(if fast { 300 } else { 2300 }));
    let prober = Prober::start("c", VIP);
    std::thread::sleep(Duration::from_millis(200));
    let watch = Duration::from_millis(if fast { 1000 } else { 5000 });
    act(&net, &mut a, event);
    std::thread::sleep(watch);
    let seen = Seen { probes: prober.finish(), a: a.log(), b: b.log() };
    assert!(seen.probes.answers.len() > 100, "probes are answered");
    seen
}

fn act(net: &Net, a: &mut Daemon, event: Event) {
    match event {
        Event::Nothing => {}
        Event::CleanStop => drop(a.stop()),

        Event::KillAllAndRestart => {
            a.kill();
            std::thread::sleep(Duration::from_millis(100));
            a.start();
        }
        Event::KillChild => {
            let pid = a.pid();
            netns::run(&format!("kill -KILL $(pgrep -P {pid})"));
        }
        Event::LinkDown => drop(net.on("sw", "ip link set pa down")),
    }
}

/// Probes are a millisecond apart, and labs share cores: what a client cannot tell from none.
const NOISE: Duration = Duration::from_millis(150);

// row: 238, 261
#[test]
fn a_clean_stop_between_hawser_nodes_costs_no_skew() {
    lab("failover::outage::a_clean_stop_between_hawser_nodes_costs_no_skew", || {
        let seen = happen(Vrrp::Hawser, SLOW, Event::CleanStop);
        assert_eq!(seen.probes.last(), Some(b'b'));
        println!(
            "clean stop: {:?}, {} of {} probes lost",
            seen.probes.change(),
            seen.probes.lost(),
            seen.probes.sent
        );
        assert!(seen.probes.change() < Some(NOISE), "{:?}", seen.probes.change());
    });
}

// row: 237
#[test]
fn a_daemon_that_is_killed_and_started_again_goes_on_as_master() {
    lab("failover::outage::a_daemon_that_is_killed_and_started_again_goes_on_as_master", || {
        let seen = happen(Vrrp::Hawser, SLOW, Event::KillAllAndRestart);
        assert!(seen.a.contains("(VI_1) addresses are in place, going on as master"), "{}", seen.a);
        assert!(!seen.b.contains("Entering MASTER"), "{}", seen.b);
        assert!(seen.probes.answers.iter().all(|(_, name)| *name == b'a'));
        assert_eq!(seen.probes.lost(), 0, "of {} probes", seen.probes.sent);
    });
}

#[test]
fn a_macvlan_left_by_a_killed_daemon_is_taken_over_with_its_addresses() {
    lab("failover::outage::a_macvlan_left_by_a_killed_daemon_is_taken_over_with_its_addresses", || {
        let lines = " version 3\n advert_int 1\n use_vmac";
        let seen = happen(Vrrp::Hawser, lines, Event::KillAllAndRestart);
        assert!(seen.a.contains("(VI_1) addresses are in place, going on as master"), "{}", seen.a);
        assert!(!seen.b.contains("Entering MASTER"), "{}", seen.b);
        assert_eq!(seen.probes.lost(), 0, "of {} probes", seen.probes.sent);
    });
}

#[test]
fn a_child_that_is_killed_is_started_again_and_goes_on_as_master() {
    lab("failover::outage::a_child_that_is_killed_is_started_again_and_goes_on_as_master", || {
        let seen = happen(Vrrp::Hawser, SLOW, Event::KillChild);
        assert!(seen.a.contains("Respawning"), "{}", seen.a);
        assert!(seen.a.contains("(VI_1) addresses are in place, going on as master"), "{}", seen.a);
        assert!(!seen.b.contains("Entering MASTER"), "{}", seen.b);
        assert_eq!(seen.probes.lost(), 0, "of {} probes", seen.probes.sent);
    });
}

// row: 237, 261
#[test]
fn a_lost_node_is_missed_for_three_intervals_and_the_skew() {
    lab("failover::outage::a_lost_node_is_missed_for_three_intervals_and_the_skew", || {
        let seen = happen(Vrrp::Hawser, FAST, Event::LinkDown);
        assert_eq!(seen.probes.last(), Some(b'b'));
        assert!(seen.probes.outage() < NOISE, "{:?}", seen.probes.outage());
    });
}

/// What a client saw of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    outage: Duration,
    lost: usize,
}

/// Medians: of the outages in milliseconds, of the probes without an answer.
fn medians(mut runs: Vec<Run>) -> (f64, usize) {
    runs.sort_unstable_by_key(|run| run.outage);
    let outage = runs[runs.len() / 2].outage.as_secs_f64() * 1000.0;
    runs.sort_unstable_by_key(|run| run.lost);
    (outage, runs[runs.len() / 2].lost)
}

/// Runs of each, interleaved, unless `HAWSER_ROUNDS` says otherwise.
const ROUNDS: usize = 10;

/// The figures side by side: `cargo xtask bench-failover`.
#[test]
#[ignore = "takes minutes; prints a table"]
fn outages_side_by_side() {
    let rows = [
        ("nothing (noise), v3 0.01 s", FAST, Event::Nothing),
        ("node loss, v3 0.01 s", FAST, Event::LinkDown),
        ("clean stop, v2 1 s", SLOW, Event::CleanStop),
        ("clean stop, v3 0.01 s", FAST, Event::CleanStop),
        ("kill -9 all + restart, v2 1 s", SLOW, Event::KillAllAndRestart),
        ("kill -9 VRRP child, v2 1 s", SLOW, Event::KillChild),
    ];
    let rounds = std::env::var("HAWSER_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    println!("Client's view, median of {rounds}: milliseconds without an answer, probes lost.\n");
    println!("| event | keepalived 2.2.7 | lost | hawser | lost |\n|---|---|---|---|---|");
    for (name, lines, event) in rows {
        let mut runs = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for (place, program) in [Vrrp::Keepalived, Vrrp::Hawser].into_iter().enumerate() {
                runs[place].push(measured_in_a_lab(program, lines, event, round));
            }
        }
        let [(keepalived, keepalived_lost), (hawser, hawser_lost)] = runs.map(medians);
        println!("| {name} | {keepalived:.1} | {keepalived_lost} | {hawser:.1} | {hawser_lost} |");
    }
}

/// One run, each in a lab of its own, by the test below.
fn measured_in_a_lab(program: Vrrp, lines: &str, event: Event, round: usize) -> Run {
    let test = std::env::current_exe().expect("the test's binary");
    let path = std::env::temp_dir().join(format!("hawser-outage-{}-{round}", std::process::id()));
    let request = format!("{program:?}|{}|{event:?}|{}", lines == FAST, path.display());
    let status = std::process::Command::new(test)
        .args(["--exact", "failover::outage::one_run_of_the_table", "--ignored"])
        .env("HAWSER_OUTAGE", request)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "a run of {program:?} {event:?} failed");
    let text = std::fs::read_to_string(&path).expect("its result");
    std::fs::remove_file(path).expect("removed");
    let mut numbers = text.split_whitespace().map(|word| word.parse().expect("a number"));
    let outage = Duration::from_micros(numbers.next().expect("the outage"));
    Run { outage, lost: numbers.next().expect("the probes lost") as usize }
}

#[test]
#[ignore = "a part of the table"]
fn one_run_of_the_table() {
    let Ok(request) = std::env::var("HAWSER_OUTAGE") else { return };
    let words: Vec<&str> = request.split('|').collect();
    let result = std::fs::File::options().create(true).append(true).open(words[3]).expect("opens");
    lab("failover::outage::one_run_of_the_table", || {
        let program = if words[0] == "Hawser" { Vrrp::Hawser } else { Vrrp::Keepalived };
        let lines = if words[1] == "true" { FAST } else { SLOW };
        let event =
            [Event::Nothing, Event::CleanStop, Event::KillAllAndRestart, Event::KillChild, Event::LinkDown];
        let event = event.into_iter().find(|event| format!("{event:?}") == words[2]).expect("an event");
        // The lab has a /tmp of its own: the handle was opened before.
        let seen = happen(program, lines, event);
        use std::io::Write;
        // Where one host answers after another, the gap between them; else the longest gap.
        let outage = match event {
            Event::CleanStop | Event::LinkDown => seen.probes.change(),
            Event::Nothing | Event::KillAllAndRestart | Event::KillChild => None,
        };
        let outage = outage.unwrap_or_else(|| seen.probes.outage());
        writeln!(&result, "{} {}", outage.as_micros(), seen.probes.lost()).expect("written");
    });
}
