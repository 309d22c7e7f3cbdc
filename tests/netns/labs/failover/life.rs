//! The life of nodes: preemption, faults, tracking, reloads, split brain, operators' commands.

use super::{configuration, same};
use netns::hosts::{Daemon, Net, Vrrp};
use netns::{lab, wait_until};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const VIP: &str = "10.9.0.100";
const FAST: &str = " version 3\n advert_int 0.1";

fn has_soon(net: &Net, host: &str) {
    wait_until(Duration::from_secs(10), "the address", || net.has(host, VIP));
}

// row: 225, 228, 229, 236, 239, 257
#[test]
fn logs_of_a_start_a_takeover_and_a_return_are_keepalived_s() {
    lab("failover::life::logs_of_a_start_a_takeover_and_a_return_are_keepalived_s", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            // The peer is the same in both runs.
            let mut peer = net.start(Vrrp::Keepalived, "b", &configuration(200, VIP, FAST));
            peer.wait_for("(VI_1) Entering MASTER STATE");
            let text = configuration(100, VIP, &format!("{FAST}\n state MASTER"));
            let mut a = net.start(program, "a", &text);
            a.wait_for("(VI_1) Entering BACKUP STATE (init)");
            std::thread::sleep(Duration::from_millis(500));
            peer.stop();
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            peer.start();
            a.wait_for_times("(VI_1) Entering BACKUP STATE", 2);
            peer.stop();
            a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
            std::thread::sleep(Duration::from_millis(300));
            a.stop();
            let mut lines = a.lines_of("VI_1");
            // At its start keepalived takes addresses away before it tells its state, we after: the same pair.
            lines[..2].sort();
            lines
        });
        assert!(
            seen.contains(
                &"Master received advert from 10.9.0.2 with higher priority 200, ours 100".to_owned()
            )
        );
    });
}

// row: 240
#[test]
fn with_nopreempt_the_better_node_stays_backup() {
    lab("failover::life::with_nopreempt_the_better_node_stays_backup", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            let b = net.start(
                program,
                "b",
                &configuration(100, VIP, &format!("{FAST}\n state BACKUP\n nopreempt")),
            );
            b.wait_for("(VI_1) Entering MASTER STATE");
            let a = net.start(
                program,
                "a",
                &configuration(200, VIP, &format!("{FAST}\n state BACKUP\n nopreempt")),
            );
            a.wait_for("(VI_1) Entering BACKUP STATE (init)");
            std::thread::sleep(Duration::from_millis(1500));
            (net.has("a", VIP), net.has("b", VIP))
        });
        assert_eq!(seen, (false, true));
    });
}

// row: 242
#[test]
fn with_preempt_delay_the_better_node_waits() {
    lab("failover::life::with_preempt_delay_the_better_node_waits", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            let b = net.start(program, "b", &configuration(100, VIP, FAST));
            b.wait_for("(VI_1) Entering MASTER STATE");
            let delayed = format!("{FAST}\n state BACKUP\n preempt_delay 3");
            let a = net.start(program, "a", &configuration(200, VIP, &delayed));
            a.wait_for("(VI_1) Entering BACKUP STATE (init)");
            std::thread::sleep(Duration::from_millis(1800));
            let early = net.has("a", VIP);
            a.wait_for("(VI_1) Entering MASTER STATE");
            early
        });
        assert!(!seen);
    });
}

