//! What a master does to its host: addresses, routes, rules, filters; beside what keepalived does with the same file.

use super::{configuration, same};
use netns::hosts::{Net, Prober, Vrrp, answer_probes};
use netns::{lab, run_quietly, wait_until};
use std::time::Duration;

const VIP: &str = "10.9.0.100";

// row: 232, 233, 234
#[test]
fn addresses_carry_label_scope_broadcast_and_device_as_keepalived_sets_them() {
    lab("failover::host::addresses_carry_label_scope_broadcast_and_device_as_keepalived_sets_them", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            net.on(
                "a",
                "ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up",
            );
            let addresses = "10.9.0.100/24 brd 10.9.0.255 dev eth0 scope global label eth0:0\n 10.9.0.101 label eth0:1\n \
                             10.9.0.102/32 dev eth1 scope link\n 10.9.0.103/24 brd +\n }\n virtual_ipaddress_excluded {\n \
                             fd09::100/64\n fd09::101\n 10.8.0.1/16 dev eth1";
            let mut a =
                net.start(program, "a", &configuration(100, addresses, " version 3\n advert_int 0.1"));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            let held = net.on("a", "ip -o addr | grep -v fe80 | sed s/forever// | sort -k2,4");
            a.stop();
            (held, net.on("a", "ip -o addr | grep -v fe80 | sort -k2,4"))
        });
        assert!(seen.0.contains("10.9.0.100/24 brd 10.9.0.255 scope global secondary eth0:0"), "{}", seen.0);
        assert!(!seen.1.contains("10.9.0.10"), "{}", seen.1);
    });
}

#[test]
fn rules_select_by_all_that_keepalived_s_select_by() {
    lab("failover::host::rules_select_by_all_that_keepalived_s_select_by", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            let lines = " version 3\n advert_int 0.1\n virtual_rules {\n \
                         from 192.0.2.0/24 ipproto tcp dport 80-90 table 7 priority 101\n \
                         from 192.0.2.0/24 ipproto udp sport 1000-2000 table 7 priority 102\n \
                         uidrange 1000-1999 table 7 priority 103\n \
                         to 192.0.3.0/24 table 8 suppress_prefixlength 8 suppress_ifgroup 3 priority 104\n \
                         tunnel-id 77 table 8 priority 105\n \
                         from 192.0.4.0/24 realms 3/4 table 8 priority 106\n }";
            let mut a = net.start(program, "a", &configuration(100, VIP, lines));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            let held = net.on("a", "ip rule");
            a.stop();
            (held, net.on("a", "ip rule"))
        });
        for part in ["dport 80-90", "sport 1000-2000", "uidrange 1000-1999", "ipproto tcp", "tun_id 77"] {
            assert!(seen.0.contains(part), "{part}: {}", seen.0);
        }
        assert!(!seen.1.contains("10"), "{}", seen.1);
    });
}

#[test]
fn routes_and_rules_move_with_the_state_as_keepalived_sets_them() {
    lab("failover::host::routes_and_rules_move_with_the_state_as_keepalived_sets_them", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            let more = " version 3\n advert_int 0.1\n virtual_routes {\n  10.1.0.0/16 via 10.9.0.9\n  \
                        10.2.0.0/16 dev eth0 metric 50\n  default via 10.9.0.9 dev eth0 table 100 src 10.9.0.100\n  \
                        blackhole 10.3.0.0/16\n  fd01::/64 via fd09::9 dev eth0\n }\n virtual_rules {\n  \
                        from 10.9.0.100 table 100 preference 1000\n  to 10.7.0.0/16 fwmark 5 table 100 preference 1001\n }";
            let mut a = net.start(program, "a", &configuration(100, VIP, more));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            let look = "ip route show table all | grep -v 'table local'; ip -6 route | grep fd01; ip rule";
            let held = net.on("a", look);
            a.stop();
            (held, net.on("a", "ip route show table all | grep -v 'table local'; ip rule"))
        });
        assert!(seen.0.contains("10.1.0.0/16 via 10.9.0.9 dev eth0"), "{}", seen.0);
        assert!(seen.0.contains("1000:\tfrom 10.9.0.100 lookup 100"), "{}", seen.0);
        assert!(!seen.1.contains("10.1.0.0/16"), "{}", seen.1);
    });
}

