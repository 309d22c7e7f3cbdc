//! What is accepted, warned about and refused at load.

use differential::{Program, same};

fn codes<const N: usize>(program: Program, texts: [&'static str; N]) -> Vec<(&'static str, i32)> {
    texts.map(|text| (text, program.bare(text).check().code)).to_vec()
}

/// A proxy that is valid on its own, to follow what is under test.
const PROXY: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                     listen web\n bind 127.0.0.1:18080\n server s1 127.0.0.1:1\n";

fn with_proxy<const N: usize>(program: Program, globals: [&'static str; N]) -> Vec<(&'static str, i32)> {
    globals.map(|global| (global, program.bare(&format!("global\n {global}\n{PROXY}")).check().code)).to_vec()
}

// row: 48, 53, 56, 57, 59, 61, 62, 64, 65, 66, 67
#[test]
fn global_keywords_are_judged_alike() {
    let verdicts = same(|program| {
        with_proxy(
            program,
            [
                "daemon",
                "nbthread 2",
                "nbthread 0",
                "nbthread x",
                "cpu-map auto:1/1-2 0-1",
                "cpu-map 1/1 0",
                "maxconn 65536",
                "maxconn x",
                "maxconn",
                "maxconnrate 1000",
                "maxsessrate 10",
                "maxsslrate 10",
                "stats timeout 30s",
                "stats timeout",
                "stats socket /tmp/x.sock mode 600 level admin",
                "stats socket /tmp/x.sock level bogus",
                "stats socket",
                "spread-checks 5",
                "spread-checks 51",
                "spread-checks -1",
                "pidfile /tmp/x.pid",
                "log 127.0.0.1 local3 info",
                "log 127.0.0.1 local9",
                "log 127.0.0.1 local0 loud",
                "log 127.0.0.1 local0\n log 127.0.0.1 local1\n log 127.0.0.1 local2",
                "log /dev/log local0\n log /dev/log local1 notice",
                "log 127.0.0.1 len 4096 format rfc5424 local0 info notice",
                "log stdout format raw local0",
                "log 127.0.0.1 sample 1:2 local0",
                "log nonsense",
                "ulimit-n 1024",
                "tune.bufsize 32768",
                "tune.maxrewrite 2048",
                "tune.http.maxhdr 200",
                "tune.http.maxhdr 0",
                "tune.bogus 1",
                "ulimit -n 1024",
                "hard-stop-after 5s",
                "busy-polling",
                "thread-groups 1",
                "master-worker no-exit-on-failure",
                "description some text",
                "node name",
                "ssl-default-bind-options no-sslv3",
                "insecure-fork-wanted",
                "h1-case-adjust x X",
                "setenv A b",
                "presetenv A b",
                "resetenv PATH",
                "external-check",
                "user nobody",
                "user no-such-user",
                "group nogroup",
                "uid 99\n gid 99",
                "uid x",
                "chroot /tmp",
                "server-state-file global",
                "bogus",
                "deamon",
            ],
        )
    });
    let code = |keyword: &str| verdicts.iter().find(|(asked, _)| *asked == keyword).map(|(_, code)| *code);
    assert_eq!((code("daemon"), code("deamon"), code("spread-checks 51")), (Some(0), Some(1), Some(1)));
}

// row: 52, 54, 55, 60, 87, 166
#[test]
fn forms_that_haproxy_removed_are_warnings_for_hawser() {
    let forms = [
        "global\n nbproc 1\n",
        "global\n nbproc 2\n",
        "global\n nbproc 2\n nbthread 12\n",
        "global\n stats socket /tmp/hawser-a.sock mode 660 level admin process 2\n",
        "defaults\n mode http\n contimeout 5000\n clitimeout 50000\n srvtimeout 50000\n",
        "defaults\n mode http\n redispatch\n",
        "defaults\n mode health\n",
        "defaults\n mode http\n option forceclose\n",
        "frontend f\n bind 127.0.0.1:18081\n mode http\n reqadd X-Forwarded-Proto:\\ https\n",
    ];
    let result = differential::both(|program| {
        forms.map(|form| {
            let exit = program.bare(&format!("{form}{PROXY}")).check();
            (form, exit.code, exit.stderr)
        })
    });
    for (form, code, _) in result.haproxy.into_iter().flatten() {
        assert_eq!(code, 1, "haproxy 2.6 refuses {form:?}");
    }
    for (form, code, stderr) in result.hawser.into_iter().flatten() {
        assert_eq!(code, 0, "hawser accepts {form:?}: {stderr}");
        assert!(!stderr.is_empty(), "and warns about {form:?}");
    }
}

// row: 80
#[test]
fn the_mode_health_answers_as_in_its_time_and_names_its_successor() {
    let form = |option: &str| {
        format!(
            "listen web\n mode health\n{option} bind 127.0.0.1:$(web)\n timeout client 1s\n timeout connect 1s\n \
             timeout server 1s\n"
        )
    };
    assert_eq!(Program::Haproxy.bare(&form("")).check().code, 1, "haproxy 2.6 refuses it");
    // Texts of the manual of HAProxy 1.8, section 4.2.
    for (option, word) in [("", "OK\n"), (" option httpchk\n", "HTTP/1.0 200 OK\r\n\r\n")] {
        let checked = Program::Hawser.bare(&form(option)).check();
        assert_eq!(checked.code, 0, "{}", checked.stderr);
        assert!(
            checked.stderr.contains("write `mode http` and `http-request return status 200`"),
            "{}",
            checked.stderr
        );
        let proxy = Program::Hawser.bare(&form(option)).start();
        assert_eq!(proxy.client("web").read_to_close(), word);
        let mut asking = proxy.client("web");
        asking.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(asking.read_to_close(), word);
    }
}

// row: 68, 69, 70, 210
#[test]
fn sections_and_names_are_judged_alike() {
    let verdicts = same(|program| {
        codes(
            program,
            [
                "lsiten x\n",
                "frontend Web\nfrontend web\n",
                "frontend a/b\n bind 127.0.0.1:18080\n",
                "frontend a:b.c-d_e\n bind 127.0.0.1:18080\n",
                "frontend\n bind 127.0.0.1:18080\n",
                "frontend a b\n bind 127.0.0.1:18080\n",
                "defaults d1\n mode http\n timeout client 1s\nfrontend f from d1\n bind 127.0.0.1:18080\n",
                "frontend f from nothing\n bind 127.0.0.1:18080\n",
                "defaults d1\ndefaults d1\nfrontend f from d1\n",
                "defaults\n timeout client 1s\ndefaults\n timeout client 2s\nfrontend f\n bind 127.0.0.1:18080\n",
                "listen x 127.0.0.1:18080\n bind 127.0.0.1:18081\n",
                "loglocal0\n",
                "global\n loglocal0\n",
                "defaults\n modehttp\n",
                "defaults\n optionhttplog\n",
                "defaults\n timeout client50000\n",
                "defaults\n mode bogus\n",
                "defaults\n mode http\n option http-keep-alive 60\n",
                "defaults\n mode http\n option bogus\n",
                "defaults\n option redispatch 2\n option dontlognull\n no option dontlognull\n",
                "peers p\n peer local 127.0.0.1:18082\n",
                "userlist u\n user a insecure-password b\n group g users a\n",
                "resolvers r\n nameserver n 127.0.0.1:53\n hold valid 10s\n",
                "mailers m\n mailer s 127.0.0.1:25\n",
                "cache c\n total-max-size 4\n max-age 60\n",
                "ring r\n size 1024\n format rfc3164\n",
                "http-errors e\n",
                "bogus-section x\n",
                "bind 127.0.0.1:18080\n",
            ],
        )
    });
    assert_eq!((verdicts[0].1, verdicts[2].1), (1, 1));
}

// row: 75, 77, 81, 86, 92, 97, 98, 99, 100, 104, 106, 162
#[test]
fn lines_of_proxies_are_judged_alike() {
    let lines = [
        "timeout connect 120s",
        "timeout connect 120",
        "timeout connect 5x",
        "timeout connect 30d",
        "timeout connect 60d",
        "timeout connect",
        "timeout bogus 1s",
        "timeout http-keep-alive 120s",
        "option http-keep-alive",
        "option forwardfor except 10.0.0.0/8 header X-Client if-none",
        "option forwardfor bogus",
        "option httplog clf",
        "option tcplog",
        "balance source\n hash-type consistent",
        "server s2 127.0.0.1:80 check inter 3000 fall 3 rise 5",
        "server s2 127.0.0.1:80 check inter 0",
        "server s2 127.0.0.1:80 check inter x",
        "server s2 127.0.0.1:80 fall 0",
        "server s2 127.0.0.1:80 rise x",
        "server s2 127.0.0.1:80 bogus",
        "server s2 127.0.0.1:99999",
        "server s2 127.0.0.1",
        "server s2",
        "server s2 127.0.0.1:80 cookie",
        "server s2 127.0.0.1:80 slowstart 30s",
        "server s2 127.0.0.1:80 observe layer7",
        "server s2 127.0.0.1:80 track nothing/s1",
        "server s2 127.0.0.1:80 send-proxy check",
        "server s/2 127.0.0.1:80",
        "server s2 [::1]:80",
        "server s2 ipv6@::1:80",
        "server s2 /tmp/s.sock",
        "server s2 127.0.0.1:+8000",
        "default-server inter 1s fall 2\n server s2 127.0.0.1:80 check",
        "server-template t 1-3 127.0.0.1:80",
        "server-template t 3 127.0.0.1:80",
        "server-template t x 127.0.0.1:80",
        "bind 127.0.0.1:18081-18083",
        "bind 127.0.0.1:18081,127.0.0.1:18082",
        "bind :18081 name x mode 600",
        "bind 127.0.0.1:x",
        "bind 127.0.0.1",
        "bind *:18081 backlog 100 maxconn 10 accept-proxy",
        "bind *:18081 bogus",
        "http_request set-header X-Forwarded-Port %[dst_port]",
        "http-request set-header X-Forwarded-Port %[dst_port]",
        "http-request add-header X-Forwarded-Proto https if { ssl_fc }",
        "http-request set-header X",
        "http-request bogus",
        "http-request deny if nothing",
        "http-request deny if { bogus }",
        "http-request deny if { path /a } { src 10.0.0.0/8 } || !{ method GET }",
        "http-request deny if { src 10.0.0.0/99 }",
        "http-request deny unless { hdr(host) -i a b }",
        "http-request set-var(txn.a) str(x),upper",
        "http-request set-var(bogus.a) str(x)",
        "http-request set-var(txn.a) str(x),bogus",
        "http-request redirect location /x code 307 if { path / }",
        "redirect scheme https if !{ ssl_fc }",
        "redirect prefix http://x code 301 drop-query append-slash set-cookie A=b",
        "redirect location /x code 299",
        "redirect bogus x",
        "acl a path_beg /x\n acl a path_beg /y\n use_backend web if a",
        "acl a bogus_fetch x\n use_backend web if a",
        "acl and path /",
        "use_backend nothing if { path / }",
        "use_backend %[path]",
        "use-server s1 if { path / }",
        "use-server nobody if { path / }",
        "default_backend nothing",
        "tcp-request inspect-delay 5s\n tcp-request content accept if HTTP",
        "tcp-request connection reject if { src 10.0.0.1 }",
        "tcp-request content bogus",
        "capture request header Host len 10",
        "capture request header Host",
        "cookie SRV insert indirect nocache",
        "cookie SRV bogus",
        "errorfile 503 /nonexistent",
        "errorfile 299 /dev/null",
        "errorloc 503 http://x/",
        "compression algo gzip\n compression type text/html",
        "stick-table type ip size 200k expire 30m\n stick on src",
        "stick on src table nothing",
        "log global",
        "log-format \"%ci %bogus\"",
        "log-format \"%[bogus]\"",
        "log-format \"%{+Q}r\"",
        "retries 3\n retry-on conn-failure 503",
        "retry-on bogus",
        "http-reuse always",
        "http-reuse bogus",
        "maxconn 100\n fullconn 10\n backlog 10",
        "monitor-uri /x\n monitor fail if { nbsrv lt 1 }",
        "option httpchk GET / HTTP/1.1\n http-check send hdr Host x",
        "http-check expect status x",
        "tcp-check expect string x",
        "option tcp-check\n tcp-check connect port 80\n tcp-check send x\n tcp-check expect string y",
        "rate-limit sessions 10",
        "unique-id-format %{+X}o%ci:%cp\n unique-id-header X-Id",
        "id 77",
        "description words of all kinds",
        "disabled",
        "dispatch 127.0.0.1:80",
        "source 127.0.0.1",
        "source 0.0.0.0 usesrc clientip",
        "bind-process 1",
        "email-alert to x@y.z",
        "filter compression",
        "filter bogus",
        "declare capture request len 10",
        "force-persist if { path / }\n ignore-persist if { path /x }",
        "persist rdp-cookie",
        "hash-type consistent sdbm avalanche",
        "http-after-response set-header X-A b",
        "http-response return status 200",
        "load-server-state-from-file none",
        "option bogus-option",
        "no option http-keep-alive",
        "no timeout client",
        "no bogus",
        "\"unfinished",
        "unfinished\\",
    ];
    let verdicts = same(|program| {
        lines.map(|line| {
            let exit = program.bare(&format!("{PROXY} {line}\n")).check();
            (line, exit.code)
        })
    });
    let code = |line: &str| verdicts.iter().find(|(asked, _)| *asked == line).map(|(_, code)| *code);
    assert_eq!(code("http_request set-header X-Forwarded-Port %[dst_port]"), Some(1));
    assert_eq!(code("timeout connect 120"), Some(0));
}

// row: 92
#[test]
fn missing_timeouts_are_a_warning() {
    let warned = same(|program| {
        let exit =
            program.bare("listen web\n bind 127.0.0.1:18080\n mode http\n server s1 127.0.0.1:1\n").check();
        (exit.code, exit.stderr.contains("missing timeouts for proxy 'web'"))
    });
    assert_eq!(warned, (0, true));
}

// row: 77, 89, 164
#[test]
fn lines_that_cannot_work_are_warnings() {
    let warned = same(|program| {
        let tcp = PROXY.replace("mode http", "mode tcp");
        [
            format!("{tcp} option forwardfor\n"),
            format!("{tcp} option httplog\n"),
            format!("{PROXY} redirect location /x\n http-request set-header A b\n"),
            format!("{PROXY} use_backend app if {{ path / }}\n http-request set-header A b\nbackend app\n"),
            format!("{tcp} cookie A insert\n"),
        ]
        .map(|text| {
            let exit = program.bare(&text).check();
            (exit.code, exit.stderr.contains("WARNING") || exit.stderr.contains("warning"))
        })
    });
    assert_eq!(warned, [(0, true); 5]);
}

// row: 207
#[test]
fn the_tutorials_file_starts_on_hawser_with_at_most_five_warnings() {
    let result = differential::both(|program| tutorial(program, true));
    if let Some((code, _)) = result.haproxy {
        assert_eq!(code, 1, "haproxy 2.6 has no nbproc");
    }
    if let Some((code, stderr)) = result.hawser {
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.to_lowercase().matches("warning").count() <= 5, "{stderr}");
    }
}

// row: 208
#[test]
fn the_tutorials_file_without_processes_is_valid_everywhere() {
    let code = same(|program| tutorial(program, false).0);
    assert_eq!(code, 0);
}

/// The tutorial's whole file on loopback, as written or without what 2.5 removed.
fn tutorial(program: Program, literal: bool) -> (i32, String) {
    let processes = if literal { " nbproc 2\n cpu-map 1 0\n cpu-map 2 1\n" } else { "" };
    let process = |number: u8| if literal { format!(" process {number}") } else { String::new() };
    let threads = if literal { 12 } else { 2 };
    let codes = [400, 403, 408, 500, 502, 503, 504];
    let files: String = codes.map(|code| format!(" errorfile {code} $(dir)/error.http\n")).concat();
    let text = format!(
        "global\n log /dev/log local0\n log /dev/log local1 notice\n chroot /tmp\n{processes} maxconn 6553\n stats timeout 30s\n \
         stats socket $(dir)/admin.sock1 mode 660 level admin{}\n stats socket $(dir)/admin.sock2 mode 660 level admin{}\n \
         nbthread {threads}\n user nobody\n group nogroup\n daemon\n\
         defaults\n log global\n mode http\n option httplog\n option dontlognull\n timeout connect 5000\n timeout client 50000\n \
         timeout server 50000\n{files}\
         listen stats\n mode http\n bind 127.0.0.1:19999\n stats enable\n log global\n stats uri /haproxy-status\n stats auth haadmin:123123\n\
         listen nginx\n bind 127.0.0.1:18080\n mode http\n server 192.168.1.111 127.0.0.1:1 check inter 2s fall 3 rise 5\n \
         server 192.168.1.112 127.0.0.1:2 check inter 2s fall 3 rise 5\n",
        process(1),
        process(2),
    );
    let exit = program.bare(&text).file("error.http", "HTTP/1.0 503 S\r\n\r\nx").check();
    (exit.code, exit.stderr)
}
