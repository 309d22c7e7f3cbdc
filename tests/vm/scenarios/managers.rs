//! SNMP of virtual servers: what managers see and are told, under keepalived 2.2.7 and ours below the same snmpd, value by
//! value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const KEEPALIVED: &str = ".1.3.6.1.4.1.9586.100.5.";

/// What is not compared: the start of the name, and why. It has to be there all the same, unless `IS_ABSENT` says where.
const EXEMPT: &[(&str, &str)] = &[
    ("1.1.0", "the version"),
    ("3.3.1.8.2", "it knows no protocol of a mark: the MIB calls it none"),
    ("3.3.1.8.7", "it knows no protocol of a mark: the MIB calls it none"),
    ("3.3.1.15.5", "a mask of IPv4 for a group of IPv6"),
    ("3.3.1.51.", "all ones for marks and groups, and where IPv6 has no granularity"),
];

/// What the kernel counts and estimates once there was traffic: columns of virtual servers, then of real servers.
const COUNTED: [&[u32]; 2] = [
    &[28, 29, 30, 31, 32, 33, 34, 35, 36, 39, 40, 41, 43, 45, 47, 49],
    &[18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 29, 30, 32, 34, 36, 38],
];

fn walk(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(KEEPALIVED)?.split_once(" = "));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn is_counted(name: &str) -> bool {
    [("3.3.1.", COUNTED[0]), ("3.4.1.", COUNTED[1])].into_iter().any(|(table, columns)| {
        let column = name.strip_prefix(table).and_then(|rest| rest.split('.').next()?.parse().ok());
        column.is_some_and(|column: u32| columns.contains(&column))
    })
}

/// Differences, a line each. `has_traffic`: what the kernel counts is not compared.
fn differences(
    theirs: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
    has_traffic: bool,
) -> String {
    let mut text = String::new();
    for name in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
        let is_exempt = EXEMPT.iter().any(|(start, _)| name.starts_with(start));
        let (theirs, ours) = (theirs.get(name), ours.get(name));
        let is_alike = theirs == ours
            || is_exempt
            || (has_traffic && is_counted(name) && theirs.is_some() && ours.is_some());
        if !is_alike {
            let _ = writeln!(text, "{name}: keepalived {theirs:?}, hawser {ours:?}");
        }
    }
    text
}

/// Traps without their time, by the virtual server that they are about, in order.
fn traps(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        let Some((_, rest)) = line.split_once(".1.3.6.1.6.3.1.1.4.1.0 = OID: ") else { continue };
        if !rest.starts_with(&format!("{KEEPALIVED}3.5.0.")) {
            continue;
        }
        let mut parts: Vec<String> =
            rest.split('\t').map(|part| part.trim().replace(KEEPALIVED, "")).collect();
        let is_about =
            |part: &&String| ["3.3.1.3 ", "3.3.1.4 ", "3.3.1.6 "].iter().any(|start| part.starts_with(start));
        let about = parts.iter().find(is_about).cloned().unwrap_or_default();
        // keepalived says UDP of marks and of SCTP.
        let is_named =
            !about.starts_with("3.3.1.4 ") && parts.iter().all(|part| part != "3.3.1.7 = Gauge32: 53");
        parts.iter_mut().filter(|part| part.starts_with("3.3.1.8 ") && !is_named).for_each(|part| {
            "3.3.1.8".clone_into(part);
        });
        all.entry(about).or_default().push(parts.join(", "));
    }
    all
}

/// Lines of the notify pipe by their virtual server, in order.
fn pipe(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let service = if words.first() == Some(&"RS") { words.get(2..) } else { words.get(1..) };
        let service = service.map(|rest| rest[..rest.len().saturating_sub(1)].join(" "));
        all.entry(service.unwrap_or_default()).or_default().push(line.to_owned());
    }
    all
}

#[test]
fn managers_see_and_hear_of_virtual_servers_as_with_keepalived() {
    let outcome = vm::run("managers", include_str!("managers.sh"), &[]);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    assert!(!outcome.printed.contains("never:"), "{}", outcome.printed);
    let mut all = String::new();
    for (part, has_traffic) in [("first", false), ("second", true), ("third", true), ("part", false)] {
        let [theirs, ours] = ["real", "ours"].map(|who| walk(&outcome.file(&format!("{part}-{who}"))));
        assert!(theirs.len() > 150, "{part}: {theirs:#?}");
        let text = differences(&theirs, &ours, has_traffic);
        if !text.is_empty() {
            let _ = writeln!(all, "{part}:\n{text}");
        }
    }
    for part in ["whole", "part"] {
        let [theirs, ours] = ["real", "ours"].map(|who| traps(&outcome.file(&format!("traps-{part}-{who}"))));
        assert!(!theirs.is_empty(), "{}", outcome.printed);
        if theirs != ours {
            let _ = writeln!(all, "traps of the {part}: keepalived {theirs:#?}, hawser {ours:#?}");
        }
    }
    let [theirs, ours] = ["real", "ours"].map(|who| pipe(&outcome.file(&format!("pipe-{who}"))));
    assert!(theirs.len() > 5, "{theirs:#?}");
    if theirs != ours {
        let _ = writeln!(all, "pipe: keepalived {theirs:#?}, hawser {ours:#?}");
    }
    assert!(all.is_empty(), "{all}");

    // What is exempt, as it should be.
    let ours = walk(&outcome.file("second-ours"));
    let value = |name: &str| ours.get(name).map(String::as_str);
    assert_eq!((value("3.3.1.8.2"), value("3.3.1.8.7")), (Some("INTEGER: 4"), Some("INTEGER: 4")));
    assert_eq!((value("3.3.1.51.6"), value("3.3.1.51.8")), (Some("Gauge32: 64"), Some("Gauge32: 128")));
    assert_eq!((value("3.3.1.51.2"), value("3.3.1.15.5")), (None, None));
    // Counters are the kernel's, of the virtual server and of the real server that served.
    let counters = outcome.file("stats-ours");
    let row = |what: &str| -> Vec<u64> {
        let line = counters.lines().find(|line| line.contains(what)).unwrap_or_default();
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let number = |name: String| -> u64 {
        let text = value(&name).unwrap_or_default();
        text.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(u64::MAX)
    };
    let of_service: Vec<u64> = (27..=31).map(|column| number(format!("3.3.1.{column}.1"))).collect();
    assert_eq!((of_service[0], &of_service), (3, &row("10.9.0.1:80")));
    let columns = [14, 18, 19, 20, 21];
    let of_servers: Vec<u64> = columns
        .into_iter()
        .map(|column| (2..=4).map(|server| number(format!("3.4.1.{column}.1.{server}"))).sum())
        .collect();
    assert_eq!(of_servers, of_service);
}