#[test]
fn a_macvlan_is_made_as_keepalived_makes_it() {
    lab("failover::host::a_macvlan_is_made_as_keepalived_makes_it", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            let more = " version 3\n advert_int 0.1\n use_vmac";
            let mut a = net.start(program, "a", &configuration(100, VIP, more));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            let link = net.on("a", "ip -d link show vrrp.51 | sed s/bcqueue.*//");
            let settings = ["arp_ignore", "arp_filter", "accept_local", "promote_secondaries", "rp_filter"];
            let settings: Vec<String> = ["vrrp.51", "eth0"]
                .iter()
                .flat_map(|interface| settings.iter().map(move |setting| (interface, setting)))
                .map(|(interface, setting)| {
                    net.on("a", &format!("cat /proc/sys/net/ipv4/conf/{interface}/{setting}"))
                })
                .collect();
            a.stop();
            (link, settings, net.on("a", "ip link | grep -c vrrp.51 || true"))
        });
        assert!(seen.0.contains("00:00:5e:00:01:33"), "{}", seen.0);
        assert!(seen.0.contains("macvlan mode private"), "{}", seen.0);
        assert_eq!(seen.2, "0\n");
    });
}

// row: 219
#[test]
fn in_strict_mode_the_address_is_held_but_not_answered_on() {
    lab("failover::host::in_strict_mode_the_address_is_held_but_not_answered_on", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            let text = configuration(100, VIP, " version 3\n advert_int 0.1\n strict_mode");
            let mut a = net.start(program, "a", &text);
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            answer_probes("a", b'a');
            std::thread::sleep(Duration::from_millis(200));
            let answers = |address: &str| {
                let prober = Prober::start("b", address);
                std::thread::sleep(Duration::from_millis(300));
                !prober.finish().answers.is_empty()
            };
            let held = (net.has("a", VIP), answers(VIP), answers("10.9.0.1"));
            a.stop();
            held
        });
        assert_eq!(seen, (true, false, true));
    });
}

#[test]
fn an_address_that_someone_takes_away_comes_back_at_once_without_a_change_of_state() {
    lab(
        "failover::host::an_address_that_someone_takes_away_comes_back_at_once_without_a_change_of_state",
        || {
            let net = Net::new(&["a", "b"]);
            let a = net.start(Vrrp::Hawser, "a", &configuration(100, VIP, ""));
            a.wait_for("(VI_1) Entering MASTER STATE");
            wait_until(Duration::from_secs(5), "the address", || net.has("a", VIP));
            // Not the second burst of the takeover.
            std::thread::sleep(Duration::from_millis(5500));
            net.on("b", "timeout 9 tcpdump -lnni eth0 -c 5 arp > /tmp/arp 2>/dev/null &");
            std::thread::sleep(Duration::from_millis(1000));
            net.on("a", &format!("ip addr del {VIP}/32 dev eth0"));
            wait_until(Duration::from_millis(500), "the address again", || net.has("a", VIP));
            a.wait_for("(VI_1) addresses were removed by someone else, restoring them");
            wait_until(Duration::from_secs(6), "gratuitous ARP", || {
                std::fs::read_to_string("/tmp/arp").unwrap_or_default().matches("tell 10.9.0.100").count()
                    >= 5
            });
            assert_eq!(a.log().matches("Entering").count(), 2, "{}", a.log());
        },
    );
}

// row: 244
#[test]
fn a_burst_of_arp_goes_out_at_once_and_another_after_the_delay() {
    lab("failover::host::a_burst_of_arp_goes_out_at_once_and_another_after_the_delay", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            net.on("b", "timeout 12 tcpdump -lttnnei eth0 arp > /tmp/arp 2>/dev/null &");
            std::thread::sleep(Duration::from_millis(500));
            let a = net.start(program, "a", &configuration(100, VIP, " garp_master_delay 2"));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(3000));
            run_quietly("pkill -INT tcpdump");
            std::thread::sleep(Duration::from_millis(200));
            let text = std::fs::read_to_string("/tmp/arp").expect("captured");
            let frames: Vec<(f64, String)> = text
                .lines()
                .filter(|line| line.contains("10.9.0.100"))
                .filter_map(|line| line.split_once(' '))
                .map(|(time, rest)| (time.parse().expect("a time"), rest.to_owned()))
                .collect();
            let first = frames.first().expect("frames").0;
            let seconds: Vec<u64> = frames.iter().map(|(time, _)| (time - first).round() as u64).collect();
            (seconds, frames[0].1.clone())
        });
        assert_eq!(seen.0, [0, 0, 0, 0, 0, 2, 2, 2, 2, 2]);
        assert!(seen.1.contains("(ff:ff:ff:ff:ff:ff) tell 10.9.0.100"), "{}", seen.1);
    });
}