// row: 247, 248, 249, 250, 251
#[test]
fn scripts_hear_each_change_in_order_with_keepalived_s_words() {
    lab("failover::life::scripts_hear_each_change_in_order_with_keepalived_s_words", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            netns::run("printf '#!/bin/sh\\necho \"$@\" >> /tmp/heard\\n' > /tmp/n.sh; chmod +x /tmp/n.sh");
            let more = format!(
                "{FAST}\n notify /tmp/n.sh\n notify_master \"/tmp/n.sh is master\"\n \
                 notify_backup \"/tmp/n.sh is backup\"\n notify_fault \"/tmp/n.sh is fault\"\n \
                 notify_stop \"/tmp/n.sh is stop\""
            );
            let mut a = net.start(program, "a", &configuration(150, VIP, &more));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            net.on("a", "ip link set eth0 down");
            a.wait_for("(VI_1) Entering FAULT STATE");
            std::thread::sleep(Duration::from_millis(300));
            net.on("a", "ip link set eth0 up");
            a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
            std::thread::sleep(Duration::from_millis(300));
            a.stop();
            std::thread::sleep(Duration::from_millis(200));
            let text = std::fs::read_to_string("/tmp/heard").expect("they heard");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if program == Vrrp::Keepalived {
                // It starts both at the same moment: the order of a pair is luck there.
                lines.chunks_mut(2).for_each(|pair| {
                    pair.sort_by_key(|line| line.starts_with("INSTANCE"));
                });
            }
            lines
        });
        assert_eq!(seen.first().map(String::as_str), Some("is backup"));
        assert_eq!(seen.last().map(String::as_str), Some("INSTANCE VI_1 STOP 150"));
    });
}

// row: 252, 253
#[test]
fn a_script_that_fails_lowers_the_priority_or_is_a_fault() {
    lab("failover::life::a_script_that_fails_lowers_the_priority_or_is_a_fault", || {
        same(|program| {
            let net = Net::new(&["a", "b"]);
            netns::run("touch /tmp/good /tmp/alive");
            let scripts = "vrrp_script weighted {\n script \"/usr/bin/test -e /tmp/good\"\n interval 1\n weight -60\n fall 2\n \
                           rise 2\n}\nvrrp_script fatal {\n script \"/usr/bin/test -e /tmp/alive\"\n interval 1\n}\n";
            let tracked = format!("{FAST}\n track_script {{\n  weighted\n  fatal\n }}");
            let b = net.start(program, "b", &configuration(120, VIP, FAST));
            let a = net.start(program, "a", &format!("{scripts}{}", configuration(150, VIP, &tracked)));
            has_soon(&net, "a");
            netns::run("rm /tmp/good");
            a.wait_for("VRRP_Script(weighted) failed (exited with status 1)");
            a.wait_for("(VI_1) Changing effective priority from 150 to 90");
            has_soon(&net, "b");
            netns::run("touch /tmp/good");
            a.wait_for("Script `weighted` now returning 0");
            a.wait_for("(VI_1) Changing effective priority from 90 to 150");
            has_soon(&net, "a");
            netns::run("rm /tmp/alive");
            a.wait_for("(VI_1) Entering FAULT STATE");
            has_soon(&net, "b");
            drop(b);
        });
    });
}

#[test]
fn files_and_processes_are_tracked() {
    lab("failover::life::files_and_processes_are_tracked", || {
        let net = Net::new(&["a"]);
        netns::run("cp /bin/sleep /tmp/tracked-one; echo 0 > /tmp/number");
        let blocks = "track_file number {\n file /tmp/number\n weight 1\n}\nvrrp_track_process one {\n process tracked-one\n \
                      weight 20\n}\n";
        let tracked = format!("{FAST}\n track_file {{\n  number\n }}\n track_process {{\n  one\n }}");
        let a = net.start(Vrrp::Hawser, "a", &format!("{blocks}{}", configuration(100, VIP, &tracked)));
        a.wait_for("(VI_1) Entering MASTER STATE");
        netns::run("echo -30 > /tmp/number");
        a.wait_for("(VI_1) Changing effective priority from 100 to 70");
        netns::run("/tmp/tracked-one 60 >/dev/null 2>&1 &");
        a.wait_for("(VI_1) Changing effective priority from 70 to 90");
        netns::run("pkill tracked-one");
        a.wait_for("(VI_1) Changing effective priority from 90 to 70");
    });
}

#[test]
fn a_link_that_goes_is_a_fault_and_one_that_comes_ends_it() {
    lab("failover::life::a_link_that_goes_is_a_fault_and_one_that_comes_ends_it", || {
        same(|program| {
            let net = Net::new(&["a"]);
            let a = net.start(program, "a", &configuration(100, VIP, FAST));
            has_soon(&net, "a");
            net.on("a", "ip link set eth0 down");
            a.wait_for("Netlink reports eth0 down");
            a.wait_for("(VI_1) Entering FAULT STATE");
            net.on("a", "ip link set eth0 up");
            a.wait_for("Netlink reports eth0 up");
            a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
            has_soon(&net, "a");
        });
    });
}

