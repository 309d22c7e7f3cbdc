//! ACLs and actions as everyday configurations use them.

use differential::{Backend, Reply, same};

use crate::support::{get, web};

#[test]
fn acls_match_by_every_common_method() {
    let conditions = [
        "path /a",
        "path -i /A",
        "path_beg /a /b",
        "path_end .png .gif",
        "path_sub b/c",
        "path_dir b",
        "path_dom example",
        "path_reg ^/[ab]/.*$",
        "path_len 2",
        "path_len gt 4",
        "path -m len ge 3",
        "path -m found",
        "path,lower /a",
        "path -m beg -i /A",
        "method GET",
        "method POST PUT",
        "hdr(host) -i TEST.example",
        "hdr(host),host_only test.example",
        "hdr_beg(host) test",
        "hdr_end(host) example",
        "hdr_dom(host) test",
        "hdr_cnt(x-a) 2",
        "hdr_cnt(x-a) gt 0",
        "hdr(x-a) 1",
        "hdr(x-a,-1) 2",
        "hdr(x-a,1) 1",
        "hdr_val(x-n) 5:10",
        "hdr_val(x-n) ge 7",
        "hdr_ip(x-ip) 10.0.0.0/8",
        "src 127.0.0.0/8",
        "src 10.0.0.1",
        "dst_port gt 1",
        "url_param(q) v",
        "urlp(q) v",
        "urlp_val(n) gt 3",
        "query q=v",
        "url_beg /a",
        "cook(c) x",
        "req.cook(c) -m found",
        "cook_cnt(c) 1",
        "req.ver 1.1",
        "req_proto_http",
        "always_true",
        "always_false",
        "fe_conn ge 1",
        "nbsrv(web) eq 0",
        "so_id 1",
        "rand(10) lt 10",
        "str(a) a",
        "str(abc),length 3",
        "int(7),mod(4) 3",
        "bool(true)",
        "env(NOTHING) -m found",
        "req.hdrs_bin -m found",
        "req.body_len 0",
        "path,map_beg(/dev/null) x",
        "path,field(2,/) a",
        "path,word(1,/) a",
        "path,regsub(a,b) /b",
        "base_beg test.example/a",
        "url_dec,upper -m found",
        "http_first_req",
        "http_auth_group(none) x",
        "wait_end",
        "unique-id -m found",
        "ssl_fc",
        "src,ipmask(8) 127.0.0.0",
        "path,crc32 gt 0",
        "path,djb2 gt 0",
        "path,sdbm,mod(2) 0",
        "path,base64 L2E=",
        "path,hex 2F61",
        "path,sha1,hex -m beg 0",
        "path,concat(x) -m end x",
        "path,strcmp(txn.none) 0",
        "path,bytes(0,2) /a",
        "hdr(x-json),json_query('$.k') -m str v",
        "hdr(x-a),add(3) 5",
        "path,in_table(web)",
        "date gt 0",
        "req.fhdr(x-list) -m sub ,",
        "req.hdr_names -m sub host",
        "var(txn.x) -m found",
        "var(proc.x) -m found",
        "nosuchfetch",
        "path -m nosuchmatch x",
        "src -m beg 127",
        "path,nosuchconverter x",
        "path_reg (",
        "hdr_val(x-n) x",
    ];
    let headers = [
        "X-A: 1",
        "X-A: 2",
        "X-N: 7",
        "X-Ip: 10.9.8.7",
        "Cookie: c=x",
        "X-List: a, b",
        "X-Json: {\"k\":\"v\"}",
    ];
    let requests = [
        get("/a", &headers),
        get("/a/b/c.png?q=v&n=4", &headers),
        get("/", &[]),
        "POST /a HTTP/1.1\r\nHost: other.example:81\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ];
    let verdicts = same(|program| {
        let valid = conditions.map(|condition| {
            let text =
                format!("listen web\n bind 127.0.0.1:$(web)\n http-request deny if {{ {condition} }}\n");
            program.http(&text).check().code == 0
        });
        // One rule for each valid condition; the server sees which of them held.
        let rules = conditions.iter().zip(valid).enumerate().filter(|(_, (_, valid))| *valid);
        let rules = rules.map(|(number, (condition, _))| {
            format!(" http-request add-header X-Held {number} if {{ {condition} }}\n")
        });
        let backend = Backend::named("s1");
        let proxy = web(program, &rules.collect::<String>(), &backend);
        let held = requests.each_ref().map(|request| {
            assert_eq!(proxy.client("web").ask(request).status, 200);
            let request = backend.last();
            let numbers = request.header_all("x-held").into_iter().filter_map(|number| number.parse().ok());
            numbers.collect::<std::collections::BTreeSet<usize>>()
        });
        let of_condition = |number: usize| held.each_ref().map(|held| held.contains(&number));
        let rows = conditions.iter().zip(valid).enumerate();
        rows.map(|(number, (condition, valid))| (*condition, valid, of_condition(number))).collect::<Vec<_>>()
    });
    assert_eq!(verdicts[0], ("path /a", true, [true, false, false, true]));
    let unknown = verdicts.iter().find(|(condition, ..)| *condition == "nosuchfetch");
    assert_eq!(unknown.map(|(_, valid, _)| *valid), Some(false));
}

#[test]
fn conditions_combine_with_and_or_not_and_names() {
    let rules = [
        " acl a path_beg /a\n acl b hdr(x-b) 1\n http-request deny if a b",
        " acl a path_beg /a\n acl b hdr(x-b) 1\n http-request deny if a or b",
        " acl a path_beg /a\n acl b hdr(x-b) 1\n http-request deny if a !b",
        " acl a path_beg /a\n acl b hdr(x-b) 1\n http-request deny unless a || b",
        " acl a path_beg /a\n acl a path_end z\n http-request deny if a",
        " http-request deny if { path /a } !{ hdr(x-b) 1 } or { path /z }",
        " acl a path -f $(dir)/paths\n http-request deny if a",
        " http-request deny if METH_GET LOCALHOST",
        " http-request allow if { path /a }\n http-request deny",
    ];
    let requests = [get("/a", &[]), get("/a", &["X-B: 1"]), get("/z", &["X-B: 1"]), get("/q", &[])];
    let verdicts = same(|program| {
        rules.map(|rule| {
            let text =
                format!("listen web\n bind 127.0.0.1:$(web)\n{rule}\n http-request return status 200\n");
            let proxy = program.http(&text).file("paths", "# list\n/a\n\n/z\n").start();
            requests.each_ref().map(|request| proxy.client("web").ask(request).status)
        })
    });
    assert_eq!(verdicts[0], [200, 403, 200, 200]);
}

// row: 162, 167
#[test]
fn request_actions_change_what_the_server_sees() {
    let actions = [
        "http-request set-header X-A \"%[src] %[path]\"",
        "http-request add-header X-Old 2",
        "http-request del-header X-Old",
        "http-request del-header ^x- -m reg",
        "http-request replace-header X-Old (.*) <\\1>",
        "http-request replace-value X-Old a z",
        "http-request set-path /new%[path]",
        "http-request replace-path /(.*) /\\1/more",
        "http-request set-pathq /p?q=2",
        "http-request replace-pathq (.*) \\1&r=3",
        "http-request set-query \"%[query]&r=3\"",
        "http-request set-uri /u?v",
        "http-request replace-uri ^/(.*) /x/\\1",
        "http-request set-method PATCH",
        "http-request set-header Host other.example",
        "http-request set-var(txn.v) path\n http-request set-header X-V %[var(txn.v)]",
        "http-request set-var-fmt(txn.v) \"%ci-%HM\"\n http-request set-header X-V %[var(txn.v)]",
        "http-request unset-var(txn.v)\n http-request set-header X-V %[var(txn.v)]",
        "http-request set-src hdr(x-old)",
        "http-request set-header X-Port %[dst_port,sub(1)]",
        "http-request set-header X-Id %[unique-id]\n unique-id-format id-%[path]",
        "http-request early-hint Link \"</x>; rel=preload\"",
        "http-request capture path len 10",
        "http-request set-log-level debug",
        "http-request set-tos 16",
        "http-request set-nice 5",
        "http-request wait-for-body time 1s",
        "http-request strict-mode on",
        "http-request cache-use none",
    ];
    let heads = same(|program| {
        actions.map(|action| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n {action}\n server s1 127.0.0.1:$(s1)\n");
            if program.http(&text).with("s1", 1).check().code != 0 {
                return (action, vec!["refused".to_owned()]);
            }
            let backend = Backend::named("s1");
            let proxy = web(program, &format!(" {action}"), &backend);
            let mut client = proxy.client("web");
            let mut response = client.ask(get("//a/../b?z=1&y=2", &["X-Old: a, b"]));
            if response.status == 103 {
                response = client.response();
            }
            let port = proxy.port("web");
            let mut head: Vec<_> = backend.last().head();
            for line in &mut head {
                *line = line.replace(&port.to_string(), "PORT").replace(&(port - 1).to_string(), "PORT-1");
            }
            head.push(response.status.to_string());
            (action, head)
        })
    });
    assert!(heads[0].1.iter().any(|line| line.starts_with("x-a: 127.0.0.1 /")), "{:?}", heads[0]);
}

