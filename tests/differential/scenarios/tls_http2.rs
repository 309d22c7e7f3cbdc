//! HTTP/2 chosen by ALPN, with real clients and a real nginx behind.

use std::process::Command;

use differential::{Backend, ReservedPort, same};

use crate::nginx::Nginx;
use crate::tls_lab::{curl, lab, start};

const FACTS: &str = " http-request return status 200 content-type text/plain lf-string \
                     \"%[ssl_fc_alpn] %[fc_http_major] %[req.ver] %[ssl_fc_sni] %[path]\"\n";

#[test]
fn alpn_chooses_the_version_as_with_haproxy() {
    let binds = ["", "alpn h2,http/1.1", "alpn http/1.1", "alpn h2", "alpn http/1.1,h2", "proto h2 alpn h2"];
    let clients: [&[&str]; 4] = [&["--http2"], &["--http1.1"], &["--http2-prior-knowledge"], &["--no-alpn"]];
    let answers = same(|program| {
        binds.map(|bind| {
            let text = format!("listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem {bind}\n{FACTS}");
            let proxy = start(program, &text);
            clients.map(|arguments| {
                let arguments = [&["-w", " HTTP/%{http_version}"], arguments].concat();
                let (text, code) = curl(proxy.port("web"), "a.example", "/x", &arguments);
                (code == 0).then_some(text)
            })
        })
    });
    assert_eq!(answers[1][0].as_deref(), Some("h2 2 2.0 a.example /x HTTP/2"));
    assert_eq!(answers[1][1].as_deref(), Some("http/1.1 1 1.1 a.example /x HTTP/1.1"));
}

#[test]
fn nghttp_and_h2load_are_served_over_tls() {
    let found = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem alpn h2,http/1.1\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("lab", lab().display()).with("s1", backend.port()).start();
        let url = format!("https://127.0.0.1:{}/", proxy.port("web"));
        let run = |command: &str, arguments: &[&str]| {
            let output = Command::new(command).args(arguments).arg(&url).output().expect("nghttp2-client");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let one = run("nghttp", &["-nv", "--no-dep", "--timeout=10"]);
        let load = run("h2load", &["-n400", "-c4", "-m16", "--connection-active-timeout=20"]);
        let status =
            load.lines().find(|line| line.starts_with("status codes: ")).unwrap_or_default().to_owned();
        (one.contains("The negotiated protocol: h2"), one.contains(":status: 200"), status)
    });
    assert_eq!(found, (true, true, "status codes: 400 2xx, 0 3xx, 0 4xx, 0 5xx".to_owned()));
}

#[test]
fn nginx_is_spoken_to_over_tls_and_verified() {
    let found = same(|program| {
        let port = ReservedPort::new();
        let number = port.number();
        let lab = lab().display();
        let server = format!(
            "listen 127.0.0.1:{number} ssl http2; ssl_certificate {lab}/b.crt; ssl_certificate_key {lab}/b.key; \
             ssl_client_certificate {lab}/ca.crt; ssl_verify_client optional; \
             location / {{ return 200 \"$server_protocol $ssl_server_name $ssl_client_s_dn $ssl_session_reused\"; }}"
        );
        let _nginx = Nginx::start(number, &server);
        let ca = "ssl verify required ca-file $(lab)/ca.crt";
        let lines = [
            format!("{ca} verifyhost b.example"),
            format!("{ca} verifyhost a.example"),
            format!("{ca} sni str(b.example)"),
            format!("{ca} sni str(www.wild.example)"),
            format!("{ca} sni str(a.example)"),
            format!("{ca} sni str(b.example) alpn h2"),
            format!("{ca} sni str(b.example) alpn h2,http/1.1"),
            format!("{ca} sni str(b.example) alpn http/1.1"),
            format!("{ca} sni str(b.example) alpn h2 crt $(lab)/client.pem"),
            "ssl verify required ca-file $(lab)/self.crt sni str(b.example)".to_owned(),
            "ssl verify none".to_owned(),
            "ssl verify none proto h2 alpn h2".to_owned(),
        ];
        lines.map(|line| {
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n retries 0\n server n 127.0.0.1:{number} {line}\n"
            );
            let proxy = start(program, &text);
            let answers = [(); 3].map(|()| {
                let answer = proxy.get("web", "/");
                (answer.status, (answer.status == 200).then(|| answer.body.replace(" r", " .")))
            });
            (line, answers)
        })
    });
    let statuses: Vec<u16> = found.iter().map(|(_, answers)| answers[0].0).collect();
    assert_eq!(statuses, [200, 503, 200, 200, 503, 200, 200, 200, 200, 503, 200, 200]);
    assert!(
        found[5].1[0].1.as_deref().is_some_and(|body| body.starts_with("HTTP/2.0 b.example")),
        "{:?}",
        found[5]
    );
}

#[test]
fn no_request_of_http2_fails_while_certificates_change() {
    let proxy = start(
        differential::Program::Hawser,
        &format!("listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem alpn h2\n{FACTS}"),
    );
    let url = format!("https://127.0.0.1:{}/", proxy.port("web"));
    let name = lab().join("a.pem").display().to_string();
    let pem = |name: &str| std::fs::read_to_string(lab().join(name)).expect("made by the laboratory");
    // Connections come and go all the time: ten streams each.
    let mut loads: Vec<_> = (0..20)
        .map(|_| ["-n40", "-c4", "-m2", "--connection-active-timeout=20"])
        .map(|arguments| {
            let mut command = Command::new("h2load");
            command.args(arguments).arg(&url).stdout(std::process::Stdio::piped());
            command
        })
        .collect();
    let results = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let output = |command: &mut Command| command.output().expect("h2load").stdout;
            loads.iter_mut().map(output).collect::<Vec<_>>()
        });
        let mut round = 0;
        while !load.is_finished() {
            round += 1;
            let next = if round % 2 == 0 { "a.pem" } else { "b.pem" };
            proxy.cli(&format!("set ssl cert {name} <<\n{}", pem(next)));
            assert!(proxy.cli(&format!("commit ssl cert {name}")).contains("Success!"));
        }
        load.join().expect("no panic")
    });
    for result in results {
        let text = String::from_utf8_lossy(&result).into_owned();
        assert!(text.contains("40 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    }
}
