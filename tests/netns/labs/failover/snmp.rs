//! SNMP: what managers see and are told, beside keepalived 2.2.7 under the same snmpd; and masters that come late or hang.

use super::configuration;
use netns::hosts::{Daemon, Net, Vrrp, thread_on};
use netns::{lab, run, run_quietly, wait_until};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MASTER: &str = "/run/agentx";
const KEEPALIVED: &str = ".1.3.6.1.4.1.9586.100.5";
const RFC_2787: &str = ".1.3.6.1.2.1.68";
const RFC_6527: &str = ".1.3.6.1.2.1.207";
const AGENT: &str = "127.0.0.1:16161";

/// A daemon of Net-SNMP on a host; killed when dropped.
struct Server(Child);

impl Server {
    fn start(host: &str, words: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", host]).args(words);
        command.env("SNMP_PERSISTENT_DIR", "/tmp/snmp").env("MIBS", "");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("apt-get install snmpd snmptrapd"))
    }

    /// The master agent: anybody may read and write.
    fn master(host: &str) -> Self {
        let text = format!(
            "rwcommunity public 127.0.0.1\nagentAddress udp:{AGENT}\nmaster agentx\nagentXSocket unix:{MASTER}\n\
             trap2sink 127.0.0.1:16162 public\n"
        );
        std::fs::write("/tmp/snmpd.conf", text).expect("its configuration");
        let server =
            Self::start(host, &["snmpd", "-f", "-C", "-c", "/tmp/snmpd.conf", "-Lf", "/tmp/snmpd.log"]);
        let up_time = format!("snmpget -v2c -c public -On -m \"\" {AGENT} .1.3.6.1.2.1.1.3.0");
        wait_until(Duration::from_secs(10), "snmpd", || {
            let listens = std::path::Path::new(MASTER).exists();
            listens && run_quietly(&format!("ip netns exec {host} {up_time}"))
        });
        server
    }

    /// Writes each trap on a line.
    fn traps(host: &str) -> Self {
        std::fs::write("/tmp/snmptrapd.conf", "disableAuthorization yes\n").expect("its configuration");
        let words = ["snmptrapd", "-f", "-C", "-c", "/tmp/snmptrapd.conf", "-On", "-F", "%v\n"];
        let server = Self::start(host, &[&words[..], &["-Lf", "/tmp/traps", "udp:127.0.0.1:16162"]].concat());
        wait_until(Duration::from_secs(10), "snmptrapd", || {
            run(&format!("ip netns exec {host} ss -Hlun")).contains(":16162")
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Name and value of each object below `name`.
fn walk(net: &Net, name: &str) -> BTreeMap<String, String> {
    let text = net.on("a", &format!("snmpbulkwalk -v2c -c public -On -m '' -Cc {AGENT} {name}"));
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

const GLOBAL: &str = "global_defs {
 router_id LVS_1
 script_user root
 smtp_server 10.9.0.9
 notification_email_from a@b
 notification_email {
  x@y
  z@y
 }
 enable_snmp_vrrp
 enable_snmp_rfc
 enable_traps
 snmp_socket unix:/run/agentx
";

/// Of everything that is shown, one.
const EVERYTHING: &str = "
 lvs_flush
 lvs_flush_on_stop VS
 smtp_alert on
 smtp_alert_vrrp off
 no_email_faults
}
vrrp_script chk {
 script \"/usr/bin/true\"
 interval 2
 weight 10
 rise 2
 fall 3
}
vrrp_script bad {
 script \"/usr/bin/false 1 2\"
 interval 3
 weight -20 reverse
}
vrrp_track_process one {
 process no_such_program -a b
 param_match initial
 weight 3 reverse
 quorum 2
 quorum_max 5
 fork_delay 0.5
 terminate_delay 1.5
}
vrrp_track_process two {
 process no_such_program
 weight 2
}
track_file tf {
 file /tmp/tf
 init_file 7
 weight 2 reverse
}
bfd_instance peer {
 neighbor_ip 10.9.0.2
 source_ip 10.9.0.1
}
static_ipaddress {
 10.7.0.1/24 dev eth0
 fd07::1/64 dev eth0
 10.7.1.1/24 brd 10.7.1.255 dev eth0 scope link label eth0:7
 10.7.2.1/24 dev eth1 scope site
 10.7.3.1/24 dev eth1 scope nowhere
 10.7.6.1 peer 10.7.6.2 dev eth1 scope host
}
static_routes {
 10.1.0.0/16 via 10.7.0.9 dev eth0
 10.4.0.0/16 src 10.7.0.1 metric 5 scope link dev eth0 table 100 mtu lock 1000
 10.5.0.0/16 nexthop via 10.7.0.8 dev eth0 weight 2 nexthop via 10.7.0.7 dev eth0 weight 3
 10.6.0.0/16 via 10.7.0.9 dev eth0 tos 16
 unreachable 10.13.0.0/16
 prohibit 10.14.0.0/16
 throw 10.15.0.0/16
 fd0c::/64 via fd07::9 dev eth0
}
static_rules {
 from 10.7.0.1 table 100 preference 900
 to 10.7.0.2/32 from 10.8.0.0/16 iif eth0 fwmark 3/7 tos 16 table 101 preference 901
 from 10.7.0.0/16 goto 950 preference 902
 from 10.7.0.0/16 unreachable preference 950
 from 10.7.0.0/16 prohibit oif eth0 preference 951
 from fd07::/64 table 100 suppress_prefixlength 0 preference 953
 from fd07::/64 table 100 uidrange 100-200 preference 954
 not from fd07::/64 table 100 preference 959
}
vrrp_sync_group G {
 group {
  VI_2
  VI_3
 }
 smtp_alert
 sync_group_tracking_weight
 notify_master \"/usr/bin/true\"
 notify_backup \"/usr/bin/true b\"
 notify_fault \"/usr/bin/true f\"
 notify_stop \"/usr/bin/true s\"
 notify \"/usr/bin/true a b\"
 track_interface {
  eth1 weight 2
 }
 track_script {
  chk
 }
 track_file {
  tf weight 3
 }
 track_bfd {
  peer weight 3
 }
 track_process {
  two
 }
}
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 51
 priority 100
 version 3
 advert_int 0.5
 preempt_delay 3
 promote_secondaries
 track_script {
  chk
  bad weight 4
 }
 track_file {
  tf weight 1
 }
 track_process {
  one
  two
 }
 track_bfd {
  peer weight 2
 }
 track_interface {
  eth1 weight 5
 }
 virtual_ipaddress {
  10.9.0.101/24 dev eth0 label eth0:1
  10.9.0.111/24 brd 10.9.0.255 dev eth0
 }
 virtual_ipaddress_excluded {
  fd09::101
  10.9.0.121
 }
 virtual_routes {
  10.2.0.0/16 via 10.9.0.9 dev eth0
  blackhole 10.3.0.0/16
  fd0a::/64 via fd09::99 dev eth0
 }
 virtual_rules {
  from 10.9.0.101 table 100 preference 1000
  not to 10.9.0.0/24 blackhole preference 1001
 }
 notify_backup \"/usr/bin/true\"
}
vrrp_instance VI_2 {
 interface eth0
 virtual_router_id 52
 priority 120
 state MASTER
 smtp_alert
 authentication {
  auth_type PASS
  auth_pass abcd
 }
 unicast_src_ip 10.9.0.1
 unicast_peer {
  10.9.0.2
 }
 virtual_ipaddress {
  10.9.0.102
 }
 notify_master \"/usr/bin/true m\"
 notify_fault \"/usr/bin/true f\"
 notify_stop \"/usr/bin/true s\"
 notify_deleted \"/usr/bin/true d\"
 notify_master_rx_lower_pri \"/usr/bin/true l\"
 notify \"/usr/bin/true n\"
}
vrrp_instance VI_3 {
 interface eth0
 virtual_router_id 53
 priority 90
 nopreempt
 use_vmac
 virtual_ipaddress {
  10.9.0.103
 }
 authentication {
  auth_type AH
  auth_pass abcd
 }
}
vrrp_instance VI_6 {
 interface eth0
 virtual_router_id 54
 priority 254
 version 3
 garp_master_delay 2
 no_accept
 virtual_ipaddress {
  fe80::99
  fd09::77/64
 }
}
";

/// What is not compared: the start of the name, and why.
const EXEMPT: &[(&str, &str)] = &[
    (".1.3.6.1.4.1.9586.100.5.1.1.0", "the version"),
    (".1.3.6.1.4.1.9586.100.5.2.3.1.11.", "it says tracked where another interface is tracked"),
    (".1.3.6.1.4.1.9586.100.5.2.6.1.11.", "it says advertised of the first instance alone"),
    (".1.3.6.1.4.1.9586.100.5.2.12.1.3.", "it gives the file's weight, not the instance's"),
    (".1.3.6.1.4.1.9586.100.5.2.16.1.3.", "it gives the file's weight, not the group's"),
    (".1.3.6.1.4.1.9586.100.5.2.17.1.3.", "it gives the session's weight, not the instance's"),
    (".1.3.6.1.4.1.9586.100.5.2.19.1.3.", "it gives the session's weight, not the group's"),
    (".1.3.6.1.4.1.9586.100.5.2.21.1.5.", "its numbers of initial and partial are not the MIB's"),
    (".1.3.6.1.2.1.68.1.3.1.7.", "it gives 0.0.0.0 as the master that it is itself"),
    (".1.3.6.1.2.1.68.1.3.1.8.", "it gives whichever address the interface got, not the source"),
    (".1.3.6.1.2.1.68.1.3.1.13.", "time"),
    (".1.3.6.1.2.1.207.1.1.1.1.12.", "time"),
];

/// Tables of which keepalived finds the first row alone.
const FIRST_ROW: [&str; 2] = [".1.3.6.1.2.1.68.1.3.1.", ".1.3.6.1.2.1.68.2.4.1."];

#[test]
fn managers_see_what_keepalived_shows() {
    lab("failover::snmp::managers_see_what_keepalived_shows", || {
        let seen = |program| {
            let net = Net::new(&["a"]);
            net.on(
                "a",
                "ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up",
            );
            let _master = Server::master("a");
            let mut a = net.start(program, "a", &format!("{GLOBAL}{EVERYTHING}"));
            for name in ["VI_1", "VI_2", "VI_3", "VI_6"] {
                a.wait_for(&format!("({name}) Entering MASTER STATE"));
            }
            a.wait_for("VRRP_Script(chk) succeeded");
            // Priorities that follow from it, and the age of what a manager may get.
            std::thread::sleep(Duration::from_secs(2));
            assert!(!a.log().contains("SIGSEGV"), "{}", a.log());
            let seen = [KEEPALIVED, RFC_2787, RFC_6527].map(|name| walk(&net, name));
            a.stop();
            run("rm -f /tmp/tf");
            seen
        };
        let theirs = seen(Vrrp::Keepalived);
        let ours = seen(Vrrp::Hawser);
        for (theirs, ours) in theirs.iter().zip(&ours) {
            assert!(theirs.len() > 25, "{theirs:#?}");
            let mut different = String::new();
            for name in theirs.keys().chain(ours.keys().filter(|name| !theirs.contains_key(*name))) {
                let is_first = FIRST_ROW.iter().any(|table| name.starts_with(table));
                let is_exempt = EXEMPT.iter().any(|(start, _)| name.starts_with(start));
                let (theirs, ours) = (theirs.get(name), ours.get(name));
                // What is exempt has to be there all the same.
                let is_alike = match (theirs, ours) {
                    (None, Some(_)) => is_first,
                    (Some(_), Some(_)) if is_exempt => true,
                    (theirs, ours) => theirs == ours,
                };
                if !is_alike {
                    let _ = writeln!(different, "{name}: keepalived {theirs:?}, hawser {ours:?}");
                }
            }
            assert_eq!(different, "");
        }
        // What is exempt, as it should be: four instances, each with its interface, addresses, weights and rows.
        let value = |table: usize, name: &str| ours[table].get(name).map(String::as_str);
        let of_keepalived = |name: &str| value(0, &format!("{KEEPALIVED}.{name}"));
        assert_eq!(of_keepalived("2.3.1.11.2"), Some("INTEGER: 1"));
        assert_eq!(of_keepalived("2.6.1.11.2.1"), Some("INTEGER: 1"));
        assert_eq!(of_keepalived("2.6.1.11.1.3"), Some("INTEGER: 2"));
        assert_eq!(of_keepalived("2.12.1.3.1.1"), Some("INTEGER: 1"));
        assert_eq!(of_keepalived("2.17.1.3.1.1"), Some("INTEGER: 2"));
        assert_eq!(of_keepalived("2.21.1.5.1"), Some("INTEGER: 3"));
        let index = net_index(&ours[1]);
        for router in [52, 53] {
            for column in [7, 8] {
                let name = format!("{RFC_2787}.1.3.1.{column}.{index}.{router}");
                assert_eq!(value(1, &name), Some("IpAddress: 10.9.0.1"), "{name}");
            }
        }
    });
}

/// The index of eth0, by the first row of a table.
fn net_index(seen: &BTreeMap<String, String>) -> String {
    let start = format!("{RFC_2787}.1.3.1.3.");
    let name = seen.keys().find_map(|name| name.strip_prefix(&start)).expect("a row");
    name.split('.').next().expect("an index").to_owned()
}

/// Traps without their time, by what they are about: `G`, or the name of an instance, or the RFC's objects.
fn traps() -> Vec<String> {
    let text = std::fs::read_to_string("/tmp/traps").unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(".1.3.6.1.6.3.1.1.4.1.0 = OID: "));
    let ours = lines.map(|(_, rest)| rest.trim().to_owned());
    ours.filter(|line| [KEEPALIVED, RFC_2787, RFC_6527].iter().any(|mib| line.starts_with(mib))).collect()
}

#[test]
fn managers_are_told_what_keepalived_tells() {
    lab("failover::snmp::managers_are_told_what_keepalived_tells", || {
        let told = |program| {
            let net = Net::new(&["a"]);
            let _master = Server::master("a");
            let _traps = Server::traps("a");
            let router = |name: &str, number: u8, more: &str| {
                format!(
                    "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {number}\n priority 100\n{more}\n \
                     virtual_ipaddress {{\n 10.9.0.{number}\n }}\n}}\n"
                )
            };
            let group = "vrrp_sync_group G {\n group {\n VI_2\n VI_3\n }\n}\n";
            let text = [
                format!("{GLOBAL}}}\n{group}"),
                router("VI_1", 101, " version 3"),
                router("VI_2", 102, ""),
                router("VI_3", 103, " state MASTER"),
            ];
            let mut a = net.start(program, "a", &text.concat());
            let wait = |a: &Daemon, line: &str, times: usize| {
                for name in ["VI_1", "VI_2", "VI_3"] {
                    a.wait_for_times(&format!("({name}) {line}"), times);
                }
            };
            wait(&a, "Entering MASTER STATE", 1);
            // Told by all three, or keepalived lost its session.
            wait_until(Duration::from_secs(10), "the first mastership is told", || {
                traps().iter().filter(|line| line.starts_with(RFC_6527)).count() == 3
            });
            net.on("a", "ip link set eth0 down");
            wait(&a, "Entering FAULT STATE", 1);
            net.on("a", "ip link set eth0 up");
            wait(&a, "Entering MASTER STATE", 2);
            wait_until(Duration::from_secs(10), "the second mastership is told", || {
                traps().iter().filter(|line| line.starts_with(RFC_6527)).count() == 6
            });
            a.stop();
            wait_until(Duration::from_secs(10), "the end is told", || {
                traps().iter().filter(|line| line.contains(".2.3.1.4 = INTEGER: 5")).count() == 3
            });
            std::thread::sleep(Duration::from_millis(300));
            let traps = traps();
            run("rm -f /tmp/traps");
            // Of each its own order: instances change beside each other.
            ["\"G\"", "\"VI_1\"", "\"VI_2\"", "\"VI_3\"", RFC_2787, RFC_6527].map(|what| {
                let of: Vec<String> = traps.iter().filter(|line| line.contains(what)).cloned().collect();
                let mut of = of;
                if what.starts_with('.') {
                    of.sort();
                }
                of
            })
        };
        let theirs = told(Vrrp::Keepalived);
        let ours = told(Vrrp::Hawser);
        assert!(theirs.iter().all(|of| of.len() >= 4), "{theirs:#?}");
        assert_eq!(ours, theirs, "hawser on the left, keepalived on the right");
    });
}

#[test]
fn a_new_master_tells_why_as_keepalived_does() {
    lab("failover::snmp::a_new_master_tells_why_as_keepalived_does", || {
        let told = |program| {
            let net = Net::new(&["a", "b"]);
            let _master = Server::master("a");
            let _traps = Server::traps("a");
            let text = |priority| {
                configuration(priority, "10.9.0.100", " version 3").replacen("global_defs {", GLOBAL, 1)
            };
            let plain = configuration(100, "10.9.0.100", " version 3");
            let mut b = net.start(Vrrp::Keepalived, "b", &plain);
            b.wait_for("(VI_1) Entering MASTER STATE");
            let told = |masterships: usize| {
                let all =
                    || traps().into_iter().filter(|line| line.starts_with(RFC_6527)).collect::<Vec<_>>();
                wait_until(Duration::from_secs(20), "a mastership", || all().len() == masterships);
                all()
            };
            // It takes over from a lesser one, which is there.
            let mut a = net.start(program, "a", &text(150));
            told(1);
            a.stop();
            b.wait_for_times("(VI_1) Entering MASTER STATE", 2);
            // The master leaves, then one is silent.
            let mut a = net.start(program, "a", &text(50));
            a.wait_for("(VI_1) Entering BACKUP STATE");
            std::thread::sleep(Duration::from_secs(2));
            b.stop();
            told(2);
            b.start();
            b.wait_for_times("(VI_1) Entering MASTER STATE", 3);
            a.wait_for_times("(VI_1) Entering BACKUP STATE", 2);
            std::thread::sleep(Duration::from_secs(2));
            b.kill();
            let all = told(3);
            a.stop();
            run("rm -f /tmp/traps");
            all
        };
        let theirs = told(Vrrp::Keepalived);
        let ours = told(Vrrp::Hawser);
        assert_eq!(ours, theirs, "hawser on the left, keepalived on the right");
    });
}

/// An advert of version 2 with that kind of authentication and secret; `wrong` goes into its checksum.
fn advert(kind: u8, secret: &[u8; 8], wrong: u16) -> Vec<u8> {
    let mut packet = vec![0x21, 52, 100, 1, kind, 1, 0, 0, 10, 9, 0, 102];
    packet.extend_from_slice(secret);
    let checksum = vrrp::packet::internet_checksum(&[&packet]) ^ wrong;
    packet[6..8].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// Sends adverts from `b`, with their TTL, one after the other.
fn send(adverts: Vec<(Vec<u8>, u32)>) {
    let sender = thread_on("b", move || {
        let protocol = rustix::net::Protocol::from_raw(NonZeroU32::new(112).expect("a number"));
        let kind = rustix::net::SocketType::RAW;
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, kind, Some(protocol)).expect("we may");
        rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 2), 0)).expect("our address");
        let own = Ipv4Addr::new(10, 9, 0, 2);
        rustix::net::sockopt::set_ip_multicast_if(&socket, &own).expect("our interface");
        for (packet, ttl) in adverts {
            rustix::net::sockopt::set_ip_multicast_ttl(&socket, ttl).expect("a TTL");
            let group = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 18), 0);
            rustix::net::sendto(&socket, &packet, rustix::net::SendFlags::empty(), &group)
                .expect("it leaves");
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    sender.join().expect("it does not panic");
}

