//! Every action in every rule set that HAProxy's keyword list names, over four requests: an ordinary one, one with next to
//! nothing, a hostile one, and the ordinary one again. What the server got, what the client got and what the log says is
//! compared.

use crate::resolve::NameServer;
use differential::{Backend, Instance, Program, Reply, both};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// HAProxy 2.6.12's own list: rule set and action on each line; a star: the name goes on, with an argument.
const LISTED: &str = include_str!("../../../../crates/rules/tests/vectors/actions.txt");

/// Actions that are words of the parser in HAProxy, not of its list.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("tcp-request connection", &["accept", "reject", "expect-proxy", "track-sc*"]),
    ("tcp-request session", &["accept", "reject", "track-sc*"]),
    ("tcp-request content", &["accept", "reject", "capture", "track-sc*"]),
    ("tcp-response content", &["accept", "close", "reject"]),
];

/// What hawser refuses by name, and what has nothing to name.
const NOT_HERE: &[(&str, &str)] = &[
    ("ot-group", "OpenTracing is refused by name"),
    ("send-spoe-group", "SPOE is refused by name"),
    ("tcp-request content use-service", "there is no service for TCP without Lua"),
];

const INPUTS: [(&str, &str); 4] = [
    ("normal", NORMAL),
    ("bare", "GET / HTTP/1.0\r\n\r\n"),
    (
        "hostile",
        "GET //x/../%2e%2e/%00?\"' HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Key: \"\\{}%[x]\r\n\
         X-Src: ::ffff:1.2.3.4\r\nX-Old: a\r\nX-Old: ,,b\r\n\r\n",
    ),
    ("again", NORMAL),
];
const NORMAL: &str = "POST /a/b?x=1 HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\nX-Key: listed\r\n\
                      X-Src: 10.0.0.9\r\nX-Old: a, b\r\nContent-Length: 4\r\n\r\nabcd";

/// Longer than a client that is dropped silently is listened to, shorter than anybody notices.
const SILENCE: Duration = Duration::from_millis(300);

/// One action in one rule set.
struct Row {
    number: usize,
    ruleset: &'static str,
    action: &'static str,
}

fn rows() -> Vec<Row> {
    let listed = LISTED.lines().filter_map(|line| line.trim().rsplit_once(' '));
    let built_in = BUILT_IN.iter().flat_map(|(set, names)| names.iter().map(|name| (*set, *name)));
    let is_here = |(set, action): &(&str, &str)| {
        !NOT_HERE.iter().any(|(name, _)| name == action || *name == format!("{set} {action}"))
    };
    let rows = listed.chain(built_in).filter(is_here).enumerate();
    rows.map(|(number, (ruleset, action))| Row { number, ruleset, action: action.trim_end_matches('*') })
        .collect()
}

impl Row {
    fn is_early(&self) -> bool {
        matches!(self.ruleset, "tcp-request connection" | "tcp-request session")
    }

