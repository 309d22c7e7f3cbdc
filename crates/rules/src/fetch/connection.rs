//! Both connections: addresses, ports, names of the proxies they run through.

use super::{BACKEND, CLIENT, FRONTEND, Fetch, Fetched, SERVER, SERVER_CONNECTION};
use crate::args::Arg;
use crate::scope::{Peer, Scope, StreamTimeout};
use crate::value::{Value, ValueType};
use std::time::Duration;

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("src", ValueType::Ip4, CLIENT, src, "The client's address."),
    Fetch::new("src_port", ValueType::Int, CLIENT, src_port, "The client's port."),
    Fetch::new("src_is_local", ValueType::Bool, CLIENT, src_is_local, "Whether the client is this machine."),
    Fetch::new("dst", ValueType::Ip4, CLIENT, dst, "The address the client connected to."),
    Fetch::new("dst_port", ValueType::Int, CLIENT, dst_port, "The port the client connected to."),
    Fetch::new(
        "dst_is_local",
        ValueType::Bool,
        CLIENT,
        dst_is_local,
        "Whether that address is this machine's.",
    ),
    Fetch::new("fc_src", ValueType::Ip4, CLIENT, fc_src, "The client's address of the connection itself."),
    Fetch::new(
        "fc_src_port",
        ValueType::Int,
        CLIENT,
        fc_src_port,
        "The client's port of the connection itself.",
    ),
    Fetch::new(
        "fc_src_is_local",
        ValueType::Bool,
        CLIENT,
        fc_src_is_local,
        "Whether that address is this machine's.",
    ),
    Fetch::new("fc_dst", ValueType::Ip4, CLIENT, fc_dst, "The listening address of the connection itself."),
    Fetch::new(
        "fc_dst_port",
        ValueType::Int,
        CLIENT,
        fc_dst_port,
        "The listening port of the connection itself.",
    ),
    Fetch::new(
        "fc_dst_is_local",
        ValueType::Bool,
        CLIENT,
        fc_dst_is_local,
        "Whether that address is this machine's.",
    ),
    Fetch::new("dst_conn", ValueType::Int, FRONTEND, dst_conn, "Connections on this listener."),
    Fetch::new("bc_src", ValueType::Ip4, SERVER_CONNECTION, bc_src, "Our address towards the server."),
    Fetch::new("bc_src_port", ValueType::Int, SERVER_CONNECTION, bc_src_port, "Our port towards the server."),
    Fetch::new("bc_dst", ValueType::Ip4, SERVER_CONNECTION, bc_dst, "The server's address."),
    Fetch::new("bc_dst_port", ValueType::Int, SERVER_CONNECTION, bc_dst_port, "The server's port."),
    Fetch::new("fc_rcvd_proxy", ValueType::Bool, CLIENT, fc_rcvd_proxy, "A PROXY header came."),
    Fetch::new("fe_id", ValueType::Int, FRONTEND, fe_id, "The frontend's id."),
    Fetch::new("fe_name", ValueType::Str, FRONTEND, fe_name, "The frontend's name."),
    Fetch::new("fe_defbe", ValueType::Str, FRONTEND, fe_defbe, "The name of its default backend."),
    Fetch::new("fe_client_timeout", ValueType::Int, FRONTEND, fe_client_timeout, "Client timeout in ms."),
    Fetch::new("so_id", ValueType::Int, FRONTEND, so_id, "The listener's id."),
    Fetch::new("so_name", ValueType::Str, FRONTEND, so_name, "The listener's name."),
    Fetch::new("be_id", ValueType::Int, BACKEND, be_id, "The backend's id."),
    Fetch::new("be_name", ValueType::Str, BACKEND, be_name, "The backend's name."),
    Fetch::new("be_server_timeout", ValueType::Int, BACKEND, be_server_timeout, "Server timeout in ms."),
    Fetch::new("be_tunnel_timeout", ValueType::Int, BACKEND, be_tunnel_timeout, "Tunnel timeout in ms."),
    Fetch::new(
        "cur_server_timeout",
        ValueType::Int,
        BACKEND,
        cur_server_timeout,
        "Server timeout now, in ms.",
    ),
    Fetch::new(
        "cur_tunnel_timeout",
        ValueType::Int,
        BACKEND,
        cur_tunnel_timeout,
        "Tunnel timeout now, in ms.",
    ),
    Fetch::new("srv_id", ValueType::Int, SERVER, srv_id, "The chosen server's id."),
    Fetch::new("srv_name", ValueType::Str, SERVER, srv_name, "The chosen server's name."),
];

fn address<'a>(peer: Option<Peer>) -> Fetched<'a> {
    match peer {
        Some(Peer::Inet(socket)) => Fetched::Ready(Value::ip(socket.ip())),
        Some(Peer::Unix) | None => Fetched::Missing,
    }
}

