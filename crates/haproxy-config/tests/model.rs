//! What configurations mean: the Model that comes out.

use diag::Severity;
use haproxy_config::model::*;
use haproxy_config::{LoadOptions, Loaded, Model, load_text};
use std::time::Duration;

fn load(text: &str) -> Loaded {
    let mut options = LoadOptions::new(Vec::new());
    options.environment.set("FD", "9");
    load_text(&options, "t.cfg", text)
}

fn model(text: &str) -> Model {
    let loaded = load(text);
    let rendered = loaded.report.render(&loaded.sources, Severity::Alert);
    loaded.model.unwrap_or_else(|| panic!("{rendered}"))
}

/// A proxy with these lines, after `mode http`.
fn listen(lines: &[&str]) -> Proxy {
    let text = format!("listen l\n mode http\n bind :80\n {}\n", lines.join("\n "));
    model(&text).proxies.swap_remove(0)
}

fn messages(text: &str) -> Vec<String> {
    let loaded = load(text);
    loaded.report.diagnostics().iter().map(|diagnostic| diagnostic.message.clone()).collect()
}

fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn each_address_and_port_is_a_listener_with_an_id() {
    let proxy = listen(&[
        "bind 127.0.0.1:8000-8001,[::1]:8002 name web id 9",
        "bind fd@${FD}",
        "bind abns@x accept-proxy",
    ]);
    let addresses: Vec<String> = proxy.binds.iter().map(|bind| format!("{:?}", bind.address)).collect();
    assert_eq!(proxy.binds.len(), 6, "{addresses:?}");
    assert_eq!(proxy.binds[4].address, Address::Fd(9));
    assert!(proxy.binds[5].accept_proxy);
    assert_eq!(proxy.binds[1].name.as_deref(), Some("web"));
    assert_eq!(proxy.binds[0].id, 1);
    assert!(proxy.binds.iter().all(|bind| bind.proxy == Some(proxy.id)));
}

#[test]
fn a_server_line_says_everything_about_a_server() {
    // row: 94, 95, 96, 97, 98, 99, 100, 102, 103, 104, 105, 106, 111
    let proxy = listen(&[
        "server a 10.0.0.1:80 check addr 10.0.0.9 port 8081 inter 3s fastinter 1s downinter 9s fall 4 rise 6 weight 10 \
         maxconn 100 maxqueue 50 cookie c1 slowstart 30s redir http://www.example.com backup disabled",
        "server b 10.0.0.2 send-proxy-v2 proxy-v2-options unique-id,crc32c agent-check agent-port 99 agent-inter 5s",
        "server c unix@/run/c.sock id 7",
        "server d 10.0.0.3:+1000",
    ]);
    let [a, b, c, d] = &proxy.servers[..] else { panic!("four servers") };
    let check = a.check.as_ref().unwrap();
    assert_eq!((check.addr, check.port), (Some("10.0.0.9".parse().unwrap()), Some(8081)));
    assert_eq!((check.inter, check.fastinter, check.downinter), (Duration::from_secs(3), secs(1), secs(9)));
    assert_eq!((check.fall, check.rise), (4, 6));
    assert_eq!((a.weight, a.maxconn, a.minconn, a.maxqueue), (10, 100, 100, 50));
    assert_eq!((a.cookie.as_deref(), a.slowstart), (Some("c1"), secs(30)));
    assert_eq!(a.redir.as_deref(), Some("http://www.example.com"));
    assert!(a.backup && a.disabled);
    assert_eq!(b.port, ServerPort::Relative(0));
    let Some(ProxyProtocol::V2 { tlvs }) = b.send_proxy else { panic!("version 2") };
    assert!(tlvs.unique_id && tlvs.crc32c && !tlvs.ssl);
    let agent = b.agent.as_ref().unwrap();
    assert_eq!((agent.port, agent.inter), (99, Duration::from_secs(5)));
    assert_eq!(c.address, Address::Unix("/run/c.sock".into()));
    assert_eq!(d.port, ServerPort::Relative(1000));
    // As in HAProxy, the count goes on at every server, also at one with an id of its own.
    assert_eq!([a.puid, b.puid, c.puid, d.puid], [1, 2, 7, 4]);
}

