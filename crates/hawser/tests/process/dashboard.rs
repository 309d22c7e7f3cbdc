//! The dashboard: who may see and change what, what it tells of the strands, and the page in a browser.

use super::program::*;
use super::reload::{Proxy, answering};
use super::storm;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

const TOKEN: &str = "0123456789abcdef-token";
/// `me` and the token, in base64.
const BASIC: &str = "Authorization: Basic bWU6MDEyMzQ1Njc4OWFiY2RlZi10b2tlbg==";

struct Dashboard {
    _running: Running,
    proxy: Proxy,
    port: u16,
}

/// Virtual routers that say what these texts are.
fn routers(path: std::path::PathBuf) {
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut line = [0; 64];
            let count = client.read(&mut line).unwrap_or(0);
            let answer = match line[..count].trim_ascii_end() {
                b"status json" => {
                    "[{\"data\":{\"iname\":\"VI_1\",\"vrid\":51,\"state\":2,\"ifp_ifname\":\"eth0\",\"effective_priority\":150,\"base_priority\":150,\"auth_data\":\"topsecret\",\"vips\":[\"192.0.2.10/24 dev eth0\"]},\"stats\":{\"become_master\":1,\"release_master\":0,\"advert_sent\":9,\"advert_rcvd\":0}}]\n"
                }
                b"metrics" => {
                    "# HELP hawser_vrrp_state State: 0 init, 1 backup, 2 master, 3 fault\n# TYPE hawser_vrrp_state gauge\nhawser_vrrp_state{instance=\"VI_1\",vrid=\"51\"} 2\n"
                }
                _ => "error: what?\n",
            };
            let _ = client.write_all(answer.as_bytes());
        }
    });
}

impl Dashboard {
    fn start(options: &[&str]) -> Dashboard {
        let text = format!(
            "{}  default_backend app\nbackend app\n  server s1 127.0.0.1:{} check inter 300ms\n",
            answering(free_port(), "one").replace("string one", "string one if FALSE"),
            storm::origin()
        );
        let proxy = Proxy::start("", &text);
        let folder = proxy.folder.path();
        routers(folder.join("v.sock"));
        proxy.folder.file("token", TOKEN);
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hawser"));
        command
            .args(["dashboard", "--proxy", "s.sock", "--vrrp", "v.sock", "--director", "none.sock"])
            .args(["--token-file", "token", "--listen", &format!("127.0.0.1:{port}")])
            .args(options)
            .current_dir(folder);
        let dashboard = Dashboard { _running: Running::start(command), proxy, port };
        eventually("it has a sample", || dashboard.get("/api/status", &[BASIC]).1.contains("\"s1\""));
        dashboard
    }

    /// Status and everything of the answer.
    fn ask(&self, method: &str, path: &str, fields: &[&str], body: &str) -> (u16, String) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return (0, String::new()) };
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let own_host = fields.iter().any(|field| field.starts_with("Host:"));
        let host = if own_host { String::new() } else { format!("Host: 127.0.0.1:{}\r\n", self.port) };
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\n{host}{fields}Content-Length: {length}\r\n\r\n{body}")
            .expect("sends");
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        (status, text)
    }

    fn get(&self, path: &str, fields: &[&str]) -> (u16, String) {
        self.ask("GET", path, fields, "")
    }
}

