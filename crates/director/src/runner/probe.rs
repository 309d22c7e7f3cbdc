//! Checks over sockets: connects as configured, carries an exchange out, closes.

use super::checker::{Failure, Found};
use super::secure::Secure;
use super::{is_datagram, random_u32};
use crate::check::{DnsExchange, Exchange, HttpExchange, Next, SmtpExchange, UdpExchange};
use keepalived_config::model::{Check, CheckKind, ConnectOptions, HttpUrl};
use pcre2::bytes::{Regex, RegexBuilder};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio_rustls::client::TlsStream;

const READ_LENGTH: usize = 16 * 1024;
const SMTP_PORT: u16 = 25;
/// How a mail server is greeted when the file says nothing.
pub const HELO_NAME: &str = "smtpchecker.keepalived.org";

/// Which URL of a check is next, and their patterns.
pub(super) struct Urls {
    next: usize,
    /// The one that was asked last.
    asked: usize,
    /// A server that failed has passed one URL; now all of them are asked.
    recovering: bool,
    patterns: Vec<Option<Regex>>,
}

impl Urls {
    pub fn new(kind: &CheckKind) -> Self {
        let patterns = match kind {
            CheckKind::Http { urls, .. } => urls.iter().map(pattern).collect(),
            CheckKind::Tcp
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Misc { .. }
            | CheckKind::Udp { .. }
            | CheckKind::Ping
            | CheckKind::File { .. }
            | CheckKind::Bfd { .. } => Vec::new(),
        };
        Self { next: 0, asked: 0, recovering: false, patterns }
    }

    /// A check has ended. The URL that failed is the next one asked, as by keepalived.
    pub fn restart(&mut self, passed: bool) {
        self.recovering = false;
        self.next = if passed { 0 } else { self.asked };
    }

    /// After the first success of a server that failed: true when its URLs are to be asked from the first one now.
    pub fn begin_recovery(&mut self, kind: &CheckKind) -> bool {
        let is_first = !std::mem::replace(&mut self.recovering, true);
        let has_urls = matches!(kind, CheckKind::Http { urls, .. } if !urls.is_empty());
        if is_first && has_urls {
            self.next = 0;
        }
        is_first && has_urls
    }

    /// What keepalived says of each URL while a server recovers.
    pub fn passed_lines(&self, kind: &CheckKind, server: &str) -> Vec<String> {
        let CheckKind::Http { urls, .. } = kind else { return Vec::new() };
        let Some(url) = urls.get(self.asked) else { return Vec::new() };
        let said = [
            (!url.status.is_empty(), "HTTP status code"),
            (url.digest.is_some(), "MD5 digest"),
            (url.regex.is_some(), "Regex match"),
        ];
        let said = said.iter().filter(|(is_said, _)| *is_said);
        said.map(|(_, what)| format!("{what} success to {server} url({})", url.path)).collect()
    }
}

/// The configuration has compiled the pattern before; one that does not compile any more matches nothing.
fn pattern(url: &HttpUrl) -> Option<Regex> {
    let has = |option: &str| url.regex_options.iter().any(|given| given == option);
    let mut builder = RegexBuilder::new();
    builder
        .caseless(has("caseless"))
        .dotall(has("dotall"))
        .extended(has("extended"))
        .multi_line(has("multiline"))
        .ucp(has("ucp"))
        .utf(has("utf"));
    url.regex.as_ref().and_then(|text| builder.build(text).ok())
}

/// Runs one check; of HTTP one URL.
pub(super) async fn check(
    server: SocketAddr,
    check: &Check,
    urls: &mut Urls,
    secure: Option<&Secure>,
) -> Found {
    let at = target(server, check);
    let host = at.to_string();
    let mut exchange = match &check.kind {
        CheckKind::Http { urls: list, protocol, .. } => {
            urls.asked = urls.next;
            let Some(url) = list.get(urls.next) else {
                // No URL: being connected is all.
                return carry_out(at, check, &mut Exchange::Tcp, secure).await;
            };
            let pattern = urls.patterns.get(urls.next).and_then(Option::as_ref);
            if url.regex.is_some() && pattern.is_none() {
                return Found::default();
            }
            Exchange::Http(Box::new(HttpExchange::new(url, *protocol, &host, pattern)))
        }
        CheckKind::Smtp { helo_name } => {
            Exchange::Smtp(SmtpExchange::new(helo_name.as_deref().unwrap_or(HELO_NAME)))
        }
        CheckKind::Dns { question, name } => {
            Exchange::Dns(DnsExchange::new(*question, name, (random_u32() >> 16) as u16))
        }
        CheckKind::Udp { payload, require_reply, reply_length } => {
            Exchange::Udp(UdpExchange::new(payload.as_deref(), require_reply.as_deref(), *reply_length))
        }
        CheckKind::Tcp
        | CheckKind::Misc { .. }
        | CheckKind::Ping
        | CheckKind::File { .. }
        | CheckKind::Bfd { .. } => Exchange::Tcp,
    };
    let mut found = carry_out(at, check, &mut exchange, secure).await;
    if let CheckKind::Http { urls: list, .. } = &check.kind
        && found.passed
    {
        urls.next += 1;
        found.is_part = urls.next < list.len();
    }
    found
}