#[test]
fn default_servers_are_the_start_of_later_ones() {
    let text = "defaults\n mode http\n default-server check inter 9s weight 5\nbackend b\n server a 1.1.1.1:1\n \
                default-server weight 7 backup\n server b 1.1.1.1:1 no-check no-backup\n server-template t 2-3 web.local:80\n";
    let proxy = model(text).proxies.swap_remove(0);
    let seen: Vec<_> = proxy
        .servers
        .iter()
        .map(|server| (server.name.as_str(), server.weight, server.backup, server.check.is_some()))
        .collect();
    assert_eq!(
        seen,
        [("a", 5, false, true), ("b", 7, false, false), ("t2", 7, true, true), ("t3", 7, true, true)]
    );
    assert_eq!(proxy.servers[2].address, Address::Host { name: "web.local".into(), port: 80 });
}

#[test]
fn every_proxy_starts_from_the_latest_defaults_or_from_the_named_one() {
    // row: 68, 69
    let text = "defaults one\n mode http\n timeout client 1s\n option dontlognull\n http-request deny if { path /x }\n\
                defaults two from one\n timeout client 2s\n no option dontlognull\n\
                frontend a\n bind :1\nfrontend b from one\n bind :2\n http-request allow\n";
    let model = model(text);
    let [a, b] = &model.proxies[..] else { panic!("two proxies") };
    assert_eq!((a.timeouts.client, b.timeouts.client), (secs(2), secs(1)));
    assert_eq!((a.options.dontlognull, b.options.dontlognull), (false, true));
    assert_eq!((a.http_request.len(), b.http_request.len()), (1, 2));
    assert_eq!((a.mode, b.mode), (Mode::Http, Mode::Http));
}