#[test]
fn the_thread_that_hears_the_network_has_two_rights_and_a_filter() {
    lab("failover::host::the_thread_that_hears_the_network_has_two_rights_and_a_filter", || {
        let net = Net::new(&["a"]);
        let a = net.start(Vrrp::Hawser, "a", &configuration(100, VIP, ""));
        a.wait_for("Startup complete");
        std::thread::sleep(Duration::from_millis(300));
        let child = netns::run(&format!("pgrep -P {}", a.pid()));
        let task = netns::run(&format!(
            "for t in /proc/{}/task/*; do grep -q '^vrrp$' $t/comm && cat $t/status; done; true",
            child.trim()
        ));
        // CAP_NET_ADMIN is 12, CAP_NET_RAW 13; 2 is a filter.
        assert!(task.contains("CapEff:\t0000000000003000"), "{task}");
        assert!(task.contains("CapPrm:\t0000000000003000"), "{task}");
        assert!(task.contains("Seccomp:\t2"), "{task}");
    });
}

// row: 219
#[test]
fn in_strict_mode_an_ipv6_address_is_found_but_not_answered_on() {
    lab("failover::host::in_strict_mode_an_ipv6_address_is_found_but_not_answered_on", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            let text =
                configuration(100, "fe80::100\n fd09::100", " version 3\n advert_int 0.1\n strict_mode");
            let mut a = net.start(program, "a", &text);
            a.wait_for("(VI_1) Entering MASTER STATE");
            answer_probes("a", b'a');
            std::thread::sleep(Duration::from_millis(500));
            let answers = |address: &str| {
                let prober = Prober::start("b", address);
                std::thread::sleep(Duration::from_millis(300));
                !prober.finish().answers.is_empty()
            };
            let held = (net.has("a", "fd09::100"), answers("fd09::100"), answers("fd09::1"));
            let neighbour = net.on("b", "ip -6 neigh show fd09::100").contains("02:00:00:00:00:01");
            a.stop();
            (held, neighbour)
        });
        assert_eq!(seen, ((true, false, true), true));
    });
}

#[test]
fn an_interface_that_is_taken_away_and_made_again_carries_the_address_again() {
    lab("failover::host::an_interface_that_is_taken_away_and_made_again_carries_the_address_again", || {
        let net = Net::new(&["a"]);
        let make = "ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up; \
                    ip addr add 10.8.0.1/24 dev eth1";
        net.on("a", make);
        let text = configuration(100, "10.8.0.100", " version 3\n advert_int 0.1").replace("eth0", "eth1");
        let a = net.start(Vrrp::Hawser, "a", &text);
        a.wait_for("(VI_1) Entering MASTER STATE");
        net.on("a", "ip link del eth1");
        a.wait_for("(VI_1) Entering FAULT STATE");
        net.on("a", make);
        a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
        wait_until(Duration::from_secs(5), "the address", || net.has("a", "10.8.0.100"));
        net.on("a", "timeout 5 tcpdump -c 2 -nni eth2 proto 112");
    });
}

/// Makes `eth1` with an address; `ip -batch` has it done before anybody could look.
const MAKE: &str = "link add eth1 type veth peer name eth2\nlink set eth1 up\nlink set eth2 up\n\
                    addr add 10.8.0.1/24 dev eth1\n";

fn batch(net: &Net, lines: &str) {
    std::fs::write("/tmp/batch", lines).expect("written");
    net.on("a", "ip -batch /tmp/batch");
}

#[test]
fn an_interface_that_is_replaced_in_one_moment_is_a_fault_and_carries_the_address_again() {
    lab(
        "failover::host::an_interface_that_is_replaced_in_one_moment_is_a_fault_and_carries_the_address_again",
        || {
            let net = Net::new(&["a"]);
            batch(&net, MAKE);
            let text =
                configuration(100, "10.8.0.100", " version 3\n advert_int 0.1").replace("eth0", "eth1");
            let mut a = net.start(Vrrp::Hawser, "a", &text);
            a.wait_for("(VI_1) Entering MASTER STATE");
            for round in 1..=5 {
                batch(&net, &format!("link del eth1\n{MAKE}"));
                a.wait_for_times("(VI_1) Entering FAULT STATE", round);
                a.wait_for_times("(VI_1) Entering MASTER STATE", round + 1);
                wait_until(Duration::from_secs(5), "the address", || net.has("a", "10.8.0.100"));
                net.on("a", "timeout 5 tcpdump -c 2 -nni eth2 proto 112");
            }
            // The same index, as of an interface that comes back from another namespace.
            let index = net.on("a", "cat /sys/class/net/eth1/ifindex");
            let again = MAKE.replace("link add eth1", &format!("link add eth1 index {}", index.trim()));
            batch(&net, &format!("link del eth1\n{again}"));
            a.wait_for_times("(VI_1) Entering MASTER STATE", 7);
            wait_until(Duration::from_secs(5), "the address", || net.has("a", "10.8.0.100"));
            net.on("a", "timeout 5 tcpdump -c 2 -nni eth2 proto 112");
            assert!(!a.log().contains("cannot add"), "{}", a.log());
            assert_eq!(a.stop(), Some(0));
            assert!(!net.has("a", "10.8.0.100"));
        },
    );
}