#[test]
fn packets_that_are_refused_are_told_once_with_keepalived_s_reasons() {
    lab("failover::snmp::packets_that_are_refused_are_told_once_with_keepalived_s_reasons", || {
        let told = |program, floods: usize| {
            let net = Net::new(&["a", "b"]);
            let _master = Server::master("a");
            let _traps = Server::traps("a");
            let text = format!(
                "{GLOBAL}}}\nvrrp_instance VI_2 {{\n interface eth0\n virtual_router_id 52\n priority 200\n \
                 authentication {{\n auth_type PASS\n auth_pass abcd\n }}\n virtual_ipaddress {{\n 10.9.0.102\n }}\n}}\n"
            );
            let mut a = net.start(program, "a", &text);
            a.wait_for("(VI_2) Entering MASTER STATE");
            let (right, none) = (*b"abcd\0\0\0\0", [0; 8]);
            let mut adverts = vec![
                (advert(1, b"wrong\0\0\0", 0), 255),
                (advert(0, &none, 0), 255),
                (advert(7, &none, 0), 255),
                (advert(1, &right, 0), 3),
                (advert(1, &right, 5), 255),
            ];
            (0..floods).for_each(|_| adverts.push((advert(1, b"wrong\0\0\0", 0), 255)));
            send(adverts);
            let errors = || -> Vec<String> {
                let names = [format!("{RFC_2787}.0.2"), format!("{RFC_6527}.0.2")];
                let is_error =
                    |line: &String| names.iter().any(|name| line.starts_with(&format!("{name}\t")));
                traps().into_iter().filter(is_error).collect()
            };
            wait_until(Duration::from_secs(10), "five errors", || errors().len() >= 5);
            std::thread::sleep(Duration::from_secs(1));
            let reason = walk(&net, &format!("{RFC_6527}.1.2.5.1.6"));
            let errors = errors();
            a.stop();
            run("rm -f /tmp/traps");
            (errors, reason)
        };
        let theirs = told(Vrrp::Keepalived, 0);
        // A flood of one kind is one trap.
        let ours = told(Vrrp::Hawser, 5);
        assert_eq!(ours, theirs, "hawser on the left, keepalived on the right");
    });
}