#[test]
fn a_group_changes_state_together() {
    lab("failover::life::a_group_changes_state_together", || {
        same(|program| {
            let net = Net::new(&["a", "b"]);
            net.on(
                "a",
                "ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up",
            );
            net.on("a", "ip addr add 10.8.0.1/24 dev eth1");
            let group = "vrrp_sync_group G1 {\n group {\n  VI_1\n  VI_2\n }\n}\n";
            let other = "vrrp_instance VI_2 {\n interface eth1\n virtual_router_id 52\n priority 100\n version 3\n advert_int 0.1\n \
                         virtual_ipaddress {\n 10.8.0.100\n }\n}\n";
            let a = net.start(program, "a", &format!("{group}{}{other}", configuration(100, VIP, FAST)));
            a.wait_for("VRRP_Group(G1) Syncing instances to MASTER state");
            has_soon(&net, "a");
            wait_until(Duration::from_secs(5), "the second address", || net.has("a", "10.8.0.100"));
            net.on("a", "ip link set eth1 down");
            a.wait_for("VRRP_Group(G1) Syncing instances to FAULT state");
            wait_until(Duration::from_secs(5), "the first address to go", || !net.has("a", VIP));
        });
    });
}

#[test]
fn a_reload_with_a_mistake_changes_nothing_and_says_why() {
    lab("failover::life::a_reload_with_a_mistake_changes_nothing_and_says_why", || {
        let net = Net::new(&["a", "b"]);
        let a = net.start(Vrrp::Hawser, "a", &configuration(200, VIP, FAST));
        a.wait_for("(VI_1) Entering MASTER STATE");
        // keepalived 2.2.7 drops adverts with other addresses, which the second reload brings.
        let b = net.start(Vrrp::Hawser, "b", &configuration(100, VIP, FAST));
        b.wait_for("(VI_1) Entering BACKUP STATE (init)");
        a.configure(&configuration(200, VIP, FAST).replace("virtual_router_id 51", "virtual_router_id 999"));
        a.signal("HUP");
        a.wait_for("Configuration not changed");
        assert!(a.log().contains("conf:6"), "the place of the mistake: {}", a.log());
        a.configure(&configuration(210, "10.9.0.100\n 10.9.0.110", FAST));
        a.signal("HUP");
        a.wait_for("Reload complete");
        wait_until(Duration::from_secs(5), "the new address", || net.has("a", "10.9.0.110"));
        a.configure(&configuration(210, "10.9.0.110", FAST));
        a.signal("HUP");
        a.wait_for_times("Reload complete", 2);
        wait_until(Duration::from_secs(5), "the old address to go", || !net.has("a", VIP));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(b.log().matches("Entering").count(), 1, "adverts never stopped: {}", b.log());
        assert_eq!(a.log().matches("Entering MASTER").count(), 1, "{}", a.log());
    });
}

