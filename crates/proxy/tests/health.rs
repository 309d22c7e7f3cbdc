//! Checks of real servers on loopback: what the logs say when they fail, come back, or have an agent.

use checks::{CheckStatus, HttpSend, Recipe, RecipeKind, Ruleset, Text};
use haproxy_config::{LoadOptions, Model, load};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How long any test waits for a line.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server whose answer can be changed while it runs.
struct Scripted {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scripted {
    fn start(answer: &str) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Scripted {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(answer.as_bytes().to_vec())),
            seen: Arc::default(),
        };
        let (answer, seen) = (Arc::clone(&server.answer), Arc::clone(&server.seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 4096];
                let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                if let Ok(count) = stream.read(&mut request) {
                    seen.lock().unwrap().push(request[..count].to_vec());
                }
                let bytes = answer.lock().unwrap().clone();
                let _ = stream.write_all(&bytes);
            }
        });
        server
    }

    fn answers(&self, text: &str) {
        *self.answer.lock().unwrap() = text.as_bytes().to_vec();
    }
}

/// An address that refuses.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Proxy {
    log: UdpSocket,
    _commands: mpsc::Sender<proxy::Command>,
}

impl Proxy {
    /// Runs `text`, with `log` lines to a socket of the test; `adapt` may set recipes.
    fn start(text: &str, adapt: impl FnOnce(&mut Model)) -> Proxy {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let log = UdpSocket::bind("127.0.0.1:0").unwrap();
        log.set_read_timeout(Some(PATIENCE)).unwrap();
        let text = text.replace("@LOG@", &log.local_addr().unwrap().to_string());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hawser-health-{}-{count}.cfg", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let loaded = load(&LoadOptions::new(vec![path.clone()]));
        std::fs::remove_file(&path).unwrap();
        let mut model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.report));
        adapt(&mut model);
        let bound = proxy::bind(Arc::new(model), proxy::BindOptions::default()).unwrap();
        let (commands, receiver) = mpsc::channel();
        std::thread::spawn(move || bound.run(receiver));
        Proxy { log, _commands: commands }
    }

    /// The next log line: `<priority>text`, header cut off.
    fn line(&self) -> String {
        let mut buffer = [0; 2048];
        let count = self.log.recv(&mut buffer).expect("a log line in time");
        let line = String::from_utf8(buffer[..count].to_vec()).unwrap();
        let priority = &line[..=line.find('>').unwrap()];
        let text = &line[line.find("]: ").unwrap() + 3..];
        format!("{priority}{}", mask_duration(text.trim_end()))
    }

    fn lines(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }
}

/// Durations of checks differ from run to run: `check duration: 3ms` becomes `check duration: 0ms`.
fn mask_duration(text: &str) -> String {
    const KEY: &str = "check duration: ";
    let Some(at) = text.find(KEY).map(|at| at + KEY.len()) else { return text.to_owned() };
    let digits = text[at..].find('m').unwrap();
    format!("{}0{}", &text[..at], &text[at + digits..])
}

const HEAD: &str = "global\n    log @LOG@ local0 debug\ndefaults\n    log global\n    mode http\n    \
    timeout connect 300ms\n    timeout client 5s\n    timeout server 5s\n    timeout check 400ms\n";

const OK: &str = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
const OOPS: &str = "HTTP/1.0 500 Oops\r\nContent-Length: 0\r\n\r\n";

fn http_check() -> Recipe {
    let mut ruleset = Ruleset::new(RecipeKind::Http);
    ruleset.set_http_request(HttpSend {
        method: Some("GET".to_owned()),
        uri: Some(Text::literal("/up")),
        ..HttpSend::default()
    });
    ruleset.finish()
}

// row: 94, 96, 108
#[test]
fn a_port_that_refuses_takes_its_server_down_and_then_the_backend() {
    let refused = closed_port();
    let proxy = Proxy::start(
        &format!("{HEAD}backend web\n    server a 127.0.0.1:9 check port {} inter 200\n", refused.port()),
        |_| {},
    );
    assert_eq!(
        proxy.lines(2),
        [
            "<129>Server web/a is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", \
             check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, \
             0 remaining in queue.",
            "<128>backend web has no server available!",
        ]
    );
}

