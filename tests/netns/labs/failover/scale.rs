//! Many instances, many reloads: what they cost the host.

use super::configuration;
use netns::hosts::{Net, Vrrp};
use netns::{lab, wait_until};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const SOCKET: &str = "/run/hawser/vrrp.sock";

fn ask(command: &str) -> String {
    let mut client = UnixStream::connect(SOCKET).expect("the runtime socket");
    client.write_all(format!("{command}\n").as_bytes()).expect("writes");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("reads");
    text
}

/// Kilobytes that a process holds.
fn resident(pid: &str) -> u64 {
    figure(pid, "Rss:")
}

/// Of `smaps_rollup`: `Rss:` counts every page, `Pss:` a page that two processes share once for both.
fn figure(pid: &str, name: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = rollup.lines().find(|line| line.starts_with(name)).expect("a size");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Hundredths of a second on a processor.
fn ticks(pid: &str) -> u64 {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = line.rsplit_once(')').expect("a name");
    let words: Vec<&str> = rest.split_whitespace().collect();
    [words[11], words[12]].iter().map(|word| word.parse::<u64>().expect("a number")).sum()
}

#[test]
fn all_255_routers_cost_less_than_a_hundredth_of_a_processor() {
    lab("failover::scale::all_255_routers_cost_less_than_a_hundredth_of_a_processor", || {
        let net = Net::new(&["a"]);
        let mut text = String::from("global_defs {\n script_user root\n}\n");
        for number in 1..=255 {
            text.push_str(&format!(
                "vrrp_instance V{number} {{\n interface eth0\n virtual_router_id {number}\n advert_int 1\n \
                 virtual_ipaddress {{\n 10.10.0.{number}\n }}\n}}\n"
            ));
        }
        let a = net.start(Vrrp::Hawser, "a", &text);
        a.wait_for_times("Entering MASTER STATE", 255);
        // The second burst of gratuitous ARP.
        std::thread::sleep(Duration::from_secs(6));
        let parent = a.pid().to_string();
        let child = netns::run(&format!("pgrep -P {parent}"));
        let all = [parent.as_str(), child.trim()];
        let used = || all.map(ticks).iter().sum::<u64>();
        let before = used();
        std::thread::sleep(Duration::from_secs(10));
        let used = used() - before;
        for (name, pid) in ["parent", "child"].into_iter().zip(all) {
            let [rss, pss, own] = ["Rss:", "Pss:", "Anonymous:"].map(|name| figure(pid, name));
            println!("{name}: {rss} KB, shared pages counted once {pss} KB, its own data {own} KB");
        }
        let [size, resident]: [u64; 2] =
            ["Pss:", "Rss:"].map(|name| all.iter().map(|pid| figure(pid, name)).sum());
        println!(
            "255 instances: {used} hundredths of a second in 10 s, {size} KB, every shared page counted twice {resident} KB"
        );
        assert!(used <= 10, "{used} hundredths of a second in 10 s");
        assert!(size < 30_000, "{size} KB");
        // Code without optimisation is three times as long.
        let limit = if netns::hosts::hawser().components().any(|part| part.as_os_str() == "release") {
            30_000
        } else {
            40_000
        };
        assert!(resident < limit, "{resident} KB");
    });
}

#[test]
fn ten_thousand_reloads_leave_no_trace() {
    lab("failover::scale::ten_thousand_reloads_leave_no_trace", || {
        const RELOADS: usize = 10_000;
        let net = Net::new(&["a"]);
        let a =
            net.start(Vrrp::Hawser, "a", &configuration(100, "10.9.0.100", " version 3\n advert_int 0.1"));
        a.wait_for("(VI_1) Entering MASTER STATE");
        let child = netns::run(&format!("pgrep -P {}", a.pid()));
        let child = child.trim();
        let reload = |times: usize| {
            for _ in 0..times {
                assert_eq!(ask("reload"), "reloading\n");
                // Answered by the engine, so behind the reload.
                assert!(ask("status").contains("MASTER"));
            }
        };
        reload(RELOADS / 10);
        let files = || std::fs::read_dir(format!("/proc/{child}/fd")).expect("it runs").count();
        let (size, open) = (resident(child), files());
        reload(RELOADS - RELOADS / 10);
        a.wait_for_times("Reload complete", RELOADS);
        println!("after 1,000 reloads {size} KB, after 10,000 {} KB", resident(child));
        assert!(resident(child) < size + 512, "{} KB grew to {}", size, resident(child));
        wait_until(Duration::from_secs(5), "clients to be let go", || files() <= open);
        assert_eq!(a.log().matches("Entering MASTER").count(), 1);
    });
}
