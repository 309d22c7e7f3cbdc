//! Rules, tables and maps of the workloads that are about them: owns their configuration lines and files.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Entries of the map of IP addresses; they begin with 10.0.0.0.
const MAP_ENTRIES: u32 = 1_000_000;
const MAP_FIRST: u32 = 10 << 24;
/// Look-ups and updates of one request: enough that they are what is measured.
const OPERATIONS: usize = 20;

/// What the hundred rules are asked about: ten match it.
pub const PATH: &str = "/app/page?id=7&lang=en";

/// What a proxy does with each request beside passing it on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    None,
    /// 100 rules of the kinds that are common; 10 match.
    Hundred,
    /// Updates of a stick table; answers itself.
    Table,
    /// Look-ups in a large map; answers itself.
    Map,
}

impl Rules {
    /// Lines of the proxy's section; files they name go to the folder.
    pub fn lines(self, folder: &Path) -> Result<String, String> {
        Ok(match self {
            Rules::None => String::new(),
            Rules::Hundred => hundred(),
            Rules::Table => {
                let mut text =
                    " stick-table type integer size 200k expire 10m store gpc0,http_req_rate(10s)\n \
                                http-request track-sc0 rand(100000)\n"
                        .to_owned();
                for _ in 0..OPERATIONS {
                    text.push_str(" http-request sc-inc-gpc0(0)\n");
                }
                text + " http-request return status 200\n"
            }
            Rules::Map => {
                let path = folder.join("addresses.map");
                fs::write(&path, addresses(MAP_ENTRIES)).map_err(|error| error.to_string())?;
                let mut text = String::new();
                for number in 0..OPERATIONS {
                    let _ = writeln!(
                        text,
                        " http-request set-var(txn.m{number}) rand({MAP_ENTRIES}),add({MAP_FIRST}),map_ip({})",
                        path.display()
                    );
                }
                text + " http-request return status 200\n"
            }
        })
    }
}

fn addresses(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        let _ = writeln!(text, "{} v{number}", std::net::Ipv4Addr::from(MAP_FIRST + number));
    }
    text
}

/// Nine kinds that do not match in turn, and a tenth that does.
fn hundred() -> String {
    let mut text = String::new();
    for number in 0..10 {
        let _ = write!(
            text,
            " http-request deny if {{ path_beg /admin{number} }}\n \
             http-request set-header X-A{number} yes if {{ hdr(host) -i host{number}.example }}\n \
             http-request deny if {{ src 172.16.{number}.0/24 192.168.{number}.0/24 }}\n \
             http-request set-var(txn.v{number}) int({number}) if {{ method PUT }}\n \
             http-request redirect location /new{number} if {{ path /old{number} /older{number} }}\n \
             http-request deny if {{ req.hdr(user-agent) -m sub bot{number} }}\n \
             http-request del-header X-B{number} if {{ path_end .php{number} }}\n \
             http-request set-path /x{number} if {{ path_reg ^/v{number}/[0-9]+$ }}\n \
             http-request deny if {{ url_param(id) 10{number} }} {{ req.cook(session) -m found }}\n \
             http-request set-var(txn.m{number}) path if {{ path_beg /app }}\n"
        );
    }
    text
}

/// 10,000 rules, and a map of 100,000 entries.
pub fn large(folder: &Path) -> Result<String, String> {
    let map = folder.join("large.map");
    fs::write(&map, addresses(100_000)).map_err(|error| error.to_string())?;
    let mut text = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
         listen f\n bind 127.0.0.1:1\n server s 127.0.0.1:2\n http-request set-var(txn.m) src,map_ip({})\n",
        map.display()
    );
    for number in 0..10_000 {
        let _ = writeln!(
            text,
            " http-request set-header X-R r{number} if {{ path_beg /p{number} }} {{ src 10.0.0.0/8 }}"
        );
    }
    Ok(text)
}

/// 10,000 backends of two servers.
pub fn many_backends(_: &Path) -> Result<String, String> {
    let mut text = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                    frontend f\n bind 127.0.0.1:1\n default_backend b0\n"
        .to_owned();
    for number in 0..10_000 {
        let (high, low) = (number / 250, number % 250);
        let _ = writeln!(
            text,
            "backend b{number}\n balance roundrobin\n option httpchk\n server s1 10.0.{high}.{low}:80 check\n \
             server s2 10.1.{high}.{low}:80 check backup"
        );
    }
    Ok(text)
}
