//! `namespace` of `bind` and `server` lines: sockets of one process in several network namespaces.

use differential::same;
use netns::{lab, run, run_quietly};

#[test]
fn a_proxy_listens_and_connects_in_other_namespaces() {
    lab("proxy_namespaces::a_proxy_listens_and_connects_in_other_namespaces", || {
        // Names of namespaces are files: on a folder of our own, so that they end with the lab.
        run("mount -t tmpfs tmp /run");
        run("ip link set lo up");
        for name in ["blue", "green"] {
            run(&format!("ip netns add {name} && ip -n {name} link set lo up"));
        }
        let seen = same(|program| {
            // Both have the same address and port: only the namespaces tell them apart.
            let text = "frontend blue\n bind 127.0.0.1:$(inner) namespace blue\n \
                        http-request return status 200 content-type a/b string blue\n\
                        frontend green\n bind 127.0.0.1:$(inner) namespace green\n \
                        http-request return status 200 content-type a/b string green\n\
                        listen web\n bind 127.0.0.1:$(web)\n balance roundrobin\n \
                        server b 127.0.0.1:$(inner) namespace blue\n \
                        server g 127.0.0.1:$(inner) namespace green check inter 100ms\n \
                        server nobody 127.0.0.1:$(inner) check inter 100ms fall 1\n";
            let port = differential::ReservedPort::new().number();
            let proxy = program.http(text).with("inner", port).start();
            proxy.wait_for_stat("web", "nobody", "status", "DOWN");
            proxy.wait_for_stat("web", "g", "status", "UP");
            let mut answers = proxy.served_by("web", 4);
            answers.sort();
            let inside = ["blue", "green"].map(|name| {
                run(&format!("ip netns exec {name} curl -sS -m 5 http://127.0.0.1:{port}/")).trim().to_owned()
            });
            let outside = run_quietly(&format!("curl -sS -m 5 http://127.0.0.1:{port}/ >/dev/null 2>&1"));
            (answers, inside, outside)
        });
        assert_eq!(seen.0, ["blue", "blue", "green", "green"]);
        assert_eq!(seen.1, ["blue", "green"]);
        assert!(!seen.2, "nobody listens here");
    });
}
