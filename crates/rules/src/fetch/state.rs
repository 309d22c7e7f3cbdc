//! Live numbers of frontends, backends and servers.

use super::{Fetch, Fetched, INTERNAL};
use crate::args::{Arg, Arguments, Param};
use crate::scope::{BackendNumber, FrontendNumber, Scope, ServerNumber};
use crate::value::{Value, ValueType};

const BACKEND: &[Param] = &[Param::Backend];
const FRONTEND: &[Param] = &[Param::Frontend];
const SERVER: &[Param] = &[Param::Server];

const fn number(name: &'static str, eval: super::Eval, doc: &'static str) -> Fetch {
    Fetch::new(name, ValueType::Int, INTERNAL, eval, doc)
}

pub(super) const ROWS: &[Fetch] = &[
    number("nbsrv", nbsrv, "Usable servers of a backend.").takes(BACKEND, 1),
    number("be_conn", be_conn, "Connections of a backend.").takes(BACKEND, 1),
    number("be_conn_free", be_conn_free, "Free connections over a backend's servers, or -1.")
        .takes(BACKEND, 1),
    number("be_sess_rate", be_sess_rate, "New sessions per second of a backend.").takes(BACKEND, 1),
    number("connslots", connslots, "Free connections and queue slots of a backend, or -1.").takes(BACKEND, 1),
    number("queue", queue, "Requests queued in a backend and its servers.").takes(BACKEND, 1),
    number("avg_queue", avg_queue, "Requests queued per usable server.").takes(BACKEND, 1),
    number("fe_conn", fe_conn, "Connections of a frontend.").takes(FRONTEND, 1),
    number("fe_req_rate", fe_req_rate, "Requests per second of a frontend.").takes(FRONTEND, 1),
    number("fe_sess_rate", fe_sess_rate, "New sessions per second of a frontend.").takes(FRONTEND, 1),
    number("srv_conn", srv_conn, "Connections of a server.").takes(SERVER, 1),
    number("srv_conn_free", srv_conn_free, "Free connections of a server, or -1.").takes(SERVER, 1),
    number("srv_queue", srv_queue, "Requests queued for a server.").takes(SERVER, 1),
    number("srv_sess_rate", srv_sess_rate, "New sessions per second of a server.").takes(SERVER, 1),
    number("srv_weight", srv_weight, "Effective weight of a server.").takes(SERVER, 1),
    number("srv_iweight", srv_iweight, "Initial weight of a server.").takes(SERVER, 1),
    number("srv_uweight", srv_uweight, "Weight of a server as the user set it.").takes(SERVER, 1),
    Fetch::new("srv_is_up", ValueType::Bool, INTERNAL, srv_is_up, "Whether a server is up.").takes(SERVER, 1),
    number("prio_class", prio_class, "Priority class in the queue."),
    number("prio_offset", prio_offset, "Priority offset in the queue, in ms."),
    Fetch::new("last_rule_file", ValueType::Str, INTERNAL, last_rule_file, "File of the last final rule."),
    number("last_rule_line", last_rule_line, "Line of the last final rule."),
];

fn backend<'a>(args: &'a [Arg], scope: &Scope<'a>, which: BackendNumber) -> Fetched<'a> {
    Fetched::of(args.proxy(0).map(|id| Value::Int(scope.host.backend(id, which))))
}

fn frontend<'a>(args: &'a [Arg], scope: &Scope<'a>, which: FrontendNumber) -> Fetched<'a> {
    Fetched::of(args.proxy(0).map(|id| Value::Int(scope.host.frontend(id, which))))
}

fn server<'a>(args: &'a [Arg], scope: &Scope<'a>, which: ServerNumber) -> Fetched<'a> {
    match args.first() {
        Some(Arg::Server(id)) => Fetched::int(scope.host.server(*id, which)),
        Some(_) | None => Fetched::Missing,
    }
}

fn nbsrv<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    backend(args, scope, BackendNumber::UsableServers)
}

fn be_conn<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    backend(args, scope, BackendNumber::Connections)
}

fn be_conn_free<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    backend(args, scope, BackendNumber::FreeConnections)
}

fn be_sess_rate<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    backend(args, scope, BackendNumber::SessionRate)
}

fn connslots<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    backend(args, scope, BackendNumber::FreeSlots)
}

fn queue<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    backend(args, scope, BackendNumber::Queued)
}

/// Rounded up; without a usable server twice the queue, as the next one to come back will have to serve it all.
fn avg_queue<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let Some(id) = args.proxy(0) else { return Fetched::Missing };
    let queued = scope.host.backend(id, BackendNumber::Queued);
    let usable = scope.host.backend(id, BackendNumber::UsableServers);
    Fetched::int(if usable > 0 { (queued + usable - 1) / usable } else { queued * 2 })
}

fn fe_conn<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    frontend(args, scope, FrontendNumber::Connections)
}

fn fe_req_rate<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    frontend(args, scope, FrontendNumber::RequestRate)
}

fn fe_sess_rate<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    frontend(args, scope, FrontendNumber::SessionRate)
}

fn srv_conn<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::Connections)
}

fn srv_conn_free<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::FreeConnections)
}

fn srv_queue<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::Queued)
}

fn srv_sess_rate<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::SessionRate)
}

fn srv_weight<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::Weight)
}

fn srv_iweight<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::InitialWeight)
}

fn srv_uweight<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    server(args, scope, ServerNumber::UserWeight)
}

fn srv_is_up<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match args.first() {
        Some(Arg::Server(id)) => Fetched::bool(scope.host.server_is_up(*id)),
        Some(_) | None => Fetched::Missing,
    }
}

fn prio_class<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(i64::from(scope.stream.priority_class))
}

fn prio_offset<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(i64::from(scope.stream.priority_offset))
}

fn last_rule_file<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.last_rule.as_ref().map(|rule| Value::str(rule.file.as_bytes())))
}

fn last_rule_line<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.last_rule.as_ref().map(|rule| Value::Int(i64::from(rule.line))))
}
