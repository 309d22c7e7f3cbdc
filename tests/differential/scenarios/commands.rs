//! Commands of the runtime API for those who look into the process.

use differential::{Program, same};

const WEB: &str =
    "listen web\n bind 127.0.0.1:$(web)\n http-request return status 200 content-type a/b string pong\n";

#[test]
fn process_variables_are_set_in_every_form() {
    let told = same(|program| {
        let proxy = program.http(WEB).start();
        let commands = [
            "",
            "proc.x",
            "proc.x expr",
            "proc.x int(3)",
            "proc.y expr str(a)",
            "proc.z fmt a%[int(4)]b",
            "proc.u expr str(abc),upper",
            "txn.z int(3)",
            "proc.x nosuch(3)",
            "proc.x int(3) junk",
        ];
        let mut told =
            commands.map(|command| proxy.cli(&format!("experimental-mode on; set var {command}"))).to_vec();
        told.extend(["x", "y", "z", "u", "v"].map(|name| proxy.cli(&format!("get var proc.{name}"))));
        told.push(proxy.cli("set var proc.x int(3)"));
        told
    });
    assert!(told[12].contains("proc.z: type=str value=<a4b>"), "{told:?}");
}

#[test]
fn commands_for_developers_answer_as_haproxy_does() {
    let told = same(|program| {
        let proxy = program.http(WEB).start();
        [
            "debug dev write 5",
            "httpclient GET http://a/",
            "expert-mode on; debug dev write",
            "expert-mode on; debug dev write 120",
            "expert-mode on; debug dev write 0",
            "expert-mode on; debug dev delay 5",
            "expert-mode on; debug dev loop 5",
            "expert-mode on; debug dev log hello world",
            "expert-mode on; debug dev check",
            "expert-mode on; httpclient",
            "expert-mode on; httpclient GET",
            "expert-mode on; httpclient GET bad",
            "expert-mode on; httpclient GET http://127.0.0.1:1/",
            "show events x",
            "trace x",
            "trace 0",
            "set profiling",
            "set profiling tasks",
            "set profiling tasks x",
            "set profiling memory on",
            "set profiling memory",
            "show profiling x",
            "show fd 65535",
        ]
        .map(|command| (command, proxy.cli(command)))
    });
    assert_eq!(told[3].1.matches('.').count(), 119);
}

#[test]
fn the_client_inside_the_process_asks_the_proxy_itself() {
    let bodies = same(|program| {
        let proxy = program.http(WEB).start();
        let uri = format!("http://127.0.0.1:{}/", proxy.port("web"));
        let told = proxy.cli(&format!("expert-mode on; httpclient GET {uri}"));
        (told.contains("HTTP/1.1 200 OK"), told.contains("content-length: 4"), told.contains("pong"))
    });
    assert_eq!(bodies, (true, true, true));
}

#[test]
fn descriptors_threads_and_libraries_are_listed() {
    let proxy = Program::Hawser.http(WEB).start();
    let port = proxy.port("web");
    let descriptors = proxy.cli("show fd");
    assert!(descriptors.contains(&format!("listener fam=ipv4 lport={port}")), "{descriptors}");
    assert!(proxy.cli("show libs").contains("hawser"));
    assert!(proxy.cli("show threads").contains("  Thread 1 : id="));
    assert!(proxy.cli("show tasks").starts_with("Running tasks: "));
    assert!(proxy.cli("show pools").contains("Pool buffer ("));
    let exit = Program::Hawser.http(WEB).start();
    exit.cli("expert-mode on; debug dev exit 7");
    let mut exit = exit;
    assert_eq!(exit.wait().code, 7);
}
