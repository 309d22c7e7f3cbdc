//! A test tool of others starts, asks and stops the program: varnishtest, which expects a program called haproxy.

use std::process::Command;

use differential::{Program, same};

/// `WAY` is how the program is started; `fe` is a socket that the tool opened, as is the admin socket.
const CASE: &str = r#"varnishtest "a program called haproxy"

feature ignore_unknown_macro

server s1 -repeat 2 {
    rxreq
    expect req.http.x-added == "yes"
    txresp -body "served"
} -start

haproxy h1 WAY -conf {
    defaults
        mode http
        timeout connect 5s
        timeout client 5s
        timeout server 5s

    frontend fe
        bind "fd@${fe}"
        http-request set-header X-Added yes
        default_backend be

    backend be
        server s1 ${s1_addr}:${s1_port}
} -start

client c1 -connect ${h1_fe_sock} {
    txreq -url "/a"
    rxresp
    expect resp.status == 200
    expect resp.body == "served"
    txreq -url "/b"
    rxresp
    expect resp.status == 200
} -run

CLI
"#;

const CLI: &str = r#"haproxy h1 -cli {
    send "get weight be/s1"
    expect ~ "1 .initial 1."
    send "disable server be/s1"
    expect ~ "^\n"
    send "show servers state be"
    expect ~ "be 1 s1"
}
"#;

/// The tool's exit code, 0 when all expectations held.
fn run(program: Program, way: &str) -> Option<i32> {
    let folder =
        std::env::temp_dir().join(format!("hawser-vtc-{}-{}{way}", std::process::id(), program.name()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let cli = if way == "-W" { "" } else { CLI };
    std::fs::write(folder.join("case.vtc"), CASE.replace("WAY", way).replace("CLI", cli)).expect("the case");
    // A link of that name makes our binary take the part.
    let link = folder.join("haproxy");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(program.command().get_program(), &link).expect("a link");
    let mut command = Command::new("varnishtest");
    command.arg("case.vtc").current_dir(&folder).env("HAPROXY_PROGRAM", &link).env("TMPDIR", &folder);
    let output = command.output().expect("varnishtest is installed");
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    }
    let _ = std::fs::remove_dir_all(&folder);
    output.status.code()
}

// row: 46, 329
#[test]
fn varnishtest_starts_asks_and_stops_the_program_in_the_foreground() {
    assert_eq!(same(|program| run(program, "")), Some(0));
}

// row: 329
#[test]
fn varnishtest_starts_asks_and_stops_a_daemon() {
    assert_eq!(same(|program| run(program, "-D")), Some(0));
}

// row: 329
#[test]
fn varnishtest_starts_asks_and_stops_a_master() {
    assert_eq!(same(|program| run(program, "-W")), Some(0));
}