// row: 97, 98, 99, 110
#[test]
fn a_server_falls_after_fall_and_rises_after_rise() {
    let server = Scripted::start(OK);
    let text = format!(
        "{HEAD}    option log-health-checks\nbackend web\n    server a {} check inter 100 fall 3 rise 2\n    \
         server t {} track web/a\n",
        server.address, server.address
    );
    let proxy = Proxy::start(&text, |model| model.proxies[0].check = http_check());
    let passed = "Health check for server web/a succeeded, reason: Layer7 check passed, code: 200, \
                  check duration: 0ms, status:";
    let failed = "Health check for server web/a failed, reason: Layer7 wrong status, code: 500, \
                  info: \"Oops\", check duration: 0ms, status:";
    assert_eq!(proxy.line(), format!("<133>{passed} 3/3 UP."));
    server.answers(OOPS);
    let down = "0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(
        proxy.lines(6),
        [
            format!("<133>{failed} 2/3 UP."),
            format!("<133>{failed} 1/3 UP."),
            format!("<133>{failed} 0/2 DOWN."),
            format!("<129>Server web/a is DOWN. 1 active and 0 backup servers left. {down}"),
            format!("<129>Server web/t is DOWN via web/a. 0 active and 0 backup servers left. {down}"),
            "<128>backend web has no server available!".to_owned(),
        ]
    );
    server.answers(OK);
    let up = "0 sessions requeued, 0 total in queue.";
    assert_eq!(
        proxy.lines(4),
        [
            format!("<133>{passed} 1/2 DOWN."),
            format!("<133>{passed} 3/3 UP."),
            format!("<133>Server web/a is UP. 1 active and 0 backup servers online. {up}"),
            format!("<133>Server web/t is UP via web/a. 2 active and 0 backup servers online. {up}"),
        ]
    );
    assert_eq!(server.seen.lock().unwrap()[0], b"GET /up HTTP/1.0\r\n\r\n");
}

// row: 85
#[test]
fn a_server_that_says_nothing_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("{HEAD}backend web\n    server a {} check inter 2s\n", silent.local_addr().unwrap());
    let began = Instant::now();
    let proxy = Proxy::start(&text, |model| model.proxies[0].check = http_check());
    let line = proxy.line();
    assert!(
        line.starts_with("<129>Server web/a is DOWN, reason: Layer7 timeout, check duration: "),
        "{line}"
    );
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_server_that_hangs_up_with_a_reset_is_a_socket_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    let text = format!("{HEAD}backend web\n    server a {address} check inter 200\n");
    let proxy = Proxy::start(&text, |model| model.proxies[0].check = http_check());
    let line = proxy.line();
    let expected = "<129>Server web/a is DOWN, reason: Socket error, info: \"Connection reset by peer\", check duration: ";
    assert!(line.starts_with(expected), "{line}");
}

#[test]
fn disable_on_404_takes_a_server_out_without_an_alert() {
    let server = Scripted::start(OK);
    let text = format!("{HEAD}backend web\n    server a {} check inter 100\n", server.address);
    let proxy = Proxy::start(&text, |model| {
        model.proxies[0].check = http_check();
        model.proxies[0].check_options.disable_on_404 = true;
        model.proxies[0].check_options.send_state = true;
    });
    std::thread::sleep(Duration::from_millis(150));
    server.answers("HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        proxy.line(),
        "<133>Server web/a is stopping, reason: Layer7 check conditionally passed, code: 404, check duration: 0ms. \
         0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
    );
    assert_eq!(proxy.line(), "<128>backend web has no server available!");
    let first = String::from_utf8(server.seen.lock().unwrap()[0].clone()).unwrap();
    let port = server.address.port();
    let expected =
        format!("x-haproxy-server-state: UP 1/3; address=127.0.0.1; port={port}; name=web/a; node=");
    assert!(first.contains(&expected), "{first}");
    assert!(first.contains("; weight=1/1; scur=0/0; qcur=0\r\n"), "{first}");
}

