//! A real server is drained on the kernel's IPVS.

#[test]
fn a_drained_server_keeps_its_connection_until_the_deadline_or_its_end() {
    let hosts = ("hosts.sh", include_str!("hosts.sh").to_owned());
    let outcome = vm::run("drain", include_str!("drain.sh"), &[hosts]);
    assert_eq!(outcome.status, 0, "{}{}", outcome.printed, outcome.file("log"));
    let expected = "\
[10.0.1.HOLDER]:tcp:80 of [10.0.0.100]:tcp:80: draining, weight 0
\"admin\":\"draining\"
weight 0, one connection
elsewhere: OTHER OTHER OTHER OTHER OTHER OTHER\u{20}
answered by its own
out in less than a minute
no connection left
[10.0.1.HOLDER]:tcp:80 of [10.0.0.100]:tcp:80: up, weight 1
[10.0.1.HOLDER]:tcp:80 of [10.0.0.100]:tcp:80: up, weight 7
weight 7
weight 1
still open, still there
deadline passed
hawser director: there is no real server 10.0.1.9
refused: 1
";
    let lines: Vec<&str> = outcome.printed.lines().collect();
    let served = lines.iter().position(|line| line.starts_with("served: ")).expect("it was served");
    let told: Vec<&str> = expected.lines().collect();
    assert_eq!(lines[served + 1..], told, "{}{}", outcome.printed, outcome.file("log"));
}
