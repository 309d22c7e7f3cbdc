//! TLS with clients and servers: which certificate, which settings, what rules and logs see of it, what is refused, and
//! certificates that change at run time.

use std::sync::atomic::{AtomicBool, Ordering};

use differential::{Backend, Program, same};

use crate::tls_lab::{curl, lab, start, subject};

// row: 158, 160, 161, 162, 163, 164, 170
#[test]
fn one_frontend_redirects_to_https_and_tells_the_server() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let text = "frontend web\n bind 127.0.0.1:$(http)\n bind 127.0.0.1:$(https) ssl crt $(lab)/a.pem\n \
                    http-request set-header X-Forwarded-Port %[dst_port]\n \
                    http-request add-header X-Forwarded-Proto https if { ssl_fc }\n \
                    redirect scheme https if !{ ssl_fc }\n default_backend web_server\n\
                    backend web_server\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).with("lab", lab().display()).start();
        let (http, https) = (proxy.port("http"), proxy.port("https"));
        let request = "GET /a?b=1 HTTP/1.1\r\nHost: www.t.local:8080\r\n\r\n";
        let redirect = proxy.client("http").ask(request);
        assert_eq!(redirect.header("location"), Some("https://www.t.local:8080/a?b=1"));
        assert_eq!(http, proxy.port("http"));
        let answer = curl(https, "www.t.local", "/a?b=1", &["--http1.1"]);
        let ports = |line: String| line.replace(&https.to_string(), "HTTPS");
        let head: Vec<String> = backend.last().head().into_iter().map(ports).collect();
        (redirect.status, redirect.header("content-length").map(str::to_owned), answer, head)
    });
    assert_eq!(seen.0, 302);
    assert!(seen.3.iter().any(|line| line == "x-forwarded-port: HTTPS"));
    assert!(seen.3.iter().any(|line| line == "x-forwarded-proto: https"));
}

// row: 158, 159
#[test]
fn certificates_are_judged_alike_and_the_file_is_named() {
    let lines = [
        ("crt $(lab)/a.pem", true),
        ("crt $(lab)/reversed.pem", true),
        ("crt $(lab)/a.crt", false),
        ("crt $(lab)/separate.crt", true),
        ("crt $(lab)/expired.pem", true),
        ("crt $(lab)/mismatch.pem", false),
        ("crt $(lab)/ca.crt.missing", false),
        ("crt $(lab)/client.csr", false),
        ("crt-list $(lab)/missing.list", false),
        ("crt $(lab)/a.pem verify required", false),
        ("crt $(lab)/a.pem verify required ca-file $(lab)/ca.crt", true),
        ("crt $(lab)/a.pem ca-file $(lab)/missing verify optional", false),
        ("crt $(lab)/a.pem ssl-min-ver TLSv1.9", false),
        ("crt $(lab)/a.pem no-sslv3 no-tlsv10 no-tlsv11 ssl-min-ver TLSv1.2 alpn h2,http/1.1", true),
    ];
    same(|program| {
        lines.map(|(line, valid)| {
            let text = format!("listen web\n bind 127.0.0.1:18443 ssl {line}\n server s1 127.0.0.1:1\n");
            let exit = program.http(&text).with("lab", lab().display()).check();
            assert_eq!(exit.code == 0, valid, "{line}: {}", exit.stderr);
            // Whichever file it is, it is named.
            let named = line.split([' ', '/']).find(|word| word.contains('.') || *word == "missing");
            if let (Program::Hawser, false, Some(name)) = (program, valid, named) {
                let is_version = name.starts_with("TLS") || line.ends_with("verify required");
                assert!(is_version || exit.stderr.contains(name), "{line}: {}", exit.stderr);
            }
            exit.code
        })
    });
}

