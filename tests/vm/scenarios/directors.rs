//! The tutorial's pair of directors, with real IPVS.

// row: 323, 324
#[test]
fn web_servers_and_directors_fail_and_clients_go_on() {
    let outcome = vm::run("directors", include_str!("directors.sh"), &[]);
    let printed: Vec<&str> =
        outcome.printed.lines().filter(|line| line.contains("stop") || line.contains("kill")).collect();
    println!("{}", printed.join("\n"));
    assert_eq!(
        outcome.status,
        0,
        "{}\n--- 1\n{}\n--- 2\n{}",
        outcome.printed,
        outcome.file("log1"),
        outcome.file("log2")
    );
}