#[test]
fn an_agent_downs_drains_and_readies_its_server() {
    let agent = Scripted::start("up 100%\n");
    let text = format!(
        "{HEAD}backend web\n    server a 127.0.0.1:9 weight 10 agent-check agent-port {} agent-inter 100 \
         agent-send hello\n    server b 127.0.0.1:9\n",
        agent.address.port()
    );
    let proxy = Proxy::start(&text, |_| {});
    std::thread::sleep(Duration::from_millis(150));
    agent.answers("down # maintenance\n");
    let counts = "1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(
        proxy.line(),
        format!(
            "<129>Server web/a is DOWN, reason: Layer7 wrong status, code: 0, info: \
             \"via agent : down (maintenance)\", check duration: 0ms. {counts}"
        )
    );
    agent.answers("up\n");
    assert!(
        proxy
            .line()
            .starts_with("<133>Server web/a is UP, reason: Layer7 check passed, code: 0, info: \"via agent")
    );
    agent.answers("drain\n");
    assert_eq!(
        proxy.line(),
        "<133>Server web/a enters drain state. 1 active and 0 backup servers online. 0 sessions requeued, \
         0 total in queue."
    );
    agent.answers("ready\n");
    assert_eq!(proxy.line(), "<133>Server web/a is UP (leaving forced drain).");
    agent.answers("maint\n");
    assert_eq!(proxy.line(), format!("<129>Server web/a is going DOWN for maintenance. {counts}"));
    agent.answers("ready\n");
    assert_eq!(proxy.line(), "<133>Server web/a is UP/READY (leaving forced maintenance).");
    assert_eq!(agent.seen.lock().unwrap()[0], b"hello");
}

// row: 185, 186
#[test]
fn checks_carry_the_proxy_header_of_their_server() {
    let (first, second) = (Scripted::start(OK), Scripted::start(OK));
    let text = format!(
        "{HEAD}    mode tcp\nbackend web\n    server a {} check inter 100 send-proxy\n    \
         server b {} check inter 100 send-proxy-v2\n",
        first.address, second.address
    );
    let mut recipe = Ruleset::new(RecipeKind::Tcp);
    recipe
        .push(checks::Step::Expect(Box::new(checks::Expect::new(checks::Match::String(b"200".to_vec())))))
        .unwrap();
    let _proxy = Proxy::start(&text, |model| model.proxies[0].check = recipe.finish());
    std::thread::sleep(Duration::from_millis(400));
    let line = String::from_utf8(first.seen.lock().unwrap()[0].clone()).unwrap();
    let port = first.address.port();
    assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{line}");
    assert!(line.ends_with(&format!(" {port}\r\n")), "{line}");
    assert_eq!(second.seen.lock().unwrap()[0], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
}

#[test]
fn errors_of_traffic_mark_an_observed_server_down() {
    let check = Scripted::start(OK);
    let traffic = Scripted::start(OOPS);
    let front = closed_port();
    let text = format!(
        "{HEAD}listen web\n    bind {front}\n    no log\n    server a {} check port {} inter 10s fastinter 100 \
         observe layer7 error-limit 3 on-error mark-down\n    server z {} backup\n    log @LOG@ local0 notice\n",
        traffic.address,
        check.address.port(),
        traffic.address
    );
    let proxy = Proxy::start(&text, |model| model.proxies[0].check = http_check());
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..3 {
        let mut client = std::net::TcpStream::connect(front).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 500 "), "{answer}");
    }
    let line = proxy.line();
    let expected = "<129>Server web/a is DOWN, reason: Health analyze, info: \"Detected 3 consecutive errors, \
                    last one was: Wrong http response\". 0 active and 1 backup servers left. Running on backup. ";
    assert!(line.starts_with(expected), "{line}");
    // The check still passes, and is now made at `fastinter`.
    assert!(proxy.line().starts_with("<133>Server web/a is UP, reason: Layer7 check passed, code: 200"));
}

// As with HAProxy: an application that logs or counts empty connections never hears of the check.
#[test]
fn a_plain_check_is_not_accepted_by_the_application() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Proxy::start(
        &format!("{HEAD}backend web\n    option log-health-checks\n    server a {address} check inter 50\n"),
        |_| {},
    );
    assert!(proxy.line().contains("succeeded, reason: Layer4 check passed"));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

// row: 95
#[test]
fn a_check_may_go_to_another_address() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!(
        "{HEAD}backend web\n    option log-health-checks\n    \
         server a 127.0.0.1:{port} check addr 127.0.0.2 inter 200\n"
    );
    let proxy = Proxy::start(&text, |_| {});
    assert_eq!(
        proxy.line(),
        format!(
            "<133>Health check for server web/a succeeded, reason: {}, check duration: 0ms, status: 3/3 UP.",
            CheckStatus::L4Ok.description()
        )
    );
}
