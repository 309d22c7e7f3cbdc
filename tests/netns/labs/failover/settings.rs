//! Settings that only the wire, a relay of mail, scripts or the packet filter can show to work; beside what keepalived
//! does with the same file.

use super::{configuration, same};
use netns::hosts::{Net, Vrrp, answer_probes, hawser, thread_on};
use netns::lab;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
const FAST: &str = " version 3\n advert_int 0.1";

// row: 222
#[test]
fn nodes_meet_in_the_group_that_the_file_names() {
    lab("failover::settings::nodes_meet_in_the_group_that_the_file_names", || {
        let groups = same(|program| {
            let net = Net::new(&["a", "b"]);
            let global = "global_defs {\n vrrp_mcast_group4 224.0.0.99\n}\n";
            let peer =
                net.start(Vrrp::Keepalived, "b", &(global.to_owned() + &configuration(100, VIP, FAST)));
            peer.wait_for("(VI_1) Entering MASTER STATE");
            let mut a = net.start(program, "a", &(global.to_owned() + &configuration(200, VIP, FAST)));
            a.wait_for("(VI_1) Entering MASTER STATE");
            // The lesser one has heard it.
            peer.wait_for_times("(VI_1) Entering BACKUP STATE", 2);
            let seen = net.on("b", "timeout 5 tcpdump -c 3 -nni eth0 src 10.9.0.1 and proto 112 2>/dev/null");
            a.stop();
            let to = seen.lines().filter_map(|line| line.split(" > ").nth(1)?.split(':').next());
            to.map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(groups, ["224.0.0.99"; 3]);
    });
}

/// One mail: what was said before it, and its lines.
fn take_mail(stream: TcpStream) -> Vec<String> {
    let mut writer = stream.try_clone().expect("a handle");
    let mut said = Vec::new();
    let mut in_data = false;
    writer.write_all(b"220 relay ESMTP\r\n").expect("it listens");
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        let reply = match (in_data, line.as_str()) {
            (true, ".") => {
                in_data = false;
                "250 taken\r\n"
            }
            (true, _) => "",
            (false, "DATA") => {
                in_data = true;
                "354 go on\r\n"
            }
            (false, "QUIT") => "221 bye\r\n",
            (false, _) => "250 well\r\n",
        };
        said.push(line.clone());
        if writer.write_all(reply.as_bytes()).is_err() || line == "QUIT" {
            break;
        }
    }
    said
}

// row: 213, 214, 215, 217, 245
#[test]
fn every_change_is_mailed_to_the_relay_of_the_file() {
    lab("failover::settings::every_change_is_mailed_to_the_relay_of_the_file", || {
        let mails = same(|program| {
            let net = Net::new(&["a"]);
            let mails = Arc::new(Mutex::new(Vec::new()));
            let taken = Arc::clone(&mails);
            drop(thread_on("a", move || {
                let relay = TcpListener::bind("127.0.0.1:2525").expect("the port is free");
                for stream in relay.incoming().flatten() {
                    let mail = take_mail(stream);
                    taken.lock().expect("nobody panics").push(mail);
                }
            }));
            std::thread::sleep(Duration::from_millis(200));
            let global = "global_defs {\n notification_email {\n  root@localhost\n  ops@example.com\n }\n \
                          notification_email_from keepalived@localhost\n smtp_server 127.0.0.1 2525\n \
                          smtp_connect_timeout 3\n router_id ha1\n}\n";
            let text = global.to_owned() + &configuration(150, VIP, &format!("{FAST}\n smtp_alert"));
            let mut a = net.start(program, "a", &text);
            let have = |count: usize| {
                netns::wait_until(Duration::from_secs(10), "a mail", || {
                    mails.lock().expect("nobody panics").len() >= count
                });
            };
            a.wait_for("(VI_1) Entering MASTER STATE");
            have(2);
            net.on("a", "ip link set eth0 down");
            a.wait_for("(VI_1) Entering FAULT STATE");
            have(3);
            a.stop();
            let mails = mails.lock().expect("nobody panics").clone();
            // Each has a date of its own, and the mailer's name is the program's.
            let mut mails: Vec<Vec<String>> = mails
                .into_iter()
                .map(|mail| {
                    let own = ["Date: ", "EHLO ", "HELO "];
                    let kept = |line: &String| own.iter().all(|own| !line.starts_with(own));
                    mail.into_iter().filter(kept).collect()
                })
                .collect();
            // keepalived begins one more at its end, and says nothing.
            mails.retain(|mail| !mail.is_empty());
            mails.sort();
            mails
        });
        let text = mails.concat().join("\n");
        for line in [
            "MAIL FROM:<keepalived@localhost>",
            "RCPT TO:<root@localhost>",
            "RCPT TO:<ops@example.com>",
            "From: keepalived@localhost",
            "Subject: [ha1] VRRP Instance VI_1 - Entering MASTER state",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    });
}

// row: 216
#[test]
fn a_relay_that_says_nothing_is_given_up_after_its_timeout() {
    lab("failover::settings::a_relay_that_says_nothing_is_given_up_after_its_timeout", || {
        let net = Net::new(&["a"]);
        let ends = Arc::new(Mutex::new(None));
        let ended = Arc::clone(&ends);
        drop(thread_on("a", move || {
            let relay = TcpListener::bind("127.0.0.1:2525").expect("the port is free");
            let (stream, _) = relay.accept().expect("a client");
            let since = Instant::now();
            // Silence; the end of the client's side is the end of his patience.
            let _ = BufReader::new(stream).lines().count();
            *ended.lock().expect("nobody panics") = Some(since.elapsed());
        }));
        std::thread::sleep(Duration::from_millis(200));
        let global = "global_defs {\n notification_email {\n  root@localhost\n }\n smtp_server 127.0.0.1 2525\n \
                      smtp_connect_timeout 2\n}\n";
        let text = global.to_owned() + &configuration(150, VIP, &format!("{FAST}\n smtp_alert"));
        let mut a = net.start(Vrrp::Hawser, "a", &text);
        netns::wait_until(Duration::from_secs(15), "the end of patience", || {
            ends.lock().expect("nobody panics").is_some()
        });
        a.stop();
        let waited = ends.lock().expect("nobody panics").expect("it ended");
        assert!((Duration::from_millis(1700)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
        assert!(a.log().contains("mail"), "and it is told: {}", a.log());
    });
}

/// A script without weight that the router follows.
fn followed(script: &str, word: &str) -> String {
    let script = format!("vrrp_script good {{\n script \"{script}\"\n interval 1\n rise 3\n {word}\n}}\n");
    script + &configuration(150, VIP, &format!("{FAST}\n track_script {{\n  good\n }}"))
}

// row: 255
// The manual's words. keepalived 2.2.7 itself lets the first success count for all.
#[test]
fn with_init_fail_a_script_has_failed_until_it_has_risen() {
    lab("failover::settings::with_init_fail_a_script_has_failed_until_it_has_risen", || {
        for (word, is_fault) in [("", false), ("init_fail", true)] {
            let net = Net::new(&["a"]);
            let mut a = net.start(Vrrp::Hawser, "a", &followed("/usr/bin/true", word));
            let since = Instant::now();
            a.wait_for("(VI_1) Entering MASTER STATE");
            // Three runs, a second apart.
            assert_eq!(since.elapsed() > Duration::from_millis(1900), is_fault, "{:?}", since.elapsed());
            let log = a.log();
            a.stop();
            assert_eq!(log.contains("(VI_1) Entering FAULT STATE (init)"), is_fault, "{log}");
        }
    });
}

// row: 252, 257
#[test]
fn a_script_that_fails_from_the_start_is_told_as_by_keepalived() {
    lab("failover::settings::a_script_that_fails_from_the_start_is_told_as_by_keepalived", || {
        let lines = same(|program| {
            let net = Net::new(&["a"]);
            let mut a = net.start(program, "a", &followed("/usr/bin/false", ""));
            a.wait_for("VRRP_Script(good) failed");
            std::thread::sleep(Duration::from_millis(1500));
            let has_address = net.has("a", VIP);
            a.stop();
            let log = a.log();
            let told =
                log.lines().filter(|line| line.contains("cript(good)") || line.contains("cript `good`"));
            let told = told.filter_map(|line| line.split_once(": ").map(|(_, text)| text.to_owned()));
            (told.collect::<Vec<_>>(), has_address)
        });
        assert_eq!(
            lines.0,
            ["Script `good` now returning 1", "VRRP_Script(good) failed (exited with status 1)"]
        );
        assert!(!lines.1);
    });
}

// row: 226
#[test]
fn interfaces_that_cannot_carry_adverts_are_judged_alike() {
    lab("failover::settings::interfaces_that_cannot_carry_adverts_are_judged_alike", || {
        let _net = Net::new(&["a"]);
        let codes = same(|program| {
            ["eth0", "lo", "eth9"].map(|interface| {
                let text =
                    configuration(100, VIP, "").replace("interface eth0", &format!("interface {interface}"));
                std::fs::write("/tmp/judged.conf", text).expect("written");
                let mut command = Command::new("ip");
                command.args(["netns", "exec", "a"]);
                match program {
                    Vrrp::Hawser => command.arg(hawser()).arg("keepalived"),
                    Vrrp::Keepalived => command.arg("/usr/sbin/keepalived"),
                };
                let output = command.args(["-t", "-f", "/tmp/judged.conf"]).output().expect("it starts");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(said.contains("loopback"), interface == "lo", "{program:?} {interface}: {said}");
                (interface, output.status.code())
            })
        });
        assert_eq!(seen_code(&codes, "eth0"), Some(0));
        assert_ne!(seen_code(&codes, "lo"), Some(0));
    });
}

fn seen_code(codes: &[(&str, Option<i32>)], interface: &str) -> Option<i32> {
    codes.iter().find(|(known, _)| *known == interface).and_then(|(_, code)| *code)
}

// row: 223
#[test]
fn with_vrrp_iptables_the_filter_is_nftables_and_does_the_same() {
    lab("failover::settings::with_vrrp_iptables_the_filter_is_nftables_and_does_the_same", || {
        let seen = same(|program| {
            let net = Net::new(&["a", "b"]);
            let global = "global_defs {\n vrrp_iptables\n}\n";
            let more = " version 3\n advert_int 0.1\n no_accept";
            let mut a = net.start(program, "a", &(global.to_owned() + &configuration(100, VIP, more)));
            a.wait_for("(VI_1) Entering MASTER STATE");
            std::thread::sleep(Duration::from_millis(300));
            answer_probes("a", b'a');
            std::thread::sleep(Duration::from_millis(200));
            let answers = |address: &str| {
                let prober = netns::hosts::Prober::start("b", address);
                std::thread::sleep(Duration::from_millis(300));
                !prober.finish().answers.is_empty()
            };
            let held = (net.has("a", VIP), answers(VIP), answers("10.9.0.1"));
            let rules = net.on("a", "nft list ruleset");
            a.stop();
            let left = net.on("a", "nft list ruleset");
            (held, rules.contains(VIP) && rules.contains("drop"), left.contains(VIP))
        });
        assert_eq!(seen, ((true, false, true), true, false));
    });
}