#[test]
fn a_master_that_comes_late_is_found_and_writes_are_refused() {
    lab("failover::snmp::a_master_that_comes_late_is_found_and_writes_are_refused", || {
        let net = Net::new(&["a"]);
        let text = configuration(100, "10.9.0.100", "").replacen("global_defs {", GLOBAL, 1);
        let a = net.start(Vrrp::Hawser, "a", &text);
        a.wait_for("SNMP: no session with the master agent at unix:/run/agentx");
        a.wait_for("(VI_1) Entering MASTER STATE");
        let master = Server::master("a");
        a.wait_for("SNMP: AgentX subagent connected");
        let name = format!("{KEEPALIVED}.2.3.1.2.1");
        wait_until(Duration::from_secs(10), "an answer", || walk(&net, &name).len() == 1);
        let priority = format!("{KEEPALIVED}.2.3.1.7.1");
        let command = format!("snmpset -v2c -c public -On -m '' {AGENT} {priority} i 200 2>&1 || true");
        assert!(net.on("a", &command).contains("notWritable"));
        assert_eq!(walk(&net, &priority).get(&priority).map(String::as_str), Some("INTEGER: 100"));
        // A reload shows what is new; without its word nothing is shown any more.
        let router = format!("{KEEPALIVED}.1.2.0");
        let shows = |what: &str| walk(&net, &router).get(&router).is_some_and(|value| value.contains(what));
        a.configure(&text.replace("LVS_1", "LVS_2"));
        a.signal("HUP");
        wait_until(Duration::from_secs(10), "the new name", || shows("\"LVS_2\""));
        a.configure(&text.replace(" enable_snmp_vrrp\n enable_snmp_rfc\n", ""));
        a.signal("HUP");
        wait_until(Duration::from_secs(10), "nothing", || shows("No Such Object"));
        a.configure(&text);
        a.signal("HUP");
        wait_until(Duration::from_secs(10), "the old name", || shows("\"LVS_1\""));
        // It goes, and another comes.
        drop(master);
        run_quietly(&format!("rm -f {MASTER}"));
        a.wait_for_times("SNMP: no session with the master agent", 2);
        let _master = Server::master("a");
        a.wait_for_times("SNMP: AgentX subagent connected", 3);
        wait_until(Duration::from_secs(10), "an answer", || walk(&net, &name).len() == 1);
        assert_eq!(a.log().matches("Entering").count(), 2, "{}", a.log());
    });
}