    /// A sample of the request: what there is at this time.
    fn key(&self) -> &'static str {
        match self.ruleset {
            "tcp-request content" => "req.hdr(x-key)",
            "tcp-request connection" | "tcp-request session" => "src",
            _ => "var(txn.key)",
        }
    }

    /// What the action is told, and the lines that make it show.
    fn lines(&self) -> String {
        let (set, action, key) = (self.ruleset, self.action, self.key());
        let file = format!("$(dir)/list{}", self.number);
        let found = format!("if {{ {key} -m found }}");
        let address = match self.is_early() {
            true => "ipv4(10.9.8.7)",
            false => "req.hdr(x-src)",
        };
        let track = match set {
            "tcp-request connection" | "tcp-request session" | "tcp-request content" => {
                format!("{set} track-sc0 src\n ")
            }
            _ => "http-request track-sc0 src\n ".to_owned(),
        };
        match action {
            "accept" => format!("{set} accept\n {set} reject"),
            "reject" if set.starts_with("tcp") => format!("{set} reject {found}"),
            "close" | "reject" | "silent-drop" => format!("{set} {action} {found}"),
            "expect-proxy" => format!("{set} expect-proxy layer4"),
            "add-acl" => {
                format!(
                    "http-request set-header X-In 1 if {{ {key} -m str -f {file} }}\n {set} add-acl({file}) %[{key}]"
                )
            }
            "del-acl" => {
                format!(
                    "http-request set-header X-In 1 if {{ {key} -m str -f {file} }}\n {set} del-acl({file}) %[{key}]"
                )
            }
            "set-map" => format!(
                "http-request set-header X-Map %[{key},map({file},none)]\n {set} set-map({file}) %[{key}] new-%[{key}]"
            ),
            "del-map" => format!(
                "http-request set-header X-Map %[{key},map({file},none)]\n {set} del-map({file}) %[{key}]"
            ),
            "add-header" => format!("{set} add-header X-Old 3-%[{key}]"),
            "set-header" => format!("{set} set-header X-Old new-%[{key}]"),
            "del-header" => format!("{set} del-header X-Old"),
            "replace-header" => format!("{set} replace-header X-Old (.*) <\\1>"),
            "replace-value" => format!("{set} replace-value X-Old a z"),
            "allow" => format!("{set} allow\n {set} set-header X-Not 1"),
            "auth" => format!("{set} auth realm Lab unless {{ http_auth(people) }}"),
            "cache-use" => format!("{set} cache-use rows\n http-response cache-store rows"),
            "cache-store" => format!("http-request cache-use stores\n {set} cache-store stores"),
            "capture" if set == "tcp-request content" => format!("{set} capture {key} len 20"),
            "capture" => format!("{set} capture {key} id 0"),
            "deny" => format!("{set} deny deny_status 429 {found}"),
            "disable-l7-retry" => {
                format!("retry-on all-retryable-errors\n retries 2\n {set} disable-l7-retry {found}")
            }
            "do-resolve" if set == "tcp-request content" => {
                format!(
                    "tcp-request inspect-delay 5s\n {set} do-resolve(txn.v,names,ipv4) str(app.test) {found}"
                )
            }
            "do-resolve" => format!("{set} do-resolve(txn.v,names,ipv4) str(app.test) {found}"),
            "switch-mode" => format!("{set} switch-mode http\n use_backend switched"),
            "early-hint" => format!("{set} early-hint Link <%[{key}]>"),
            "normalize-uri" => {
                format!("{set} normalize-uri path-merge-slashes\n {set} normalize-uri path-strip-dotdot")
            }
            "redirect" => format!("{set} redirect location /r?%[{key}] {found}"),
            "replace-path" | "replace-pathq" | "replace-uri" => {
                format!("{set} {action} ^/(.*)b(.*) /\\2<\\1>")
            }
            "return" => {
                format!("{set} return status 202 content-type text/plain lf-string <%[{key}]> {found}")
            }
            "sc-inc-gpc" => format!("{track}{set} sc-inc-gpc(1,0)"),
            "sc-inc-gpc0" | "sc-inc-gpc1" => format!("{track}{set} {action}(0)"),
            "sc-set-gpt" => format!("{track}{set} sc-set-gpt(1,0) 4294967295"),
            "sc-set-gpt0" => format!("{track}{set} sc-set-gpt0(0) 77"),
            "set-dst" | "set-src" => format!("{set} {action} {address}"),
            "set-dst-port" | "set-src-port" => format!("{set} {action} int(4242)"),
            "set-log-level" => format!("{set} set-log-level alert {found}"),
            "set-mark" => format!("{set} set-mark 0"),
            "set-tos" => format!("{set} set-tos 16"),
            "set-nice" => format!("{set} set-nice 5"),
            "set-method" => format!("{set} set-method PATCH {found}"),
            "set-path" => format!("{set} set-path /p/%[{key},url_enc]"),
            "set-pathq" => format!("{set} set-pathq /p?%[{key},url_enc]"),
            "set-query" => format!("{set} set-query %[{key},url_enc]"),
            "set-uri" => format!("{set} set-uri /u?%[{key},url_enc]"),
            "set-priority-class" | "set-priority-offset" => {
                format!(
                    "{set} {action} req.hdr_cnt(x-old)\n http-request set-header X-Queue %[prio_class]/%[prio_offset]"
                )
            }
            "set-status" => {
                format!("{set} set-status 299 reason \"Quite %[status]\"").replace("%[status]", "well")
            }
            "set-timeout" => {
                format!("{set} set-timeout server 1234ms {found}\n {set} set-timeout tunnel 4321ms")
            }
            "set-var" => format!("{set} set-var(sess.v) {key}"),
            "set-var-fmt" => format!("{set} set-var-fmt(sess.v) <%[{key}]>"),
            "unset-var" => format!("{set} set-var(sess.v) str(there)\n {set} unset-var(sess.v) {found}"),
            "strict-mode" => format!("{set} strict-mode on"),
            "tarpit" => format!("timeout tarpit 50ms\n {set} tarpit deny_status 503 {found}"),
            "track-sc" => {
                format!("{set} track-sc0 src\n {set} track-sc1 {key}\n {set} track-sc2 {key} table other")
            }
            "use-service" => format!("{set} use-service prometheus-exporter {found}"),
            "wait-for-body" => format!("{set} wait-for-body time 1s"),
            "wait-for-handshake" => format!("{set} wait-for-handshake"),
            unknown => panic!("no lines for {set} {unknown}"),
        }
    }

    fn text(&self) -> String {
        let data = match self.action {
            "sc-inc-gpc" | "sc-set-gpt" => "gpc(3),gpt(3)",
            _ => "gpc0,gpc1,gpt0,conn_cnt,http_req_cnt",
        };
        let captures = match (self.ruleset, self.action) {
            ("tcp-request content", "capture") => "",
            _ => " declare capture request len 30\n declare capture response len 30\n",
        };
        // A proxy in TCP mode has no rules of HTTP.
        let (mode, http) = match self.action {
            "switch-mode" => (" mode tcp\n", ""),
            _ => ("", " %HM %HU"),
        };
        let key = "http-request set-var(txn.key) req.hdr(x-key)";
        // Rules of TCP stand before those of HTTP.
        let rules = match (self.action, self.ruleset.starts_with("tcp")) {
            ("switch-mode", _) => self.lines(),
            (_, true) => format!("{}\n {key}", self.lines()),
            (_, false) => format!("{key}\n {}", self.lines()),
        };
        format!(
            "listen row{number}\n{mode} bind 127.0.0.1:$(row{number})\n log 127.0.0.1:$(log) len 8192 local0\n \
             log-format 'row{number}@ %ts %ST %ci:%cp %fi:%[dst_port] B=%B s=<%[var(sess.v)]> v=<%[var(txn.v)]> \
             {{%hr}} {{%hs}} gpc=%[sc_get_gpc(1,0)]/%[sc_get_gpc0(0)]/%[sc_get_gpc1(0)] \
             gpt=%[sc_get_gpt(1,0)]/%[sc_get_gpt0(0)] tracked=%[sc_conn_cnt(0)]/%[sc_conn_cnt(1)]/%[sc_conn_cnt(2)] \
             %[cur_server_timeout]/%[cur_tunnel_timeout]{http}'\n{captures} \
             stick-table type string len 20 size 100 expire 1h store {data}\n {rules}\n \
             server s 127.0.0.1:$(origin)\n",
            number = self.number,
        )
    }
}

