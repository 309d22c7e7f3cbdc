//! Tracked counters and tables.

use super::{Equal, Lab, Question, compared, exactly};
use differential::Instance;

/// Rates have a period of an hour, so that no run sees one pass.
const CONFIG: &str = "backend t
 stick-table type ip size 1k expire 1h store server_id,gpc0,gpc0_rate(1h),gpc1,gpc1_rate(1h),gpt0,conn_cnt,conn_cur,conn_rate(1h),sess_cnt,sess_rate(1h),http_req_cnt,http_req_rate(1h),http_err_cnt,http_err_rate(1h),http_fail_cnt,http_fail_rate(1h),bytes_in_cnt,bytes_in_rate(1h),bytes_out_cnt,bytes_out_rate(1h)
backend arrays
 stick-table type ip size 1k expire 1h store gpc(3),gpc_rate(3,1h),gpt(3)
backend texts
 stick-table type string len 20 size 10 expire 1h store gpc0,http_req_cnt,conn_cur
frontend tables
 bind 127.0.0.1:$(tables)
{log} http-request set-src hdr(x-src) if { req.hdr(x-src) -m found }
 http-request track-sc0 src table t if { req.hdr(x-track) -m found }
 http-request track-sc1 src table arrays if { req.hdr(x-track) -m found }
 http-request track-sc2 hdr(x-track) table texts if { req.hdr(x-track) -m found }
{rules} http-request return status 200
";

/// Fetches about one tracked entry: what follows `sc_`, `sc0_` … and `src_`.
const SIMPLE: &[&str] = &[
    "bytes_in_rate",
    "bytes_out_rate",
    "conn_cnt",
    "conn_cur",
    "conn_rate",
    "get_gpc0",
    "get_gpc1",
    "get_gpt0",
    "gpc0_rate",
    "gpc1_rate",
    "http_err_cnt",
    "http_err_rate",
    "http_fail_cnt",
    "http_fail_rate",
    "http_req_cnt",
    "http_req_rate",
    "inc_gpc0",
    "inc_gpc1",
    "kbytes_in",
    "kbytes_out",
    "sess_cnt",
    "sess_rate",
    "clr_gpc0",
    "clr_gpc1",
];
/// Those that only tracked entries have.
const TRACKED: &[&str] = &["tracked", "trackers"];
/// Fetches with an index.
const INDEXED: &[&str] = &["get_gpc", "get_gpt", "gpc_rate", "inc_gpc", "clr_gpc"];
/// Converters of a key to what its entry has.
const CONVERTERS: &[&str] = &[
    "in_table",
    "table_bytes_in_rate",
    "table_bytes_out_rate",
    "table_conn_cnt",
    "table_conn_cur",
    "table_conn_rate",
    "table_gpc0",
    "table_gpc0_rate",
    "table_gpc1",
    "table_gpc1_rate",
    "table_gpt0",
    "table_http_err_cnt",
    "table_http_err_rate",
    "table_http_fail_cnt",
    "table_http_fail_rate",
    "table_http_req_cnt",
    "table_http_req_rate",
    "table_kbytes_in",
    "table_kbytes_out",
    "table_server_id",
    "table_sess_cnt",
    "table_sess_rate",
    "table_trackers",
];
const INDEXED_CONVERTERS: &[&str] = &["table_gpc", "table_gpc_rate", "table_gpt"];

fn questions() -> Vec<Question> {
    let mut all = Vec::new();
    for name in SIMPLE.iter().chain(TRACKED) {
        // Not tracked, tracked in a table without these data, tracked with them; last a table named beside.
        all.extend(exactly([
            format!("sc_{name}(0)"),
            format!("sc_{name}(2)"),
            format!("sc_{name}(1,t)"),
            format!("sc0_{name}"),
            format!("sc1_{name}"),
            format!("sc1_{name}(t)"),
            format!("sc2_{name}"),
        ]));
    }
    for name in SIMPLE {
        all.extend(exactly([
            format!("src_{name}(t)"),
            format!("src_{name}(texts)"),
            format!("src_{name}(arrays)"),
        ]));
    }
    all.extend(exactly(["sc1_clr_gpc(0)", "sc1_clr_gpc(99)", "sc1_clr_gpc(2,arrays)"]));
    // Not of tables without connection counts: HAProxy forgets to let go of such an entry, and all later counts of
    // trackers are one too high.
    all.extend(exactly(["src_updt_conn_cnt(t)"]));
    for name in INDEXED {
        for index in [0, 2, 3, 99] {
            all.extend(exactly([
                format!("sc_{name}({index},1)"),
                format!("sc_{name}({index},0)"),
                format!("sc_{name}({index},2)"),
                format!("sc_{name}({index},0,arrays)"),
                format!("src_{name}({index},arrays)"),
                format!("src_{name}({index},t)"),
            ]));
        }
    }
    for name in CONVERTERS {
        all.extend(exactly([
            format!("src,{name}(t)"),
            format!("hdr(x-track),{name}(texts)"),
            format!("hdr(x-track),{name}(t)"),
            format!("str(10.0.0.3),{name}(t)"),
        ]));
    }
    for name in INDEXED_CONVERTERS {
        all.extend(exactly([
            format!("src,{name}(0,arrays)"),
            format!("src,{name}(99,arrays)"),
            format!("hdr(x-track),{name}(1,t)"),
        ]));
    }
    for name in ["table_expire", "table_idle"] {
        all.extend(compared(Equal::Digits, [format!("src,{name}(t)")]));
        // With a value for what has no entry, as one with none.
        all.extend(exactly([format!("hdr(x-track),{name}(t)"), format!("str(nobody),{name}(texts,7)")]));
    }
    all.extend(exactly(["table_avl(t)", "table_avl(arrays)", "table_avl(texts)"]));
    all.extend(exactly(["table_cnt(t)", "table_cnt(arrays)", "table_cnt(texts)"]));
    all
}

fn play(proxy: &Instance, input: &str) {
    let headers = match input {
        "fresh" | "again" => "X-Src: 10.0.0.1\r\nX-Track: key\r\n",
        "untracked" => "",
        "full" => {
            let names = [
                "server_id",
                "gpc0",
                "gpc0_rate",
                "gpc1",
                "gpc1_rate",
                "gpt0",
                "conn_cnt",
                "conn_rate",
                "sess_cnt",
                "sess_rate",
                "http_req_cnt",
                "http_req_rate",
                "http_err_cnt",
                "http_err_rate",
                "http_fail_cnt",
                "http_fail_rate",
                "bytes_in_cnt",
                "bytes_in_rate",
                "bytes_out_cnt",
                "bytes_out_rate",
            ];
            for name in names {
                let value = if name.starts_with("bytes") { "99999999999" } else { "4294967295" };
                proxy.cli(&format!("set table t key 10.0.0.3 data.{name} {value}"));
            }
            "X-Src: 10.0.0.3\r\nX-Track: a key that is longer than the table's keys\r\n"
        }
        "other family" => "X-Src: ::1\r\nX-Track: \"\\\r\n",
        _ => unreachable!("{input}"),
    };
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    proxy.client("tables").ask(request);
}

pub fn labs() -> Vec<Lab> {
    vec![Lab {
        name: "tables",
        config: CONFIG,
        rule: ("http-request", "txn", ""),
        questions: questions(),
        inputs: &["fresh", "untracked", "full", "other family", "again"],
        play,
    }]
}
