//! What people believe of a keyword and is not so; what a reader of a copied configuration must know beside the keyword's
//! one line. Rows are told by `explain` below every line that uses the keyword.

use crate::inspect::kind::Kind;

/// One thing to know.
pub struct Row {
    pub kind: Kind,
    /// The first words of the line.
    pub words: &'static [&'static str],
    pub text: &'static str,
}

const fn proxy(words: &'static [&'static str], text: &'static str) -> Row {
    Row { kind: Kind::Proxy, words, text }
}

const fn keepalived(words: &'static [&'static str], text: &'static str) -> Row {
    Row { kind: Kind::Keepalived, words, text }
}

/// In no order that matters.
pub const ROWS: &[Row] = &[
    proxy(
        &["spread-checks"],
        "the number is in percent of the interval, 0 to 50: `5` is 5 %, not 50 %; 2 to 5 are usual",
    ),
    proxy(
        &["option", "http-keep-alive"],
        "it does not tie a client to a server: that is persistence, by `cookie` \
         or a stick table",
    ),
    proxy(
        &["timeout", "http-keep-alive"],
        "it does not tie the client to a server: that is \
         persistence, by `cookie` or a stick table",
    ),
    proxy(
        &["daemon"],
        "goes to the background, as -D; systemd's units start it in the foreground (-Ws) instead",
    ),
    proxy(&["stats", "hide-version"], "the page does not tell its version"),
    proxy(
        &["stats", "realm"],
        "one word: blanks are escaped (`HAProxy\\ Statistics`), and there is no colon before it",
    ),
    proxy(
        &["compression", "type"],
        "one line lists all types; a second `compression type` inside the line would be read as two more MIME types",
    ),
    proxy(
        &["errorfile"],
        "the file is a whole response: status line, headers, empty line, body. A bare HTML page is not",
    ),
    proxy(
        &["nbproc"],
        "one process with threads serves all: counters, tables and sockets are shared by all of it",
    ),
    proxy(
        &["stats", "socket"],
        "each socket controls the whole program, not one process of it: a script needs to ask one socket only",
    ),
    proxy(
        &["balance", "source"],
        "one client address goes to one server while the servers stay the same; clients behind one address share a server",
    ),
    keepalived(
        &["vrrp_strict"],
        "no authentication, no unicast peers, `state MASTER` for the owner (priority 255) alone, and every packet to the \
         addresses is dropped, pings too",
    ),
    keepalived(
        &["vrrp_garp_interval"],
        "0 is no gap between announcements, the default; keepalived 2.x refuses 0",
    ),
    keepalived(
        &["vrrp_gna_interval"],
        "0 is no gap between announcements, the default; keepalived 2.x refuses 0",
    ),
    keepalived(
        &["virtual_router_id"],
        "1 to 255; 0 and 256 are refused. Nodes of one pair share it, other pairs must not",
    ),
    keepalived(
        &["priority"],
        "1 to 254, 255 for the owner. Under nopreempt a difference of one decides nothing: give the nodes 150 and 100",
    ),
    keepalived(&["auth_pass"], "8 letters at most count, and they travel in clear text"),
    keepalived(&["protocol"], "TCP, UDP or SCTP, alone on its line"),
    keepalived(
        &["nb_get_retry"],
        "`retry` in every checker but HTTP_GET; keepalived would ignore it in TCP_CHECK",
    ),
    keepalived(
        &["lb_algo"],
        "write the same on both nodes: otherwise clients are spread differently after a failover",
    ),
    keepalived(
        &["lb_kind"],
        "DR and TUN need the virtual address on each real server's loopback, with arp_ignore and arp_announce set",
    ),
    keepalived(
        &["persistence_timeout"],
        "seconds a client address stays with its real server; 1 is hardly any",
    ),
];