#[test]
fn response_actions_change_what_the_client_sees() {
    let actions = [
        "http-response set-header X-A %[status]",
        "http-response add-header X-Old 2",
        "http-response del-header X-Old",
        "http-response replace-header X-Old (.*) <\\1>",
        "http-response replace-value X-Old a z",
        "http-response set-status 201 reason Made",
        "http-response set-status 404",
        "http-response deny if { res.hdr(x-old) -m found }",
        "http-response return status 200 content-type text/plain string mine if { status 200 }",
        "http-response redirect location /r",
        "http-response set-var(txn.a) res.hdr(x-old)\n http-response set-header X-V %[var(txn.a)]",
        "http-after-response set-header X-After 1",
        "http-request deny\n http-after-response set-header X-After 1",
        "http-request deny\n http-response set-header X-Not 1",
        "http-response allow\n http-response set-header X-Not 1",
        "http-response set-header X-Path %[capture.req.uri]",
        "http-response set-header X-Srv %[srv_name]/%[be_name]",
        "http-response cache-store none",
    ];
    let responses = same(|program| {
        actions.map(|action| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n {action}\n server s1 127.0.0.1:$(s1)\n");
            if program.http(&text).with("s1", 1).check().code != 0 {
                return (action, None);
            }
            let backend = Backend::http(|_| Reply::status("200 OK", &["X-Old: a, b"], "body"));
            let proxy = web(program, &format!(" {action}"), &backend);
            (action, Some(proxy.get("web", "/p")))
        })
    });
    assert_eq!(responses[0].1.as_ref().and_then(|response| response.header("x-a")), Some("200"));
}