/// Where a check of a real server connects to.
pub fn target(server: SocketAddr, check: &Check) -> SocketAddr {
    let port = match (&check.kind, server.port()) {
        (CheckKind::Smtp { .. }, 0) => SMTP_PORT,
        (_, port) => port,
    };
    SocketAddr::new(check.connect.address.unwrap_or(server.ip()), check.connect.port.unwrap_or(port))
}

async fn carry_out(
    at: SocketAddr,
    check: &Check,
    exchange: &mut Exchange<'_>,
    secure: Option<&Secure>,
) -> Found {
    match talk(at, check, exchange, secure).await {
        Ok(Next::Passed) => Found { passed: true, ..Found::default() },
        Ok(Next::Failed(fault)) => Found::failed(Failure::Fault(fault)),
        // Talks end with one of those two.
        Ok(Next::Send(_) | Next::Wait) => Found::default(),
        Err(failure) => Found::failed(failure),
    }
}

/// The time for the connection is that for the talk after it too.
async fn talk(
    at: SocketAddr,
    check: &Check,
    exchange: &mut Exchange<'_>,
    secure: Option<&Secure>,
) -> Result<Next, Failure> {
    let limit = check.timing.connect_timeout;
    let broken = |error: io::Error| Failure::Broken(error.raw_os_error());
    let connected = async {
        if is_datagram(&check.kind) {
            return Ok(None);
        }
        let stream = connect(at, &check.connect).await?;
        io::Result::Ok(Some(match secure {
            Some(secure) => Way::Secure(Box::new(secure.connect(stream).await?)),
            None => Way::Plain(stream),
        }))
    };
    let way = match tokio::time::timeout(limit, connected).await {
        Ok(Ok(way)) => way,
        Ok(Err(error)) => return Err(Failure::Connection(error.raw_os_error())),
        Err(_) => return Err(Failure::NotConnected),
    };
    let talked = async {
        match way {
            None => datagrams(at, &check.connect, exchange).await,
            Some(Way::Plain(stream)) => converse(stream, exchange).await,
            Some(Way::Secure(stream)) => converse(*stream, exchange).await,
        }
    };
    match tokio::time::timeout(limit, talked).await {
        Ok(result) => result.map_err(broken),
        Err(_) => Ok(exchange.timed_out()),
    }
}

/// What a talk goes over.
enum Way {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

async fn connect(at: SocketAddr, options: &ConnectOptions) -> io::Result<TcpStream> {
    let socket = socket(at, Type::STREAM, Protocol::TCP, options)?;
    TcpSocket::from_std_stream(socket.into()).connect(at).await
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    exchange: &mut Exchange<'_>,
) -> io::Result<Next> {
    let mut buffer = vec![0; READ_LENGTH];
    let mut next = exchange.connected();
    loop {
        match next {
            Next::Send(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                next = Next::Wait;
            }
            Next::Wait => {
                let length = match stream.read(&mut buffer).await {
                    // Servers that close without a word of TLS about it are many.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                    other => other?,
                };
                next = if length == 0 { exchange.ended() } else { exchange.received(&buffer[..length]) };
            }
            Next::Passed | Next::Failed(_) => return Ok(next),
        }
    }
}

async fn datagrams(
    at: SocketAddr,
    options: &ConnectOptions,
    exchange: &mut Exchange<'_>,
) -> io::Result<Next> {
    let socket = UdpSocket::from_std(socket(at, Type::DGRAM, Protocol::UDP, options)?.into())?;
    // Connected, so that a refusal comes back as an error.
    socket.connect(at).await?;
    let mut buffer = vec![0; READ_LENGTH];
    let mut next = exchange.connected();
    loop {
        match next {
            Next::Send(bytes) => {
                socket.send(&bytes).await?;
                next = Next::Wait;
            }
            Next::Wait => {
                let length = socket.recv(&mut buffer).await?;
                next = exchange.received(&buffer[..length]);
            }
            Next::Passed | Next::Failed(_) => return Ok(next),
        }
    }
}

fn socket(at: SocketAddr, kind: Type, protocol: Protocol, options: &ConnectOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if let Some(mark) = options.mark {
        socket.set_mark(mark)?;
    }
    if let Some(interface) = &options.bind_interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if options.bind_address.is_some() || options.bind_port.is_some() {
        let any: IpAddr =
            if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let address = options.bind_address.unwrap_or(any);
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(SocketAddr::new(address, options.bind_port.unwrap_or(0))))?;
    }
    Ok(socket)
}
