//! What it costs to run a stream.

use super::{Fetch, Fetched, INTERNAL};
use crate::TaskCost;
use crate::args::Arg;
use crate::scope::Scope;
use crate::value::ValueType;

const fn number(name: &'static str, eval: super::Eval, doc: &'static str) -> Fetch {
    Fetch::new(name, ValueType::Int, INTERNAL, eval, doc).task_cost()
}

pub(super) const ROWS: &[Fetch] = &[
    number("cpu_calls", cpu_calls, "Calls of the stream's task."),
    number("cpu_ns_avg", cpu_ns_avg, "Nanoseconds in each call of the stream's task."),
    number("cpu_ns_tot", cpu_ns_tot, "Nanoseconds in all calls of the stream's task."),
    number("lat_ns_avg", lat_ns_avg, "Nanoseconds that each call of the stream's task waited."),
    number("lat_ns_tot", lat_ns_tot, "Nanoseconds that all calls of the stream's task waited."),
];

fn cost(scope: &Scope<'_>) -> TaskCost {
    scope.host.task_cost().since(scope.stream.task_before)
}

fn average(total: u64, calls: u64) -> i64 {
    total.checked_div(calls).unwrap_or(0) as i64
}

fn cpu_calls<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(cost(scope).calls as i64)
}

fn cpu_ns_avg<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let cost = cost(scope);
    Fetched::int(average(cost.cpu_ns, cost.calls))
}

fn cpu_ns_tot<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(cost(scope).cpu_ns as i64)
}

fn lat_ns_avg<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let cost = cost(scope);
    Fetched::int(average(cost.latency_ns, cost.calls))
}

fn lat_ns_tot<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(cost(scope).latency_ns as i64)
}