// row: 160
#[test]
fn redirects_have_haproxys_heads() {
    let rules = [
        "redirect scheme https if !{ ssl_fc }",
        "redirect scheme https code 301",
        "redirect location /new",
        "redirect location https://%[hdr(host)]%[path]?x code 307",
        "redirect prefix https://other.example",
        "redirect prefix https://other.example drop-query",
        "redirect prefix /",
        "redirect prefix https://x append-slash code 308",
        "redirect location / set-cookie A=b",
        "redirect location / clear-cookie A",
        "redirect location /x ignore-empty",
        "http-request redirect location %[path,map(/dev/null)] ignore-empty",
        "http-request redirect prefix https://h code 303",
    ];
    let answers = same(|program| {
        rules.map(|rule| {
            let backend = Backend::named("s1");
            let proxy = web(program, &format!(" {rule}"), &backend);
            let request = "GET /a?b=1 HTTP/1.1\r\nHost: www.t.local:8080\r\n\r\n";
            let post = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
            (rule, proxy.client("web").ask(request), proxy.client("web").ask(post).status)
        })
    });
    assert_eq!(answers[0].1.header("location"), Some("https://www.t.local:8080/a?b=1"));
}

// row: 167
#[test]
fn backends_and_servers_are_chosen_by_rules() {
    let served = same(|program| {
        let backends = ["default", "static", "api", "dynamic", "s1", "s2"].map(Backend::named);
        let text = "frontend web\n bind 127.0.0.1:$(web)\n acl is_static path_beg /static\n use_backend static if is_static\n \
                    use_backend api if { hdr(host) -i api.example } { method POST GET }\n \
                    use_backend %[path,field(3,/)] if { path_beg /to/ }\n use_backend pick if { path_beg /pick }\n default_backend main\n\
                    backend main\n server s 127.0.0.1:$(b0)\nbackend static\n server s 127.0.0.1:$(b1)\n\
                    backend api\n server s 127.0.0.1:$(b2)\nbackend dynamic\n server s 127.0.0.1:$(b3)\n\
                    backend pick\n use-server s2 if { path_end 2 }\n server s1 127.0.0.1:$(b4)\n server s2 127.0.0.1:$(b5) weight 0\n";
        let launch = program.http(text);
        let names = ["b0", "b1", "b2", "b3", "b4", "b5"];
        let launch = names
            .iter()
            .zip(&backends)
            .fold(launch, |launch, (name, backend)| launch.with(name, backend.port()));
        let proxy = launch.start();
        ["/", "/static/x", "/to/dynamic", "/to/nowhere", "/pick/1", "/pick/2"]
            .map(|target| proxy.get("web", target).body)
            .into_iter()
            .chain([proxy.client("web").ask("GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").body])
            .collect::<Vec<_>>()
    });
    assert_eq!(served, ["default", "static", "dynamic", "default", "s1", "s2", "api"]);
}

