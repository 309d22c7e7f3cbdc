//! Running virtual servers over real sockets, on a data plane that only remembers.

use diag::{FileId, Span};
use director::dataplane::Dataplane;
use director::kernel::Refusal;
use director::runner::{Control, Director, News, Stop};
use director::table::{Change, Entry, Table};
use keepalived_config::model::{
    BfdId, BfdSession, Check, CheckDefaults, CheckKind, CheckTiming, Command, ConnectOptions, FileWeight,
    Forwarding, HttpProtocol, HttpUrl, Model, RealServer, RunAs, Scheduler, SchedulerFlags, TrackFileId,
    TransportProtocol, VirtualAddress, VirtualServer,
};
use netlink::ipvs::{Key, Service, TCP};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TICK: Duration = Duration::from_millis(100);

/// What a plane has, seen from outside.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Table>>);

impl Dataplane for Memory {
    fn read(&mut self) -> Result<Table, Refusal> {
        Ok(self.0.borrow().clone())
    }

    fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
        let mut table = self.0.borrow_mut();
        match change.clone() {
            Change::AddService(service) => table.insert(service, []),
            Change::DeleteService(key) => drop(table.0.remove(&key)),
            Change::EditService(service) => {
                let key = service.key;
                entry(&mut table, &key)?.service = service;
            }
            Change::AddServer(key, server) | Change::EditServer(key, server) => {
                entry(&mut table, &key)?.servers.insert((server.address, server.port), server);
            }
            Change::DeleteServer(key, server) => {
                entry(&mut table, &key)?.servers.remove(&(server.address, server.port));
            }
        }
        Ok(())
    }
}

fn entry<'a>(table: &'a mut Table, key: &Key) -> Result<&'a mut Entry, Refusal> {
    table.0.get_mut(key).ok_or(Refusal::Kernel(3))
}

impl Memory {
    /// Ports and weights of the real servers, in order.
    fn rows(&self) -> Vec<(u16, u32)> {
        let table = self.0.borrow();
        let servers = table.0.values().flat_map(|entry| entry.servers.values());
        servers.map(|server| (server.port, server.weight)).collect()
    }
}

fn span() -> Span {
    Span { file: FileId(0), start: 0, end: 0 }
}

fn check(kind: CheckKind) -> Check {
    let timing = CheckTiming {
        delay_loop: 2 * TICK,
        connect_timeout: 5 * TICK,
        retry: 1,
        delay_before_retry: TICK,
        warmup: TICK,
        alpha: false,
        log_all_failures: false,
    };
    Check { span: span(), kind, connect: ConnectOptions::default(), timing }
}

fn real(address: SocketAddr, kind: CheckKind) -> RealServer {
    RealServer {
        span: span(),
        address,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        notify_up: None,
        notify_down: None,
        smtp_alert: false,
        alpha: false,
        snmp_name: None,
        check_defaults: CheckDefaults::default(),
        checks: vec![check(kind)],
    }
}

fn model(real_servers: Vec<RealServer>) -> Rc<Model> {
    let server = VirtualServer {
        span: span(),
        address: VirtualAddress::Socket(([10, 9, 0, 1], 80).into()),
        protocol: TransportProtocol::Tcp,
        scheduler: Scheduler::RoundRobin,
        flags: SchedulerFlags::default(),
        forwarding: Forwarding::Nat,
        persistence_timeout: None,
        persistence_granularity: None,
        weight: 1,
        persistence_engine: None,
        ha_suspend: false,
        alpha: false,
        omega: false,
        quorum: 1,
        hysteresis: 0,
        quorum_up: None,
        quorum_down: None,
        smtp_alert: false,
        snmp_name: None,
        check_defaults: CheckDefaults::default(),
        sorry_server: None,
        real_servers,
    };
    Rc::new(Model { virtual_servers: vec![server], ..Model::default() })
}

/// Runs the director beside `story`, which is given a way to ask things of it, and stops it. Returns its log.
fn run<F: Future<Output = ()>>(
    model: Rc<Model>,
    memory: &Memory,
    story: impl FnOnce(mpsc::Sender<Control>) -> F,
) -> Vec<String> {
    let lines: Rc<RefCell<Vec<String>>> = Rc::default();
    let written = Rc::clone(&lines);
    let listener = Rc::new(move |news: News<'_>| {
        written.borrow_mut().push(match news {
            News::Line(line) => line.to_owned(),
            News::Told(told) => told.line(),
            News::State(state) => format!("state of {}", state.pools.len()),
            // Of their own: see the tests of pools.
            News::Changed(..) => return,
            News::Counted(pools, table) => {
                format!("counted {} with {:?}", pools.len(), table.map(|table| table.0.len()))
            }
        });
    });
    let director = Director::new(model, Vec::new(), Box::new(memory.clone()), listener);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (sender, receiver) = mpsc::channel(8);
        let running = tokio::task::spawn_local(director.run(receiver));
        story(sender.clone()).await;
        sender.send(Control::Stop(Stop::Release)).await.expect("it runs");
        running.await.expect("no panic").expect("the plane can be read");
    });
    lines.take()
}