const GLOBAL: &str = "global
 expose-experimental-directives
defaults
 mode http
 timeout connect 8s
 timeout client 8s
 timeout server 8s
 timeout tunnel 9s
resolvers names
 nameserver one 127.0.0.1:$(names)
 hold valid 60s
cache rows
 total-max-size 1
cache stores
 total-max-size 1
userlist people
 user ann insecure-password secret
backend switched
 server s 127.0.0.1:$(origin)
backend other
 stick-table type string len 20 size 100 expire 1h store conn_cnt
";

/// What both ends saw of one request.
fn play(row: &Row, proxy: &Instance, origin: &Backend, request: &str) -> Vec<String> {
    let before = origin.requests().len();
    let mut client = proxy.client(&format!("row{}", row.number));
    let port = client.local_port().to_string();
    // Rules of connections refuse before anything is sent.
    let _ = client.try_send(request);
    let patience = if row.action == "silent-drop" { SILENCE } else { Duration::from_secs(10) };
    let (answer, end) = client.read_for(patience);
    let answer = match row.action {
        // Numbers of the process.
        "use-service" if answer.contains("# HELP") => "metrics".to_owned(),
        _ => answer.split_inclusive("\r\n").map(with_low_name).collect(),
    };
    // A reset and a close differ by what was unread in the kernel: chance; so does what a forgotten connection says.
    let end = if end == "open" && row.action != "silent-drop" { "open" } else { "closed" };
    let mut seen = vec![format!("client: {answer:?} {end}")];
    // Rules that end a response run before it came: whether the server had the request by then is chance.
    let is_raced =
        row.ruleset == "tcp-response content" && matches!(row.action, "close" | "reject" | "silent-drop");
    for request in origin.requests()[before..].iter().filter(|_| !is_raced) {
        seen.push(format!("server: {:?} {:?}", request.head(), request.body));
    }
    drop(client);
    let listener = proxy.port(&format!("row{}", row.number)).to_string();
    seen.iter().map(|line| line.replace(&port, "CLIENT").replace(&listener, "LISTENER")).collect()
}