// row: 262
#[test]
fn a_split_brain_is_told_and_healed() {
    lab("failover::life::a_split_brain_is_told_and_healed", || {
        let net = Net::new(&["a", "b", "c"]);
        // Whose hardware address the client uses.
        let asked = |net: &Net| net.on("c", &format!("ip neigh show {VIP}"));
        let has = |net: &Net, host: u8| asked(net).contains(&format!("02:00:00:00:00:0{host}"));
        let a = net.start(Vrrp::Hawser, "a", &configuration(200, VIP, FAST));
        a.wait_for("(VI_1) Entering MASTER STATE");
        // One file system for all hosts of the lab: the second daemon would take the name over.
        let socket = "/run/hawser/first.sock";
        std::fs::rename("/run/hawser/vrrp.sock", socket).expect("it is there");
        let metric = |name: &str, value: u8| {
            let line = format!("hawser_vrrp_{name}{{instance=\"VI_1\",vrid=\"51\"}} {value}\n");
            ask(socket, "metrics").contains(&line)
        };
        assert!(metric("split_brain", 0) && metric("split_brain_total", 0));
        let b = net.start(Vrrp::Hawser, "b", &configuration(100, VIP, FAST));
        b.wait_for("(VI_1) Entering BACKUP STATE (init)");
        // It knows of the better one.
        net.on("b", "timeout 5 tcpdump -c 3 -nni eth0 src 10.9.0.1 and proto 112");
        let isolate = |on: &str| {
            net.on(
                "sw",
                &format!("bridge link set dev pa isolated {on}; bridge link set dev pb isolated {on}"),
            );
        };
        isolate("on");
        b.wait_for("(VI_1) Entering MASTER STATE");
        has_soon(&net, "b");
        assert!(net.has("a", VIP), "both hold it");
        // The client could hear both: the lesser one spoke last.
        wait_until(Duration::from_secs(5), "the client to learn", || {
            net.on("c", &format!("ping -c 1 -W 1 {VIP} > /dev/null || true"));
            has(&net, 2)
        });
        // The second burst has passed; whoever announces itself from here on has a reason.
        a.wait_for_times("Sending/queueing", 2);
        b.wait_for_times("Sending/queueing", 2);
        let announced = a.log().matches("Sending/queueing").count();
        isolate("off");
        b.wait_for_times("(VI_1) Entering BACKUP STATE", 2);
        a.wait_for("(VI_1) split brain: 10.9.0.2 is master too, with priority 100");
        a.wait_for_times("Sending/queueing", announced + 1);
        wait_until(Duration::from_secs(5), "the lesser one to yield", || {
            net.has("a", VIP) && !net.has("b", VIP)
        });
        wait_until(Duration::from_secs(3), "the client to follow", || has(&net, 1));
        a.wait_for("split brain ended");
        wait_until(Duration::from_secs(5), "the metrics to say so", || metric("split_brain", 0));
        let counted = ask(socket, "metrics");
        let counted = counted.lines().find(|line| line.starts_with("hawser_vrrp_split_brain_total{"));
        assert!(counted.is_some_and(|line| line.ends_with("} 1")), "{counted:?}");
        assert_eq!(a.log().matches("Entering BACKUP").count(), 1, "{}", a.log());
    });
}

const WITNESS: &str = " witness {\n ping 10.9.0.3\n tcp 10.9.0.3 8080\n http 10.9.0.3 8081 /health\n \
                       quorum 2\n interval 0.1\n timeout 0.3\n }";

/// Answers on the client's ports: any connection on 8080, HTTP on 8081 as well as it is.
fn be_witness(host: &str) -> Arc<AtomicBool> {
    let is_well = Arc::new(AtomicBool::new(true));
    for port in [8080, 8081] {
        let is_well = Arc::clone(&is_well);
        // They live as long as the lab's process.
        drop(netns::hosts::thread_on(host, move || {
            let listener = std::net::TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                if port == 8081 {
                    let mut request = [0; 512];
                    let _ = stream.read(&mut request);
                    let status = if is_well.load(Ordering::Relaxed) { "200 OK" } else { "503 Sick" };
                    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
                }
            }
        }));
    }
    is_well
}

// row: 262
#[test]
fn who_cannot_reach_the_witness_takes_nothing_over() {
    lab("failover::life::who_cannot_reach_the_witness_takes_nothing_over", || {
        let net = Net::new(&["a", "b", "c"]);
        let is_well = be_witness("c");
        let text = |priority| configuration(priority, VIP, &format!("{FAST}\n{WITNESS}"));
        let mut a = net.start(Vrrp::Hawser, "a", &text(200));
        a.wait_for("(VI_1) witness answers");
        a.wait_for("(VI_1) Entering MASTER STATE");
        let b = net.start(Vrrp::Hawser, "b", &text(100));
        b.wait_for("(VI_1) witness answers");
        b.wait_for("(VI_1) Entering BACKUP STATE (init)");
        // b is cut off from both: without a witness it would be a second master.
        net.on("sw", "ip link set pb nomaster");
        b.wait_for("(VI_1) witness is out of reach: nothing is taken over");
        std::thread::sleep(Duration::from_secs(2));
        assert!(!net.has("b", VIP), "{}", b.log());
        assert!(net.has("a", VIP));
        // One of three targets is not enough either.
        net.on("sw", "ip link set pb master br0");
        b.wait_for_times("(VI_1) witness answers", 2);
        is_well.store(false, Ordering::Relaxed);
        net.on("c", "sysctl -qw net.ipv4.icmp_echo_ignore_all=1");
        b.wait_for_times("(VI_1) witness is out of reach", 2);
        a.kill();
        std::thread::sleep(Duration::from_secs(2));
        assert!(!net.has("b", VIP), "{}", b.log());
        // The master is gone, and the witness is back: now it may.
        is_well.store(true, Ordering::Relaxed);
        has_soon(&net, "b");
    });
}

