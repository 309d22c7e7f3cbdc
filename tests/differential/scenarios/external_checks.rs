//! `option external-check`.

use differential::{normalise, same, wait_until};
use std::os::unix::fs::PermissionsExt;

// row: 94
#[test]
fn a_program_judges_servers_by_its_exit_code() {
    let seen = same(|program| {
        let folder = std::env::temp_dir().join(format!("external-{}-{}", program.name(), std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let script = folder.join("check.sh");
        let text = format!(
            "#!/bin/sh\n{{ echo \"$*\"; env | grep HAPROXY | sort; }} > {}/$HAPROXY_SERVER_NAME.out\n\
             [ $HAPROXY_SERVER_NAME = good ] && exit 0\n[ $HAPROXY_SERVER_NAME = slow ] && sleep 9\nexit 3\n",
            folder.display()
        );
        std::fs::write(&script, text).expect("a script");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let config = format!(
            "global\n external-check\n insecure-fork-wanted\n log 127.0.0.1:$(log) local0\n\
             backend app\n mode http\n log global\n timeout connect 2s\n timeout server 2s\n option log-health-checks\n \
             option external-check\n external-check command check.sh\n external-check path {}:/bin:/usr/bin\n \
             server good 127.0.0.1:9 check inter 1s maxconn 7\n server bad 127.0.0.1:9 check inter 1s\n \
             server slow unix@/tmp/nowhere.sock check inter 1s\n",
            folder.display()
        );
        let proxy = program.config(&config).start();
        let servers = ["good", "bad", "slow"];
        let states = servers.map(|server| {
            let status = || proxy.stat("app", server, "check_status");
            wait_until("the first result", || status().starts_with("PROC"));
            [
                status(),
                proxy.stat("app", server, "status"),
                proxy.stat("app", server, "check_code"),
                proxy.stat("app", server, "last_chk"),
            ]
        });
        let told = servers.map(|server| {
            let line = proxy.log().expect(&format!("Health check for server app/{server}"));
            let message = normalise::rfc3164(&line).expect("an RFC 3164 line").message;
            message.split("check duration").next().unwrap_or_default().to_owned()
        });
        drop(proxy);
        let given = servers
            .map(|server| std::fs::read_to_string(folder.join(format!("{server}.out"))).unwrap_or_default());
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        (states, told, given)
    });
    assert_eq!(seen.0[0][..2], ["PROCOK", "UP"]);
    assert_eq!(seen.0[2][..2], ["PROCTOUT", "DOWN"]);
    assert!(seen.2[0].starts_with("NOT_USED NOT_USED 127.0.0.1 9\n"), "{}", seen.2[0]);
}