/// A line of a head with its name in lower case, as HAProxy writes all of them.
fn with_low_name(line: &str) -> String {
    match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    }
}

fn run(program: Program) -> BTreeMap<String, Vec<String>> {
    let rows = rows();
    let origin = Backend::http(|request| {
        let headers = ["X-Old: a, b", "Cache-Control: max-age=60", "Set-Cookie: c=1"];
        let headers = if request.target == "/" { &headers[..0] } else { &headers[..2] };
        Reply::status("200 OK", headers, "body")
    });
    let names = NameServer::start();
    let texts: String = rows.iter().map(Row::text).collect();
    let launch =
        program.config(&format!("{GLOBAL}{texts}")).with("origin", origin.port()).with("names", names.port);
    let launch = rows.iter().fold(launch, |launch, row| {
        let is_map = row.action.ends_with("map");
        launch.file(&format!("list{}", row.number), if is_map { "listed value\n" } else { "listed\n" })
    });
    let proxy = launch.start();
    let mut seen = BTreeMap::new();
    for row in &rows {
        let key = format!("{} {}", row.ruleset, row.action);
        let lines: &mut Vec<String> = seen.entry(key).or_default();
        for (name, request) in INPUTS {
            let parts = play(row, &proxy, &origin, request);
            lines.extend(parts.iter().map(|part| format!("{name}: {part}")));
        }
    }
    // The last line of the last row is the last that comes.
    let last = format!("row{}@", rows.len() - 1);
    proxy.log().wait_for(INPUTS.len(), |line| line.contains(&last));
    for (row, line) in proxy.log().lines().iter().flat_map(|line| {
        let find = rows.iter().find(|row| line.contains(&format!("row{}@", row.number)));
        find.map(|row| (row, line))
    }) {
        let (head, text) = line.split_once("row").expect("the format");
        let priority = head.split('>').next().unwrap_or_default();
        let mut shown = String::new();
        write!(shown, "log: {priority}> {}", without_ports(text.trim_end())).expect("writing to a string");
        if let Some(lines) = seen.get_mut(&format!("{} {}", row.ruleset, row.action)) {
            lines.push(shown);
        }
    }
    seen
}

/// Ports that the kernel chose have five digits, those of rules four.
fn without_ports(text: &str) -> String {
    // So have the bytes of metrics of a process: millions.
    let words = text.split(' ').filter(|word| !(word.starts_with("B=") && word.len() > 8)).map(|word| {
        match word.rsplit_once(':') {
            Some((address, port)) if port.len() == 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{address}:PORT")
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

// row: 162, 167
#[test]
fn every_action_of_every_rule_set_does_alike_over_four_requests() {
    let both = both(run);
    let (haproxy, hawser) = (both.haproxy, both.hawser);
    let mut different = Vec::new();
    for (row, theirs) in haproxy.iter().flatten() {
        let ours = hawser.as_ref().map(|hawser| &hawser[row]).unwrap_or(theirs);
        let count = theirs.len().max(ours.len());
        for place in 0..count {
            let (theirs, ours) = (theirs.get(place), ours.get(place));
            if theirs != ours {
                different.push(format!("{row}\n    haproxy {theirs:?}\n    hawser  {ours:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} observations differ:\n{}", different.len(), different.join("\n"));
    let rows = rows();
    println!("actions: {} in their rule sets over {} requests each", rows.len(), INPUTS.len());
    for (name, reason) in NOT_HERE {
        println!("actions: not {name}: {reason}");
    }
    assert!(rows.len() > 150, "HAProxy has more than {}", rows.len());
}
