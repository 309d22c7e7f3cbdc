//! How connections and responses fare: errors, what the kernel measures, compression, caching.

use super::{CLIENT, Fetch, Fetched, SERVER, SERVER_CONNECTION};
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::context::ParseContext;
use crate::scope::{ConnectionError, Scope, TcpNumber};
use crate::value::{Value, ValueType};

const fn segments(name: &'static str, eval: super::Eval, doc: &'static str) -> Fetch {
    Fetch::new(name, ValueType::Int, CLIENT, eval, doc).takes(&[Param::Str], 0)
}

const fn time(name: &'static str, eval: super::Eval, doc: &'static str) -> Fetch {
    segments(name, eval, doc).check(check_unit)
}

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new(
        "fc_err",
        ValueType::Int,
        CLIENT,
        fc_err,
        "Why the client's connection failed; 0: it did not.",
    ),
    Fetch::new("fc_err_str", ValueType::Str, CLIENT, fc_err_str, "The same in words."),
    Fetch::new(
        "bc_err",
        ValueType::Int,
        SERVER_CONNECTION,
        bc_err,
        "Why the server's connection failed, or 0.",
    ),
    Fetch::new("bc_err_str", ValueType::Str, SERVER_CONNECTION, bc_err_str, "The same in words."),
    Fetch::new("fc_pp_authority", ValueType::Str, CLIENT, authority, "The host name in a PROXY header."),
    Fetch::new("fc_pp_unique_id", ValueType::Str, CLIENT, unique_id, "The unique id in a PROXY header."),
    time("fc_rtt", rtt, "Round-trip time to the client, in ms or us."),
    time("fc_rttvar", rttvar, "Its variance."),
    segments("fc_unacked", unacked, "Segments that the client has not acknowledged."),
    segments("fc_sacked", sacked, "Segments acknowledged selectively."),
    segments("fc_retrans", retrans, "Segments being sent again."),
    segments("fc_fackets", fackets, "Segments acknowledged forward."),
    segments("fc_lost", lost, "Segments lost."),
    segments("fc_reordering", reordering, "Degree of reordering."),
    Fetch::new(
        "res.comp",
        ValueType::Bool,
        SERVER_CONNECTION,
        compressed,
        "Whether we compress the response.",
    ),
    Fetch::new("res.comp_algo", ValueType::Str, SERVER_CONNECTION, algorithm, "By which algorithm."),
    Fetch::new(
        "res.cache_hit",
        ValueType::Bool,
        SERVER,
        cache_hit,
        "Whether the response comes from a cache.",
    ),
    Fetch::new("res.cache_name", ValueType::Str, SERVER, cache_name, "From which."),
];

fn code<'a>(error: ConnectionError) -> Fetched<'a> {
    Fetched::int(i64::from(error.code))
}

fn text<'a>(error: ConnectionError) -> Fetched<'a> {
    Fetched::Ready(Value::str(error.text.as_bytes()))
}

fn fc_err<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    code(scope.stream.client_error)
}

fn fc_err_str<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    text(scope.stream.client_error)
}

/// What a connection to a server says, where there is one: not before, and not when it was refused.
fn of_server_connection<'a>(scope: &Scope<'a>, read: impl FnOnce() -> Fetched<'a>) -> Fetched<'a> {
    let is_there = scope.stream.server_tls.is_some() || scope.stream.times.connected.is_some();
    if is_there { read() } else { Fetched::Missing }
}

fn bc_err<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_server_connection(scope, || code(scope.stream.server_error))
}

fn bc_err_str<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_server_connection(scope, || text(scope.stream.server_error))
}

fn authority<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let header = scope.stream.proxy_header.as_deref();
    Fetched::of(header.and_then(|header| header.authority.as_deref()).map(Value::str))
}

fn unique_id<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let header = scope.stream.proxy_header.as_deref();
    Fetched::of(header.and_then(|header| header.unique_id.as_deref()).map(Value::str))
}

fn check_unit(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match args.text(0) {
        None | Some(b"" | b"ms" | b"us") => Ok(()),
        Some(_) => Err("the unit must be ms or us".into()),
    }
}

fn number(scope: &Scope<'_>, which: TcpNumber) -> Option<i64> {
    scope.client?.tcp(which)
}

fn measured<'a>(scope: &Scope<'a>, which: TcpNumber) -> Fetched<'a> {
    Fetched::of(number(scope, which).map(Value::Int))
}

fn duration<'a>(args: &'a [Arg], scope: &Scope<'a>, which: TcpNumber) -> Fetched<'a> {
    let unit = if args.text(0) == Some(b"us") { 1 } else { 1000 };
    Fetched::of(number(scope, which).map(|time| Value::Int(time / unit)))
}

fn rtt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    duration(args, scope, TcpNumber::RoundTrip)
}

fn rttvar<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    duration(args, scope, TcpNumber::RoundTripVariance)
}

fn unacked<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    measured(scope, TcpNumber::Unacknowledged)
}

fn sacked<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    measured(scope, TcpNumber::Sacked)
}

fn retrans<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    measured(scope, TcpNumber::Retransmitted)
}

fn fackets<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    measured(scope, TcpNumber::ForwardAcknowledged)
}

fn lost<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    measured(scope, TcpNumber::Lost)
}

fn reordering<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    measured(scope, TcpNumber::Reordering)
}

fn compressed<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(scope.stream.compression.is_some())
}

fn algorithm<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.compression.map(|name| Value::str(name.as_bytes())))
}

fn cache_hit<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(scope.stream.cache.is_some())
}

fn cache_name<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.cache.as_deref().map(|name| Value::str(name.as_bytes())))
}