fn ask(net_socket: &str, command: &str) -> String {
    let mut client = UnixStream::connect(net_socket).expect("the runtime socket");
    client.write_all(format!("{command}\n").as_bytes()).expect("writes");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("reads");
    text
}

#[test]
fn an_operator_sees_the_state_hands_over_and_takes_a_node_out_of_service() {
    lab("failover::life::an_operator_sees_the_state_hands_over_and_takes_a_node_out_of_service", || {
        let net = Net::new(&["a", "b"]);
        let a = net.start(Vrrp::Hawser, "a", &configuration(200, VIP, FAST));
        a.wait_for("(VI_1) Entering MASTER STATE");
        // One file system for all hosts of the lab: each daemon's socket has its name; the first one's is looked at.
        let socket = "/run/hawser/vrrp.sock";
        wait_until(Duration::from_secs(5), "the socket", || std::path::Path::new(socket).exists());
        assert!(
            ask(socket, "status").contains("VI_1                   51 MASTER"),
            "{}",
            ask(socket, "status")
        );
        assert!(ask(socket, "metrics").contains("hawser_vrrp_state{instance=\"VI_1\",vrid=\"51\"} 2"));
        assert!(ask(socket, "status json").starts_with("[{\"data\":{"));
        assert!(ask(socket, "handover VI_9").starts_with("error: there is no instance"));
        let b: Daemon = net.start(Vrrp::Keepalived, "b", &configuration(100, VIP, FAST));
        b.wait_for("(VI_1) Entering BACKUP STATE (init)");
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(ask(socket, "handover VI_1"), "ok\n");
        b.wait_for("(VI_1) Entering MASTER STATE");
        std::thread::sleep(Duration::from_millis(1000));
        assert!(net.has("b", VIP) && !net.has("a", VIP), "it does not come back by itself: {}", a.log());
        assert_eq!(ask(socket, "maintenance VI_1 on"), "ok\n");
        a.wait_for("(VI_1) Entering FAULT STATE");
        assert_eq!(ask(socket, "maintenance VI_1 off"), "ok\n");
        assert_eq!(ask(socket, "priority VI_1 50"), "ok\n");
        a.wait_for("(VI_1) Changing effective priority from 200 to 50");
    });
}

#[test]
fn statistics_are_written_as_keepalived_writes_them() {
    lab("failover::life::statistics_are_written_as_keepalived_writes_them", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            let a = net.start(
                program,
                "a",
                &configuration(
                    100,
                    VIP,
                    " authentication {\n  auth_type PASS\n  auth_pass 1111\n }\n notify /usr/bin/true",
                ),
            );
            a.wait_for("(VI_1) Entering MASTER STATE");
            for (signal, file) in [("USR2", "stats"), ("36", "json"), ("USR1", "data")] {
                a.signal(signal);
                wait_until(Duration::from_secs(5), "the dump", || {
                    std::fs::metadata(format!("/tmp/keepalived.{file}")).is_ok_and(|one| one.len() > 0)
                });
            }
            std::thread::sleep(Duration::from_millis(200));
            let read =
                |file: &str| std::fs::read_to_string(format!("/tmp/keepalived.{file}")).expect("written");
            let json = read("json");
            // The time of the change is another in each run.
            let at = json.find("\"last_transition\":").expect("it is there") + "\"last_transition\":".len();
            let end = at + json[at..].find(',').expect("more follows");
            let json = format!("{}{}", &json[..at], &json[end..]);
            (read("stats"), json.replace("\"advert_sent\":2", "\"advert_sent\":1"))
        });
        assert!(
            seen.0.starts_with("VRRP Instance: VI_1\n  Advertisements:\n    Received: 0\n"),
            "{}",
            seen.0
        );
    });
}

