//! How one request is treated: the configuration, instrumented, serves it in this process, and the answer, the log and what
//! the server got tell the rest.

use super::instrument::{self, FIELDS, SEPARATOR, Surroundings, Watched, What};
use super::lines::balancing;
use crate::inspect::place;
use diag::Sources;
use haproxy_config::model::{Address, Bind, Mode, Model};
use proxy::{BindOptions, Command};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// The longest that the proxy may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer and of a request that are kept.
const MESSAGE_LENGTH_MAX: usize = 64 * 1024;
const CONNECTIONS_MAX: u32 = 100;

/// What is asked, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET /a HTTP/1.1`; empty: a connection that sends nothing.
    pub line: String,
    /// `Host: x`
    pub headers: Vec<String>,
    pub source: SocketAddr,
    /// Which of several frontends, by name.
    pub frontend: Option<String>,
    /// Which of several frontends, by where the client connects to.
    pub destination: Option<SocketAddr>,
    /// `backend/server`: as if it were in maintenance.
    pub down: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub frontend: String,
    pub destination: SocketAddr,
    pub is_http: bool,
    /// Places and texts of the rules that applied, in the order of their kinds.
    pub matched: Vec<String>,
    pub backend: Option<(String, String)>,
    pub server: Option<(String, String)>,
    /// The head that the server got.
    pub forwarded: Option<String>,
    /// The head of the answer; `None`: the connection was closed without one.
    pub answer: Option<String>,
    pub termination: String,
    /// What is not as it would be with a real client.
    pub remarks: Vec<String>,
}

/// Serves the request.
///
/// # Errors
/// Why it cannot be told: no such frontend, a configuration that does not start.
pub fn follow(loaded: haproxy_config::Loaded, asked: &Asked) -> Result<Course, String> {
    let haproxy_config::Loaded { model, report, sources } = loaded;
    let Some(mut model) = model else {
        return Err(diag::render(&report, &sources, diag::Severity::Alert));
    };
    for name in &asked.down {
        put_down(&mut model, name)?;
    }
    let (index, destination) = frontend(&model, asked)?;
    let mut remarks = Vec::new();
    let tls_name = tls_name(&model, index, asked, destination, &mut remarks);
    let stub = Stub::start().map_err(|error| format!("no server to stand in: {error}"))?;
    let log = UdpSocket::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    log.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let surroundings = Surroundings {
        listener: format!("hawser-explain-{}", std::process::id()).into_bytes(),
        server: stub.address,
        log: log.local_addr().map_err(|error| error.to_string())?,
        tls_name,
    };
    let before = Before::of(&model);
    let watched = instrument::instrument(&mut model, index, &surroundings)?;
    let answer = served(model, &surroundings, asked, destination)?;
    let line = heard(&log);
    let forwarded = stub.heard();
    let mut course = Course {
        frontend: before.names[index].clone(),
        destination,
        is_http: before.is_http[index],
        matched: Vec::new(),
        backend: None,
        server: None,
        forwarded,
        answer,
        termination: String::new(),
        remarks,
    };
    match line {
        Some(line) => tell(&mut course, &line, &watched, &before, &sources),
        None => course.remarks.push("the connection ended before there was a request to log".to_owned()),
    }
    Ok(course)
}

fn put_down(model: &mut Model, name: &str) -> Result<(), String> {
    let (backend, server) = name.split_once('/').ok_or_else(|| format!("`{name}` is not BACKEND/SERVER"))?;
    let found = model
        .proxies
        .iter_mut()
        .filter(|proxy| proxy.is_backend && proxy.name == backend)
        .flat_map(|proxy| &mut proxy.servers)
        .find(|one| one.name == server);
    found.map(|server| server.disabled = true).ok_or_else(|| format!("there is no server `{name}`"))
}