#[test]
fn tcp_request_rules_accept_and_reject_by_content() {
    let ends = same(|program| {
        let rules = [
            "tcp-request connection reject if { src 127.0.0.1 }",
            "tcp-request connection accept",
            "tcp-request inspect-delay 300ms\n tcp-request content reject unless { req.len gt 3 }",
            "tcp-request inspect-delay 300ms\n tcp-request content reject if { req.payload(0,3) -m str abc }",
            "tcp-request inspect-delay 300ms\n tcp-request content accept if HTTP\n tcp-request content reject",
            "tcp-request inspect-delay 300ms\n tcp-request content accept if WAIT_END",
            "tcp-request session reject if { src 127.0.0.1 }",
            "tcp-response inspect-delay 300ms\n tcp-response content reject if { res.len gt 2 }",
        ];
        rules.map(|rule| {
            ["abcdef", "ab", "GET / HTTP/1.0\r\n\r\n"].map(|bytes| {
                let backend = Backend::tcp_echo();
                let text = format!("listen tcp\n bind 127.0.0.1:$(tcp)\n {rule}\n server s 127.0.0.1:$(s)\n");
                let proxy = program.tcp(&text).with("s", backend.port()).start();
                let mut client = proxy.client("tcp");
                let _ = client.try_send(bytes);
                let (got, end) = client.read_for(std::time::Duration::from_millis(500));
                (got, end == "open")
            })
        })
    });
    assert_eq!(ends[0][0], (String::new(), false));
    assert_eq!(ends[3][0], (String::new(), false));
}

#[test]
fn userlists_guard_by_password() {
    let statuses = same(|program| {
        let text = "userlist people\n user ann insecure-password secret\n user bob insecure-password other groups staff\n group staff\n\
                    listen web\n bind 127.0.0.1:$(web)\n http-request auth realm Site unless { http_auth(people) }\n \
                    http-request deny if { path /staff } !{ http_auth_group(people) staff }\n http-request return status 200\n";
        let proxy = program.http(text).start();
        // ann:secret, bob:other, ann:wrong
        [
            "",
            "Authorization: Basic YW5uOnNlY3JldA==",
            "Authorization: Basic Ym9iOm90aGVy",
            "Authorization: Basic YW5uOndyb25n",
        ]
        .map(|header| {
            let headers: &[&str] = if header.is_empty() { &[] } else { &[header] };
            ["/", "/staff"].map(|target| {
                let response = proxy.client("web").ask(get(target, headers));
                (response.status, response.header("www-authenticate").map(str::to_owned))
            })
        })
    });
    assert_eq!(statuses[0][0], (401, Some("Basic realm=\"Site\"".to_owned())));
    assert_eq!((statuses[1][1].0, statuses[2][1].0), (403, 200));
}

#[test]
fn variables_of_the_process_are_set_before_anything_runs() {
    let body = same(|program| {
        let text = "global\n set-var proc.a int(5)\n set-var-fmt proc.b \"x%[int(1)]\"\n\
                    listen web\n bind 127.0.0.1:$(web)\n mode http\n timeout client 8s\n timeout connect 8s\n timeout server 8s\n \
                    http-request return status 200 content-type text/plain lf-string %[var(proc.a)]-%[var(proc.b)]\n";
        program.http(text).start().get("web", "/").body
    });
    assert_eq!(body, "5-x1");
}

