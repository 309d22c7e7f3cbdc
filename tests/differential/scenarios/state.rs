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
