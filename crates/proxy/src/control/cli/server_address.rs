//! `set server … addr`, `check-port` and their like: where a server and its checks are reached.

use super::session::{Outcome, Reply, Session, word};
use crate::state::{ServerState, Target};
use haproxy_config::model::{Address, ServerPort};
use rules::ServerId;
use std::net::{IpAddr, SocketAddr};

/// Who changed it, as the reply and the log say.
const UPDATER: &str = " by 'stats socket command'";

/// `addr ADDRESS [port PORT]`.
pub fn set_address(session: &Session, id: ServerId, words: &[&str]) -> Outcome {
    let text = word(words, 0);
    if text.is_empty() {
        return Err(Reply::error("set server <b>/<s> addr requires an address and optionally a port.\n"));
    }
    let port = if word(words, 1) == "port" { Some(word(words, 2)) } else { None };
    let Ok(address) = text.parse::<IpAddr>() else {
        return Ok(Reply::warning(format!("Invalid addr '{text}'{UPDATER}\n")));
    };
    let server = session.state().server(id);
    let old = match &*server.target.read() {
        Some(Target::Inet(old)) => Some(*old),
        None | Some(Target::Unix(_) | Target::Abstract(_)) => None,
    };
    let Some(old) = old else {
        // As the original: an operator's word ends the wait for a name, whatever comes of it.
        session.shared().find_server_address(id, text);
        return Ok(Reply::warning(format!(
            "Update for the current server address family is only supported through configuration file{UPDATER}\n"
        )));
    };
    let mut new = SocketAddr::new(address, old.port());
    let mut told = if address == old.ip() {
        "no need to change the addr".to_owned()
    } else {
        format!("IP changed from '{}' to '{address}'", old.ip())
    };
    if let Some(port) = port {
        told.push_str(", ");
        told.push_str(&change_port(port, server.settings.port, &mut new));
    }
    if new != old {
        session.state().backend(id.proxy).move_server(server, Some(Target::Inet(new)));
        session.shared().close_idle(server);
        session.shared().find_server_address(id, text);
    }
    Ok(Reply::warning(format!("{told}{UPDATER}\n")))
}

// A port as `+N` or `-N` belongs to servers whose port follows the client's; the kind of a server's port is fixed.
fn change_port(text: &str, kind: ServerPort, address: &mut SocketAddr) -> String {
    let is_relative = text.starts_with(['+', '-']);
    let Ok(number) = text.parse::<i32>() else {
        return format!("problem converting port '{text}' to an int");
    };
    let ServerPort::Fixed = kind else {
        return "can't change a port that follows the client's".to_owned();
    };
    if is_relative {
        return "can't change <port> to port map because it is incompatible with current health check port \
                configuration (use 'port' statement from the 'server' directive."
            .to_owned();
    }
    let Some(port) = u16::try_from(number).ok().filter(|port| *port > 0) else {
        return "provided port is not valid".to_owned();
    };
    if port == address.port() {
        return "no need to change the port".to_owned();
    }
    let told = format!("port changed from '{}' to '{port}'", address.port());
    address.set_port(port);
    told
}

/// `fqdn NAME`: the resolver looks the name up, then moves the server.
pub fn set_fqdn(session: &Session, id: ServerId, name: &str) -> Outcome {
    if name.is_empty() {
        return Err(Reply::error("set server <b>/<s> fqdn requires a FQDN.\n"));
    }
    let server = session.state().server(id);
    if server.settings.resolvers.is_none() {
        return Err(Reply::error("set server <b>/<s> fqdn failed because no resolution is configured.\n"));
    }
    let old = host_name(server);
    if old.as_deref() == Some(name) {
        return Ok(Reply::warning(format!("no need to change the FDQN{UPDATER}\n")));
    }
    if !session.shared().resolve.rename(id, name) {
        return Err(Reply::error("the resolver is busy, try again.\n"));
    }
    let backend = &session.state().model.proxies[id.proxy.index()].name;
    let old = old.as_deref().unwrap_or("(null)");
    Ok(Reply::warning(format!(
        "{backend}/{} changed its FQDN from {old} to {name}{UPDATER}\n",
        server.name()
    )))
}

