//! A thread that was late: what the file may say about it.

use super::configuration;
use netns::hosts::{Net, Vrrp};
use netns::{lab, run};
use std::time::Duration;

const VIP: &str = "10.9.0.100";

/// The thread of that name in the daemon's child.
fn thread(pid: u32, name: &str) -> String {
    let line = format!("grep -lx {name} /proc/$(pgrep -P {pid})/task/*/comm | cut -d/ -f5");
    run(&line).trim().to_owned()
}

/// Stops the daemon's child for so long.
fn hold_up(pid: u32, time: Duration) {
    run(&format!("kill -STOP $(pgrep -P {pid})"));
    std::thread::sleep(time);
    run(&format!("kill -CONT $(pgrep -P {pid})"));
}

#[test]
fn the_priority_of_a_late_thread_is_raised_as_far_as_the_file_allows() {
    lab("failover::late::the_priority_of_a_late_thread_is_raised_as_far_as_the_file_allows", || {
        let net = Net::new(&["a"]);
        let text = configuration(100, VIP, " version 3\n advert_int 0.1");
        let global = "script_user root\n max_auto_priority 4\n min_auto_priority_delay 300000";
        let a = net.start(Vrrp::Hawser, "a", &text.replacen("script_user root", global, 1));
        a.wait_for("(VI_1) Entering MASTER STATE");
        let thread = thread(a.pid(), "vrrp");
        let scheduling = || run(&format!("chrt -p {thread}"));
        assert!(scheduling().contains("scheduling priority: 2"), "{}", scheduling());
        for priority in [3, 4] {
            hold_up(a.pid(), Duration::from_millis(600));
            a.wait_for(&format!("ms late: real-time priority is {priority}"));
            assert!(scheduling().contains(&format!("scheduling priority: {priority}")), "{}", scheduling());
        }
        hold_up(a.pid(), Duration::from_millis(600));
        // The engine answers after it has told that it was late.
        a.signal("USR2");
        a.wait_for("Printing VRRP stats");
        assert_eq!(a.log().matches("real-time priority is").count(), 2, "{}", a.log());
    });
}

#[test]
fn a_master_that_was_late_is_backup_when_the_file_says_so() {
    lab("failover::late::a_master_that_was_late_is_backup_when_the_file_says_so", || {
        let net = Net::new(&["a"]);
        let text = configuration(100, VIP, " version 3\n advert_int 0.1\n timer_expired_backup");
        let a = net.start(Vrrp::Hawser, "a", &text);
        a.wait_for("(VI_1) Entering MASTER STATE");
        hold_up(a.pid(), Duration::from_millis(900));
        a.wait_for("ms late, another must have taken over");
        a.wait_for("(VI_1) Entering BACKUP STATE\n");
        a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
    });
}
