//! `server`, `default-server` and `server-template` lines (configuration manual §5.2): the draft they fill in and
//! how it becomes a [`Server`]. The words themselves are in [`words`].

mod words;

pub(crate) use words::{KEYWORDS, parse_source};

use crate::address::{self, Port, Wanted};
use crate::keywords;
use crate::language::{SectionKind, Word};
use crate::model::{
    Address, AgentCheck, InitAddress, LogProtocol, OnError, Protocol, ResolveOptions, Server, ServerCheck,
    ServerPort, ServerTls, WebSocketProtocol,
};
use crate::names::template_range;
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use rules::{ProxyId, ServerId};
use std::time::Duration;

const ADDRESS: Wanted =
    Wanted { port_required: false, port_range: false, port_offset: true, datagram: false, stream: true };

/// A server while its line is read: what `default-server` says first, then its own words.
#[derive(Debug, Clone)]
pub(crate) struct ServerDraft {
    pub server: Server,
    pub check_enabled: bool,
    pub check: ServerCheck,
    pub agent_enabled: bool,
    pub agent_addr: Option<std::net::IpAddr>,
    pub agent_port: Option<u16>,
    pub agent_inter: Option<Duration>,
    pub agent_send: Option<Vec<u8>>,
    /// `track [backend/]server`, resolved once all sections are read.
    pub track: Option<Word>,
    /// The `ssl` word was seen; TLS settings are kept whether or not it was.
    pub tls_enabled: bool,
    pub tls: ServerTls,
    /// `resolvers` with its place.
    pub resolvers: Option<Word>,
    /// The backend it will belong to.
    pub proxy: ProxyId,
}

/// The server that stands for `dispatch` or `transparent`.
pub(crate) fn implied(span: diag::Span, proxy: ProxyId) -> Server {
    let mut server = ServerDraft::new(span, proxy).server;
    server.name = "<NOSRV>".to_owned();
    server.is_implied = true;
    server
}

impl ServerDraft {
    /// A server with every setting at its default.
    pub fn new(span: diag::Span, proxy: ProxyId) -> Self {
        ServerDraft {
            server: Server {
                name: String::new(),
                span,
                puid: 0,
                address: Address::Host { name: String::new(), port: 0 },
                port: ServerPort::Fixed,
                weight: 1,
                backup: false,
                disabled: false,
                maxconn: 0,
                minconn: 0,
                maxqueue: 0,
                cookie: None,
                redir: None,
                slowstart: None,
                track: None,
                check: None,
                agent: None,
                observe: None,
                error_limit: 10,
                on_error: OnError::FailCheck,
                on_marked_down_shutdown_sessions: false,
                on_marked_up_shutdown_backup_sessions: false,
                send_proxy: None,
                pool_max_conn: -1,
                pool_purge_delay: Duration::from_secs(5),
                max_reuse: None,
                source: None,
                init_addr: vec![InitAddress::Last, InitAddress::Libc],
                resolvers: None,
                resolve_prefer_ipv6: true,
                resolve_nets: Vec::new(),
                resolve_opts: ResolveOptions::default(),
                tcp_user_timeout_ms: None,
                tfo: false,
                mss: None,
                namespace: None,
                socks4: None,
                is_implied: false,
                log_protocol: LogProtocol::default(),
                non_stick: false,
                protocol: Protocol::Negotiated,
                websocket: WebSocketProtocol::Auto,
                tls: None,
                tls_checks_only: false,
            },
            check_enabled: false,
            check: ServerCheck {
                addr: None,
                port: None,
                inter: Duration::from_secs(2),
                fastinter: None,
                downinter: None,
                rise: 2,
                fall: 3,
                send_proxy: false,
                via_socks4: false,
                tls: false,
                sni: None,
                alpn: None,
                proto: None,
            },
            agent_enabled: false,
            agent_addr: None,
            agent_port: None,
            agent_inter: None,
            agent_send: None,
            track: None,
            tls_enabled: false,
            tls: ServerTls::default(),
            resolvers: None,
            proxy,
        }
    }

    /// Folds the settings that belong together and gives the server.
    fn finish(mut self, span: diag::Span) -> Outcome<Server> {
        let server = &mut self.server;
        // As in HAProxy: a minconn alone, or one above maxconn, is the limit; a maxconn alone is fixed.
        if server.minconn > server.maxconn {
            server.maxconn = server.minconn;
        } else if server.maxconn > 0 && server.minconn == 0 {
            server.minconn = server.maxconn;
        }
        if self.check_enabled {
            server.check = Some(self.check.clone());
        }
        if self.agent_enabled {
            let Some(port) = self.agent_port else {
                return fail_with_help(
                    span,
                    format!("server `{}` has `agent-check` but no agent port", server.name),
                    "add `agent-port NUMBER`",
                );
            };
            server.agent = Some(AgentCheck {
                addr: self.agent_addr,
                port,
                inter: self.agent_inter.unwrap_or(self.check.inter),
                send: self.agent_send.clone(),
            });
        }
        // `check-ssl` speaks TLS in checks alone, with the same settings.
        if self.tls_enabled || server.check.as_ref().is_some_and(|check| check.tls) {
            server.tls_checks_only = !self.tls_enabled;
            server.tls = Some(Box::new(self.tls.clone()));
        }
        server.resolvers = self.resolvers.as_ref().map(|word| word.value.clone());
        Ok(self.server)
    }
}

/// A finished server and what must wait for the other sections.
pub(crate) struct ParsedServer {
    pub server: Server,
    pub track: Option<Word>,
}

