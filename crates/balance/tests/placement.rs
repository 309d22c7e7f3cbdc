//! Every key goes where the real haproxy sent it: replays the recorded placements of tests/vectors/balance.

use std::collections::HashMap;
use std::net::IpAddr;

use balance::key::{self, UriOptions};
use balance::{Algorithm, HashFunction, HashMethod, HashType, Picker, Server};

/// The recorded file of one kind of key.
struct Recording {
    servers: HashMap<String, Vec<(char, Server)>>,
    keys: Vec<Vec<u8>>,
    cases: Vec<Case>,
}

struct Case {
    balance: String,
    servers: String,
    hash_type: HashType,
    answers: String,
}

fn read(kind: &str) -> Recording {
    let path = format!("{}/../../tests/vectors/balance/{kind}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the recorded vectors are checked in");
    let mut recording = Recording { servers: HashMap::new(), keys: Vec::new(), cases: Vec::new() };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').expect("a word and its arguments");
        match word {
            "servers" => {
                let mut words = rest.split(' ');
                let name = words.next().expect("a name").to_owned();
                recording.servers.insert(name, words.map(server).collect());
            }
            "key" => recording.keys.push(unescape(rest.strip_suffix('|').expect("a bar ends each key"))),
            "case" => {
                let parts: Vec<&str> = rest.split(" | ").collect();
                recording.cases.push(Case {
                    balance: parts[0].to_owned(),
                    servers: parts[1].to_owned(),
                    hash_type: hash_type(parts[2]),
                    answers: parts[3].to_owned(),
                });
            }
            other => panic!("unknown word {other}"),
        }
    }
    recording
}

fn server(word: &str) -> (char, Server) {
    let parts: Vec<&str> = word.split(':').collect();
    let name = parts[0].chars().next().expect("a name");
    (name, Server::new(parts[1].parse().expect("an id")).weight(parts[2].parse().expect("a weight")))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(code) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&code[..2], 16).expect("two hex digits"));
            rest = &code[2..];
        } else if let Some(after) = rest.strip_prefix("\\\\") {
            bytes.push(b'\\');
            rest = after;
        } else {
            bytes.push(character as u8);
            rest = &rest[1..];
        }
    }
    bytes
}

fn hash_type(text: &str) -> HashType {
    let words: Vec<&str> = text.split(' ').collect();
    HashType {
        method: match words[0] {
            "map-based" => HashMethod::MapBased,
            "consistent" => HashMethod::Consistent,
            other => panic!("unknown method {other}"),
        },
        function: match words[1] {
            "sdbm" => HashFunction::Sdbm,
            "djb2" => HashFunction::Djb2,
            "wt6" => HashFunction::Wt6,
            "crc32" => HashFunction::Crc32,
            other => panic!("unknown function {other}"),
        },
        avalanche: words.get(2) == Some(&"avalanche"),
        balance_factor: 0,
        looks_when_alone: false,
    }
}

/// Replays all cases of a kind; `hash` makes the hash of a key, or finds that there is none.
fn assert_same_placement(
    kind: &str,
    cases_expected: usize,
    hash: impl Fn(&[u8], &str, &HashType) -> Option<u32>,
) {
    let recording = read(kind);
    assert_eq!(recording.cases.len(), cases_expected, "cases of {kind}");
    let mut differences = Vec::new();
    for case in &recording.cases {
        let members = &recording.servers[&case.servers];
        let servers: Vec<Server> = members.iter().map(|&(_, server)| server).collect();
        let mut picker = Picker::new(Algorithm::Hash(case.hash_type), &servers, false, 0);
        for (bytes, expected) in recording.keys.iter().zip(case.answers.chars()) {
            let chosen = picker.pick(hash(bytes, &case.balance, &case.hash_type), None, &|_| false);
            let name = chosen.map(|server| members[server.position()].0);
            if name != Some(expected) {
                let shown = String::from_utf8_lossy(bytes).into_owned();
                differences.push(format!(
                    "{} {:?} {}: {shown:?} {name:?} not {expected}",
                    case.balance, case.hash_type, case.servers
                ));
            }
        }
    }
    let shown = differences.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{shown}", differences.len());
}

fn uri_options(balance: &str) -> UriOptions {
    let mut options = UriOptions::default();
    let mut words = balance.split(' ').skip(1);
    while let Some(word) = words.next() {
        match word {
            "whole" => options.whole = true,
            "path-only" => options.path_only = true,
            "len" => options.length_max = words.next().expect("a length").parse().expect("a number"),
            "depth" => options.depth_max = words.next().expect("a depth").parse().expect("a number"),
            other => panic!("unknown option {other}"),
        }
    }
    options
}

// row: 121, 122, 123, 125, 127, 140
#[test]
fn uris_go_where_haproxy_sends_them() {
    assert_same_placement("uri", 176, |target, balance, hash_type| {
        Some(key::uri(target, &uri_options(balance), hash_type))
    });
}

// row: 128, 139, 140
#[test]
fn url_parameters_go_where_haproxy_sends_them_and_take_turns_when_missing() {
    assert_same_placement("url_param", 48, |target, _, hash_type| key::url_param(target, b"id", hash_type));
}

// row: 129, 140
#[test]
fn url_parameters_in_a_body_go_where_haproxy_sends_them() {
    assert_same_placement("url_param_body", 48, |body, _, hash_type| {
        key::url_param_in_body(body, b"id", hash_type)
    });
}

// row: 131, 132, 139, 140
#[test]
fn headers_go_where_haproxy_sends_them_and_take_turns_when_missing() {
    assert_same_placement("hdr", 96, |value, balance, hash_type| {
        key::header(key::first_element(value), balance.ends_with("use_domain_only"), hash_type)
    });
}

// row: 120, 124, 137, 140
#[test]
fn addresses_go_where_haproxy_sends_them() {
    assert_same_placement("source", 72, |text, balance, hash_type| {
        let address: IpAddr = std::str::from_utf8(text).expect("text").parse().expect("an address");
        match balance {
            "source" => Some(key::source(address, hash_type)),
            "hash src" => Some(key::expression_address(address, hash_type)),
            other => panic!("unknown argument {other}"),
        }
    });
}

// row: 133, 139, 140
#[test]
fn rdp_cookies_go_where_haproxy_sends_them_and_take_turns_when_missing() {
    assert_same_placement("rdp-cookie", 96, |payload, balance, hash_type| {
        let name = if balance.ends_with("(msts)") { &b"msts"[..] } else { b"mstshash" };
        key::rdp_cookie(payload, name, hash_type)
    });
}

// row: 137, 140
#[test]
fn expressions_go_where_haproxy_sends_them() {
    assert_same_placement("hash", 144, |value, balance, hash_type| {
        let value = value.trim_ascii();
        let length = i64::try_from(value.len()).expect("short");
        match balance {
            "hash req.fhdr(x-key)" => Some(key::expression(value, hash_type)),
            "hash req.fhdr(x-key),length" => Some(key::expression_integer(length, hash_type)),
            "hash req.fhdr(x-key),length,bool" => {
                Some(key::expression_integer(i64::from(length > 0), hash_type))
            }
            other => panic!("unknown argument {other}"),
        }
    });
}