// row: 171
#[test]
fn a_certificate_is_judged_before_a_listener_gets_it() {
    let cert = |words: &str| {
        let words = words.split_whitespace();
        let output = std::process::Command::new(differential::hawser_binary())
            .arg("cert")
            .args(words)
            .current_dir(lab())
            .output()
            .expect("hawser starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let says = |words: &str, code: i32, texts: &[&str]| {
        let (status, text) = cert(words);
        assert_eq!(status, Some(code), "{words}: {text}");
        texts.iter().for_each(|wanted| assert!(text.contains(wanted), "{words}: {wanted} in\n{text}"));
    };
    says(
        "a.pem",
        0,
        &["a.pem: good", "names    a.example", "belongs to the certificate", "days left", "goes out alone"],
    );
    says("separate.crt reversed.pem", 0, &["separate.crt: good", "reversed.pem: good"]);
    says("--days 60 a.pem", 1, &["error    ends in "]);
    says("expired.pem", 1, &["expired.pem: BAD", "error    ended "]);
    says(
        "mismatch.pem",
        1,
        &["inconsistencies between private key and certificate", "help: the key belongs"],
    );
    says("self.pem", 0, &["is signed by itself", "browsers do not look at the common name"]);
    says("--name A.example --name x.wild.example a.pem b.pem", 0, &[]);
    says("--name x.y.wild.example b.pem", 1, &["no certificate is for x.y.wild.example"]);
    says("missing.pem", 1, &["missing.pem: BAD"]);
    assert_eq!(cert("--days").0, Some(2));
    let (_, json) = cert("--json a.pem");
    assert!(json.contains(r#""names":["a.example"]"#), "{json}");
}

// row: 158
#[test]
fn the_name_of_the_client_chooses_the_certificate() {
    let names = [
        Some("a.example"),
        Some("B.example"),
        Some("x.wild.example"),
        Some("x.y.wild.example"),
        Some("other"),
        None,
    ];
    let subjects = same(|program| {
        let plain = start(
            program,
            "listen web\n bind 127.0.0.1:$(one) ssl crt $(lab)/a.pem crt $(lab)/b.pem\n \
             bind 127.0.0.1:$(strict) ssl strict-sni crt $(lab)/a.pem crt $(lab)/b.pem\n server s1 127.0.0.1:1\n",
        );
        names.map(|name| [subject(plain.port("one"), name), subject(plain.port("strict"), name)])
    });
    assert!(subjects[2][0].contains("b.example") && subjects[3][0].contains("a.example"));
    assert_eq!(subjects[4][1], "no certificate");
}

#[test]
fn a_list_gives_names_and_settings_to_certificates() {
    let list = "# a comment\n$(lab)/a.pem\n$(lab)/b.pem [ssl-min-ver TLSv1.3 alpn http/1.1] *.list.example !no.list.example\n";
    same(|program| {
        let proxy = program
            .http("listen web\n bind 127.0.0.1:$(web) ssl crt-list $(dir)/list\n http-request return status 200 content-type text/plain lf-string %[ssl_fc_protocol]\n")
            .with("lab", lab().display())
            .file("list", list)
            .start();
        let port = proxy.port("web");
        let subjects = ["a.example", "x.list.example", "no.list.example", "b.example"]
            .map(|name| subject(port, Some(name)));
        let old = ["a.example", "x.list.example"].map(|host| curl(port, host, "/", &["--tls-max", "1.2"]));
        (subjects, old)
    });
}

#[test]
fn rules_see_of_tls_what_haproxy_sees() {
    let fetches = [
        "ssl_fc_protocol",
        "ssl_fc_cipher",
        "ssl_fc_alg_keysize",
        "ssl_fc_use_keysize",
        "ssl_fc_alpn",
        "ssl_fc_sni",
        "ssl_fc_has_sni",
        "ssl_fc_is_resumed",
        "ssl_fc_has_crt",
        "ssl_fc_protocol_hello_id",
        "ssl_fc_cipherlist_str(1)",
        "ssl_fc_eclist_bin,hex",
        "ssl_c_used",
        "ssl_c_verify",
        "ssl_c_err",
        "ssl_c_ca_err",
        "ssl_c_s_dn",
        "ssl_c_i_dn",
        "ssl_c_s_dn(CN)",
        "ssl_c_s_dn(,0,rfc2253)",
        "ssl_c_key_alg",
        "ssl_c_sig_alg",
        "ssl_c_notafter",
        "ssl_c_notbefore",
        "ssl_c_serial,hex",
        "ssl_c_sha1,hex",
        "ssl_c_version",
        "ssl_c_der,sha1,hex",
        "ssl_f_s_dn",
        "ssl_f_s_dn(OU,2)",
        "ssl_f_s_dn(OU,-1)",
        "ssl_f_i_dn(,0,rfc2253)",
        "ssl_f_key_alg",
        "ssl_f_sig_alg",
        "ssl_f_notafter",
        "ssl_f_serial,hex",
        "ssl_f_sha1,hex",
    ];
    let body: String = fetches.iter().map(|fetch| format!("%[{fetch}]\\n")).collect();
    let clients: [&[&str]; 5] = [
        &[],
        &["--tls-max", "1.2"],
        &["--cert", "client.crt", "--key", "client.key"],
        &["--cert", "expired.crt", "--key", "expired.key"],
        &["--cert", "self.crt", "--key", "self.key", "--tls-max", "1.2"],
    ];
    let answers = same(|program| {
        let text = format!(
            "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem ca-file $(lab)/ca.crt verify optional \
             ca-ignore-err all crt-ignore-err all alpn http/1.1 ciphersuites TLS_AES_256_GCM_SHA384\n \
             http-request return status 200 content-type text/plain lf-string \"{body}\"\n"
        );
        let text = format!("global\n tune.ssl.capture-buffer-size 1000\n{text}");
        let proxy = start(program, &text);
        clients.map(|arguments| curl(proxy.port("web"), "a.example", "/", arguments))
    });
    assert!(answers[2].0.contains("/C=CH/O=Clients/CN=client one"), "{}", answers[2].0);
}

#[test]
fn handshakes_that_fail_are_logged_with_haproxys_words() {
    let lines = same(|program| {
        let proxy = program
            .http(
                "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem ca-file $(lab)/ca.crt verify required\n \
                 log 127.0.0.1:$(log) local0\n option httplog\n timeout client 1s\n server s1 127.0.0.1:1\n",
            )
            .with("lab", lab().display())
            .start();
        let port = proxy.port("web");
        let reason = |count: usize| {
            let lines = proxy.log().wait_for(count, |line| line.contains("web/1: "));
            let line = &lines[count - 1];
            let (_, reason) = line.split_once("web/1: ").expect("the reason follows");
            // What we know beyond HAProxy's words stands in parentheses.
            reason.split(" (").next().unwrap_or_default().trim().to_owned()
        };
        let mut reasons = Vec::new();
        curl(port, "a.example", "/", &[]);
        reasons.push(reason(1));
        curl(port, "a.example", "/", &["--cert", "expired.crt", "--key", "expired.key"]);
        reasons.push(reason(2));
        proxy.client("web").send("GET / HTTP/1.1\r\n\r\n").read_to_close();
        reasons.push(reason(3));
        let silent = proxy.client("web");
        reasons.push(reason(4));
        drop(silent);
        reasons
    });
    assert_eq!(lines[1], "SSL client certificate not trusted");
    assert_eq!(lines[3], "Timeout during SSL handshake");
}

#[test]
fn servers_are_spoken_to_and_verified_alike() {
    let servers = [
        "ssl verify none",
        "ssl verify required ca-file $(lab)/ca.crt",
        "ssl verify required ca-file $(lab)/ca.crt sni str(b.example)",
        "ssl verify required ca-file $(lab)/ca.crt sni str(b.example) verifyhost a.example",
        "ssl verify required ca-file $(lab)/ca.crt verifyhost b.example",
        "ssl verify required ca-file $(lab)/ca.crt verifyhost a.example",
        "ssl verify required ca-file $(lab)/self.crt",
        "ssl verify none crt $(lab)/client.pem",
        "ssl verify none alpn http/1.1 send-proxy-v2",
    ];
    let answers = same(|program| {
        servers.map(|server| {
            let accept = if server.contains("send-proxy") { "accept-proxy" } else { "" };
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n retries 0\n server s1 127.0.0.1:$(tls) {server}\n\
                 listen far\n bind 127.0.0.1:$(tls) {accept} ssl crt $(lab)/a.pem crt $(lab)/b.pem ca-file $(lab)/ca.crt verify optional\n \
                 http-request return status 200 content-type text/plain lf-string \"%[ssl_fc_sni] %[ssl_c_s_dn(CN)] %[ssl_fc_alpn]\"\n"
            );
            let proxy = start(program, &text);
            let answer = proxy.get("web", "/");
            (answer.status, (answer.status == 200).then(|| answer.body.clone()))
        })
    });
    assert_eq!(answers.map(|(status, _)| status), [200, 200, 200, 200, 503, 200, 503, 200, 200]);
}

/// A PEM as a payload of the runtime API.
fn pem(name: &str) -> String {
    std::fs::read_to_string(lab().join(name)).expect("made above")
}

#[test]
fn certificates_change_at_run_time() {
    same(|program| {
        let proxy = start(
            program,
            "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem\n server s1 127.0.0.1:1\n",
        );
        let port = proxy.port("web");
        let name = lab().join("a.pem").display().to_string();
        let mut answers = vec![subject(port, Some("a.example"))];
        answers.push(proxy.cli("show ssl cert"));
        answers.push(proxy.cli(&format!("show ssl cert {name}")));
        answers.push(proxy.cli(&format!("set ssl cert {name} <<\n{}", pem("mismatch.pem"))));
        answers.push(
            proxy.cli(&format!("commit ssl cert {name}")).lines().last().unwrap_or_default().to_owned(),
        );
        answers.push(proxy.cli(&format!("abort ssl cert {name}")));
        answers.push(subject(port, Some("a.example")));
        answers.push(proxy.cli(&format!("set ssl cert {name} <<\n{}", pem("b.pem"))));
        answers
            .push(proxy.cli(&format!("commit ssl cert {name}")).replace("..", "").replace(".pem.", ".pem"));
        answers.push(subject(port, Some("a.example")));
        answers.push(proxy.cli("new ssl cert other"));
        answers.push(proxy.cli("del ssl cert other"));
        answers.push(proxy.cli(&format!("del ssl cert {name}")));
        answers
    });
}

#[test]
fn no_request_fails_while_certificates_change_under_load() {
    let proxy = start(
        Program::Hawser,
        "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem\n http-request return status 200\n",
    );
    let port = proxy.port("web");
    let name = lab().join("a.pem").display().to_string();
    let stop = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let load = || {
            let mut answered = 0;
            while !stop.load(Ordering::Relaxed) {
                let (_, code) = curl(port, "a.example", "/", &[]);
                assert_eq!(code, 0, "a request failed");
                answered += 1;
            }
            answered
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(load)).collect();
        for round in 0..20 {
            let next = if round % 2 == 0 { "b.pem" } else { "a.pem" };
            proxy.cli(&format!("set ssl cert {name} <<\n{}", pem(next)));
            assert!(proxy.cli(&format!("commit ssl cert {name}")).contains("Success!"));
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("no request failed")).sum::<u32>()
    });
    assert!(answered > 0);
}
