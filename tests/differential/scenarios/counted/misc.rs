//! The process, time and chance, captures, the cache, and maps from files.

use super::{Equal, Lab, Question, compared, exactly};
use differential::{Instance, Launch};

const PROCESS: &str = "frontend process
 bind 127.0.0.1:$(process)
{log} unique-id-format id-%[path]-%HM
 declare capture request len 12
 capture request header X-Captured len 9
 capture request header X-None len 9
 http-request capture req.hdr(x-key) id 0
 http-request set-var(txn.v) path if { path /normal }
 http-request deny deny_status 200 if { path /never }
{rules} http-request return status 200
 default_backend for_process
backend for_process
";

fn process_questions() -> Vec<Question> {
    let mut all = exactly([
        "nbproc",
        "proc",
        "thread",
        "hostname",
        "env(COUNTED)",
        "env(EMPTY)",
        "env(NOWHERE)",
        "unique-id",
        "capture.req.hdr(0)",
        "capture.req.hdr(1)",
        "capture.req.hdr(2)",
        "capture.req.hdr(3)",
        "capture.req.method",
        "capture.req.uri",
        "capture.req.ver",
        "last_rule_line",
        "last_rule_file,field(-1,/)",
        "stopping",
        "req.ver",
        "req_ver",
        "req.proto_http",
        "req_proto_http",
        "method",
        "http_first_req",
        "prio_class",
        "prio_offset",
        "var(txn.v)",
        "var(txn.none)",
        "always_true",
        "always_false",
        "src",
        "fe_name",
        "fe_defbe",
        "ssl_fc",
        "path,capture-req(2)",
        "capture.req.hdr(2),length",
        "str(),capture-req(1)",
        "capture.req.hdr(1),length",
        "path,capture-req(7)",
        "path,capture-res(0)",
        // Tasks are not timed unless somebody asks for it.
        "cpu_ns_avg",
        "cpu_ns_tot",
        "lat_ns_avg",
        "lat_ns_tot",
    ]);
    all.extend(compared(Equal::Presence, ["cpu_calls"]));
    all.extend(compared(
        Equal::Digits,
        [
            "date",
            "date(0)",
            "date(-3600)",
            "date(10,ms)",
            "date(-1,us)",
            "date_us",
            "rand(1)",
            "rand",
            "rand(4294967295)",
        ],
    ));
    all.extend(compared(Equal::Length, ["uuid", "uuid(4)"]));
    all
}

const CACHE: &str = "cache memory
 total-max-size 1
 max-age 60
cache spare
 total-max-size 1
listen cache_origin
 bind 127.0.0.1:$(cache_origin)
 http-request return status 200 hdr Cache-Control max-age=30 content-type text/plain string stored if { path_beg /stored }
 http-request return status 200 hdr Cache-Control no-store content-type text/plain string passed
frontend cached
 bind 127.0.0.1:$(cached)
{log} capture response header Cache-Control len 12
 capture response header X-None len 5
{rules} default_backend behind_cache
backend behind_cache
 http-request cache-use memory unless { path /stored/never }
 http-response cache-store memory
 server s 127.0.0.1:$(cache_origin)
";

fn cache_questions() -> Vec<Question> {
    exactly([
        "res.cache_hit",
        "res.cache_name",
        "capture.res.hdr(0)",
        "capture.res.hdr(1)",
        "capture.res.hdr(2)",
        "capture.res.ver",
        "res.ver",
        "status",
        "srv_name",
        "be_name",
        "status,capture-res(1)",
        "capture.res.hdr(1),length",
        "str(longer than the slot),capture-res(0)",
        "capture.res.hdr(0),length",
        "status,capture-res(9)",
        "status,capture-req(0)",
    ])
}

/// Kinds of maps: method, value that it gives, lines of the file.
const MAPS: &[(&str, &[&str])] = &[
    ("beg", &["/a", "/a/b", "10."]),
    ("dir", &["a", "b/c", "10"]),
    ("dom", &["example.com", "a", "10"]),
    ("end", &[".com", "b", "3"]),
    ("sub", &["xamp", "/b", "0.0"]),
    ("reg", &["^/a", "e.*m$", "^10\\.0"]),
    ("int", &["0", "1:9", "10"]),
    ("ip", &["10.0.0.0/8", "::/64", "127.0.0.1"]),
    ("str", &["/a", "www.example.com", "10.0.0.3"]),
];

