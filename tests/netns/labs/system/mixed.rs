//! Beside the programs that are replaced: one node of theirs, one of ours, and the same clients.

use netns::lab;
use netns::site::{Clients, MASTERS, Site};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program in the foreground on a host; killed when dropped.
struct Program(Child);

impl Program {
    #[track_caller]
    fn start(site: &Site, host: &str, line: &str) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(site.directory(host).join("log"));
        let log = log.expect("its log");
        let errors = log.try_clone().expect("a handle");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", host]).args(line.split_whitespace());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Program(command.spawn().expect("it starts"))
    }

    /// SIGTERM, and waits for its end.
    fn stop(&mut self) {
        netns::run_quietly(&format!("kill -TERM {}", self.0.id()));
        let _ = self.0.wait();
    }

    /// SIGKILL to it and its children.
    fn kill(&mut self) {
        netns::run_quietly(&format!("kill -KILL {0} $(pgrep -P {0})", self.0.id()));
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A node of one kind: its proxy and its keepalived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Theirs,
    Ours,
}

impl Node {
    fn haproxy(self) -> String {
        match self {
            Node::Theirs => "/usr/sbin/haproxy".to_owned(),
            Node::Ours => format!("{} haproxy", netns::hosts::hawser().display()),
        }
    }

    fn keepalived(self) -> String {
        match self {
            Node::Theirs => "/usr/sbin/keepalived".to_owned(),
            Node::Ours => format!("{} keepalived", netns::hosts::hawser().display()),
        }
    }
}

const PAIR: &str = "global_defs {
    script_user root
}
vrrp_instance VI_1 {
    state BACKUP
    interface ens33
    virtual_router_id 51
    priority PRIORITY
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    UNICAST
    virtual_ipaddress {
        192.168.1.200/24 label ens33:1
    }
}
";

/// Runs the first node with the higher priority, stops it, kills the second; clients are served all the time.
#[track_caller]
fn pair_of(first: Node, second: Node, is_unicast: bool) {
    let site = Site::up("--bare");
    let mut programs = Vec::new();
    for (host, node, priority, own, peer) in
        [(MASTERS[0], first, 150, 113, 114), (MASTERS[1], second, 100, 114, 113)]
    {
        site.on(host, "sysctl -qw net.ipv4.ip_nonlocal_bind=1");
        let directory = site.directory(host);
        let unicast = format!("unicast_src_ip 192.168.1.{own}\n unicast_peer {{\n 192.168.1.{peer}\n }}");
        let text = PAIR.replace("PRIORITY", &format!("{priority}"));
        let text = text.replace("UNICAST", if is_unicast { &unicast } else { "" });
        std::fs::write(directory.join("keepalived.conf"), text).expect("its configuration");
        let d = directory.display();
        let proxy = Program::start(&site, host, &format!("{} -db -f {d}/haproxy.cfg", node.haproxy()));
        let line =
            format!("{} -n -l -D -P -f {d}/keepalived.conf -p {d}/k.pid -r {d}/v.pid", node.keepalived());
        programs.push((proxy, Program::start(&site, host, &line)));
        if host == MASTERS[0] {
            netns::wait_until(Duration::from_secs(15), "the first to be master", || site.owns(host));
        }
    }
    site.wait_for_owner(MASTERS[0]);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(programs.len(), 2);
    let clients = Clients::start();
    std::thread::sleep(Duration::from_millis(300));
    let at = Instant::now();
    programs[0].1.stop();
    site.wait_for_owner(MASTERS[1]);
    std::thread::sleep(Duration::from_millis(500));
    let stopped = clients.finish();
    println!("{first:?} stops, {second:?} takes over: {:?}", stopped.gap_after(at));
    assert!(stopped.gap_after(at) <= Duration::from_secs(1), "{:?}", stopped.gap_after(at));
    // And back: the first one preempts.
    let d = site.directory(MASTERS[0]);
    let line = format!(
        "{} -n -l -D -P -f {d}/keepalived.conf -p {d}/k.pid -r {d}/v.pid",
        first.keepalived(),
        d = d.display()
    );
    programs[0].1 = Program::start(&site, MASTERS[0], &line);
    site.wait_for_owner(MASTERS[0]);
    std::thread::sleep(Duration::from_millis(1500));
    let clients = Clients::start();
    std::thread::sleep(Duration::from_millis(300));
    let at = Instant::now();
    programs[0].1.kill();
    netns::wait_until(Duration::from_secs(6), "the second to be master", || site.owns(MASTERS[1]));
    std::thread::sleep(Duration::from_millis(500));
    let killed = clients.finish();
    println!("{first:?} is killed, {second:?} takes over: {:?}", killed.gap_after(at));
    assert!(killed.gap_after(at) <= Duration::from_secs(4), "{:?}", killed.gap_after(at));
}

// row: 327
#[test]
fn keepalived_and_hawser_share_an_address_by_multicast_with_a_password() {
    lab("system::mixed::keepalived_and_hawser_share_an_address_by_multicast_with_a_password", || {
        pair_of(Node::Theirs, Node::Ours, false);
    });
}

// row: 327
#[test]
fn hawser_and_keepalived_share_an_address_by_multicast_with_a_password() {
    lab("system::mixed::hawser_and_keepalived_share_an_address_by_multicast_with_a_password", || {
        pair_of(Node::Ours, Node::Theirs, false);
    });
}

// row: 327
#[test]
fn keepalived_and_hawser_share_an_address_by_unicast_with_a_password() {
    lab("system::mixed::keepalived_and_hawser_share_an_address_by_unicast_with_a_password", || {
        pair_of(Node::Theirs, Node::Ours, true);
    });
}