/// Waits until the plane has these real servers.
async fn wait_for(memory: &Memory, rows: &[(u16, u32)]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while memory.rows() != rows {
        assert!(Instant::now() < deadline, "{:?} instead of {rows:?}", memory.rows());
        tokio::time::sleep(TICK / 10).await;
    }
}

// row: 270, 280, 281, 282, 287
#[test]
fn a_real_server_that_stops_is_out_in_time_and_back_when_it_returns() {
    let steady = TcpListener::bind("127.0.0.1:0").expect("binds");
    let other = TcpListener::bind("127.0.0.1:0").expect("binds");
    let (steady_at, other_at) = (steady.local_addr().expect("bound"), other.local_addr().expect("bound"));
    let mut both = [(steady_at.port(), 1), (other_at.port(), 1)];
    both.sort_unstable();
    let memory = Memory::default();
    let foreign = Key::Address { protocol: TCP, address: [10, 9, 0, 2].into(), port: 80 };
    memory.0.borrow_mut().insert(Service::new(foreign, "wlc"), []);

    let model = model(vec![real(steady_at, CheckKind::Tcp), real(other_at, CheckKind::Tcp)]);
    let lines = run(model, &memory, |_| async {
        wait_for(&memory, &both).await;
        tokio::time::sleep(3 * TICK).await;
        drop(other);
        let stopped = Instant::now();
        wait_for(&memory, &[(steady_at.port(), 1)]).await;
        // delay_loop, and one retry; the rest is the machine's load.
        assert!(stopped.elapsed() < Duration::from_secs(3), "{:?}", stopped.elapsed());
        let returned = TcpListener::bind(other_at).expect("the port is still free");
        wait_for(&memory, &both).await;
        drop(returned);
    });
    let name = |at: SocketAddr| format!("[127.0.0.1]:tcp:{}", at.port());
    for line in [
        format!("TCP connection to {} success.", name(steady_at)),
        format!("TCP_CHECK on service {} failed after 1 retries.", name(other_at)),
        format!("Removing service {} from VS [10.9.0.1]:tcp:80", name(other_at)),
        format!("Adding service {} to VS [10.9.0.1]:tcp:80", name(other_at)),
        format!("Shutting down service {} from VS [10.9.0.1]:tcp:80", name(steady_at)),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:#?}");
    }
    let left: Vec<Key> = memory.0.borrow().0.keys().copied().collect();
    assert_eq!(left, [foreign], "ours are gone, the foreign service stays");
}

/// Answers every connection with `answer`.
fn web_server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let at = listener.local_addr().expect("bound");
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    at
}

fn url(path: &str, status: (u16, u16)) -> HttpUrl {
    HttpUrl {
        path: path.to_owned(),
        digest: None,
        status: vec![status],
        virtual_host: None,
        is_virtual_host_inherited: false,
        regex: None,
        regex_options: Vec::new(),
        regex_no_match: false,
        regex_min_offset: 0,
        regex_max_offset: None,
        tls_compliant: false,
    }
}

// row: 275, 278
#[test]
fn web_servers_are_judged_by_every_url() {
    let http = |urls| CheckKind::Http {
        tls: false,
        sni: false,
        sni_name: None,
        protocol: HttpProtocol::Http10,
        fast_recovery: false,
        virtual_host: None,
        urls,
    };
    let good = web_server("HTTP/1.0 200 OK\r\n\r\nhello");
    let bad = web_server("HTTP/1.0 200 OK\r\n\r\nhello");
    let mut pattern = url("/", (200, 299));
    pattern.regex = Some("h.llo".to_owned());
    let wanted = http(vec![url("/", (200, 299)), pattern]);
    let unwanted = http(vec![url("/", (200, 299)), url("/other", (404, 404))]);
    let memory = Memory::default();
    let lines = run(model(vec![real(good, wanted), real(bad, unwanted)]), &memory, |_| async {
        wait_for(&memory, &[(good.port(), 1)]).await;
    });
    let line = format!("HTTP_CHECK on service [127.0.0.1]:tcp:{} failed after 1 retries.", bad.port());
    assert!(lines.contains(&line), "{lines:#?}");
}

/// Answers HTTPS with a certificate that nobody trusts; the names that clients asked for.
fn secure_server(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<Option<String>>) {
    let own =
        rcgen::generate_simple_self_signed(vec!["other.example.com".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .expect("they fit");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let at = listener.local_addr().expect("bound");
    let (asked, names) = mpsc::unbounded_channel();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = rustls::StreamOwned::new(session, stream);
            let mut request = [0; 1024];
            if stream.read(&mut request).is_ok() {
                let _ = asked.send(stream.conn.server_name().map(str::to_owned));
                let _ = stream.write_all(answer.as_bytes());
                // Gone without a word, as many servers do.
            }
        }
    });
    (at, names)
}