fn map_file(method: &str, output: &str) -> String {
    let values = |number: usize| match output {
        "int" => ["7", "-9223372036854775808", "010"][number],
        "ip" => ["192.0.2.1", "2001:db8::7", "255.255.255.255"][number],
        _ => ["one", "two words", "\"quoted\""][number],
    };
    let keys = MAPS.iter().find(|(name, _)| *name == method).expect("a method of the table").1;
    keys.iter().enumerate().map(|(number, key)| format!("{key} {}\n", values(number))).collect()
}

/// The files that the labs name.
pub fn files(launch: Launch) -> Launch {
    let pairs = MAPS.iter().flat_map(|(method, _)| ["str", "int", "ip"].map(|output| (*method, output)));
    pairs.fold(launch, |launch, (method, output)| {
        launch.file(&format!("{method}_{output}.map"), &map_file(method, output))
    })
}

const MAPPED: &str = "frontend mapped
 bind 127.0.0.1:$(mapped)
{log}{rules} http-request return status 200
";

fn map_questions() -> Vec<Question> {
    let mut all = Vec::new();
    for (method, _) in MAPS {
        for output in ["str", "int", "ip"] {
            let mut names = match (*method, output) {
                ("beg" | "dir" | "dom" | "end" | "sub" | "reg" | "int" | "ip" | "str", "str") => Vec::new(),
                _ => vec![format!("map_{method}_{output}")],
            };
            if output == "str" {
                names.push(format!("map_{method}"));
            }
            for name in names {
                let file = format!("$(dir)/{method}_{output}.map");
                let default = match output {
                    "int" => "-1",
                    "ip" => "::1",
                    _ => "none",
                };
                all.extend(exactly([
                    format!("hdr(x-key),{name}({file})"),
                    format!("hdr(x-key),{name}({file},{default})"),
                ]));
            }
        }
    }
    all.extend(exactly([
        "hdr(x-key),map($(dir)/str_str.map)",
        "hdr(x-key),map(/dev/null,x)",
        "hdr(x-key),map_regm($(dir)/reg_str.map)",
    ]));
    all
}

fn ask(proxy: &Instance, port: &str, path: &str, headers: &str) {
    proxy.client(port).ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"));
}

pub fn labs() -> Vec<Lab> {
    vec![
        Lab {
            name: "process",
            config: PROCESS,
            rule: ("http-request", "txn", ""),
            questions: process_questions(),
            inputs: &["normal", "empty", "hostile"],
            play: |proxy, input| {
                match input {
                "normal" => ask(proxy, "process", "/normal", "X-Key: kept\r\nX-Captured: captured\r\n"),
                "empty" => drop(proxy.client("process").ask("GET / HTTP/1.0\r\n\r\n")),
                _ => drop(proxy.client("process").ask(
                    "POST http://h/%00?\"x' HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Key: longer than twelve\\\r\n\
                     X-Captured: \"\\} and more\r\nX-Captured:\r\n\r\n",
                )),
            }
            },
        },
        Lab {
            name: "cached",
            config: CACHE,
            rule: ("http-response", "txn", ""),
            questions: cache_questions(),
            inputs: &["/stored/1", "/stored/1?", "/stored/1", "/passed", "/stored/never"],
            play: |proxy, path| ask(proxy, "cached", path, ""),
        },
        Lab {
            name: "mapped",
            config: MAPPED,
            rule: ("http-request", "txn", ""),
            questions: map_questions(),
            inputs: &[
                "/a/b",
                "www.example.com",
                "10.0.0.3",
                "5",
                "",
                "no header",
                "9999999999999999999999",
                "::1",
                "\"\\ ",
            ],
            play: |proxy, key| match key {
                "no header" => ask(proxy, "mapped", "/", ""),
                key => ask(proxy, "mapped", "/", &format!("X-Key: {key}\r\n")),
            },
        },
    ]
}