#[test]
fn a_master_that_hangs_keeps_nobody_waiting() {
    lab("failover::snmp::a_master_that_hangs_keeps_nobody_waiting", || {
        let net = Net::new(&["a"]);
        // It takes connections, and says nothing.
        let hanging = UnixListener::bind(MASTER).expect("it binds");
        let text = configuration(100, "10.9.0.100", " version 3\n advert_int 0.1");
        let a = net.start(Vrrp::Hawser, "a", &text.replacen("global_defs {", GLOBAL, 1));
        let _held = hanging.accept().expect("it connects");
        a.wait_for("(VI_1) Entering MASTER STATE");
        let before = std::time::Instant::now();
        let status = net.on("a", &format!("{} vrrp status", netns::hosts::hawser().display()));
        assert!(status.contains("MASTER"), "{status}");
        assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
        a.wait_for("the master does not answer");
        // Adverts went on meanwhile: nobody heard a silence of three intervals.
        let adverts =
            net.on("a", "timeout 10 tcpdump -c 20 -ttt -n -i eth0 vrrp 2>/dev/null | cut -d' ' -f1");
        let late = adverts.lines().skip(1).filter(|gap| gap.trim() > "00:00:00.300000").count();
        assert_eq!((adverts.lines().count(), late), (20, 0), "{adverts}");
        drop(hanging);
        run_quietly(&format!("rm -f {MASTER}"));
        let _master = Server::master("a");
        a.wait_for("SNMP: AgentX subagent connected");
    });
}