/// The name that the client asks for, when it connects to a listener with TLS whose certificates can be read.
fn tls_name(
    model: &Model,
    frontend: usize,
    asked: &Asked,
    destination: SocketAddr,
    remarks: &mut Vec<String>,
) -> Option<String> {
    let is_tls = |bind: &Bind| bind.tls.as_ref().is_some_and(|tls| tls.enabled);
    let is_meant = |bind: &&Bind| match bind.address {
        Address::Inet { ip, port } => {
            port == destination.port() && (ip.is_unspecified() || ip == destination.ip())
        }
        Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => false,
    };
    let binds = &model.proxies[frontend].binds;
    let bind = binds.iter().find(is_meant).or(binds.first())?;
    if !is_tls(bind) {
        return None;
    }
    let (_, found) = proxy::Tls::load(model);
    if found.iter().any(|diagnostic| diagnostic.severity == diag::Severity::Alert) {
        let text = "the listener's certificates cannot be read: the request is followed in the clear, ssl_fc is false";
        remarks.push(text.to_owned());
        return None;
    }
    let host = asked.headers.iter().find_map(|header| {
        let (name, value) = header.split_once(':')?;
        name.trim().eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
    });
    let host = host.unwrap_or_else(|| destination.ip().to_string());
    let host = host.split(':').next().unwrap_or_default();
    // It becomes a word of a configuration.
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    Some(if is_name && !host.is_empty() { host.to_owned() } else { "localhost".to_owned() })
}

/// The frontend that is meant, and where the client connects to.
fn frontend(model: &Model, asked: &Asked) -> Result<(usize, SocketAddr), String> {
    let any = |address: &SocketAddr| address.ip().is_unspecified();
    let at = |bind: &Bind| match bind.address {
        Address::Inet { ip, port } => Some(SocketAddr::new(ip, port)),
        Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => None,
    };
    let mut found = Vec::new();
    for (index, proxy) in model.proxies.iter().enumerate() {
        if !proxy.is_frontend || proxy.disabled || proxy.binds.is_empty() {
            continue;
        }
        if asked.frontend.as_ref().is_some_and(|name| *name != proxy.name) {
            continue;
        }
        let addresses: Vec<SocketAddr> = proxy.binds.iter().filter_map(at).collect();
        let wanted = match asked.destination {
            None => Some(addresses.first().copied()),
            Some(to) => addresses
                .iter()
                .any(|bound| *bound == to || (any(bound) && bound.port() == to.port()))
                .then_some(Some(to)),
        };
        if let Some(address) = wanted {
            found.push((index, address));
        }
    }
    // A page of statistics is hardly what a request is about.
    if found.len() > 1 && asked.frontend.is_none() && asked.destination.is_none() {
        let serves = |index: usize| {
            let proxy = &model.proxies[index];
            !proxy.servers.is_empty() || proxy.default_backend.is_some() || !proxy.use_backend.is_empty()
        };
        found.retain(|(index, _)| serves(*index));
    }
    match found[..] {
        [(index, address)] => {
            let usual = SocketAddr::from(([127, 0, 0, 1], 80));
            let mut address = address.unwrap_or(usual);
            if any(&address) {
                let local: IpAddr = if asked.source.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    [0, 0, 0, 0, 0, 0, 0, 1].into()
                };
                address.set_ip(local);
            }
            Ok((index, address))
        }
        [] => Err("no frontend listens there".to_owned()),
        _ => {
            let names: Vec<&str> =
                found.iter().map(|(index, _)| model.proxies[*index].name.as_str()).collect();
            Err(format!("which frontend? --frontend NAME or --to ADDRESS:PORT, of {}", names.join(", ")))
        }
    }
}

/// What the answer is told with, from before the model was changed.
struct Before {
    names: Vec<String>,
    is_http: Vec<bool>,
    proxies: Vec<Backend>,
}

struct Backend {
    span: diag::Span,
    balancing: String,
    servers: Vec<(String, diag::Span)>,
    has_stick: bool,
    has_cookie: bool,
}

impl Before {
    fn of(model: &Model) -> Self {
        Before {
            names: model.proxies.iter().map(|proxy| proxy.name.clone()).collect(),
            is_http: model.proxies.iter().map(|proxy| proxy.mode == Mode::Http).collect(),
            proxies: model
                .proxies
                .iter()
                .map(|proxy| Backend {
                    span: proxy.span,
                    balancing: balancing(proxy),
                    servers: proxy.servers.iter().map(|server| (server.name.clone(), server.span)).collect(),
                    has_stick: !proxy.stick_rules.is_empty(),
                    has_cookie: proxy.cookie.is_some(),
                })
                .collect(),
        }
    }
}