/// `default-server …`: changes what later servers of the section start from.
pub(crate) fn parse_default(
    draft: &mut ServerDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    if let Some(id) = arguments.line().words.iter().find(|word| word.value == "id") {
        return fail(id.span, "`id` names one server and cannot be a default");
    }
    keywords::parse_words(KEYWORDS, "on a `default-server` line", draft, arguments, context)
}

/// `server NAME ADDRESS …`.
pub(crate) fn parse_server(
    default: &ServerDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<ParsedServer> {
    let name = arguments.expect("a server name")?;
    check_name(name)?;
    let address = arguments.expect("an address, such as 10.0.0.1:80")?;
    let mut draft = default.clone();
    draft.server.name = name.value.clone();
    draft.server.span = arguments.span();
    set_address(&mut draft.server, address, context)?;
    words_of_server(&mut draft, arguments, context)?;
    check_resolvers(&draft, context)?;
    let track = draft.track.clone();
    Ok(ParsedServer { server: draft.finish(arguments.span())?, track })
}

/// The words behind a name and an address, of a line that is no server's but takes the same ones.
pub(crate) fn parse_settings(
    default: &ServerDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<Server> {
    let mut draft = default.clone();
    words_of_server(&mut draft, arguments, context)?;
    draft.finish(arguments.span())
}

fn check_resolvers(draft: &ServerDraft, context: &Context<'_>) -> Outcome {
    let Some(word) = &draft.resolvers else { return Ok(()) };
    match context.names.other(SectionKind::Resolvers, &word.value) {
        Some(_) => Ok(()),
        // HAProxy makes this one by itself, from /etc/resolv.conf.
        None if word.value == "default" => Ok(()),
        None => fail(word.span, format!("there is no resolvers section `{}`", word.value)),
    }
}

/// `server-template PREFIX COUNT|RANGE NAME[:PORT] …`: one server for each number.
pub(crate) fn parse_template(
    default: &ServerDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<Vec<ParsedServer>> {
    let prefix = arguments.expect("a name that numbers are added to")?;
    check_name(prefix)?;
    let range = arguments.expect("a number of servers, or a range such as 1-10")?;
    let Some((low, high)) = template_range(&range.value) else {
        return fail(
            range.span,
            format!("`{}` is not a number of servers or a range such as 1-10", range.value),
        );
    };
    let address = arguments.expect("a host name")?;
    let mut draft = default.clone();
    draft.server.span = arguments.span();
    set_address(&mut draft.server, address, context)?;
    words_of_server(&mut draft, arguments, context)?;
    check_resolvers(&draft, context)?;
    let first_id = draft.server.puid;
    let mut servers = Vec::new();
    for number in low..=high {
        let mut draft = draft.clone();
        draft.server.name = format!("{}{number}", prefix.value);
        if first_id > 0 {
            draft.server.puid = first_id + (number - low);
        }
        let track = draft.track.clone();
        servers.push(ParsedServer { server: draft.finish(arguments.span())?, track });
    }
    Ok(servers)
}

fn words_of_server(
    draft: &mut ServerDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    keywords::parse_words(KEYWORDS, "on a `server` line", draft, arguments, context).map_err(|mut error| {
        // Two words of other lines that readers of old tutorials write here.
        if error.message.starts_with("unknown keyword `redirect`") {
            error.help =
                Some("did you mean `redir`? It takes the prefix alone: redir http://host".to_owned());
        } else if error.message.starts_with("unknown keyword `backlog`") {
            error.help = Some("did you mean `maxqueue`? `backlog` belongs to `bind` lines".to_owned());
        }
        error
    })
}

fn check_name(name: &Word) -> Outcome {
    match invalid_character(&name.value) {
        None => Ok(()),
        Some(character) => {
            fail(name.span, format!("character `{character}` is not permitted in the name of a server"))
        }
    }
}

/// The first character that names of proxies and servers must not have.
pub(crate) fn invalid_character(name: &str) -> Option<char> {
    name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')))
}

fn set_address(server: &mut Server, word: &Word, context: &Context<'_>) -> Outcome {
    let endpoint = address::endpoint(word, context.environment, ADDRESS)?;
    server.port = match (&endpoint.address, endpoint.port) {
        (Address::Unix(_) | Address::Abstract(_) | Address::Fd(_), _) => ServerPort::Fixed,
        (_, Port::None) => ServerPort::Relative(0),
        (_, Port::Offset(offset)) => ServerPort::Relative(offset),
        (_, Port::Fixed(_) | Port::Range(..)) => ServerPort::Fixed,
    };
    server.address = endpoint.address;
    Ok(())
}

/// Resolves `track [backend/]server` seen in `proxy`.
pub(crate) fn resolve_track(word: &Word, proxy: ProxyId, context: &Context<'_>) -> Outcome<ServerId> {
    let (backend, name) = match word.value.split_once('/') {
        Some((backend, name)) => match context.names.backend(backend) {
            Some(backend) => (backend, name),
            None => return fail(word.span, format!("`track` names the unknown backend `{backend}`")),
        },
        None => (proxy, word.value.as_str()),
    };
    match context.names.server(backend, name) {
        Some(server) => Ok(server),
        None => {
            let backend = &context.names.proxies[backend.index()];
            let near = diag::nearest(name, backend.servers.keys().map(String::as_str));
            let message = format!("backend `{}` has no server `{name}` to track", backend.name);
            match near {
                Some(near) => fail_with_help(word.span, message, format!("did you mean `{near}`?")),
                None => fail(word.span, message),
            }
        }
    }
}