#[test]
fn algorithms_and_hash_types_are_settled_together() {
    // row: 115, 116, 117, 118, 119, 120, 121, 122, 123, 125, 128, 129, 131, 133, 136, 138
    use balance::{Algorithm, HashFunction, HashMethod};
    let of = |line: &str| {
        listen(&["hash-type consistent djb2 avalanche", "hash-balance-factor 150", line]).balance
    };
    let hash = |line: &str| match of(line).algorithm {
        Algorithm::Hash(hash) => hash,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(listen(&[]).balance.algorithm, Algorithm::RoundRobin);
    assert_eq!(of("balance static-rr").algorithm, Algorithm::StaticRoundRobin);
    assert_eq!(of("balance leastconn").algorithm, Algorithm::LeastConn);
    assert_eq!(of("balance first").algorithm, Algorithm::First);
    assert_eq!(of("balance random(3)").algorithm, Algorithm::Random { draws: 3, balance_factor: 150 });
    let source = hash("balance source");
    assert_eq!((source.method, source.function), (HashMethod::Consistent, HashFunction::Djb2));
    assert!(source.avalanche && source.balance_factor == 150);
    let key = |line: &str| format!("{:?}", of(line).key);
    assert_eq!(key("balance source"), "Source");
    assert_eq!(
        key("balance uri len 8 depth 2 whole"),
        "Uri { len: 8, depth: 2, whole: true, path_only: false }"
    );
    assert_eq!(key("balance url_param id check_post 64"), "UrlParam { name: \"id\", check_post: true }");
    assert_eq!(key("balance hdr(Host) use_domain_only"), "Header { name: \"Host\", use_domain_only: true }");
    assert_eq!(key("balance rdp-cookie"), "RdpCookie { name: \"mstshash\" }");
    assert!(matches!(of("balance hash src").key, BalanceKey::Expr(_)));
}

#[test]
fn http_hashes_in_tcp_mode_fall_back_to_round_robin() {
    // row: 126, 130
    let text = "listen l\n bind :1\n balance uri\n server a 1.1.1.1:1\n";
    let loaded = load(text);
    assert!(
        loaded
            .report
            .diagnostics()
            .iter()
            .any(|d| d.severity == Severity::Warning && d.message.contains("round robin"))
    );
    assert_eq!(loaded.model.unwrap().proxies[0].balance.algorithm, balance::Algorithm::RoundRobin);
}

#[test]
fn settings_of_http_are_dropped_in_tcp_mode_with_a_warning() {
    // row: 77, 89
    let text = "listen l\n bind :1\n mode tcp\n option forwardfor\n option httplog\n log 127.0.0.1 local0\n";
    let told = messages(text);
    assert!(
        told.iter().any(|message| message.contains("'option forwardfor' ignored for proxy 'l'")),
        "{told:?}"
    );
    assert!(told.iter().any(|message| message.contains("Falling back to 'option tcplog'")), "{told:?}");
    let proxy = model(text).proxies.swap_remove(0);
    assert!(proxy.forwardfor.is_none() && proxy.log_format.is_some());
}

#[test]
fn cookies_have_modes_and_attributes() {
    // row: 168
    let proxy = listen(&[
        "dynamic-cookie-key secret",
        "cookie SRV insert indirect nocache httponly maxidle 30m domain .x.com attr SameSite=Lax",
    ]);
    assert_eq!(proxy.dynamic_cookie_key.as_deref(), Some("secret"));
    let cookie = proxy.cookie.unwrap();
    assert_eq!((cookie.name.as_str(), cookie.mode), ("SRV", CookieMode::Insert));
    assert!(cookie.indirect && cookie.nocache && cookie.httponly && !cookie.secure);
    assert_eq!((cookie.max_idle, cookie.domains), (secs(1800), vec![".x.com".to_owned()]));
}

#[test]
fn options_of_connections_exclude_each_other() {
    // row: 74, 75, 165
    assert_eq!(listen(&["option httpclose"]).http_connection, HttpConnection::Close);
    assert_eq!(
        listen(&["option httpclose", "option http-server-close"]).http_connection,
        HttpConnection::ServerClose
    );
    assert_eq!(
        listen(&["option httpclose", "no option httpclose"]).http_connection,
        HttpConnection::KeepAlive
    );
    assert_eq!(listen(&["option forceclose"]).http_connection, HttpConnection::Close);
    assert!(listen(&["option abortonclose"]).options.abortonclose);
    assert_eq!(listen(&["option redispatch"]).redispatch, -1);
    assert_eq!(listen(&["option redispatch 3"]).redispatch, 3);
    assert_eq!(listen(&["redispatch"]).redispatch, -1);
    assert_eq!(listen(&["option redispatch", "no option redispatch"]).redispatch, 0);
}

#[test]
fn old_timeouts_set_the_modern_ones() {
    // row: 87
    let proxy = listen(&["contimeout 5000", "clitimeout 50s", "srvtimeout 60s", "timeout queue 0"]);
    assert_eq!(proxy.timeouts.connect, secs(5));
    assert_eq!(
        (proxy.timeouts.client, proxy.timeouts.server, proxy.timeouts.queue),
        (secs(50), secs(60), None)
    );
}

#[test]
fn old_rules_become_modern_ones_that_the_warning_names() {
    // row: 166
    let text = "listen l\n mode http\n bind :1\n reqadd X-Forwarded-Proto:\\ https if { src 10.0.0.1 }\n \
                rspidel ^Server:.*\n reqirep ^Host:\\ a(.*) Host:\\ b\\1\n block if { path /x }\n";
    let loaded = load(text);
    let helps: Vec<&str> = loaded
        .report
        .diagnostics()
        .iter()
        .filter_map(|diagnostic| diagnostic.help.as_deref())
        .take(4)
        .collect();
    assert!(
        helps.contains(&"write `http-request add-header X-Forwarded-Proto https if { src 10.0.0.1 }`"),
        "{helps:?}"
    );
    assert!(helps.contains(&"write `http-response del-header Server`"), "{helps:?}");
    assert!(helps.contains(&"write `http-request replace-header Host (?i)^a(.*) 'b\\1'`"), "{helps:?}");
    let proxy = &loaded.model.unwrap().proxies[0];
    assert_eq!((proxy.http_request.len(), proxy.http_response.len()), (3, 1));
    assert!(proxy.http_request[0].condition.is_some());
}

#[test]
fn routing_and_persistence_hold_ids() {
    // row: 167, 181
    let text = "frontend f\n mode http\n bind :1\n use_backend b if { path_beg /b }\n use_backend %[req.hdr(host)]\n \
                default_backend a\nbackend a\n mode http\n stick on src table t\n server x 1.1.1.1:1\nbackend b\n mode http\n \
                server y 1.1.1.1:1 track a/x\n use-server y if { path /y }\nbackend t\n stick-table type ip size 200k expire 30m\n";
    let text = text.replace("server x 1.1.1.1:1", "server x 1.1.1.1:1 check");
    let model = model(&text);
    let [f, a, b, t] = &model.proxies[..] else { panic!("four proxies") };
    assert_eq!(f.default_backend, Some(a.id));
    assert!(matches!(f.use_backend[0].target, BackendTarget::Static(id) if id == b.id));
    assert!(matches!(f.use_backend[1].target, BackendTarget::Dynamic(_)));
    assert!(matches!(b.use_server[0].target, ServerTarget::Static(id) if id.proxy == b.id && id.index == 0));
    assert_eq!(b.servers[0].track.map(|id| id.proxy), Some(a.id));
    let table = &model.tables[a.stick_rules[0].table.0 as usize];
    assert_eq!((table.name.as_str(), table.proxy), ("t", Some(t.id)));
    assert_eq!((table.config.size, table.config.expire), (204_800, secs(1800)));
    // Sticking stores which server it was.
    let stored: Vec<&str> = table.config.store.iter().map(|stored| stored.data.name()).collect();
    assert_eq!(stored, ["server_id", "server_key"]);
    // HAProxy counts an internal proxy first.
    assert_eq!([f.uuid, a.uuid, b.uuid, t.uuid], [2, 3, 4, 5]);
}

#[test]
fn captures_get_their_slots() {
    let proxy = listen(&[
        "capture request header Host len 20",
        "http-request capture path len 9",
        "capture response header Server len 8",
        "capture cookie SESS= len 7",
        "declare capture response len 6",
    ]);
    let lengths: Vec<usize> = proxy.request_captures.iter().map(|capture| capture.length).collect();
    assert_eq!(lengths, [20, 9]);
    assert_eq!(proxy.response_captures.len(), 2);
    let cookie = proxy.cookie_capture.unwrap();
    assert_eq!((cookie.name.as_str(), cookie.prefix, cookie.length), ("SESS", false, 7));
}

#[test]
fn the_statistics_page_is_on_at_its_first_line() {
    // row: 142, 143, 144, 145, 146, 147, 148, 150, 155
    let page = listen(&["stats enable"]).stats.unwrap();
    assert_eq!((page.uri.as_slice(), page.auth.len()), (b"/haproxy?stats".as_slice(), 0));
    let page = listen(&[
        "stats uri /s",
        "stats realm HAPorxy\\ Stats\\ Page",
        "stats auth haadmin:123456",
        "stats auth admin:1:2",
        "stats refresh 30s",
        "stats scope .",
        "stats hide-version",
        "stats admin if TRUE",
    ])
    .stats
    .unwrap();
    assert_eq!(page.realm.as_deref(), Some("HAPorxy Stats Page"));
    assert_eq!(page.auth[1], ("admin".to_owned(), "1:2".to_owned()));
    assert_eq!((page.refresh, page.scope, page.admin.len()), (secs(30), vec!["l".to_owned()], 1));
    assert!(page.hide_version);
}

#[test]
fn checks_become_recipes() {
    use checks::{RecipeKind, Step};
    let recipe =
        listen(&["option httpchk GET /up", "http-check send hdr Host x", "http-check expect status 200"])
            .check;
    assert_eq!(recipe.kind, RecipeKind::Http);
    let steps: Vec<&str> = recipe
        .steps
        .iter()
        .map(|step| match step {
            Step::Connect(_) => "connect",
            Step::HttpSend(_) => "send",
            Step::Expect(_) => "expect",
            _ => "other",
        })
        .collect();
    assert_eq!(steps, ["connect", "send", "expect"]);
    let proxy = listen(&[
        "option tcp-check",
        "tcp-check send PING\\r\\n",
        "tcp-check expect string +PONG",
        "http-check disable-on-404",
    ]);
    assert_eq!((proxy.check.kind, proxy.check.steps.len()), (RecipeKind::Tcp, 3));
    assert!(proxy.check_options.disable_on_404);
}

#[test]
fn error_messages_come_from_files_locations_and_rules() {
    // row: 173, 174
    let directory = std::env::temp_dir().join(format!("hawser-errors-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let page = directory.join("500.html");
    std::fs::write(&page, "<h1>sorry</h1>\n").unwrap();
    let proxy = listen(&[
        &format!("errorfile 500 {}", page.display()),
        "errorloc 503 http://x/sorry",
        "http-error status 403 content-type text/plain string no",
    ]);
    let of = |status| &proxy.errors.iter().find(|reply| reply.status == status).unwrap().content;
    let ErrorContent::Raw(bytes) = of(500) else { panic!("a file") };
    let text = String::from_utf8_lossy(bytes);
    assert!(
        text.starts_with("HTTP/1.1 500 Internal Server Error\r\n")
            && text.ends_with("\r\n\r\n<h1>sorry</h1>\n"),
        "{text}"
    );
    assert!(
        matches!(of(503), ErrorContent::Redirect { status: 302, location } if location == "http://x/sorry")
    );
    assert!(matches!(of(403), ErrorContent::Reply(reply) if reply.status == 403));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn logs_go_where_the_lines_say() {
    // row: 64, 65, 66, 88
    let text = "global\n log 127.0.0.1 local3 info\n log /dev/log local0\n log [::1]:1514 len 200 format rfc5424 sample 1,3-4:5 local1 notice alert\n\
                listen l\n mode http\n bind :1\n log global\n log stdout format raw daemon\n option httplog\nlisten m\n bind :2\n log global\n no log\n";
    let model = model(text);
    let [l, m] = &model.proxies[..] else { panic!("two proxies") };
    assert_eq!((l.log_targets.len(), m.log_targets.len()), (4, 0));
    let first = &l.log_targets[0];
    assert_eq!(
        first.address,
        LogTargetAddress::Datagram(Address::Inet { ip: "127.0.0.1".parse().unwrap(), port: 514 })
    );
    assert_eq!((first.facility, first.max_level, first.max_length), (19, 6, 1024));
    let third = &l.log_targets[2];
    assert_eq!((third.format, third.max_length), (LogFormatKind::Rfc5424, 200));
    assert_eq!(third.sample, Some((vec![(1, 1), (3, 4)], 5)));
    assert_eq!((third.max_level, third.min_level), (5, 1));
    assert_eq!(l.log_targets[3].address, LogTargetAddress::Stdout);
    assert!(l.log_format.is_some());
}

#[test]
fn several_global_sections_are_one() {
    let model = model(
        "global\n stats socket \"/tmp/x\" level admin mode 600\nlisten l\n bind :1\nglobal\n maxconn 7\n \
         stats socket \"fd@${FD}\" level user\n set-var proc.a int(3)\n no strict-limits\n",
    );
    assert_eq!(model.global.maxconn, Some(7));
    assert_eq!(model.global.stats_sockets.len(), 2);
    assert_eq!(model.global.stats_sockets[1].bind.address, Address::Fd(9));
    assert_eq!(model.global.stats_sockets[0].bind.level, Level::Admin);
    assert_eq!(model.global.process_variables.len(), 1);
    assert!(!model.global.strict_limits);
}

#[test]
fn the_other_sections_are_read() {
    let model = model(
        "userlist u\n group g users a\n user a insecure-password p groups h\n group h\n\
         resolvers r\n nameserver d 1.1.1.1:53\n hold valid 5s\n parse-resolv-conf\n\
         peers p\n peer a 10.0.0.1:1024\n table t type string size 10\n\
         mailers m\n mailer x 10.0.0.1:25\nring g\n size 32k\n format iso\n\
         cache c\n total-max-size 4\n max-age 10\n",
    );
    let user = &model.userlists[0].users[0];
    assert_eq!(user.password, Some(Password::Plain("p".to_owned())));
    assert_eq!(user.groups, ["h", "g"]);
    assert_eq!(model.resolvers[0].hold.valid, Duration::from_secs(5));
    assert!(model.resolvers[0].system_nameservers);
    assert_eq!((model.tables[0].name.as_str(), model.peers[0].peers.len()), ("p/t", 1));
    assert_eq!(model.mailers[0].mailers.len(), 1);
    assert_eq!((model.rings[0].size, model.rings[0].format), (32_768, LogFormatKind::Iso));
    assert_eq!(model.caches[0].max_age, Duration::from_secs(10));
}

#[test]
fn rules_that_run_earlier_than_they_stand_are_told() {
    // row: 164
    let told = messages(
        "listen l\n mode http\n bind :1\n redirect location /x if { path /y }\n http-request set-header A b\n",
    );
    assert!(told.iter().any(|message| message.contains("will still be processed before it")), "{told:?}");
}

#[test]
fn all_mistakes_of_a_file_are_told_in_one_run() {
    let told = messages(
        "global\n deamon\n maxconn x\ndefaults\n modehttp\n option http-keep-alive 60\nlisten a\n bind 1.2.3.4\n \
         server s 1.1.1.1:80 weight 300 redirect prefix http://x\n http_request deny\n default_backend nosuch\n",
    );
    for part in [
        "deamon",
        "maxconn",
        "modehttp",
        "no argument",
        "port is missing",
        "weight must be 0..=256",
        "redirect",
        "http_request",
        "nosuch",
    ] {
        assert!(told.iter().any(|message| message.contains(part)), "{part}: {told:#?}");
    }
}

#[test]
fn mistakes_of_tutorials_get_hints() {
    // row: 48, 75, 93, 104, 106, 162, 210
    for (text, hint) in [
        ("global\n deamon\n", "did you mean `daemon`?"),
        ("global\n loglocal0\n", "did you mean `log local0`?"),
        ("defaults\n modehttp\n", "did you mean `mode http`?"),
        ("defaults\n optionhttplog\n", "did you mean `option httplog`?"),
        ("defaults\n timeout client50000\n", "did you mean `client 50000`?"),
        ("defaults\n option http-keep-alive 60\n", "the time goes into `timeout http-keep-alive 60`"),
        ("listen a 1.2.3.4:80\n", "write the address on a line of its own: bind 1.2.3.4:80"),
        (
            "backend a\n server s 1.1.1.1:80 redirect prefix http://x\n",
            "did you mean `redir`? It takes the prefix alone: redir http://host",
        ),
        (
            "backend a\n server s 1.1.1.1:80 backlog 10\n",
            "did you mean `maxqueue`? `backlog` belongs to `bind` lines",
        ),
        ("listen a\n http_request deny\n", "did you mean `http-request`?"),
        ("global\n spread-checks 60\n", "it is percent: 2 to 5 is usual, 50 the most"),
    ] {
        let loaded = load(text);
        let helps: Vec<&str> = loaded.report.diagnostics().iter().filter_map(|d| d.help.as_deref()).collect();
        assert!(helps.contains(&hint), "{text}: {helps:?}");
        assert!(loaded.model.is_none(), "{text}");
    }
}

#[test]
fn names_decide_what_a_proxy_is() {
    // row: 70, 71, 113, 184
    for (text, part) in [
        ("listen a/b\n bind :1\n", "`/` is not permitted"),
        ("listen a\n bind :1\nfrontend a\n bind :2\n", "has the same name"),
        ("listen a\n bind :1\n server s 1.1.1.1:1\n server s 1.1.1.1:2\n", "two servers named `s`"),
        ("frontend a\n bind :1\n mode http\n default_backend b\nbackend b\n mode tcp\n", "in HTTP mode"),
    ] {
        let told = messages(text);
        assert!(told.iter().any(|message| message.contains(part)), "{text}: {told:?}");
    }
    let model = model("frontend Web\n bind :1\nbackend Web\nlisten web\n bind :2\n");
    let sides: Vec<_> = model.proxies.iter().map(|proxy| (proxy.is_frontend, proxy.is_backend)).collect();
    assert_eq!(sides, [(true, false), (false, true), (true, true)]);
}

#[test]
fn missing_timeouts_are_a_warning() {
    // row: 92
    let loaded = load("listen a\n bind :1\n server s 1.1.1.1:1\n");
    assert!(loaded.model.is_some());
    assert!(
        loaded
            .report
            .diagnostics()
            .iter()
            .any(|d| d.message.contains("`timeout client`, `timeout connect`, `timeout server`"))
    );
}

#[test]
fn checks_of_a_section_replace_those_of_its_defaults() {
    use checks::{Match, Step, Text};
    let text = "defaults\n mode http\n option httpchk GET /def\n http-check expect status 299\nbackend a\nbackend b\n \
                http-check expect status 200\nbackend c\n http-check send uri /own\nbackend d\n option httpchk HEAD /opt\n";
    let seen: Vec<(Option<String>, String, bool)> = model(text)
        .proxies
        .iter()
        .map(|proxy| {
            let (mut method, mut uri, mut expects_299) = (None, String::new(), false);
            for step in &proxy.check.steps {
                match step {
                    Step::HttpSend(send) => {
                        method.clone_from(&send.method);
                        if let Some(Text::Literal(bytes)) = &send.uri {
                            uri = String::from_utf8_lossy(bytes).into_owned();
                        }
                    }
                    Step::Expect(expect) => {
                        expects_299 = matches!(&expect.test, Match::Status(set) if set.contains(299) && !set.contains(200));
                    }
                    _ => {}
                }
            }
            (method, uri, expects_299)
        })
        .collect();
    let get = Some("GET".to_owned());
    assert_eq!(
        seen,
        [
            (get.clone(), "/def".to_owned(), true),
            (get, "/def".to_owned(), false),
            // As recorded: `OPTIONS /own`, nothing of the defaults' request.
            (None, "/own".to_owned(), false),
            (Some("HEAD".to_owned()), "/opt".to_owned(), false),
        ]
    );
}

#[test]
fn limits_of_zero_are_no_limits() {
    let model = model(
        "global\n maxconn 0\n maxconnrate 0\nlisten a\n bind :1 maxconn 0 backlog 0\n maxconn 0\n fullconn 0\n rate-limit sessions 0\n",
    );
    assert_eq!((model.global.maxconn, model.global.maxconnrate), (None, None));
    let proxy = &model.proxies[0];
    assert_eq!((proxy.maxconn, proxy.fullconn, proxy.session_rate_limit), (None, None, None));
    assert_eq!((proxy.binds[0].maxconn, proxy.binds[0].backlog), (None, None));
}