#[test]
fn a_pipe_hears_every_change_and_stays_open_over_a_reload() {
    lab("failover::life::a_pipe_hears_every_change_and_stays_open_over_a_reload", || {
        let net = Net::new(&["a"]);
        let text = |priority| {
            let text = configuration(priority, VIP, FAST);
            text.replace("global_defs {", "global_defs {\n vrrp_notify_fifo /tmp/pipe")
        };
        netns::run(
            "mkfifo /tmp/pipe; (cat /tmp/pipe > /tmp/heard; echo END >> /tmp/heard) >/dev/null 2>&1 &",
        );
        let mut a = net.start(Vrrp::Hawser, "a", &text(150));
        a.wait_for("(VI_1) Entering MASTER STATE");
        a.configure(&text(160));
        a.signal("HUP");
        a.wait_for("Reload complete");
        net.on("a", "ip link set eth0 down");
        a.wait_for("(VI_1) Entering FAULT STATE");
        a.stop();
        std::thread::sleep(Duration::from_millis(300));
        let heard = std::fs::read_to_string("/tmp/heard").expect("heard");
        assert_eq!(
            heard.lines().collect::<Vec<_>>(),
            [
                "INSTANCE \"VI_1\" BACKUP 150",
                "INSTANCE \"VI_1\" MASTER 150",
                "INSTANCE \"VI_1\" FAULT 160",
                "INSTANCE \"VI_1\" STOP 160",
                "END"
            ]
        );
    });
}

#[test]
fn scripts_run_around_the_daemon_and_pipes_hear_the_states_after_a_reload() {
    lab("failover::life::scripts_run_around_the_daemon_and_pipes_hear_the_states_after_a_reload", || {
        same(|program| {
            let net = Net::new(&["a"]);
            std::fs::write("/tmp/say.sh", "#!/bin/sh\necho \"$@\" >> /tmp/said\n").expect("written");
            netns::run("chmod +x /tmp/say.sh; rm -f /tmp/said");
            // keepalived closes its pipe at a reload: the reader opens it anew.
            let read = "echo $$ > /tmp/reader; while :; do cat /tmp/pipe >> /tmp/heard; done";
            netns::run(&format!("mkfifo /tmp/pipe; sh -c '{read}' > /dev/null 2>&1 &"));
            let text = |priority| {
                let globals = "global_defs {\n startup_script \"/tmp/say.sh up\"\n \
                               shutdown_script \"/tmp/say.sh down\"\n vrrp_notify_fifo /tmp/pipe\n \
                               fifo_write_vrrp_states_on_reload";
                configuration(priority, VIP, FAST).replace("global_defs {", globals)
            };
            let mut a = net.start(program, "a", &text(150));
            a.wait_for("(VI_1) Entering MASTER STATE");
            a.configure(&text(160));
            a.signal("HUP");
            a.wait_for("Reload complete");
            std::thread::sleep(Duration::from_millis(500));
            let heard = std::fs::read_to_string("/tmp/heard").expect("heard");
            a.stop();
            // The next one has a pipe of its own.
            netns::run("kill $(cat /tmp/reader); pkill -x cat; rm -f /tmp/pipe /tmp/heard");
            if program == Vrrp::Hawser {
                assert_eq!(heard.lines().last(), Some("INSTANCE \"VI_1\" MASTER 160"), "{heard}");
            }
            std::fs::read_to_string("/tmp/said").expect("said")
        });
    });
}