// row: 276
#[test]
fn web_servers_are_asked_over_tls_whatever_their_certificate() {
    let secure = |sni, mut url: HttpUrl, digest| {
        url.virtual_host = Some("www.example.com".to_owned());
        url.digest = digest;
        CheckKind::Http {
            tls: true,
            sni,
            sni_name: None,
            protocol: HttpProtocol::Http10,
            fast_recovery: false,
            virtual_host: None,
            urls: vec![url],
        }
    };
    // `printf 'hello\n' | md5sum`
    let digest = 0xb194_6ac9_2492_d234_7c62_35b4_d261_1184_u128.to_be_bytes();
    let (good, mut names) = secure_server("HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
    let (unnamed, mut no_names) = secure_server("HTTP/1.0 200 OK\r\n\r\nhello\n");
    let (bad, _asked) = secure_server("HTTP/1.0 503 No\r\n\r\n");
    let plain = web_server("HTTP/1.0 200 OK\r\n\r\nhello");
    let servers = vec![
        real(good, secure(true, url("/", (200, 200)), Some(digest))),
        real(unnamed, secure(false, url("/", (200, 200)), None)),
        real(bad, secure(true, url("/", (200, 200)), None)),
        real(plain, secure(true, url("/", (200, 200)), None)),
    ];
    let mut up = [(good.port(), 1), (unnamed.port(), 1)];
    up.sort_unstable();
    let mut model = (*model(servers)).clone();
    model.global.checker_log_all_failures = true;
    let memory = Memory::default();
    let lines = run(Rc::new(model), &memory, |_| async {
        wait_for(&memory, &up).await;
        tokio::time::sleep(5 * TICK).await;
        wait_for(&memory, &up).await;
    });
    let line = format!("Remote Web server [127.0.0.1]:tcp:{} succeed on service.", good.port());
    assert!(lines.contains(&line), "{lines:#?}");
    // As recorded from keepalived.
    let told = [
        format!("HTTP status code error to server [127.0.0.1]:tcp:{}.", bad.port()),
        format!("SSL handshake/communication error connecting to server [127.0.0.1]:tcp:{}.", plain.port()),
    ];
    assert!(told.iter().all(|line| lines.contains(line)), "{lines:#?}");
    assert_eq!(names.try_recv().expect("it was asked").as_deref(), Some("www.example.com"));
    assert_eq!(no_names.try_recv().expect("it was asked"), None);
}

#[test]
fn checkers_rest_while_the_address_is_elsewhere() {
    let gone: SocketAddr = ([127, 0, 0, 1], 1).into();
    let mut model = (*model(vec![real(gone, CheckKind::Tcp)])).clone();
    model.virtual_servers[0].ha_suspend = true;
    let memory = Memory::default();
    let lines = run(Rc::new(model), &memory, |control| {
        let memory = memory.clone();
        async move {
            tokio::time::sleep(6 * TICK).await;
            assert_eq!(memory.rows(), [(1, 1)], "nobody looked");
            let here = [[10, 9, 0, 1].into()].into();
            control.send(Control::Addresses(here)).await.expect("it runs");
            wait_for(&memory, &[]).await;
            control.send(Control::Addresses([].into())).await.expect("it runs");
            tokio::time::sleep(TICK).await;
        }
    });
    let told = "healthchecker for service [127.0.0.1]:tcp:1 for VS [10.9.0.1]:tcp:80";
    let expected = [
        format!("Deactivating {told}"),
        "Netlink reflector reports IP 10.9.0.1 added".to_owned(),
        format!("Activating {told}"),
        "Netlink reflector reports IP 10.9.0.1 removed".to_owned(),
        format!("Suspending {told}"),
    ];
    let heard: Vec<&String> = lines.iter().filter(|line| expected.contains(line)).collect();
    assert_eq!(heard, expected.iter().collect::<Vec<_>>(), "{lines:#?}");
}

#[test]
fn a_reload_keeps_health_and_takes_what_is_new() {
    let steady = TcpListener::bind("127.0.0.1:0").expect("binds");
    let at = steady.local_addr().expect("bound");
    let gone: SocketAddr = ([127, 0, 0, 1], 1).into();
    let both = || vec![real(at, CheckKind::Tcp), real(gone, CheckKind::Tcp)];
    let mut other = (*model(both())).clone();
    other.virtual_servers[0].real_servers[0].weight = 7;
    let mut second = other.virtual_servers[0].clone();
    second.address = VirtualAddress::Mark { mark: 7, family: keepalived_config::model::Family::Ipv4 };
    second.real_servers.truncate(1);
    second.real_servers[0].checks.clear();
    other.virtual_servers.push(second);
    let (first, again) = (model(both()), model(both()));
    let memory = Memory::default();
    let lines = run(first, &memory, |control| {
        let memory = memory.clone();
        async move {
            wait_for(&memory, &[(at.port(), 1)]).await;
            control.send(Control::Reload(Rc::new(other), Vec::new())).await.expect("it runs");
            wait_for(&memory, &[(at.port(), 7), (at.port(), 7)]).await;
            control.send(Control::Reload(again, Vec::new())).await.expect("it runs");
            wait_for(&memory, &[(at.port(), 1)]).await;
        }
    });
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("TCP connection to"), 1, "what is known is not found out again: {lines:#?}");
    assert_eq!(count("Removing service [127.0.0.1]:tcp:1 "), 1, "{lines:#?}");
    assert_eq!(count("Removing Virtual Server FWM 7"), 1, "{lines:#?}");
    assert_eq!(count("VS FWM 7 DOWN"), 1, "{lines:#?}");
}