#[test]
fn an_address_that_could_not_be_added_is_added_when_its_interface_can_take_it() {
    lab("failover::host::an_address_that_could_not_be_added_is_added_when_its_interface_can_take_it", || {
        let net = Net::new(&["a"]);
        batch(&net, MAKE);
        net.on("a", "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1");
        let addresses =
            "10.9.0.100\n 10.8.0.100 dev eth1\n }\n virtual_ipaddress_excluded {\n fd08::100 dev eth1";
        let a = net.start(Vrrp::Hawser, "a", &configuration(100, addresses, " version 3\n advert_int 0.1"));
        a.wait_for("(VI_1) Entering MASTER STATE");
        a.wait_for("(VI_1) cannot add address fd08::100");
        net.on(
            "a",
            "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=0; ip link set eth1 down; ip link set eth1 up",
        );
        wait_until(Duration::from_secs(5), "the IPv6 address", || net.has("a", "fd08::100"));
        // Without a change of state: the instance is on eth0.
        batch(&net, &format!("link del eth1\n{MAKE}"));
        for address in ["10.8.0.100", "fd08::100"] {
            wait_until(Duration::from_secs(5), "the address again", || net.has("a", address));
        }
        // A link that comes is told of the addresses behind it.
        net.on("a", "timeout 9 tcpdump -lnni eth2 -c 1 arp > /tmp/arp 2> /tmp/listens &");
        wait_until(Duration::from_secs(5), "tcpdump", || {
            std::fs::read_to_string("/tmp/listens").is_ok_and(|text| text.contains("listening"))
        });
        net.on("a", "ip link set eth1 down; ip link set eth1 up");
        wait_until(Duration::from_secs(5), "gratuitous ARP", || {
            std::fs::read_to_string("/tmp/arp").is_ok_and(|text| text.contains("tell 10.8.0.100"))
        });
        assert_eq!(a.log().matches("Entering").count(), 2, "{}", a.log());
    });
}

#[test]
fn an_interface_that_leaves_a_bridge_is_no_fault() {
    lab("failover::host::an_interface_that_leaves_a_bridge_is_no_fault", || {
        let net = Net::new(&["a"]);
        batch(&net, &format!("{MAKE}link add br1 type bridge\nlink set eth1 master br1\n"));
        let text = configuration(100, "10.8.0.100", " version 3\n advert_int 0.1").replace("eth0", "eth1");
        let a = net.start(Vrrp::Hawser, "a", &text);
        a.wait_for("(VI_1) Entering MASTER STATE");
        net.on("a", "ip link set eth1 nomaster");
        net.on("a", "timeout 5 tcpdump -c 10 -nni eth2 proto 112");
        assert_eq!(a.log().matches("Entering").count(), 2, "{}", a.log());
    });
}

#[test]
fn two_rights_are_enough_for_a_daemon_of_an_ordinary_user() {
    lab("failover::host::two_rights_are_enough_for_a_daemon_of_an_ordinary_user", || {
        let net = Net::new(&["a"]);
        netns::run("mkdir -m 777 /tmp/own");
        let text =
            configuration(100, VIP, " version 3\n advert_int 0.1\n notify \"/usr/bin/touch /tmp/own/told\"");
        std::fs::write("/tmp/own/conf", text.replace("script_user root", "script_user nobody nogroup"))
            .expect("written");
        let binary = netns::hosts::hawser();
        let mut daemon = std::process::Command::new("ip")
            .args(["netns", "exec", "a", "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"])
            .args(["--inh-caps=-all,+net_admin,+net_raw", "--ambient-caps=-all,+net_admin,+net_raw"])
            .args(["--bounding-set=-all,+net_admin,+net_raw"])
            .arg(binary)
            .args([
                "keepalived",
                "-n",
                "-l",
                "-P",
                "-f",
                "/tmp/own/conf",
                "-p",
                "/tmp/own/pid",
                "-r",
                "/tmp/own/vrrp",
            ])
            .spawn()
            .expect("it starts");
        wait_until(Duration::from_secs(15), "the address", || net.has("a", VIP));
        wait_until(Duration::from_secs(5), "the script", || std::path::Path::new("/tmp/own/told").exists());
        netns::run(&format!("kill {}", daemon.id()));
        assert!(daemon.wait().expect("it is ours").success());
        assert!(!net.has("a", VIP));
    });
}

