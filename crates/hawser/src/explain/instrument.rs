//! A configuration changed so that the proxy itself tells how it treats one request: before each rule stands another with
//! the same condition that sets a variable, servers are one listener of ours, and the log has the variables. The rules are
//! those of the configuration, carried out by the proxy: there is no second evaluator.

use diag::Span;
use haproxy_config::model::{
    Address, Bind, LoadServerState, LogFormatKind, LogTarget, LogTargetAddress, Mode, Model, Protocol, Proxy,
    ServerPort,
};
use haproxy_config::{LoadOptions, load_text};
use rules::action::StreamAction;
use rules::{Condition, HttpAction, HttpRule, TcpAction, TcpRule};
use std::net::SocketAddr;
use std::time::Duration;

/// Rules that are watched; a configuration with more is refused.
pub const RULES_MAX: usize = 5000;
/// Bytes of one line of the log, as the largest datagram.
const LINE_LENGTH_MAX: usize = 65_000;
/// Between the fields of a line: nothing of a configuration has it.
pub const SEPARATOR: char = '\u{1f}';
/// Fields before those of the rules: frontend, backend, server, status, termination.
pub const FIELDS: usize = 5;

/// A rule that is watched; its place among them is its field of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    pub span: Span,
    pub what: What,
}

/// What kind of rule it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Rule,
    /// A connection would be closed here, before there is anything to log; it goes on so that we hear of it.
    Reject,
    UseBackend,
    /// Of a backend, by place.
    UseServer {
        server: Option<u32>,
    },
}

/// What stands in for the world.
pub struct Surroundings {
    /// The frontend's listener, an abstract socket; a PROXY header tells the client.
    pub listener: Vec<u8>,
    /// Every server.
    pub server: SocketAddr,
    /// Takes the log.
    pub log: SocketAddr,
    /// The name that a client of TLS asks for; `None`: the request is followed in the clear.
    pub tls_name: Option<String>,
}

/// Which rule set a watcher goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Session,
    Content,
    Response,
    Http,
    HttpResponse,
}

/// Ready-made watchers: rules that set the variable of their number.
struct Watchers {
    session: Vec<TcpRule>,
    content: Vec<TcpRule>,
    response: Vec<TcpRule>,
    http: Vec<HttpRule>,
    http_response: Vec<HttpRule>,
    watched: Vec<Watched>,
}

impl Watchers {
    fn tcp(&mut self, set: Set, rule: &TcpRule) -> Option<TcpRule> {
        let closes = set == Set::Session && matches!(rule.action, TcpAction::Reject);
        let what = if closes { What::Reject } else { What::Rule };
        let number = self.next(rule.span, what)?;
        let list = match set {
            Set::Session => &self.session,
            Set::Content => &self.content,
            Set::Response | Set::Http | Set::HttpResponse => &self.response,
        };
        Some(TcpRule { condition: rule.condition.clone(), span: rule.span, ..list.get(number)?.clone() })
    }

    fn http(&mut self, set: Set, span: Span, what: What, condition: Option<&Condition>) -> Option<HttpRule> {
        let number = self.next(span, what)?;
        let list = if set == Set::HttpResponse { &self.http_response } else { &self.http };
        Some(HttpRule { condition: condition.cloned(), span, ..list.get(number)?.clone() })
    }

    fn next(&mut self, span: Span, what: What) -> Option<usize> {
        if self.watched.len() >= RULES_MAX {
            return None;
        }
        self.watched.push(Watched { span, what });
        Some(self.watched.len() - 1)
    }

    fn tcp_list(&mut self, set: Set, list: Vec<TcpRule>) -> Vec<TcpRule> {
        let mut out = Vec::with_capacity(list.len() * 2);
        for rule in list {
            out.extend(self.tcp(set, &rule));
            match rule.action {
                // The client is told by the listener's own header here.
                TcpAction::ExpectProxy | TcpAction::ExpectNetscalerCip => {}
                TcpAction::Reject if set == Set::Session => {
                    out.push(TcpRule { action: TcpAction::Accept, ..rule });
                }
                _ => out.push(rule),
            }
        }
        out
    }

    fn http_list(&mut self, set: Set, list: Vec<HttpRule>) -> Vec<HttpRule> {
        let mut out = Vec::with_capacity(list.len() * 2);
        for rule in list {
            out.extend(self.http(set, rule.span, What::Rule, rule.condition.as_ref()));
            // The log is how we hear of the request.
            if !matches!(rule.action, HttpAction::Stream(StreamAction::SetLogLevel(_))) {
                out.push(rule);
            }
        }
        out
    }
}

