//! What outlives a start, and what is summed over threads.

use differential::{Backend, same};

// row: 204
#[test]
fn a_state_file_carries_servers_over_a_restart() {
    let (before, after) = same(|program| {
        let servers = ["s1", "s2", "s3"].map(Backend::named);
        let text = "global\n server-state-file $(dir)/state\n\
                    listen web\n bind 127.0.0.1:$(web)\n load-server-state-from-file global\n \
                    server s1 127.0.0.1:$(a) weight 10\n server s2 127.0.0.1:$(b)\n server s3 127.0.0.1:$(c)\n";
        let start = |state: &str| {
            let launch = program.http(text).with("a", servers[0].port()).with("b", servers[1].port());
            launch.with("c", servers[2].port()).file("state", state).start()
        };
        let first = start("1\n");
        first.cli(
            "set server web/s1 weight 50%; set server web/s2 state maint; set server web/s3 state drain",
        );
        let state = first.cli("show servers state");
        let seen = |proxy: &differential::Instance| {
            ["s1", "s2", "s3"]
                .map(|server| (proxy.stat("web", server, "status"), proxy.stat("web", server, "weight")))
        };
        let before = seen(&first);
        drop(first);
        let second = start(&state);
        (before, seen(&second))
    });
    assert_eq!(before[1].0, "MAINT");
    assert_eq!(after[1].0, "MAINT");
}

// row: 204
#[test]
fn broken_state_files_do_not_keep_the_program_from_starting() {
    let statuses = same(|program| {
        let files =
            ["", "2\n", "1\n", "1\n# be_id be_name\n", "1\nnonsense\n", "1\n# x\n3 web 1 s1 127.0.0.1\n"];
        files.map(|file| {
            let text = "global\n server-state-file $(dir)/state\n\
                        listen web\n bind 127.0.0.1:$(web)\n load-server-state-from-file global\n server s1 127.0.0.1:1\n";
            let proxy = program.http(text).file("state", file).start();
            proxy.stat("web", "s1", "status")
        })
    });
    assert!(statuses.iter().all(|status| status == "no check"), "{statuses:?}");
}

// row: 53, 154
#[test]
fn statistics_are_summed_over_threads() {
    let counts = same(|program| {
        let backend = Backend::named("s1");
        let text = "global\n nbthread 2\n\
                    listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s)\n";
        let proxy = program.http(text).with("s", backend.port()).start();
        assert_eq!(proxy.served_by("web", 40), ["s1"; 40]);
        let fields = ["stot", "req_tot", "hrsp_2xx"];
        let front = fields.map(|field| proxy.stat("web", "FRONTEND", field));
        let threads =
            proxy.cli("show info").lines().find(|line| line.starts_with("Nbthread")).map(str::to_owned);
        (front, proxy.stat("web", "s1", "stot"), threads)
    });
    assert_eq!(counts.0, ["40", "40", "40"]);
    assert_eq!(counts.2.as_deref(), Some("Nbthread: 2"));
}

// row: 204
#[test]
fn each_backend_may_have_its_own_state_file_below_the_base() {
    let header = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                  srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
                  srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl\n";
    // op_state, admin_state, uweight, iweight: running and drained; stopped; of another configured weight; impossible.
    let states = |backend: &str| {
        let lines = [("s1", "2 8 5 10"), ("s2", "0 0 1 1"), ("s3", "2 0 7 2"), ("s4", "9 0 1 1")];
        let line = |(server, state): (&str, &str)| {
            format!("2 {backend} 1 {server} 127.0.0.1 {state} 100 1 0 2 0 0 0 0 - 81 - 0\n")
        };
        format!("{header}{}", lines.map(line).concat())
    };
    let seen = same(|program| {
        let servers = " server s1 127.0.0.1:1 weight 10\n server s2 127.0.0.1:1\n server s3 127.0.0.1:1\n \
                       server s4 127.0.0.1:1\n";
        let text = format!(
            "global\n server-state-base $(dir)\n server-state-file all\n\
             listen web\n bind 127.0.0.1:$(web)\n load-server-state-from-file none\n{servers}\
             backend named\n load-server-state-from-file local\n server-state-file-name mine\n{servers}\
             backend own\n load-server-state-from-file local\n{servers}\
             backend absent\n load-server-state-from-file local\n{servers}\
             backend shared\n load-server-state-from-file global\n{servers}"
        );
        let launch =
            program.http(&text).file("all", &(states("shared") + "\n" + &states("web")[header.len()..]));
        let proxy = launch.file("mine", &states("named")).file("own", &states("own")).start();
        ["web", "named", "own", "absent", "shared"].map(|backend| {
            ["s1", "s2", "s3", "s4"].map(|server| {
                (backend, proxy.stat(backend, server, "status"), proxy.stat(backend, server, "weight"))
            })
        })
    });
    assert_eq!(seen[0][0], ("web", "no check".to_owned(), "10".to_owned()));
    for backend in [1, 2, 4] {
        assert_eq!(seen[backend][0].1, "DRAIN");
        assert_eq!(seen[backend][1].1, "DOWN");
    }
}