#[test]
fn one_of_two_processes_shows_the_daemon() {
    lab("failover::snmp::one_of_two_processes_shows_the_daemon", || {
        let net = Net::new(&["a"]);
        // Without IPVS the checkers' process has programs of its own.
        run("mkdir -p /run/bpf && mount -t bpf bpf /run/bpf");
        let _master = Server::master("a");
        let router = configuration(100, "10.9.0.100", "");
        let configure = |name: &str, words: &str| {
            let global = format!("global_defs {{\n router_id {name}\n snmp_socket unix:{MASTER}\n{words}");
            let text = router.replacen("global_defs {", &global, 1);
            let server = "virtual_server 10.9.0.100 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
                          real_server 10.9.0.1 80 {\n }\n}\n";
            std::fs::write("/tmp/both.conf", format!("{text}{server}")).expect("written");
        };
        configure("LVS_1", " enable_snmp_vrrp\n enable_snmp_checker\n");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "a"]).arg(netns::hosts::hawser());
        command.args([
            "keepalived",
            "-n",
            "-l",
            "-D",
            "-f",
            "/tmp/both.conf",
            "-p",
            "/tmp/p",
            "-r",
            "/tmp/v",
        ]);
        command.args(["-c", "/tmp/c"]);
        command.env("HAWSER_DIRECTOR_OPTIONS", "--interface eth0 --flows 4096 --pin /run/bpf/hawser");
        let log = std::fs::File::create("/tmp/both.log").expect("its log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
        let daemon = Server(child.expect("the binary is built"));
        let shows = |what: &str, parts: [bool; 2]| {
            wait_until(Duration::from_secs(20), what, || {
                let seen = walk(&net, KEEPALIVED);
                let router = seen.get(&format!("{KEEPALIVED}.1.2.0"));
                let has =
                    |part: u32| seen.keys().any(|name| name.starts_with(&format!("{KEEPALIVED}.{part}.")));
                router.is_some_and(|router| router.contains(what)) && [has(2), has(3)] == parts
            });
        };
        shows("LVS_1", [true, true]);
        for (name, words, parts) in [
            ("LVS_2", " enable_snmp_vrrp\n", [true, false]),
            ("LVS_3", " enable_snmp_checker\n", [false, true]),
            ("LVS_4", " enable_snmp_vrrp\n enable_snmp_checker\n", [true, true]),
        ] {
            configure(name, words);
            run(&format!("kill -HUP {}", daemon.0.id()));
            shows(name, parts);
        }
        let log = std::fs::read_to_string("/tmp/both.log").expect("its log");
        assert!(!log.contains("refused"), "{log}");
    });
}