#[test]
fn odd_header_names_pass_are_deleted_or_refused() {
    let seen = same(|program| {
        ["preserve", "delete", "reject"].map(|policy| {
            let backend = Backend::named("s1");
            let proxy = web(program, &format!(" option http-restrict-req-hdr-names {policy}"), &backend);
            let status = proxy.client("web").ask(get("/", &["X_Odd: 1", "X-Even: 2"])).status;
            let names = (status == 200).then(|| {
                (backend.last().header("x_odd").is_some(), backend.last().header("x-even").is_some())
            });
            (status, names)
        })
    });
    assert_eq!(seen, [(200, Some((true, true))), (200, Some((false, true))), (403, None)]);
}

/// HAProxy sends a client that has a body to send away with a close, and counts what says so.
#[test]
fn redirects_of_requests_with_bodies_close_and_count_it() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let rules = " log 127.0.0.1:$(log) len 4096 local0\n log-format 'line@ %ts %ST B=%B %HU'\n \
                     http-request redirect location /r if { path /redirect }\n \
                     http-response redirect location /r if { capture.req.uri /late }";
        let proxy = web(program, rules, &backend);
        let bodies = [
            "\r\n",
            "Content-Length: 0\r\n\r\n",
            "Content-Length: 4\r\n\r\nabcd",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        ];
        let mut answers = Vec::new();
        for target in ["/redirect", "/late"] {
            for body in bodies {
                let request = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{body}");
                let response = proxy.client("web").ask(request);
                answers.push((response.status, response.header("connection").map(str::to_owned)));
            }
        }
        let mark = |line: &str| line.split_once("line@ ").map(|(_, line)| line.trim_end().to_owned());
        let lines = proxy.log().wait_for(answers.len(), |line| line.contains("line@"));
        let lines: Vec<_> = lines.iter().filter_map(|line| mark(line)).collect();
        (answers, lines)
    });
    assert_eq!(seen.0[2], (302, Some("close".to_owned())));
    assert_eq!(seen.0[6], (302, None));
}

#[test]
fn early_hints_are_counted_and_not_for_http_1_0() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let rules = " log 127.0.0.1:$(log) len 4096 local0\n log-format 'line@ %ST B=%B %HV'\n \
                     http-request early-hint Link %[req.hdr(x-key)]";
        let proxy = web(program, rules, &backend);
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\nX-Key: <v>\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.0\r\n",
        ];
        let answers = requests.map(|request| {
            let mut client = proxy.client("web");
            client.send(format!("{request}Connection: close\r\n\r\n"));
            client.read_to_close().to_ascii_lowercase()
        });
        let lines = proxy.log().wait_for(answers.len(), |line| line.contains("line@"));
        let lines: Vec<_> =
            lines.iter().map(|line| line.split_once("line@").expect("the mark").1.to_owned()).collect();
        (answers, lines)
    });
    assert!(seen.0[1].starts_with("http/1.1 103 early hints\r\nlink: \r\n"), "{}", seen.0[1]);
}

/// All that the option changes is whose credentials are asked for and looked at.
#[test]
fn a_request_to_a_proxy_has_credentials_for_the_proxy() {
    let seen = same(|program| {
        ["", " option http-use-proxy-header\n"].map(|option| {
            let backend = Backend::named("s1");
            let text = format!(
                "userlist people\n user ann insecure-password secret\n\
                 listen web\n bind 127.0.0.1:$(web)\n{option} \
                 http-request auth realm Lab unless {{ http_auth(people) }}\n server s1 127.0.0.1:$(s1)\n"
            );
            let proxy = program.http(&text).with("s1", backend.port()).start();
            let mut answers = Vec::new();
            for target in ["http://far.example/x", "/x"] {
                for credentials in ["", "Authorization: Basic YW5uOnNlY3JldA==\r\n", "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"] {
                    let request = format!(
                        "GET {target} HTTP/1.1\r\nHost: far.example\r\nProxy-Connection: keep-alive\r\n{credentials}\r\n"
                    );
                    let response = proxy.client("web").ask(request);
                    let challenge = ["www-authenticate", "proxy-authenticate", "connection"]
                        .map(|name| response.header(name).map(str::to_owned));
                    answers.push((response.status, challenge));
                }
            }
            answers
        })
    });
    let statuses = seen.map(|answers| answers.iter().map(|(status, _)| *status).collect::<Vec<_>>());
    assert_eq!(statuses[0], [401, 200, 401, 401, 200, 401]);
    assert_eq!(statuses[1], [407, 407, 200, 401, 200, 401]);
}