/// Runs the proxy for one connection; the head of what it answers.
fn served(
    model: Model,
    surroundings: &Surroundings,
    asked: &Asked,
    destination: SocketAddr,
) -> Result<Option<String>, String> {
    let options = BindOptions { maxconn: Some(CONNECTIONS_MAX), ..BindOptions::default() };
    let bound = proxy::bind(Arc::new(model), options).map_err(|reasons| reasons.join("\n"))?;
    let (sender, commands) = mpsc::channel();
    let engine = std::thread::Builder::new().name("engine".to_owned()).spawn(move || bound.run(commands));
    let engine = engine.map_err(|error| error.to_string())?;
    let answer = exchange(surroundings, asked, destination);
    // It may have ended by itself.
    let _ = sender.send(Command::HardStop);
    let _ = engine.join();
    answer.map_err(|error| format!("no answer: {error}"))
}

fn exchange(
    surroundings: &Surroundings,
    asked: &Asked,
    destination: SocketAddr,
) -> io::Result<Option<String>> {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&surroundings.listener)?;
    let mut stream = UnixStream::connect_addr(&address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (source, destination) = match (asked.source.is_ipv4(), destination.is_ipv4()) {
        (true, true) | (false, false) => (asked.source, destination),
        // Both of one family, as the header wants them.
        (true, false) => (asked.source, SocketAddr::from(([127, 0, 0, 1], destination.port()))),
        (false, true) => (asked.source, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1u16], destination.port()))),
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let mut text = format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
    if !asked.line.is_empty() {
        text.push_str(&asked.line);
        text.push_str("\r\n");
        for header in &asked.headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
    }
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    while Instant::now() < end && answer.len() < MESSAGE_LENGTH_MAX && head_end(&answer).is_none() {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    let end = head_end(&answer).unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).trim_end().to_owned();
    Ok((!head.is_empty()).then_some(head))
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

fn heard(log: &UdpSocket) -> Option<String> {
    let mut buffer = vec![0; MESSAGE_LENGTH_MAX];
    let length = log.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned())
}

/// Reads the line of the log.
fn tell(course: &mut Course, line: &str, watched: &[Watched], before: &Before, sources: &Sources) {
    let fields: Vec<&str> = line.split(SEPARATOR).collect();
    let Some((known, variables)) = fields.split_at_checked(FIELDS) else { return };
    let [_, backend, server, _, termination] = known else { return };
    course.termination = (*termination).to_owned();
    let applied: Vec<&Watched> = watched
        .iter()
        .zip(variables)
        .filter(|(_, value)| **value == "1")
        .map(|(watched, _)| watched)
        .collect();
    let text = |watched: &Watched| {
        let line = sources.locate(watched.span.file, watched.span.start).line;
        let text = String::from_utf8_lossy(sources.line_text(watched.span.file, line)).trim().to_owned();
        format!("{}: {text}", place(sources, watched.span))
    };
    if let Some(closing) = applied.iter().find(|watched| watched.what == What::Reject) {
        let before = applied.iter().take_while(|watched| watched != &closing);
        course.matched = before.chain([closing]).map(|one| text(one)).collect();
        course.is_http = true;
        course.forwarded = None;
        course.answer = None;
        return;
    }
    let by_rule = applied.iter().find(|watched| watched.what == What::UseBackend);
    course.matched = applied.iter().filter(|one| one.what == What::Rule).map(|one| text(one)).collect();
    let is_served = course.forwarded.is_some() || *server != "<NOSRV>";
    if let Some(rule) = by_rule.filter(|_| is_served) {
        course.matched.push(text(rule));
    }
    let Some(index) = before.names.iter().position(|name| name == backend).filter(|_| is_served) else {
        return;
    };
    // Of two proxies with one name the backend is meant.
    let index = before
        .names
        .iter()
        .zip(&before.proxies)
        .position(|(name, proxy)| name == backend && !proxy.servers.is_empty())
        .unwrap_or(index);
    let proxy = &before.proxies[index];
    let why = match by_rule {
        Some(rule) => {
            format!("{} by the use_backend rule at {}", place(sources, proxy.span), place(sources, rule.span))
        }
        None if *backend == course.frontend => {
            format!("{} the section's own servers", place(sources, proxy.span))
        }
        None => format!("{} by default_backend", place(sources, proxy.span)),
    };
    course.backend = Some(((*backend).to_owned(), why));
    let Some((name, span)) = proxy.servers.iter().find(|(name, _)| name == server) else { return };
    let position =
        proxy.servers.iter().position(|(one, _)| one == name).and_then(|at| u32::try_from(at).ok());
    let by_server_rule = applied.iter().find(|watched| match watched.what {
        What::UseServer { server } => {
            let is_of_backend = watched.span.file == proxy.span.file && watched.span.start > proxy.span.start;
            is_of_backend && (server.is_none() || server == position)
        }
        What::Rule | What::Reject | What::UseBackend => false,
    });
    let cookie = termination.as_bytes().get(2).copied();
    let why = match cookie {
        Some(b'V') if proxy.has_cookie => "by the cookie of the request".to_owned(),
        Some(b'D') if proxy.has_cookie => format!("the cookie's server is down; {}", proxy.balancing),
        Some(b'I') if proxy.has_cookie => format!("the cookie names no server; {}", proxy.balancing),
        _ if proxy.has_stick => format!("the stick table knows nobody yet; {}", proxy.balancing),
        _ => proxy.balancing.clone(),
    };
    let why = match by_server_rule {
        Some(rule) => format!("by the use-server rule at {}", place(sources, rule.span)),
        None => why,
    };
    course.server = Some((name.clone(), format!("{} {why}", place(sources, *span))));
}

