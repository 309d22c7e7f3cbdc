//! The verdict of keepalived 2.2.7 (`-t`) on small configurations, and ours. `record.sh` beside the table records it.

use diag::Severity;
use keepalived_config::model::RunAs;
use keepalived_config::{InterfaceFacts, MemoryHost, load_text};
use std::collections::BTreeMap;

const VERDICTS: &str = include_str!("../../../tests/vectors/keepalived/verdicts.txt");
/// `EXIT<tab>CONFIGURATION<tab>REASON`: where ours differs, and why.
const DIFFERENCES: &str = include_str!("../../../tests/vectors/keepalived/differences.txt");

/// keepalived ends with this code when a word is missing: it gives up on the spot.
const EXIT_GAVE_UP: u8 = 2;
/// … and with this one when what is left of the configuration cannot run.
const EXIT_CANNOT_RUN: u8 = 4;
const EXIT_PROBLEMS: u8 = 5;

/// The namespace that the table was recorded in: two ends of a veth pair, and a few users and programs.
fn laboratory() -> MemoryHost {
    let loopback = InterfaceFacts { loopback: true, networks: Vec::new() };
    let wire = InterfaceFacts::default();
    MemoryHost {
        host_name: "vm".to_owned(),
        interfaces: Some(BTreeMap::from([
            ("lo".to_owned(), loopback),
            ("v0".to_owned(), wire.clone()),
            ("v1".to_owned(), wire),
        ])),
        users: BTreeMap::from([("nobody".to_owned(), RunAs { user: 65_534, group: 65_534 })]),
        missing_programs: ["/no/such".to_owned()].into(),
        ..MemoryHost::default()
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (other, false) => out.push(other),
        }
    }
    out
}

fn expected(exit: u8) -> u8 {
    if matches!(exit, EXIT_GAVE_UP | EXIT_CANNOT_RUN) { EXIT_PROBLEMS } else { exit }
}

#[test]
fn verdicts_are_those_of_keepalived() {
    // row: 212, 220, 223, 227, 230, 231, 240, 242, 243, 251, 252
    let host = laboratory();
    let differences: BTreeMap<&str, (u8, &str)> = DIFFERENCES
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut fields = line.split('\t');
            let exit = fields.next().and_then(|field| field.parse().ok()).expect("an exit code");
            let config = fields.next().expect("a configuration");
            (config, (exit, fields.next().expect("a reason")))
        })
        .collect();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in VERDICTS.lines() {
        let (exit, config) = line.split_once('\t').expect("EXIT<tab>CONFIGURATION");
        let exit = expected(exit.parse().expect("a number"));
        let exit = differences.get(config).map_or(exit, |(ours, _)| *ours);
        let loaded = load_text(&host, "x.conf", &unescape(config));
        let ours = loaded.verdict.exit_code();
        compared += 1;
        if ours != exit {
            let told = loaded.report.render(&loaded.sources, Severity::Diag);
            wrong.push(format!("{exit} expected, {ours} found: {config}\n{told}"));
        }
    }
    assert!(compared >= 200, "{compared} configurations only");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
}