#[test]
fn who_is_unknown_sees_nothing_and_who_may_only_see_changes_nothing() {
    let dashboard = Dashboard::start(&[]);
    for path in ["/", "/api/status", "/metrics", "/api/server"] {
        let (status, text) = dashboard.get(path, &[]);
        assert_eq!(status, 401, "{path}");
        assert!(text.contains("WWW-Authenticate: Basic realm=\"hawser\""), "{text}");
    }
    assert_eq!(dashboard.get("/", &["Authorization: Bearer wrong-token-wrong"]).0, 401);
    let (status, _) = dashboard.get("/", &["Host: evil.example", BASIC]);
    assert_eq!(status, 421, "a page elsewhere cannot reach it by a name of its own");
    let (status, page) = dashboard.get("/", &[BASIC]);
    assert_eq!(status, 200);
    let policy = page.lines().find(|line| line.starts_with("Content-Security-Policy: ")).expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let nonce = policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
    assert!(page.contains(&format!("<script nonce=\"{}\">", nonce.expect("a nonce"))));
    for elsewhere in ["http://", "https://", "src=\"", "@import", "url("] {
        let body = page.split("\r\n\r\n").nth(1).expect("a body").replace("http://www.w3.org/2000/svg", "");
        assert!(!body.contains(elsewhere), "the page brings everything: {elsewhere}");
    }
    let (_, document) = dashboard.get("/api/status", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert!(document.contains("\"csrf\":null") && !document.contains("topsecret"), "{document}");
    let order = "{\"backend\":\"app\",\"server\":\"s1\",\"state\":\"maint\"}";
    assert_eq!(dashboard.ask("POST", "/api/server", &[BASIC, "X-CSRF-Token: x"], order).0, 403);
    assert_eq!(dashboard.get("/nothing", &[BASIC]).0, 404);
    assert_eq!(dashboard.ask("DELETE", "/", &[BASIC], "").0, 405);
}

#[test]
fn an_admin_drains_a_server_from_the_page_alone() {
    let dashboard = Dashboard::start(&["--admin"]);
    let (_, document) = dashboard.get("/api/status", &[BASIC]);
    let csrf = document.split("\"csrf\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let csrf = format!("X-CSRF-Token: {csrf}");
    let order = |server: &str, state: &str, fields: &[&str]| {
        let body = format!("{{\"backend\":\"app\",\"server\":\"{server}\",\"state\":\"{state}\"}}");
        dashboard.ask("POST", "/api/server", fields, &body).0
    };
    let status = || {
        let table = dashboard.proxy.say("show stat");
        let row = table.lines().find(|line| line.starts_with("app,s1,")).expect("a row").to_owned();
        row.split(',').nth(17).expect("a column").to_owned()
    };
    eventually("it is up", || status() == "UP");
    assert_eq!(order("s1", "drain", &[BASIC]), 403, "another page does not know the token");
    assert_eq!(order("s1", "drain", &[BASIC, "X-CSRF-Token: 00"]), 403);
    assert_eq!(order("s1; shutdown sessions server app/s1", "drain", &[BASIC, &csrf]), 404);
    assert_eq!(order("s1", "dance", &[BASIC, &csrf]), 400);
    assert_eq!(status(), "UP");
    assert_eq!(order("s1", "drain", &[BASIC, &csrf]), 200);
    assert_eq!(status(), "DRAIN");
    eventually("it is an event", || {
        let document = dashboard.get("/api/status", &[BASIC]).1;
        document.contains("\"before\":\"UP\"")
            && document.contains("\"state\":\"DRAIN\",\"what\":\"server app/s1\"")
    });
    assert_eq!(order("s1", "ready", &[BASIC, &csrf]), 200);
    assert_eq!(status(), "UP");
}

#[test]
fn metrics_of_all_strands_are_one_document_that_prometheus_takes() {
    let dashboard = Dashboard::start(&[]);
    let (status, text) = dashboard.get("/metrics", &[BASIC]);
    assert_eq!(status, 200);
    assert!(text.contains("Content-Type: text/plain; version=0.0.4"));
    let body = text.split_once("\r\n\r\n").expect("a body").1;
    for line in [
        "hawser_strand_up{strand=\"proxy\"} 1",
        "hawser_strand_up{strand=\"vrrp\"} 1",
        "hawser_strand_up{strand=\"director\"} 0",
        "hawser_vrrp_state{instance=\"VI_1\",vrid=\"51\"} 2",
        "haproxy_server_status{proxy=\"app\",server=\"s1\",state=\"UP\"} 1",
    ] {
        assert!(body.lines().any(|known| known == line), "{line}");
    }
    // The dashboard for Grafana asks for nothing of the proxy's that there is not.
    let board = include_str!("../../../../packaging/grafana/hawser.json");
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    for name in board.split(|character| !is_name(character)).filter(|word| word.starts_with("haproxy_")) {
        assert!(body.contains(&format!("# TYPE {name} ")), "{name}");
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed: Debian's package `prometheus`, which `cargo xtask test` installs");
    promtool.stdin.take().expect("piped").write_all(body.as_bytes()).expect("takes it");
    let output = promtool.wait_with_output().expect("ends");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // Names that HAProxy gave; whoever reads them reads them by these.
    let ours = |line: &&str| !line.starts_with("haproxy_");
    let complaints: Vec<&str> = said.lines().filter(|line| !line.is_empty()).filter(ours).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(matches!(output.status.code(), Some(0 | 3)), "3: names alone are complained about");
}

#[test]
fn the_page_shows_it_in_a_browser() {
    let dashboard = Dashboard::start(&["--admin"]);
    let folder = dashboard.proxy.folder.path();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("http://me:{TOKEN}@127.0.0.1:{}/", dashboard.port))
        .stdin(Stdio::null())
        .output()
        .expect("chromium is installed");
    let page = String::from_utf8_lossy(&output.stdout);
    for shown in ["VI_1", "192.0.2.10/24", ">MASTER<", ">s1<", "<button", "live · "] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    // Of a network error, a policy that is broken or a script that fails, the console tells.
    let told = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = told.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    std::thread::sleep(Duration::from_millis(100));
}
