//! Where checks connect to, from where, and how long they wait, under the real keepalived and ours.

/// When both real servers were there, when the one with `connect_timeout 1` had left, and when the other.
fn times(text: &str) -> [f64; 3] {
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("seconds")).collect();
    numbers.try_into().expect("three times")
}

// row: 272, 273, 274
#[test]
fn checks_connect_where_from_and_as_long_as_under_keepalived() {
    let outcome = vm::run("checks", include_str!("checks.sh"), &[]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    let (real, ours) = (outcome.file("real"), outcome.file("ours"));
    assert!(!real.contains("never:") && real.contains("from elsewhere: 0"), "{real}");
    assert!(real.contains("10.5.0.1:8081") && !real.contains("10.5.0.1:8082"), "{real}");
    assert_eq!(ours, real, "{}", outcome.file("log-ours"));
    for name in ["times-real", "times-ours"] {
        let [start, fast, slow] = times(&outcome.file(name));
        // Five seconds where the file has no connect_timeout, one where it says so; looking costs a moment.
        assert!(slow - fast > 3.0, "{name}: {start} {fast} {slow}");
        assert!(slow - start > 4.0 && slow - start < 15.0, "{name}: {start} {fast} {slow}");
    }
}
