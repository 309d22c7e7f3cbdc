//! Every alias of log formats, over three requests: an ordinary one, one with next to nothing, a hostile one.

use differential::normalise::numbers;
use differential::{Backend, same};

/// What is the same in two honest runs.
const STEADY: &[&str] = &[
    "B", "CC", "CS", "HM", "HP", "HPO", "HQ", "HU", "HV", "ID", "ST", "U", "ac", "b", "bc", "bi", "bq", "ci",
    "f", "fc", "fi", "ft", "hr", "hrl", "hs", "hsl", "r", "rc", "s", "sc", "si", "sq", "sslc", "sslv", "ts",
    "tsc", "lc", "H",
];
/// Times, ports and numbers that chance gives: their digits do not count.
const VOLATILE: &[&str] = &[
    "T", "Ta", "Tc", "Td", "Th", "Ti", "Tl", "TR", "Tq", "Tr", "Ts", "Tt", "Tu", "Tw", "bp", "cp", "fp",
    "ms", "pid", "rt", "sp", "t", "tr", "trg", "trl",
];

const REQUESTS: [&[u8]; 3] = [
    b"GET /a/b?x=1&y=%20 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7\r\nCookie: id=abc; t=1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST /\"%00'?\\]{|}= HTTP/1.1\r\nHost: \"[x]\"\r\nUser-Agent: a\"b]c\\d\te\r\nCookie: id=\"; id=x\r\nContent-Length: 0\r\n\r\n",
];

/// Numbers in decimal or, with `+X`, in hexadecimal do not count.
fn without_numbers(volatile: &str) -> String {
    let value = |word: &str| match word.split_once("=<") {
        Some((name, value)) if value.trim_end_matches('>').bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{name}=<N>")
        }
        _ => numbers(word),
    };
    volatile.trim_end().split(' ').map(value).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_alias_is_written_alike_over_three_requests() {
    let lines = same(|program| {
        let flags = ["", "{+Q}", "{+X}", "{+E}"];
        // One request of its own for each way of writing; each alias stands in brackets of its own.
        flags.map(|flag| {
            REQUESTS.map(|request| {
                let backend = Backend::named("s1");
                let list = |names: &[&str]| {
                    names.iter().map(|name| format!("{name}=<%{flag}{name}>")).collect::<Vec<_>>().join(" ")
                };
                let text = format!(
                    "frontend web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) len 8192 local0\n \
                     capture request header Host len 20\n capture request header User-Agent len 30\n \
                     capture response header Server len 10\n capture cookie id= len 20\n \
                     unique-id-format %ci-%f\n http-request set-header X-Id %[unique-id]\n \
                     log-format \"marker {} then {}\"\n default_backend app\n\
                     backend app\n server s1 127.0.0.1:$(s1)\n",
                    list(STEADY),
                    list(VOLATILE)
                );
                let proxy = program.http(&text).with("s1", backend.port()).start();
                let mut client = proxy.client("web");
                client.send(request);
                client.response();
                drop(client);
                let line = proxy.log().expect("marker ");
                let line = line.split_once("marker ").expect("the format").1.to_owned();
                let (steady, volatile) = line.split_once(" then ").expect("both halves");
                (steady.to_owned(), without_numbers(volatile))
            })
        })
    });
    let aliases = STEADY.len() + VOLATILE.len();
    println!(
        "log aliases: {aliases} compared over {} requests with {} flags each",
        REQUESTS.len(),
        lines.len()
    );
    assert!(
        lines[0][0].0.contains("HP=</a/b>") && lines[0][0].0.contains("CC=<id=abc>"),
        "{}",
        lines[0][0].0
    );
}
