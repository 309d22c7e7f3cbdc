//! The client's connection with and without PROXY headers, and the server's.

use super::{Equal, Lab, Question, ask_for, compared, exactly};
use differential::Instance;

const CLIENT: &str = "frontend connection
 bind 127.0.0.1:$(connection)
 bind 127.0.0.1:$(proxied) accept-proxy
{log}{rules} http-request return status 200
";

const MEASURED: &[&str] = &["fc_rtt", "fc_rttvar"];
const COUNTED: &[&str] = &["fc_fackets", "fc_lost", "fc_reordering", "fc_retrans", "fc_sacked", "fc_unacked"];

fn questions() -> Vec<Question> {
    let mut all = exactly([
        "fc_dst",
        "fc_src",
        "fc_err",
        "fc_err_str",
        "fc_http_major",
        "fc_pp_authority",
        "fc_pp_unique_id",
        "fc_rcvd_proxy",
        "src",
        "dst",
        "src_is_local",
        "dst_is_local",
        "fc_src_is_local",
        "fc_dst_is_local",
    ]);
    all.extend(compared(Equal::Digits, ["src_port", "dst_port", "fc_src_port", "fc_dst_port"]));
    all.extend(compared(Equal::Presence, MEASURED));
    all.extend(compared(Equal::Presence, ["fc_rtt(us)", "fc_rtt(ms)", "fc_rttvar(us)", "fc_rttvar(ms)"]));
    all.extend(exactly(COUNTED));
    all
}

/// A PROXY header of version 2: command and family, addresses and TLVs.
fn version2(command: u8, family: u8, addresses: &[u8], tlvs: &[(u8, &[u8])]) -> Vec<u8> {
    let mut tail = addresses.to_vec();
    for (kind, value) in tlvs {
        tail.push(*kind);
        tail.extend(u16::try_from(value.len()).expect("a short value").to_be_bytes());
        tail.extend_from_slice(value);
    }
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(tail.len()).expect("a short header").to_be_bytes());
    header.extend(tail);
    header
}

fn play_client(proxy: &Instance, input: &str) {
    let addresses = [10, 1, 2, 3, 10, 4, 5, 6, 0x12, 0x34, 0, 80];
    let header = match input {
        "plain" => Vec::new(),
        "told" => version2(1, 0x11, &addresses, &[(2, b"www.example.com"), (5, b"id-1")]),
        "local" => version2(0, 0, &[], &[]),
        "unknown" => b"PROXY UNKNOWN\r\n".to_vec(),
        "version 1" => b"PROXY TCP6 2001:db8::1 ::1 65535 1\r\n".to_vec(),
        "hostile" => version2(1, 0x11, &addresses, &[(2, b"\0\"\\\xff"), (5, b""), (0xee, b"?")]),
        _ => unreachable!("{input}"),
    };
    let port = if input == "plain" { "connection" } else { "proxied" };
    let mut client = proxy.client(port);
    client.send([header, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec()].concat());
    client.response();
}

const SERVER: &str = "listen origin
 bind 127.0.0.1:$(origin)
 http-request return status 200 hdr X-A 1
frontend upstream
 bind 127.0.0.1:$(upstream)
{log} timeout client 7s
 use_backend %[path,field(2,/)]
{rules}
backend plain
 id 800
 timeout server 6s
 timeout tunnel 5s
 server first 127.0.0.1:$(origin) id 12
backend refusing
 retries 0
 server nobody 127.0.0.1:1
backend rules
 timeout server 6s
 http-request set-timeout server 3s
 http-request set-timeout tunnel 2s
 server second 127.0.0.1:$(origin)
 server third 127.0.0.1:$(origin) disabled
backend answering
 http-request return status 200
";

fn server_questions() -> Vec<Question> {
    let mut all = exactly([
        "bc_dst",
        "bc_src",
        "bc_err",
        "bc_err_str",
        "bc_http_major",
        "be_id",
        "be_name",
        "be_server_timeout",
        "be_tunnel_timeout",
        "cur_server_timeout",
        "cur_tunnel_timeout",
        "srv_id",
        "srv_name",
        "fe_defbe",
        "last_rule_line",
        "last_rule_file,field(-1,/)",
    ]);
    // What happened in the last second depends on how fast this runs.
    all.extend(compared(Equal::Presence, ["be_sess_rate(plain)"]));
    all.extend(compared(Equal::Digits, ["bc_src_port", "bc_dst_port"]));
    all
}

pub fn labs() -> Vec<Lab> {
    vec![
        Lab {
            name: "connection",
            config: CLIENT,
            rule: ("http-request", "txn", ""),
            questions: questions(),
            inputs: &["plain", "told", "local", "unknown", "version 1", "hostile"],
            play: play_client,
        },
        Lab {
            name: "upstream",
            config: SERVER,
            rule: ("http-after-response", "txn", ""),
            questions: server_questions(),
            inputs: &["plain", "refusing", "rules", "answering"],
            play: |proxy, input| ask_for(proxy, "upstream", input),
        },
    ]
}