/// What common options, timeouts and settings of the statistics page do, where the tables tell their class alone.
const MEANINGS: &[(&[&str], &str)] = &[
    (&["option", "httplog"], "a line of the log for each request, with times, counters and termination"),
    (&["option", "tcplog"], "a line of the log for each connection"),
    (&["option", "dontlognull"], "no line for connections that send nothing, as monitors' do"),
    (&["option", "dontlog-normal"], "no line for requests that went well"),
    (&["option", "forwardfor"], "adds X-Forwarded-For with the client's address"),
    (&["option", "originalto"], "adds X-Original-To with the address the client connected to"),
    (&["option", "redispatch"], "a request whose server does not answer may go to another"),
    (&["option", "httpclose"], "both connections end after each answer"),
    (&["option", "forceclose"], "both connections end after each answer"),
    (&["option", "http-server-close"], "the server's connection ends after each answer, the client's stays"),
    (&["option", "http-keep-alive"], "both connections stay open between requests; the default"),
    (&["option", "httpchk"], "checks send an HTTP request; an answer of 2xx or 3xx is good"),
    (&["option", "tcp-check"], "checks connect, and do what tcp-check lines say"),
    (&["option", "abortonclose"], "a request whose client has left is not sent to a server"),
    (&["option", "tcpka"], "the kernel probes idle connections of both sides"),
    (&["option", "clitcpka"], "the kernel probes idle connections to clients"),
    (&["option", "srvtcpka"], "the kernel probes idle connections to servers"),
    (&["option", "log-health-checks"], "a line of the log when a check's result changes"),
    (&["option", "persist"], "a cookie's server is used even when it is down"),
    (&["option", "allbackups"], "all backup servers serve together, not the first alone"),
    (&["option", "prefer-last-server"], "a client's connection to a server is used again before balancing"),
    (&["option", "splice-auto"], "bulk data stays in the kernel when that is worth it"),
    (&["timeout", "connect"], "how long a connection to a server may take"),
    (&["timeout", "client"], "how long a client may be silent while it is its turn"),
    (&["timeout", "server"], "how long a server may be silent while it is its turn"),
    (&["timeout", "http-request"], "how long a client may take to send the head of its request"),
    (&["timeout", "http-keep-alive"], "how long a client may wait with its next request"),
    (&["timeout", "queue"], "how long a request may wait for a free server"),
    (&["timeout", "check"], "how long a check may take once it is connected"),
    (&["timeout", "tunnel"], "how long a tunnel may be silent (WebSocket, CONNECT)"),
    (&["timeout", "tarpit"], "how long `tarpit` holds a client"),
    (&["stats", "hide-version"], "the page does not tell its version"),
    (&["stats", "enable"], "the statistics page is served here"),
    (&["stats", "uri"], "the path of the statistics page"),
    (&["stats", "auth"], "who may read the page: name and password, in clear text"),
    (&["stats", "realm"], "what the browser shows when it asks for the password"),
    (&["stats", "refresh"], "how often the browser reads the page again"),
    (&["stats", "admin"], "the page has buttons, when the condition holds"),
    (&["stats", "socket"], "a socket of the runtime API: `socat stdio PATH`"),
    (&["stats", "timeout"], "how long a silent client of the runtime API is kept"),
    (&["mode", "http"], "requests are parsed: rules, cookies and logs see them"),
    (&["mode", "tcp"], "bytes pass as they are"),
];

/// What a line does, where more is known than its keyword's class.
pub fn meaning(words: &[&str]) -> Option<&'static str> {
    MEANINGS.iter().find(|(known, _)| words.starts_with(known)).map(|(_, text)| *text)
}

/// What is to be known of a line that begins with these words.
pub fn of(kind: Kind, words: &[&str]) -> Option<&'static str> {
    ROWS.iter().find(|row| row.kind == kind && words.starts_with(row.words)).map(|row| row.text)
}

/// Of keys of sysctl.conf and commands of scripts.
pub fn of_command(words: &[&str]) -> Option<String> {
    let name = words.first()?.trim_matches(['"', '\'']).rsplit('/').next()?.to_ascii_lowercase();
    if name.contains("ipvsadm") || name == "$ipv" {
        return Some(of_ipvsadm(words));
    }
    match (name.as_str(), words.get(1).copied()) {
        ("route", Some("add")) => {
            Some("adds a route to one host; the interface follows `dev`. Today: `ip route add`".to_owned())
        }
        ("ifconfig", _) => {
            Some("gives an interface an address. Today: ip addr add VIP/32 dev lo label lo:0".to_owned())
        }
        ("firewall-cmd", _) => Some(
            "lets packets in; adverts are protocol 112 to 224.0.0.18 (nft: ip protocol vrrp accept)"
                .to_owned(),
        ),
        ("iptables", _) => Some("a rule of the packet filter".to_owned()),
        _ => None,
    }
}

/// What the options of one call of ipvsadm mean.
fn of_ipvsadm(words: &[&str]) -> String {
    let mut parts = Vec::new();
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().copied().unwrap_or("?");
        match *word {
            "-C" => parts.push("empties the table".to_owned()),
            "-A" => parts.push("adds a virtual service".to_owned()),
            "-a" => parts.push("adds a real server".to_owned()),
            "-D" => parts.push("removes a virtual service".to_owned()),
            "-d" => parts.push("removes a real server".to_owned()),
            "-t" => parts.push(format!("of TCP at {}", value())),
            "-u" => parts.push(format!("of UDP at {}", value())),
            "-s" => parts.push(format!("scheduled by {}", value())),
            "-r" => parts.push(format!("at {}", value())),
            "-m" => parts.push("reached by NAT (-m)".to_owned()),
            "-g" => parts.push("reached by direct routing (-g)".to_owned()),
            "-i" => parts.push("reached through a tunnel (-i)".to_owned()),
            "-w" => parts.push(format!("with weight {} (-w is the weight; NAT is -m)", value())),
            "-p" => parts.push(format!("persistent for {} s", value())),
            word if word.starts_with('#') => break,
            _ => {}
        }
    }
    parts.join(", ")
}
