//! Giving up root: user, group and chroot, seen in /proc.

use differential::{Instance, Program, same};
use netns::{lab, run};

/// Start with the lines in `global`, and what the running process became.
fn became(program: Program, lines: &str) -> (Vec<String>, String) {
    let text = format!(
        "global\n{lines}\nlisten web\n bind 127.0.0.1:$(web)\n http-request return status 503 errorfile $(dir)/error\n"
    );
    // The error file lies outside of the chroot: it is read before.
    let launch = program.http(&text).file("error", "HTTP/1.0 503 Mine\r\n\r\nread before");
    let proxy: Instance = launch.start();
    assert_eq!(proxy.get("web", "/").body, "read before");
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("it runs");
    let ids = status.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:"));
    let root = std::fs::read_link(format!("/proc/{}/root", proxy.pid())).expect("root may look");
    (ids.map(str::to_owned).collect(), root.display().to_string())
}

// row: 47, 50, 51
#[test]
fn privileges_are_dropped_after_everything_was_opened() {
    lab("privileges::privileges_are_dropped_after_everything_was_opened", || {
        run("mkdir -p /tmp/hawser-jail && mount -t tmpfs tmpfs /tmp/hawser-jail");
        let seen = same(|program| {
            [
                " user nobody\n group nogroup",
                " uid 65534\n gid 65534",
                " chroot /tmp/hawser-jail",
                " chroot /tmp/hawser-jail\n user nobody\n group nogroup",
            ]
            .map(|lines| became(program, lines))
        });
        assert_eq!(seen[0].0[0], "Uid:\t65534\t65534\t65534\t65534");
        assert_eq!(seen[1].0[1], "Gid:\t65534\t65534\t65534\t65534");
        assert_eq!(seen[3].1, "/tmp/hawser-jail");
    });
}
