//! Proxies and servers: states, counts, names.

use super::{Lab, Question, exactly};
use differential::{Client, Instance, wait_until};

/// `held` keeps requests open: nobody answers at its server, a frontend of the same process that only listens.
const CONFIG: &str = "listen mute
 bind 127.0.0.1:$(mute)
 mode tcp
 tcp-request inspect-delay 60s
 tcp-request content reject if WAIT_END
backend app
 fullconn 10
 server s1 127.0.0.1:$(mute) weight 10 maxconn 1
 server s2 127.0.0.1:$(mute) weight 5 disabled
 server s3 127.0.0.1:$(mute) backup
backend empty
backend limited
 timeout queue 60s
 option abortonclose
 server only 127.0.0.1:$(mute) maxconn 1 maxqueue 10
frontend held
 bind 127.0.0.1:$(held)
 maxconn 50
 use_backend limited
frontend state
 bind 127.0.0.1:$(state) name door id 77
 id 4711
 maxconn 40
{log}{rules} http-request return status 200
 default_backend app
";

fn questions() -> Vec<Question> {
    let mut all =
        exactly(["dst_conn", "so_id", "so_name", "fe_id", "fe_name", "fe_defbe", "fe_client_timeout"]);
    for name in ["be_conn", "be_conn_free", "connslots", "avg_queue", "nbsrv", "queue"] {
        all.extend(exactly(["app", "empty", "limited"].map(|backend| format!("{name}({backend})"))));
    }
    all.extend(exactly(["be_sess_rate(app)", "be_sess_rate(empty)", "be_sess_rate(limited),bool"]));
    all.extend(exactly(["fe_conn(held)", "fe_conn(state)", "fe_conn"]));
    for name in ["fe_req_rate", "fe_sess_rate"] {
        // Of what happens now there is at least one, and nothing of what never happens.
        all.extend(exactly([
            format!("{name}(state),bool"),
            format!("{name},bool"),
            format!("{name}(mute),bool"),
        ]));
    }
    for name in
        ["srv_conn", "srv_conn_free", "srv_is_up", "srv_iweight", "srv_queue", "srv_uweight", "srv_weight"]
    {
        let servers = ["app/s1", "app/s2", "app/s3", "limited/only"];
        all.extend(exactly(servers.map(|server| format!("{name}({server})"))));
    }
    all.extend(exactly([
        "srv_sess_rate(app/s1)",
        "srv_sess_rate(app/s2)",
        "srv_sess_rate(limited/only),bool",
    ]));
    all.extend(exactly([
        "str(limited/only),srv_queue",
        "str(only),srv_queue",
        "str(nobody/at/all),srv_queue",
        "hdr(none),srv_queue",
    ]));
    all.extend(exactly(["dst_port,sub($(state))", "fc_dst_port,sub($(state))", "stopping"]));
    all
}

fn play(proxy: &Instance, input: &str) {
    let hold = || {
        let mut client = proxy.client("held");
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        client
    };
    let mut held: Vec<Client> = Vec::new();
    match input {
        "idle" => {}
        "queued" => {
            held = (0..4).map(|_| hold()).collect();
            proxy.wait_for_stat("limited", "BACKEND", "qcur", "3");
        }
        "turned" => {
            for command in [
                "disable server app/s1",
                "enable server app/s2",
                "set server app/s2 weight 200%",
                "set server app/s3 weight 0",
                "set server limited/only state drain",
            ] {
                proxy.cli(command);
            }
        }
        _ => unreachable!("{input}"),
    }
    proxy.client("state").ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    drop(held);
    wait_until("the held requests end", || {
        // One after the other gets the place.
        proxy.cli("shutdown sessions server limited/only");
        proxy.stat("limited", "BACKEND", "scur") == "0" && proxy.stat("limited", "only", "scur") == "0"
    });
}

pub fn labs() -> Vec<Lab> {
    vec![Lab {
        name: "state",
        config: CONFIG,
        rule: ("http-request", "txn", ""),
        questions: questions(),
        inputs: &["idle", "queued", "turned"],
        play,
    }]
}