#[test]
fn scripts_weigh_and_the_administrator_drains() {
    let steady = TcpListener::bind("127.0.0.1:0").expect("binds");
    let at = steady.local_addr().expect("bound");
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let words = ["sh", "-c", "exit 52"].map(str::to_owned).to_vec();
    let command = Command { words, run_as: RunAs { user, group } };
    let script = CheckKind::Misc { command, timeout: Some(Duration::from_secs(5)), dynamic: true };
    let other: SocketAddr = ([127, 0, 0, 1], 1).into();
    let memory = Memory::default();
    run(model(vec![real(other, script), real(at, CheckKind::Tcp)]), &memory, |control| {
        let memory = memory.clone();
        async move {
            wait_for(&memory, &[(1, 50), (at.port(), 1)]).await;
            control.send(Control::Weight { pool: 0, server: 1, weight: Some(7) }).await.expect("it runs");
            wait_for(&memory, &[(1, 50), (at.port(), 7)]).await;
            control.send(Control::Drain { pool: 0, server: 1, until: None }).await.expect("it runs");
            wait_for(&memory, &[(1, 50)]).await;
            control.send(Control::Ready { pool: 0, server: 1 }).await.expect("it runs");
            wait_for(&memory, &[(1, 50), (at.port(), 7)]).await;
        }
    });
}

// row: 281
#[test]
fn sessions_and_numbers_are_told_and_survive_a_reload() {
    let (session, file): (SocketAddr, SocketAddr) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
    let bfd = CheckKind::Bfd { session: BfdId(0) };
    let number = CheckKind::File { file: TrackFileId(0), weight: FileWeight { weight: 2, reverse: false } };
    let mut both = (*model(vec![real(session, bfd), real(file, number)])).clone();
    both.bfd_sessions.push(BfdSession {
        name: "peer".to_owned(),
        span: span(),
        neighbor: [127, 0, 0, 9].into(),
        source: None,
        receive_interval: TICK,
        send_interval: TICK,
        idle_interval: TICK,
        multiplier: 3,
        passive: false,
        ttl: 255,
        hops_max: 0,
        multihop: false,
        weight: 0,
        reverse: false,
        for_vrrp: true,
        for_checkers: true,
    });
    let both = Rc::new(both);
    let again = Rc::clone(&both);
    let memory = Memory::default();
    let lines = run(both, &memory, |control| {
        let memory = memory.clone();
        async move {
            let session = |is_up| Control::Session { name: "peer".to_owned(), is_up };
            wait_for(&memory, &[(1, 1), (2, 1)]).await;
            control.send(session(false)).await.expect("it runs");
            wait_for(&memory, &[(2, 1)]).await;
            control.send(Control::Numbers(vec![4])).await.expect("it runs");
            wait_for(&memory, &[(2, 9)]).await;
            // The same session and another number.
            control.send(Control::Reload(again, vec![-3])).await.expect("it runs");
            wait_for(&memory, &[(2, 0)]).await;
            control.send(session(true)).await.expect("it runs");
            wait_for(&memory, &[(1, 1), (2, 0)]).await;
        }
    });
    let said: Vec<&String> =
        lines.iter().filter(|line| line.contains("BFD check") || line.contains("Changing weight")).collect();
    let expected = [
        "BFD check of [peer] RS([127.0.0.1]:tcp:1) is DOWN",
        "Changing weight from 1 to 9 for active service [127.0.0.1]:tcp:2 of VS [10.9.0.1]:tcp:80",
        "BFD check of [peer] RS([127.0.0.1]:tcp:1) is UP",
    ];
    assert_eq!(said, expected.iter().collect::<Vec<_>>(), "{lines:#?}");
}
