//! What the two strands know of each other: proxies that fail move the address, proxies that drain, reload or crash do not.

use netns::lab;
use netns::site::{Clients, MASTERS, Site};
use std::time::Duration;

fn vrrp(site: &Site, host: &str) -> String {
    let socket = site.directory(host).join("vrrp.sock");
    netns::run(&format!("{} vrrp -S {} status", netns::hosts::hawser().display(), socket.display()))
}

/// Page faults of children that a process has waited for: none means that it has had no child.
fn faults_of_children(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let behind_name = stat.rsplit_once(") ").expect("a name").1;
    // proc(5): `cminflt` is field 11, the state behind the name field 3.
    behind_name.split(' ').nth(11 - 3).and_then(|field| field.parse().ok()).expect("a number")
}

// row: 254
#[test]
fn a_node_that_cannot_reach_its_servers_gives_the_address_away_and_gets_it_back() {
    lab(
        "system::health::a_node_that_cannot_reach_its_servers_gives_the_address_away_and_gets_it_back",
        || {
            let site = Site::up("");
            site.wait_for_owner(MASTERS[0]);
            // The first director cannot reach its servers any more; clients and the other director can reach it.
            site.on(
                MASTERS[0],
                "ip route add unreachable 192.168.1.111/32 && ip route add unreachable 192.168.1.112/32",
            );
            site.wait_for_owner(MASTERS[1]);
            assert!(
                site.log(MASTERS[0]).contains("Proxy backend nginx is now down"),
                "{}",
                site.log(MASTERS[0])
            );
            assert!(vrrp(&site, MASTERS[0]).contains("FAULT"), "{}", vrrp(&site, MASTERS[0]));
            assert!(["111", "112"].contains(&site.curl().as_str()));
            site.on(
                MASTERS[0],
                "ip route del unreachable 192.168.1.111/32 && ip route del unreachable 192.168.1.112/32",
            );
            site.wait_for_owner(MASTERS[0]);
            // All of it without a program that was started to look.
            let strands = netns::run(&format!("pgrep -P {}", site.pid(MASTERS[0]).trim()));
            let mut processes: Vec<String> = strands.lines().map(str::to_owned).collect();
            assert!(processes.len() >= 2, "{processes:?}");
            for strand in strands.lines() {
                let children = netns::run(&format!("pgrep -P {strand} || true"));
                processes.extend(children.lines().map(str::to_owned));
            }
            for pid in processes {
                let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                assert_eq!(faults_of_children(&pid), 0, "{pid}: {}", command.replace('\0', " "));
            }
        },
    );
}

#[test]
fn draining_and_reloading_never_move_the_address() {
    lab("system::health::draining_and_reloading_never_move_the_address", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let socket = site.directory(MASTERS[0]).join("admin.sock");
        for server in ["192.168.1.111", "192.168.1.112"] {
            netns::run(&format!(
                "echo 'set server nginx/{server} state maint' | socat stdio {}",
                socket.display()
            ));
        }
        std::thread::sleep(Duration::from_millis(700));
        assert!(site.owns(MASTERS[0]) && !site.owns(MASTERS[1]), "every server was taken out by hand");
        for server in ["192.168.1.111", "192.168.1.112"] {
            netns::run(&format!(
                "echo 'set server nginx/{server} state ready' | socat stdio {}",
                socket.display()
            ));
        }
        std::thread::sleep(Duration::from_millis(700));
        let clients = Clients::start();
        for _ in 0..3 {
            netns::run(&format!("kill -HUP {}", site.pid(MASTERS[0])));
            std::thread::sleep(Duration::from_millis(700));
        }
        let seen = clients.finish();
        assert!(site.owns(MASTERS[0]) && !site.owns(MASTERS[1]));
        assert_eq!(seen.failed, 0, "of {}", seen.answers.len());
        assert!(!site.log(MASTERS[1]).contains("Entering MASTER"), "{}", site.log(MASTERS[1]));
    });
}

#[test]
fn a_broken_file_changes_nothing() {
    lab("system::health::a_broken_file_changes_nothing", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let path = site.directory(MASTERS[0]).join("haproxy.cfg");
        let text = std::fs::read_to_string(&path).expect("its configuration");
        std::fs::write(&path, text.replace("roundrobin", "roundrobbin")).expect("written");
        netns::run(&format!("kill -HUP {}", site.pid(MASTERS[0])));
        netns::wait_until(Duration::from_secs(5), "the complaint", || {
            site.log(MASTERS[0]).contains("nothing is changed: the files have errors")
        });
        assert!(site.log(MASTERS[0]).contains("haproxy.cfg:"), "{}", site.log(MASTERS[0]));
        assert!(["111", "112"].contains(&site.curl().as_str()));
    });
}

#[test]
fn a_crash_of_one_strand_starts_it_again_and_takes_nothing_else_down() {
    lab("system::health::a_crash_of_one_strand_starts_it_again_and_takes_nothing_else_down", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        let child = |name: &str| {
            netns::run(&format!("pgrep -P {} -f '{name}'", site.pid(MASTERS[0]))).trim().to_owned()
        };
        let (proxy, failover) = (child("hawser haproxy"), child("hawser keepalived"));
        netns::run(&format!("kill -ABRT $(pgrep -P {proxy})"));
        netns::wait_until(Duration::from_secs(5), "another proxy", || {
            site.log(MASTERS[0]).matches("Loading success").count() == 2
        });
        assert_eq!(child("hawser keepalived"), failover, "failover is the same process");
        assert!(site.log(MASTERS[0]).contains("hawser run: proxy"), "{}", site.log(MASTERS[0]));
        site.wait_for_owner(MASTERS[0]);
        assert!(["111", "112"].contains(&site.curl().as_str()));
        let proxy = child("hawser haproxy");
        let clients = Clients::start();
        std::thread::sleep(Duration::from_millis(200));
        let began = std::time::Instant::now();
        netns::run(&format!("kill -KILL {failover}"));
        netns::wait_until(Duration::from_secs(5), "another failover", || {
            site.log(MASTERS[0]).matches("Startup complete").count() == 2
        });
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(child("hawser haproxy"), proxy, "the proxy is the same process");
        let seen = clients.finish();
        println!("failover killed and started again: {:?}, {} failed", seen.gap_after(began), seen.failed);
        assert!(seen.gap_after(began) < Duration::from_millis(300), "{:?}", seen.gap_after(began));
    });
}

#[test]
fn nothing_is_left_of_a_supervisor_that_is_killed() {
    lab("system::health::nothing_is_left_of_a_supervisor_that_is_killed", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        netns::run(&format!("kill -KILL {}", site.pid(MASTERS[0])));
        netns::wait_until(Duration::from_secs(5), "its strands to end", || {
            !netns::run_quietly("pgrep -f '/hk-master1/(haproxy.cfg|keepalived.conf)'")
        });
        site.wait_for_owner(MASTERS[1]);
        site.start(MASTERS[0]);
        site.wait_for_owner(MASTERS[0]);
    });
}