/// Changes the model for one request to one frontend; tells which rules are watched.
///
/// # Errors
/// More rules than can be watched.
pub fn instrument(
    model: &mut Model,
    frontend: usize,
    surroundings: &Surroundings,
) -> Result<Vec<Watched>, String> {
    let count = rule_count(model);
    if count > RULES_MAX {
        return Err(format!("{count} rules; at most {RULES_MAX} can be watched"));
    }
    let mut watchers = watchers(count)?;
    for (index, proxy) in model.proxies.iter_mut().enumerate() {
        watch(proxy, &mut watchers);
        isolate(proxy, surroundings);
        proxy.binds = if index == frontend { vec![listener(proxy, surroundings)?] } else { Vec::new() };
        proxy.log_targets = vec![log_target(surroundings)];
        proxy.log_format = Some(log_format(proxy.mode, watchers.watched.len().max(count))?);
    }
    if let Some(name) = &surroundings.tls_name {
        let client = tls_client(model.proxies.len(), name, surroundings)?;
        model.proxies.push(client);
    }
    calm(model);
    Ok(watchers.watched)
}

fn rule_count(model: &Model) -> usize {
    let of = |proxy: &Proxy| {
        proxy.tcp_request_connection.len()
            + proxy.tcp_request_session.len()
            + proxy.tcp_request_content.len()
            + proxy.tcp_response_content.len()
            + proxy.http_request.len()
            + proxy.http_response.len()
            + proxy.http_after_response.len()
            + proxy.redirects.len()
            + proxy.use_backend.len()
            + proxy.use_server.len()
    };
    model.proxies.iter().map(of).sum()
}

/// Rules that set variables, made from text as those of the configuration are.
fn watchers(count: usize) -> Result<Watchers, String> {
    let mut text = String::from("frontend watch\n mode http\n timeout client 1s\n");
    for number in 0..count {
        text.push_str(&format!(
            " tcp-request session set-var(sess.hawser_{number}) int(1)\n \
             tcp-request content set-var(sess.hawser_{number}) int(1)\n \
             http-request set-var(sess.hawser_{number}) int(1)\n \
             http-response set-var(sess.hawser_{number}) int(1)\n"
        ));
    }
    text.push_str("backend watch\n timeout connect 1s\n timeout server 1s\n");
    for number in 0..count {
        text.push_str(&format!(" tcp-response content set-var(sess.hawser_{number}) int(1)\n"));
    }
    let loaded = load_text(&LoadOptions::new(Vec::new()), "watch.cfg", &text);
    let mut model =
        loaded.model.ok_or_else(|| diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert))?;
    let back = model.proxies.pop().ok_or("no backend to take rules from")?;
    let front = model.proxies.pop().ok_or("no frontend to take rules from")?;
    Ok(Watchers {
        session: front.tcp_request_session,
        content: front.tcp_request_content,
        response: back.tcp_response_content,
        http: front.http_request,
        http_response: front.http_response,
        watched: Vec::new(),
    })
}

fn watch(proxy: &mut Proxy, watchers: &mut Watchers) {
    proxy.tcp_request_connection =
        watchers.tcp_list(Set::Session, std::mem::take(&mut proxy.tcp_request_connection));
    proxy.tcp_request_session =
        watchers.tcp_list(Set::Session, std::mem::take(&mut proxy.tcp_request_session));
    proxy.tcp_request_content =
        watchers.tcp_list(Set::Content, std::mem::take(&mut proxy.tcp_request_content));
    proxy.tcp_response_content =
        watchers.tcp_list(Set::Response, std::mem::take(&mut proxy.tcp_response_content));
    proxy.http_request = watchers.http_list(Set::Http, std::mem::take(&mut proxy.http_request));
    proxy.http_response = watchers.http_list(Set::HttpResponse, std::mem::take(&mut proxy.http_response));
    proxy.http_after_response =
        watchers.http_list(Set::HttpResponse, std::mem::take(&mut proxy.http_after_response));
    proxy.redirects = watchers.http_list(Set::Http, std::mem::take(&mut proxy.redirects));
    // Looked at after all other rules, which is when these lists end.
    let is_http = proxy.mode == Mode::Http;
    let mut later = Vec::new();
    for rule in &proxy.use_backend {
        later.push((rule.span, What::UseBackend, rule.condition.clone()));
    }
    for rule in &proxy.use_server {
        let server = match &rule.target {
            haproxy_config::model::ServerTarget::Static(id) => Some(id.index),
            haproxy_config::model::ServerTarget::Dynamic(_) => None,
        };
        later.push((rule.span, What::UseServer { server }, rule.condition.clone()));
    }
    for (span, what, condition) in later {
        if is_http {
            let rule = watchers.http(Set::Http, span, what, condition.as_ref());
            proxy.redirects.extend(rule);
        } else if let Some(number) = watchers.next(span, what)
            && let Some(rule) = watchers.content.get(number)
        {
            proxy.tcp_request_content.push(TcpRule { condition, span, ..rule.clone() });
        }
    }
}