#[test]
fn static_addresses_routes_and_rules_are_there_while_the_daemon_is() {
    lab("failover::host::static_addresses_routes_and_rules_are_there_while_the_daemon_is", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            let statics = "static_ipaddress {\n 10.8.0.1/24 dev eth0 label eth0:s\n}\nstatic_routes {\n \
                           10.1.0.0/16 via 10.9.0.9 dev eth0\n}\nstatic_rules {\n from 10.8.0.1 table 100 preference 1000\n}\n";
            let text = format!("{statics}{}", configuration(100, VIP, " version 3\n advert_int 0.1"));
            let mut a = net.start(program, "a", &text);
            a.wait_for("(VI_1) Entering MASTER STATE");
            let look = "ip -o addr | grep 10.8; ip route | grep 10.1.0.0; ip rule";
            let held = net.on("a", look);
            a.stop();
            (held, net.on("a", &format!("{look}; true")))
        });
        assert!(seen.0.contains("10.8.0.1/24 scope global eth0:s"), "{}", seen.0);
    });
}

#[test]
fn statics_that_someone_takes_away_come_back_and_who_tracks_them_follows_their_link() {
    lab(
        "failover::host::statics_that_someone_takes_away_come_back_and_who_tracks_them_follows_their_link",
        || {
            let seen = same(|program| {
                let net = Net::new(&["a"]);
                batch(&net, MAKE);
                let statics = "track_group G1 {\n group {\n VI_1\n }\n}\nstatic_ipaddress {\n \
                               10.7.0.1/24 dev eth1 track_group G1\n 10.6.0.1/24 dev eth1\n}\nstatic_routes {\n \
                               10.1.0.0/16 via 10.7.0.9 dev eth1 track_group G1\n}\n";
                let text = configuration(100, VIP, " version 3\n advert_int 0.1");
                let text = text.replacen("script_user root", "script_user root\n dynamic_interfaces", 1);
                let mut a = net.start(
                    program,
                    "a",
                    &text.replacen("vrrp_instance", &format!("{statics}vrrp_instance"), 1),
                );
                a.wait_for("(VI_1) Entering MASTER STATE");
                let has_all = || {
                    let route = net.on("a", "ip route show 10.1.0.0/16");
                    net.has("a", "10.7.0.1")
                        && net.has("a", "10.6.0.1")
                        && route.contains("via 10.7.0.9 dev eth1")
                };
                let soon = |what: &str| wait_until(Duration::from_secs(5), what, has_all);
                soon("statics");
                for gone in [
                    "addr del 10.7.0.1/24 dev eth1",
                    "addr del 10.6.0.1/24 dev eth1",
                    "route del 10.1.0.0/16",
                ] {
                    net.on("a", &format!("ip {gone}"));
                    soon(gone);
                }
                assert_eq!(a.log().matches("Entering FAULT").count(), 0, "{}", a.log());
                net.on("a", "ip link del eth1");
                a.wait_for("(VI_1) Entering FAULT STATE");
                batch(&net, MAKE);
                a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
                soon("statics again");
                let restored = a.log().contains("Restoring deleted static address 10.7.0.1/24");
                a.stop();
                (restored, net.has("a", "10.7.0.1"))
            });
            assert_eq!(seen, (true, false));
        },
    );
}

#[test]
fn a_macvlan_comes_back_with_the_interface_below_it() {
    lab("failover::host::a_macvlan_comes_back_with_the_interface_below_it", || {
        let net = Net::new(&["a"]);
        batch(&net, MAKE);
        let more = " version 3\n advert_int 0.1\n use_vmac";
        let mut a =
            net.start(Vrrp::Hawser, "a", &configuration(100, "10.8.0.100", more).replace("eth0", "eth1"));
        a.wait_for("(VI_1) Entering MASTER STATE");
        for round in 1..=3 {
            batch(&net, &format!("link del eth1\n{MAKE}"));
            a.wait_for_times("(VI_1) Entering FAULT STATE", round);
            a.wait_for_times("(VI_1) Entering MASTER STATE", round + 1);
            wait_until(Duration::from_secs(5), "the address", || {
                net.on("a", "ip -o addr show vrrp.51").contains("10.8.0.100")
            });
            net.on("a", "timeout 5 tcpdump -c 2 -nni eth2 ether src 00:00:5e:00:01:33 and proto 112");
        }
        assert_eq!(a.stop(), Some(0));
        assert_eq!(net.on("a", "ip link | grep -c vrrp.51 || true"), "0\n");
    });
}
