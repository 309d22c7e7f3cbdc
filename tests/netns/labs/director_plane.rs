//! The plane of XDP programs as an administrator has it: started as a daemon, commanded by ipvsadm, killed and started
//! again, with real servers that are nginx and clients that are curl.

use crate::switch::{self, VIP};
use netns::hosts::hawser;
use netns::{Nginx, lab, run, run_quietly, wait_until};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `hawser director` with the XDP plane, killed when dropped.
pub struct Daemon(Child);

impl Daemon {
    pub fn start(more: &[&str]) -> Self {
        let mut command = Command::new(hawser());
        command.args(["director", "--plane", "xdp", "--interface", "own", "--flows", "4096"]).args(more);
        let daemon = Self(command.stdout(Stdio::null()).spawn().expect("the binary is built"));
        wait_until(Duration::from_secs(30), "the daemon", || Path::new("/run/hawser/director.sock").exists());
        wait_until(Duration::from_secs(10), "an answer", || run_quietly(&ipvsadm("-Ln")));
        daemon
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours");
        let _ = std::fs::remove_file("/run/hawser/director.sock");
    }

    /// SIGTERM, and its end.
    fn stop(mut self) {
        run(&format!("kill -TERM {}", self.0.id()));
        assert!(self.0.wait().expect("it is ours").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ipvsadm(line: &str) -> String {
    format!("{} ipvsadm {line}", hawser().display())
}

fn list() -> String {
    run(&ipvsadm("-Ln"))
}

/// The hosts; the director has the address.
pub fn hosts() -> Vec<Nginx> {
    let servers = switch::around_a_director();
    run(&format!("ip addr add {VIP}/32 dev own"));
    servers
}

fn answers(count: usize) -> Vec<String> {
    let get = format!("ip netns exec client curl -sS -m 5 http://{VIP}/ 2>&1 || true");
    (0..count).map(|_| run(&get).trim().to_owned()).collect()
}

fn alternate(answers: &[String]) -> bool {
    answers.iter().all(|one| one.starts_with("rs")) && answers.windows(2).all(|pair| pair[0] != pair[1])
}

// row: 289, 291, 292, 301, 302, 303, 304, 305, 307, 317, 318
#[test]
fn ipvsadm_commands_the_programs_and_flows_survive_a_kill() {
    lab("director_plane::ipvsadm_commands_the_programs_and_flows_survive_a_kill", || {
        let _servers = hosts();
        let daemon = Daemon::start(&["--pin", "/run/bpf/hawser", "--keep"]);
        let command = |line: &str| run(&ipvsadm(line));
        command(&format!("-A -t {VIP}:80 -s rr"));
        command(&format!("-a -t {VIP}:80 -r 10.1.0.11:80 -g -w 1"));
        command(&format!("-a -t {VIP}:80 -r 10.1.0.12:80 -g -w 1"));
        assert!(run_quietly(&format!(
            "{} 2>/tmp/twice || grep -q 'Service already exists' /tmp/twice",
            ipvsadm(&format!("-A -t {VIP}:80 -s rr"))
        )));
        let routed = answers(6);
        assert!(alternate(&routed), "{routed:?}");
        // Of closed connections the director has seen the client's FIN.
        let expected = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.1.0.100:80 rr
  -> 10.1.0.11:80                 Route   1      0          3        \u{20}
  -> 10.1.0.12:80                 Route   1      0          3        \u{20}
";
        assert_eq!(list(), expected);
        let saved = command("-Sn");

        // A connection that is under way, and a daemon that is killed: the programs go on.
        let slow = format!(
            "ip netns exec client bash -c 'exec 3<>/dev/tcp/{VIP}/80; printf \"GET / HTTP/1.1\\r\\nHost: a\\r\\n\" >&3; \
             while [ ! -e /tmp/go ]; do sleep 0.05; done; printf \"Connection: close\\r\\n\\r\\n\" >&3; cat <&3' \
             > /tmp/slow 2>&1; touch /tmp/ended"
        );
        let mut client = Command::new("sh").args(["-c", &slow]).spawn().expect("sh is there");
        wait_until(Duration::from_secs(10), "a connection", || list().contains(" 1          3"));
        daemon.kill();
        let meanwhile = answers(4);
        assert!(alternate(&meanwhile), "nobody commands the programs: {meanwhile:?}");
        let daemon = Daemon::start(&["--pin", "/run/bpf/hawser", "--keep"]);
        assert_eq!(command("-Sn"), saved);
        assert!(list().contains(" 1          5"), "the connection is known: {}", list());
        std::fs::write("/tmp/go", "").expect("written");
        wait_until(Duration::from_secs(10), "its end", || Path::new("/tmp/ended").exists());
        client.wait().expect("it is ours");
        let answer = std::fs::read_to_string("/tmp/slow").expect("written");
        assert!(answer.contains("200 OK") && answer.contains("rs"), "{answer}");

        // Translation; then a table that is flushed and restored.
        for name in ["rs1", "rs2"] {
            run(&format!("ip -n {name} route add 10.1.0.2/32 via 10.1.0.1"));
        }
        for last in [11, 12] {
            command(&format!("-e -t {VIP}:80 -r 10.1.0.{last}:80 -m -w 1"));
        }
        let translated = answers(6);
        assert!(alternate(&translated), "{translated:?}");
        assert!(list().contains("Masq"));
        command(&format!("-d -t {VIP}:80 -r 10.1.0.11:80"));
        assert_eq!(answers(3), ["rs2"; 3]);
        command("-C");
        assert_eq!(list().lines().count(), 3);
        std::fs::write("/tmp/saved", &saved).expect("written");
        run(&format!("{} < /tmp/saved", ipvsadm("-R")));
        assert_eq!(command("-Sn"), saved);
        let stats = command(&format!("-Ln --stats -t {VIP}:80"));
        assert!(stats.contains("Conns"), "{stats}");
        daemon.stop();
    });
}

const HASHED: &str = "virtual_server 10.1.0.100 80 {
    lvs_sched SCHEDULER
    lvs_method DR
    delay_loop 60
    protocol TCP
    real_server 10.1.0.11 80 {
        weight 2
    }
    real_server 10.1.0.12 80 {
        weight 1
    }
}
";

/// What `hawser explain` says of a packet is what the programs do with it.
// row: 298, 299
#[test]
fn explain_tells_where_schedulers_that_hash_place_a_client() {
    lab("director_plane::explain_tells_where_schedulers_that_hash_place_a_client", || {
        let _servers = hosts();
        let clients: Vec<String> = (0..12).map(|number| format!("10.1.0.{}", 120 + 7 * number)).collect();
        for address in &clients {
            run(&format!("ip -n client addr add {address}/24 dev lan"));
        }
        for scheduler in ["sh", "mh", "dh"] {
            std::fs::write("/tmp/k.conf", HASHED.replace("SCHEDULER", scheduler)).expect("written");
            let daemon = Daemon::start(&["--no-pin", "-f", "/tmp/k.conf"]);
            wait_until(Duration::from_secs(10), "both real servers", || list().contains("10.1.0.12:80"));
            let mut seen = std::collections::BTreeSet::new();
            for address in &clients {
                let told = run(&format!(
                    "{} explain --packet tcp --src {address} --to {VIP}:80 -k /tmp/k.conf",
                    hawser().display()
                ));
                let told = told.lines().find(|line| line.starts_with("hashed")).expect("it is computed");
                let answer =
                    run(&format!("ip netns exec client curl -sS -m 5 --interface {address} http://{VIP}/"));
                let place = if answer.trim() == "rs1" { "10.1.0.11:80 " } else { "10.1.0.12:80 " };
                assert!(told.contains(place), "{scheduler}, {address}: {answer}, but {told}");
                seen.insert(answer.trim().to_owned());
            }
            assert_eq!(seen.len(), if scheduler == "dh" { 1 } else { 2 }, "{scheduler}: {seen:?}");
            daemon.stop();
        }
    });
}

/// New connections while the service is rewritten all the time.
#[test]
fn a_service_is_swapped_without_a_lost_packet() {
    lab("director_plane::a_service_is_swapped_without_a_lost_packet", || {
        let _servers = hosts();
        let _daemon = Daemon::start(&["--no-pin"]);
        run(&ipvsadm(&format!("-A -t {VIP}:80 -s rr")));
        run(&ipvsadm(&format!("-a -t {VIP}:80 -r 10.1.0.11:80 -g")));
        run(&ipvsadm(&format!("-a -t {VIP}:80 -r 10.1.0.12:80 -g")));
        assert!(alternate(&answers(2)));
        let commands: String = (0..400)
            .flat_map(|round| {
                let weight = 1 + round % 5;
                let scheduler = ["rr", "wlc", "mh", "wrr"][round % 4];
                [
                    format!("-e -t {VIP}:80 -r 10.1.0.11:80 -g -w {weight}\n"),
                    format!("-E -t {VIP}:80 -s {scheduler}\n"),
                ]
            })
            .collect();
        std::fs::write("/tmp/commands", commands).expect("written");
        let swap = format!("while [ ! -e /tmp/enough ]; do {} < /tmp/commands; done", ipvsadm("-R"));
        let mut swapping = Command::new("sh").args(["-c", &swap]).spawn().expect("sh is there");
        // A lost SYN costs a second.
        let get = format!(
            "ip netns exec client sh -c 'for i in $(seq 300); do curl -sS -m 0.9 -o /dev/null http://{VIP}/ || echo lost; done'"
        );
        let lost = run(&get);
        std::fs::write("/tmp/enough", "").expect("written");
        assert!(swapping.wait().expect("it is ours").success());
        assert_eq!(lost, "", "none of 300 connections lost a packet");
    });
}

/// What stands in the way of the programs is said at the start, and when a tunnel makes it matter.
#[test]
fn a_host_that_does_not_forward_or_puts_packets_together_is_told_of() {
    lab("director_plane::a_host_that_does_not_forward_or_puts_packets_together_is_told_of", || {
        let _servers = hosts();
        run("sysctl -qw net.ipv4.ip_forward=0 && ethtool -K own gro on");
        let log = std::fs::File::create("/tmp/log").expect("made");
        let mut command = Command::new(hawser());
        command.args(["director", "--plane", "xdp", "--interface", "own", "--flows", "4096", "--no-pin"]);
        let _daemon = Daemon(command.stdout(log).spawn().expect("the binary is built"));
        let count = |part: &str| {
            let text = std::fs::read_to_string("/tmp/log").expect("written");
            text.lines().filter(|line| line.starts_with("own: ") && line.ends_with(part)).count()
        };
        let forward = "sysctl -w net.ipv4.ip_forward=1";
        let offload = "ethtool -K own gro off, or --native";
        wait_until(Duration::from_secs(30), "a word about forwarding", || count(forward) == 1);
        run(&ipvsadm(&format!("-A -t {VIP}:80 -s rr")));
        run(&ipvsadm(&format!("-a -t {VIP}:80 -r 10.1.0.11:80 -g")));
        assert_eq!(count(offload), 0, "nobody tunnels");
        run(&ipvsadm(&format!("-a -t {VIP}:80 -r 10.1.0.12:80 -i")));
        wait_until(Duration::from_secs(10), "a word about offload", || count(offload) == 1);
        assert_eq!(count(forward), 1, "once is enough");
    });
}