/// Nothing leaves this process: servers are ours, checks and mails are none.
fn isolate(proxy: &mut Proxy, surroundings: &Surroundings) {
    for server in &mut proxy.servers {
        server.address = Address::Inet { ip: surroundings.server.ip(), port: surroundings.server.port() };
        server.port = ServerPort::Fixed;
        server.check = None;
        server.agent = None;
        server.track = None;
        server.tls = None;
        server.send_proxy = None;
        server.source = None;
        server.resolvers = None;
        server.socks4 = None;
        server.namespace = None;
        server.observe = None;
        server.protocol = Protocol::Http1;
        server.websocket = haproxy_config::model::WebSocketProtocol::Http1;
    }
    proxy.source = None;
    proxy.external_check = None;
    proxy.email_alert = None;
    proxy.load_server_state = LoadServerState::default();
    proxy.error_log_format = None;
    proxy.log_format_sd = None;
    proxy.options.dontlognull = false;
    proxy.options.dontlog_normal = false;
    proxy.timeouts.tarpit = Some(Duration::from_millis(1));
}

/// The frontend's only listener; with TLS it is behind a client of ours, which has the name that is connected to.
fn listener(proxy: &Proxy, surroundings: &Surroundings) -> Result<Bind, String> {
    let mut name = surroundings.listener.clone();
    let mut tls = None;
    if surroundings.tls_name.is_some() {
        name.extend_from_slice(BEHIND_TLS.as_bytes());
        let secure = proxy.binds.iter().find(|bind| bind.tls.as_ref().is_some_and(|tls| tls.enabled));
        tls = secure.ok_or("the frontend has no listener with TLS")?.tls.clone();
    }
    let mut bind = Bind::new(Address::Abstract(name), proxy.span);
    bind.proxy = Some(proxy.id);
    bind.id = 1;
    bind.accept_proxy = true;
    // Ours is a local socket: who the client is comes with the header, and connection rules are to know.
    bind.header_before_rules = true;
    bind.tls = tls;
    Ok(bind)
}

/// What the name of the frontend's listener ends with when a client of TLS stands before it.
const BEHIND_TLS: &str = "-tls";

/// A proxy that speaks TLS in the client's place, and passes on who the client is.
fn tls_client(index: usize, name: &str, surroundings: &Surroundings) -> Result<Proxy, String> {
    let front = String::from_utf8_lossy(&surroundings.listener);
    let text = format!(
        "listen hawser-tls\n mode tcp\n timeout connect 2s\n timeout client 10s\n timeout server 10s\n \
         bind abns@{front} accept-proxy\n server s abns@{front}{BEHIND_TLS} ssl verify none sni str({name}) send-proxy\n"
    );
    let loaded = load_text(&LoadOptions::new(Vec::new()), "tls.cfg", &text);
    let Some(mut proxy) = loaded.model.and_then(|mut model| model.proxies.pop()) else {
        return Err(diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert));
    };
    let id = rules::ProxyId(u32::try_from(index).map_err(|error| error.to_string())?);
    proxy.id = id;
    proxy.binds.iter_mut().for_each(|bind| bind.proxy = Some(id));
    // Of the whole program's numbers it takes one that nobody has.
    proxy.uuid = u32::MAX;
    Ok(proxy)
}

fn log_target(surroundings: &Surroundings) -> LogTarget {
    let address = Address::Inet { ip: surroundings.log.ip(), port: surroundings.log.port() };
    LogTarget {
        address: LogTargetAddress::Datagram(address),
        max_length: LINE_LENGTH_MAX,
        format: LogFormatKind::Raw,
        sample: None,
        facility: 16,
        max_level: 7,
        min_level: 0,
    }
}

fn log_format(mode: Mode, count: usize) -> Result<rules::LogFormat, String> {
    let (mode, status) = if mode == Mode::Http { ("http", "%ST") } else { ("tcp", "-") };
    let mut format = format!("%f{SEPARATOR}%b{SEPARATOR}%s{SEPARATOR}{status}{SEPARATOR}%tsc");
    if mode == "tcp" {
        format = format.replace("%tsc", "%ts");
    }
    for number in 0..count {
        format.push_str(&format!("{SEPARATOR}%[var(sess.hawser_{number})]"));
    }
    let text = format!("frontend watch\n mode {mode}\n timeout client 1s\n log-format \"{format}\"\n");
    let loaded = load_text(&LoadOptions::new(Vec::new()), "watch.cfg", &text);
    let proxy = loaded.model.and_then(|mut model| model.proxies.pop());
    proxy.and_then(|proxy| proxy.log_format).ok_or_else(|| "no log-format to take".to_owned())
}

/// What the whole program does beside serving.
fn calm(model: &mut Model) {
    let global = &mut model.global;
    global.stats_sockets.clear();
    global.log_targets.clear();
    global.cpu_maps.clear();
    global.nbproc = None;
    global.nbthread = Some(1);
    global.daemon = false;
    global.master_worker = false;
    global.server_state_file = None;
    model.peers.clear();
    model.mailers.clear();
    model.programs.clear();
    model.log_forwards.clear();
    model.rings.iter_mut().for_each(|ring| ring.servers.clear());
}
