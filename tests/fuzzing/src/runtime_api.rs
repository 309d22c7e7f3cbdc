//! Commands of the runtime API.

use haproxy_config::language::Environment;
use haproxy_config::{LoadOptions, load_text};
use proxy::{BindOptions, bind};
use std::sync::Arc;

/// One of everything that commands change; no socket is opened.
const CONFIGURATION: &str = "\
global
 nbthread 1
defaults
 mode http
 timeout client 1s
 timeout connect 1s
 timeout server 1s
userlist people
 user alice insecure-password secret
frontend front
 maxconn 100
 acl known hdr(host) -i a.example b.example
 http-request deny if { src 10.0.0.0/8 } !known
 use_backend %[path,field(2,/),map_str_int(/dev/null,0)] if { path -m found }
 default_backend app
backend app
 balance roundrobin
 stick-table type string len 32 size 100 expire 1m store conn_cnt,http_req_rate(10s),gpc(3),gpt(2),server_id
 stick on path
 cookie SRV insert
 server a 127.0.0.1:1 check cookie a weight 10 maxconn 10
 server b 127.0.0.2:1 check agent-check agent-port 2 cookie b backup
 server c 127.0.0.3:1 disabled track a
backend tcp
 mode tcp
 balance leastconn
 stick-table type ip size 100 store gpc0,bytes_in_rate(1s)
 server x unix@/nowhere
";

/// Every command gets an answer, and the state stays one that can be shown in every form.
pub fn cli(bytes: &[u8]) {
    let options = LoadOptions { environment: Environment::default(), ..LoadOptions::new(Vec::new()) };
    let loaded = load_text(&options, "fixed.cfg", CONFIGURATION);
    let report = || loaded.report.render(&loaded.sources, diag::Severity::Alert);
    let model = loaded.model.unwrap_or_else(|| panic!("{}", report()));
    let bound = bind(Arc::new(model), BindOptions::default()).unwrap_or_else(|errors| panic!("{errors:?}"));
    let answered = bound.answer(bytes).expect("a runtime for the commands");
    assert!(answered.is_empty() || answered.ends_with(b"\n") || answered.ends_with(b"> "));
    let shown = bound
        .answer(b"show stat\nshow stat json\nshow servers state\nshow info typed\nshow table\nshow map\n");
    let shown = String::from_utf8(shown.expect("a runtime")).expect("text");
    assert!(shown.contains("\napp,a,"), "the server is still listed: {shown}");
}
