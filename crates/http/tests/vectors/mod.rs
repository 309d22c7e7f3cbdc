//! The recorded cases in `tests/vectors/http1`: blocks of `key: value` lines, bytes escaped.
//!
//! `\r \n \t \\ \" \xHH` are escapes and `{c*N}` is the byte `c` N times. Written by the recorder in `oracle.rs`:
//! - `case`, `options` (`accept-invalid`), `request` (responses: what asks for it), `send`: the scenario;
//! - `status`: what the client got first (`none`: nothing);
//! - `closed`: whether HAProxy closed the client's connection;
//! - `backend`: what the server got, one line for each message; `client`: what the client got.

use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    pub accept_invalid: bool,
    pub request: Option<Vec<u8>>,
    pub send: Vec<u8>,
    pub outcome: Outcome,
}

/// What HAProxy made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// 0: the client got no status line.
    pub status: u16,
    pub closed: bool,
    pub backend: Vec<Vec<u8>>,
    pub client: Vec<u8>,
}

pub fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/http1").join(file)
}

pub fn load(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(path(file)).expect("the vectors are checked in");
    let blocks = text.split("\n\n").filter(|block| block.contains("case: "));
    blocks.map(|block| read_case(block, file)).collect()
}

fn read_case(block: &str, file: &str) -> Case {
    let mut case = Case::default();
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
        match key {
            "case" => case.name = value.to_owned(),
            "options" => case.accept_invalid = value == "accept-invalid",
            "request" => case.request = Some(unescape(value)),
            "send" => case.send = unescape(value),
            "status" => case.outcome.status = value.parse().unwrap_or(0),
            "closed" => case.outcome.closed = value == "yes",
            "backend" => case.outcome.backend.push(unescape(value)),
            "client" => case.outcome.client = unescape(value),
            other => panic!("{file}: unknown key {other:?} in {:?}", case.name),
        }
    }
    case
}

/// Shortest run of one byte that is written as `{c*N}`.
const RUN_MIN: usize = 20;

pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let run = bytes[at..].iter().take_while(|&&other| other == byte).count();
        if run >= RUN_MIN && byte.is_ascii_alphanumeric() {
            write!(text, "{{{}*{run}}}", byte as char).unwrap();
            at += run;
            continue;
        }
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(byte as char),
            _ => write!(text, "\\x{byte:02x}").unwrap(),
        }
        at += 1;
    }
    text
}

pub fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'x')) => {
                out.push(u8::from_str_radix(&text[at + 2..at + 4], 16).expect("two hexadecimal digits"));
                at += 4;
            }
            (b'\\', Some(&next)) => {
                out.push(match next {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    other => other,
                });
                at += 2;
            }
            (b'{', Some(&byte)) if bytes.get(at + 2) == Some(&b'*') => {
                let end = at + text[at..].find('}').expect("a run ends with a brace");
                let count: usize = text[at + 3..end].parse().expect("a run has a count");
                out.resize(out.len() + count, byte);
                at = end + 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