/// The host name of a server, set at run time or configured.
pub fn host_name(server: &ServerState) -> Option<String> {
    server.fqdn.read().clone().or_else(|| match &server.settings.address {
        Address::Host { name, .. } => Some(name.clone()),
        Address::Inet { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => None,
    })
}

/// `check-addr ADDRESS [port PORT]`.
pub fn set_check_address(session: &Session, id: ServerId, words: &[&str]) -> Outcome {
    if word(words, 0).is_empty() {
        return Err(Reply::error(
            "set server <b>/<s> check-addr requires an address and optionally a port.\n",
        ));
    }
    require_check(session, id)?;
    let (address, port) = address_and_port(words)?;
    let server = session.state().server(id);
    let mut view = server.check.lock();
    let overrides = &mut view.target;
    overrides.address = Some(address);
    overrides.port = port.or(overrides.port);
    Ok(Reply::Done)
}

pub fn set_check_port(session: &Session, id: ServerId, port: &str) -> Outcome {
    if port.is_empty() {
        return Err(Reply::error("set server <b>/<s> check-port requires a port.\n"));
    }
    require_check(session, id)?;
    let port = parse_port(port)?;
    session.state().server(id).check.lock().target.port = Some(port);
    Ok(Reply::Done)
}

fn require_check(session: &Session, id: ServerId) -> Result<(), Reply> {
    let configured = session.state().server(id).settings.check.is_some();
    configured.then_some(()).ok_or_else(|| Reply::error("health checks are not enabled on this server"))
}

/// `agent-addr ADDRESS [port PORT]`.
pub fn set_agent_address(session: &Session, id: ServerId, words: &[&str]) -> Outcome {
    if word(words, 0).is_empty() {
        return Err(Reply::error(
            "set server <b>/<s> agent-addr requires an address and optionally a port.\n",
        ));
    }
    require_agent(session, id)?;
    let (address, port) = address_and_port(words)?;
    let server = session.state().server(id);
    let mut view = server.agent.lock();
    let overrides = &mut view.target;
    overrides.address = Some(address);
    overrides.port = port.or(overrides.port);
    Ok(Reply::Done)
}

pub fn set_agent_port(session: &Session, id: ServerId, port: &str) -> Outcome {
    if port.is_empty() {
        return Err(Reply::error("set server <b>/<s> agent-port requires a port.\n"));
    }
    require_agent(session, id)?;
    let port = parse_port(port)?;
    session.state().server(id).agent.lock().target.port = Some(port);
    Ok(Reply::Done)
}

pub fn set_agent_send(session: &Session, id: ServerId, text: &str) -> Outcome {
    require_agent(session, id)?;
    session.state().server(id).agent.lock().target.request = Some(text.as_bytes().to_vec());
    Ok(Reply::Done)
}

fn require_agent(session: &Session, id: ServerId) -> Result<(), Reply> {
    let configured = session.state().server(id).settings.agent.is_some();
    configured.then_some(()).ok_or_else(|| Reply::error("agent checks are not enabled on this server"))
}

fn address_and_port(words: &[&str]) -> Result<(IpAddr, Option<u16>), Reply> {
    let text = word(words, 0);
    let address = text.parse().map_err(|_| Reply::error(format!("invalid addr '{text}'")))?;
    let port = if word(words, 1) == "port" { Some(parse_port(word(words, 2))?) } else { None };
    Ok((address, port))
}

fn parse_port(text: &str) -> Result<u16, Reply> {
    let number: i64 = text.parse().map_err(|_| Reply::error("provided port is not an integer"))?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| Reply::error("provided port is invalid"))
}