// row: 327
#[test]
fn hawser_and_keepalived_share_an_address_by_unicast_with_a_password() {
    lab("system::mixed::hawser_and_keepalived_share_an_address_by_unicast_with_a_password", || {
        pair_of(Node::Ours, Node::Theirs, true);
    });
}

/// Both balance by the same keys and know the same cookies.
const SPREAD: &str = "defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend cookies
    bind ADDRESS:81
    default_backend cookies
backend cookies
    balance roundrobin
    cookie SERVERID insert indirect nocache
    server s1 192.168.1.111:80 cookie one
    server s2 192.168.1.112:80 cookie two
frontend map
    bind ADDRESS:82
    default_backend map
backend map
    balance uri
    server s1 192.168.1.111:80 weight 3
    server s2 192.168.1.112:80 weight 5
frontend ring
    bind ADDRESS:83
    default_backend ring
backend ring
    balance hdr(x-user)
    hash-type consistent
    server s1 192.168.1.111:80
    server s2 192.168.1.112:80
frontend source
    bind ADDRESS:84
    default_backend source
backend source
    balance source
    hash-type consistent djb2 avalanche
    server s1 192.168.1.111:80
    server s2 192.168.1.112:80
";

/// What one node answers to every question of the list.
fn spread(site: &Site, node: Node, host: &str, number: u8) -> Vec<String> {
    let path = site.directory(host).join("spread.cfg");
    std::fs::write(&path, SPREAD.replace("ADDRESS", &format!("192.168.1.{number}"))).expect("written");
    let _program = Program::start(site, host, &format!("{} -db -f {}", node.haproxy(), path.display()));
    let ask = |words: &str| {
        let line = format!("curl -s -m 2 {}", words.replace("NODE", &format!("192.168.1.{number}")));
        site.on("hk-client", &format!("{line} || true")).trim().to_owned()
    };
    netns::wait_until(Duration::from_secs(5), "the proxy", || !ask("http://NODE:84/").is_empty());
    let mut answers = Vec::new();
    for cookie in ["one", "two"] {
        answers.push(ask(&format!("-H 'Cookie: SERVERID={cookie}' http://NODE:81/")));
    }
    for key in 0..40 {
        answers.push(ask(&format!("http://NODE:82/page-{key}")));
        answers.push(ask(&format!("-H 'x-user: user{key}' http://NODE:83/")));
    }
    answers.push(ask("http://NODE:84/"));
    answers
}

// row: 328
#[test]
fn haproxy_and_hawser_send_each_client_to_the_same_server() {
    lab("system::mixed::haproxy_and_hawser_send_each_client_to_the_same_server", || {
        let site = Site::up("--bare");
        let theirs = spread(&site, Node::Theirs, MASTERS[0], 113);
        let ours = spread(&site, Node::Ours, MASTERS[1], 114);
        assert_eq!(ours, theirs);
        assert_eq!(&ours[..2], ["111", "112"], "cookies name servers");
        assert!(ours.contains(&"111".to_owned()) && ours.contains(&"112".to_owned()), "{ours:?}");
    });
}

/// One table between both nodes: what a client was given by one holds at the other.
const SHARED: &str = "peers both
    peer hk-master1 192.168.1.113:1024
    peer hk-master2 192.168.1.114:1024
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
listen sticky
    bind ADDRESS:85
    balance roundrobin
    stick-table type string len 32 size 10k expire 10m peers both
    stick on hdr(x-user)
    server s1 192.168.1.111:80
    server s2 192.168.1.112:80
";

// row: 328
#[test]
fn haproxy_and_hawser_share_their_stick_tables_and_spread_clients_alike() {
    lab("system::mixed::haproxy_and_hawser_share_their_stick_tables_and_spread_clients_alike", || {
        let site = Site::up("--bare");
        {
            let theirs = spread(&site, Node::Theirs, MASTERS[0], 113);
            assert_eq!(spread(&site, Node::Ours, MASTERS[1], 114), theirs, "cookies and hashes");
        }
        let mut programs = Vec::new();
        for (host, node, number) in [(MASTERS[0], Node::Theirs, 113), (MASTERS[1], Node::Ours, 114)] {
            let path = site.directory(host).join("shared.cfg");
            std::fs::write(&path, SHARED.replace("ADDRESS", &format!("192.168.1.{number}")))
                .expect("written");
            let line = format!("{} -db -L {host} -f {}", node.haproxy(), path.display());
            programs.push(Program::start(&site, host, &line));
        }
        let ask = |number: u8, user: &str| {
            let line = format!("curl -s -m 2 -H 'x-user: {user}' http://192.168.1.{number}:85/ || true");
            site.on("hk-client", &line).trim().to_owned()
        };
        for number in [113, 114] {
            netns::wait_until(Duration::from_secs(5), "the proxy", || !ask(number, "first").is_empty());
        }
        // They find each other within a reconnect or two.
        std::thread::sleep(Duration::from_secs(6));
        for (one, other) in [(113, 114), (114, 113)] {
            let users: Vec<String> = (0..12).map(|user| format!("user-{one}-{user}")).collect();
            let given: Vec<String> = users.iter().map(|user| ask(one, user)).collect();
            assert!(given.contains(&"111".to_owned()) && given.contains(&"112".to_owned()), "{given:?}");
            std::thread::sleep(Duration::from_secs(2));
            let held: Vec<String> = users.iter().map(|user| ask(other, user)).collect();
            assert_eq!(held, given, "entered at .{one}, asked at .{other}");
        }
    });
}