impl Course {
    /// For people.
    pub fn to_text(&self, asked: &Asked) -> String {
        let mut out = String::new();
        let mut row = |name: &str, text: &str| {
            for (index, line) in text.lines().enumerate() {
                out.push_str(&format!("{:10}{line}\n", if index == 0 { name } else { "" }));
            }
        };
        let line = if asked.line.is_empty() { "a connection" } else { &asked.line };
        row("request", &format!("{line} from {} to {}", asked.source, self.destination));
        row("frontend", &self.frontend);
        row(
            "matched",
            if self.matched.is_empty() { "no rule".to_owned() } else { self.matched.join("\n") }.as_str(),
        );
        if let Some((name, why)) = &self.backend {
            row("backend", &format!("{name}\n{why}"));
        }
        if let Some((name, why)) = &self.server {
            row("server", &format!("{name}\n{why}"));
        }
        if let Some(head) = &self.forwarded {
            row("sent", head);
        }
        match &self.answer {
            Some(head) if self.forwarded.is_some() => {
                row("answer", &format!("{head}\n(the server's 200 stands in for a real answer)"));
            }
            Some(head) => row("answer", head),
            None if self.is_http => row("answer", "none: the connection is closed"),
            None => row("answer", "none: the server's bytes go to the client"),
        }
        for remark in &self.remarks {
            row("note", remark);
        }
        out
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let pair = |pair: &Option<(String, String)>| {
            pair.as_ref().map(|(name, why)| json!({ "name": name, "why": why }))
        };
        json!({
            "frontend": self.frontend,
            "destination": self.destination.to_string(),
            "matched": self.matched,
            "backend": pair(&self.backend),
            "server": pair(&self.server),
            "forwarded": self.forwarded,
            "answer": self.answer,
            "termination": self.termination,
            "remarks": self.remarks,
        })
    }
}

/// Stands in for every server: keeps what it is sent, answers 200.
struct Stub {
    address: SocketAddr,
    kept: Arc<Mutex<Option<String>>>,
}

impl Stub {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Mutex::new(None));
        let writer = Arc::clone(&kept);
        // Ends with the process, which follows one request.
        std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while head.len() < MESSAGE_LENGTH_MAX && head_end(&head).is_none() {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(length) => head.extend_from_slice(&buffer[..length]),
                    }
                }
                let end = head_end(&head).unwrap_or(head.len());
                let text = String::from_utf8_lossy(&head[..end]).trim_end().to_owned();
                if let Ok(mut kept) = writer.lock() {
                    *kept = Some(text);
                }
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        })?;
        Ok(Stub { address, kept })
    }

    fn heard(&self) -> Option<String> {
        self.kept.lock().ok().and_then(|kept| kept.clone())
    }
}