// row: 258, 259
#[test]
fn the_pair_of_the_case_has_one_master_that_stays() {
    lab("failover::life::the_pair_of_the_case_has_one_master_that_stays", || {
        let net = Net::new(&["a", "b"]);
        let text = |priority: u8| {
            format!(
                "global_defs {{\n router_id hk-{priority}\n}}\nvrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n \
                 garp_master_delay 10\n virtual_router_id 51\n priority {priority}\n nopreempt\n advert_int 1\n \
                 authentication {{\n  auth_type PASS\n  auth_pass 1111\n }}\n virtual_ipaddress {{\n  \
                 10.9.0.100 label eth0:1\n }}\n}}\n"
            )
        };
        let a = net.start(Vrrp::Hawser, "a", &text(100));
        let mut b = net.start(Vrrp::Hawser, "b", &text(99));
        wait_until(Duration::from_secs(10), "a master", || net.has("a", VIP) || net.has("b", VIP));
        std::thread::sleep(Duration::from_millis(1500));
        let (first, second) = (net.has("a", VIP), net.has("b", VIP));
        assert!(first != second, "one of them holds it");
        let master = if first { "a" } else { "b" };
        assert!(net.on(master, "ip addr").contains("inet 10.9.0.100/32 scope global eth0:1"));
        if second {
            b.stop();
            has_soon(&net, "a");
            b.start();
            b.wait_for_times("(VI_1) Entering BACKUP STATE", 2);
            std::thread::sleep(Duration::from_millis(4500));
            assert!(net.has("a", VIP) && !net.has("b", VIP), "who returns stays backup");
        }
        drop(a);
    });
}

#[test]
fn in_the_background_it_has_pid_files_and_ends_with_its_signal() {
    lab("failover::life::in_the_background_it_has_pid_files_and_ends_with_its_signal", || {
        let net = Net::new(&["a"]);
        std::fs::write("/tmp/conf", configuration(100, VIP, FAST)).expect("written");
        let binary = netns::hosts::hawser();
        let command = |more: &str| {
            format!(
                "{} keepalived -G -g /tmp/log -P -f /tmp/conf -p /tmp/pid -r /tmp/vrrp.pid {more}",
                binary.display()
            )
        };
        // A file with a mistake is refused before anything goes to the background.
        std::fs::write("/tmp/bad", "vrrp_instance {\n").expect("written");
        assert!(!netns::run_quietly(&format!(
            "ip netns exec a {}",
            command("").replace("/tmp/conf", "/tmp/bad")
        )));
        net.on("a", &command(""));
        has_soon(&net, "a");
        let pid = std::fs::read_to_string("/tmp/pid").expect("a pid file");
        assert!(std::path::Path::new("/tmp/vrrp.pid").exists());
        netns::run(&format!("kill {}", pid.trim()));
        wait_until(Duration::from_secs(10), "its end", || !std::path::Path::new("/tmp/pid").exists());
        assert!(!net.has("a", VIP));
        assert!(std::fs::read_to_string("/tmp/log").expect("a log").contains("(VI_1) sent 0 priority"));
        // With `-V` addresses stay.
        net.on("a", &command("-V"));
        has_soon(&net, "a");
        netns::run("sleep 0.3; kill $(cat /tmp/pid)");
        wait_until(Duration::from_secs(10), "its end", || !std::path::Path::new("/tmp/pid").exists());
        assert!(net.has("a", VIP));
    });
}

#[test]
fn systemd_is_told_of_readiness_reloads_and_the_end() {
    lab("failover::life::systemd_is_told_of_readiness_reloads_and_the_end", || {
        let net = Net::new(&["a"]);
        std::fs::write("/tmp/conf", configuration(100, VIP, FAST)).expect("written");
        let socket = std::os::unix::net::UnixDatagram::bind("/tmp/systemd").expect("binds");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("it can");
        let mut daemon = std::process::Command::new("ip")
            .args(["netns", "exec", "a"])
            .arg(netns::hosts::hawser())
            .args([
                "keepalived",
                "-n",
                "-l",
                "-P",
                "-f",
                "/tmp/conf",
                "-p",
                "/tmp/pid",
                "-r",
                "/tmp/vrrp.pid",
            ])
            .env("NOTIFY_SOCKET", "/tmp/systemd")
            .spawn()
            .expect("it starts");
        let hear = || {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        assert_eq!(hear(), format!("READY=1\nMAINPID={}", daemon.id()));
        has_soon(&net, "a");
        netns::run(&format!("kill -HUP {}", daemon.id()));
        assert!(hear().starts_with("RELOADING=1"));
        assert!(hear().starts_with("READY=1"));
        netns::run(&format!("kill {}", daemon.id()));
        assert_eq!(hear(), "STOPPING=1");
        assert!(daemon.wait().expect("it is ours").success());
    });
}