fn port<'a>(peer: Option<Peer>) -> Fetched<'a> {
    match peer {
        Some(Peer::Inet(socket)) => Fetched::int(i64::from(socket.port())),
        Some(Peer::Unix) | None => Fetched::Missing,
    }
}

fn is_local<'a>(peer: Option<Peer>, scope: &Scope<'a>) -> Fetched<'a> {
    match peer {
        Some(Peer::Inet(socket)) => Fetched::bool(scope.host.is_local(socket.ip())),
        Some(Peer::Unix) | None => Fetched::Missing,
    }
}

fn src<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    address(scope.stream.src)
}

fn src_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    port(scope.stream.src)
}

fn src_is_local<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    is_local(scope.stream.src, scope)
}

fn dst<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    address(scope.stream.dst)
}

fn dst_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    port(scope.stream.dst)
}

fn dst_is_local<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    is_local(scope.stream.dst, scope)
}

/// An end of the client's connection as the system knows it; without a socket, what else is known.
fn connection(scope: &Scope<'_>, ours: bool) -> Option<Peer> {
    match scope.client {
        Some(socket) => Some(socket.address(ours).map_or(Peer::Unix, Peer::Inet)),
        None if ours => scope.stream.dst,
        None => scope.stream.src,
    }
}

fn fc_src<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    address(connection(scope, false))
}

fn fc_src_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    port(connection(scope, false))
}

fn fc_src_is_local<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    is_local(connection(scope, false), scope)
}

fn fc_dst<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    address(connection(scope, true))
}

fn fc_dst_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    port(connection(scope, true))
}

fn fc_dst_is_local<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    is_local(connection(scope, true), scope)
}

fn dst_conn<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(i64::from(scope.host.listener_connections(scope.stream.frontend, scope.stream.listener)))
}

fn bc_src<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    address(scope.stream.server_src)
}

fn bc_src_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    port(scope.stream.server_src)
}

fn bc_dst<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    address(scope.stream.server_dst)
}

fn bc_dst_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    port(scope.stream.server_dst)
}

fn fc_rcvd_proxy<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(scope.stream.proxy_header.is_some())
}

fn fe_id<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(i64::from(scope.host.proxy_number(scope.stream.frontend)))
}

fn fe_name<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::Ready(Value::str(scope.host.proxy_name(scope.stream.frontend).as_bytes()))
}

fn fe_defbe<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let backend = scope.host.default_backend(scope.stream.frontend);
    Fetched::of(backend.map(|id| Value::str(scope.host.proxy_name(id).as_bytes())))
}

fn timeout<'a>(scope: &Scope<'a>, which: StreamTimeout) -> Fetched<'a> {
    let limit = scope.host.timeout(scope.stream, which);
    Fetched::int(limit.map_or(0, |limit| limit.as_millis() as i64))
}

/// The timeout in force: nothing set, there is none before a server was reached.
fn current<'a>(scope: &Scope<'a>, set: Option<Duration>, which: StreamTimeout) -> Fetched<'a> {
    match set {
        Some(set) => Fetched::int(set.as_millis() as i64),
        None if scope.stream.server_src.is_none_or(is_nowhere) => Fetched::int(0),
        None => timeout(scope, which),
    }
}

/// No address of ours yet: the connection was never made.
fn is_nowhere(ours: Peer) -> bool {
    matches!(ours, Peer::Inet(address) if address.port() == 0)
}

fn fe_client_timeout<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    timeout(scope, StreamTimeout::Client)
}

fn be_server_timeout<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    timeout(scope, StreamTimeout::Server)
}

fn be_tunnel_timeout<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    timeout(scope, StreamTimeout::Tunnel)
}

fn cur_server_timeout<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    current(scope, scope.set_timeouts.server, StreamTimeout::Server)
}

fn cur_tunnel_timeout<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    current(scope, scope.set_timeouts.tunnel, StreamTimeout::Tunnel)
}

fn so_id<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let (_, id) = scope.host.listener(scope.stream.frontend, scope.stream.listener);
    Fetched::int(i64::from(id))
}

fn so_name<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let (name, _) = scope.host.listener(scope.stream.frontend, scope.stream.listener);
    Fetched::of(name.map(|name| Value::str(name.as_bytes())))
}

fn be_id<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.backend.map(|id| Value::Int(i64::from(scope.host.proxy_number(id)))))
}

fn be_name<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.backend.map(|id| Value::str(scope.host.proxy_name(id).as_bytes())))
}

fn srv_id<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.server.map(|id| Value::Int(i64::from(scope.host.server_number(id)))))
}

fn srv_name<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.server.map(|id| Value::str(scope.host.server_name(id).as_bytes())))
}
