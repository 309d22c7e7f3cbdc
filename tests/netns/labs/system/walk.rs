//! docs/walk-through.md as somebody goes through it: each line of its blocks, in order, in one shell.

use netns::hosts::hawser;
use netns::lab;
use std::process::Command;

const GUIDE: &str = include_str!("../../../../docs/walk-through.md");

/// Lines of the blocks for a shell.
fn lines() -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in GUIDE.lines() {
        match line {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            _ if is_inside => found.push(line),
            _ => {}
        }
    }
    found
}

/// What the guide shows, in a block of its own.
fn shown() -> &'static str {
    GUIDE.split("\n```\n").find(|block| block.contains("192.168.1.10  client")).expect("a block").trim()
}

#[test]
fn the_guide_does_what_it_says() {
    lab("system::walk::the_guide_does_what_it_says", || {
        netns::run(
            "mount -t tmpfs tmpfs /run && mkdir -p /run/netns && mount -t tmpfs tmpfs /tmp && \
             mkdir -p /etc/sysctl.d && mount -t tmpfs tmpfs /etc/sysctl.d",
        );
        // A reader takes a moment for each line.
        let script: String = lines()
            .iter()
            .map(|line| {
                let pause = match line {
                    // Three adverts and the skew, as the guide says.
                    line if line.contains("--timers tutorial") => "6",
                    line if line.contains("lab up") || line.contains("unreachable") => "3",
                    line if line.contains("kill") => "1",
                    _ => "0.3",
                };
                format!("echo '>>> {}'\n{line}\nsleep {pause}\n", line.replace('\'', "'\\''"))
            })
            .collect();
        std::fs::write("/tmp/guide.sh", format!("shopt -s expand_aliases\n{script}")).expect("written");
        let program = hawser();
        let folder = program.parent().expect("a folder");
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
        let output =
            Command::new("bash").arg("/tmp/guide.sh").env("PATH", path).output().expect("bash is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for wrong in ["not found", "No such file", "cannot", "unknown", "Usage:", "panicked", "socat"] {
            assert!(!told.contains(wrong), "{wrong}: {told}\n{said}");
        }
        // What came behind the line that begins so.
        let behind = |start: &str| {
            let parts = said.split(">>> ").filter(|part| part.starts_with(start));
            parts.map(|part| part.split_once('\n').map_or("", |(_, rest)| rest).trim()).collect::<Vec<_>>()
        };
        let statuses = behind("hawser lab status");
        assert_eq!(statuses[0], shown());
        assert_eq!(behind("for i in 1 2 3 4"), ["111\n112\n111\n112"]);
        assert!(behind("client curl -s 'http")[0].starts_with("# pxname,svname,"), "{said}");
        assert!(behind("hawser explain -f")[0].contains("server    192.168.1.11"), "{said}");
        let counted: Vec<&str> = said.lines().map(str::trim).filter(|line| line.ends_with(" 200")).collect();
        assert_eq!(counted, ["300 200"], "{said}");
        assert!(statuses[1].contains("hk-master2  192.168.1.114 running, has the address"), "{said}");
        assert!(statuses[1].contains("hk-master1  192.168.1.113 not running"), "{said}");
        assert!(statuses[2].contains("hk-master1  192.168.1.113 running, has the address"), "{said}");
        assert!(behind("hawser vrrp")[0].contains(" FAULT "), "{said}");
        assert_eq!(behind("hawser diff"), ["~ backend nginx: balance roundrobin -> leastconn"]);
        assert_eq!(
            behind("ip netns exec hk-master1 hawser check"),
            ["2 files: 0 errors, 0 warnings"],
            "{told}"
        );
        assert_eq!(behind("echo \"show stat nginx")[0].lines().next(), Some("leastconn"), "{said}");
        let settings = std::fs::read_to_string("/etc/sysctl.d/90-hawser.conf").expect("it was written");
        assert!(settings.contains("net.ipv4.tcp_timestamps = 1"), "{settings}");
        assert!(!std::path::Path::new("/run/hawser-lab").exists(), "it is taken down at the end");
    });
}
