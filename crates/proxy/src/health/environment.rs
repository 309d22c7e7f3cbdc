//! Evaluates the formats and expressions of a recipe for one check of one server.

use crate::state::{Running, ServerState, State, Target};
use crate::worker::Shared;
use checks::{Environment, Seen, SetVariable, VariableValue};
use parking_lot::Mutex;
use rules::{
    Direction, Expr, LogContext, LogFormat, Scope, StreamFacts, Times, Value, ValueType, VariableName,
    Variables, WallTime, log_format::Zone,
};
use std::collections::BTreeMap;
use std::time::Instant;

/// Variables that one check may set.
const VARIABLES_MAX: usize = 256;

/// One check's view of the world.
pub(super) struct CheckEnvironment<'a> {
    state: &'a State,
    server: &'a ServerState,
    facts: StreamFacts,
    variables: CheckVariables,
    zone: &'a Zone,
    send_state: bool,
}

/// The variables of one check; gone with it.
#[derive(Default)]
struct CheckVariables(Mutex<BTreeMap<String, Value<'static>>>);

impl Variables for CheckVariables {
    fn get(&self, name: &VariableName) -> Option<Value<'static>> {
        self.0.lock().get(&key(name)).cloned()
    }

    fn set(&self, name: &VariableName, value: Value<'static>) -> bool {
        let mut map = self.0.lock();
        let has_room = map.len() < VARIABLES_MAX || map.contains_key(&key(name));
        if has_room {
            map.insert(key(name), value);
        }
        has_room
    }

    fn unset(&self, name: &VariableName) {
        self.0.lock().remove(&key(name));
    }
}

fn key(name: &VariableName) -> String {
    format!("{:?}.{}", name.scope, String::from_utf8_lossy(&name.name))
}

impl<'a> CheckEnvironment<'a> {
    pub(super) fn new(shared: &'a Shared, server: &'a ServerState, send_state: bool) -> CheckEnvironment<'a> {
        let state = &shared.state;
        let now = Instant::now();
        let times = started(now, state.clock.wall(now));
        let mut facts = StreamFacts::new(server.id.proxy, times);
        facts.backend = Some(server.id.proxy);
        facts.server = Some(server.id);
        CheckEnvironment {
            state,
            server,
            facts,
            variables: CheckVariables::default(),
            zone: &shared.logs.zone,
            send_state,
        }
    }

    fn scope<'s>(&'s self, seen: Seen<'s>) -> Scope<'s> {
        let now = Instant::now();
        Scope {
            client: None,
            direction: Direction::Response,
            stream: &self.facts,
            request: None,
            response: seen.response,
            payload: seen.payload,
            payload_final: true,
            host: self.state,
            variables: &self.variables,
            tracked: [&[]; 2],
            set_timeouts: Default::default(),
            now,
            wall: self.state.clock.wall(now),
        }
    }
}

impl Environment for CheckEnvironment<'_> {
    fn render(&mut self, format: &LogFormat, seen: Seen<'_>) -> Option<Vec<u8>> {
        let mut log = LogContext::new(self.zone.clone(), std::process::id());
        let mut out = Vec::new();
        format.write(&self.scope(seen), &mut log, &mut out);
        Some(out)
    }

    fn number(&mut self, expr: &Expr, seen: Seen<'_>) -> Option<i64> {
        // Codes stand in the payload as digits: for these even HAProxy reads bytes as text.
        let value = match expr.eval(&self.scope(seen))? {
            Value::Bin(bytes) => Value::Str(bytes),
            other => other,
        };
        match rules::cast(value, ValueType::Int)? {
            Value::Int(number) => Some(number),
            Value::Bool(_)
            | Value::Ip4(_)
            | Value::Ip6(_)
            | Value::Str(_)
            | Value::Bin(_)
            | Value::Method(_) => None,
        }
    }

    fn set_variable(&mut self, variable: &SetVariable, seen: Seen<'_>) {
        let value = match &variable.value {
            VariableValue::Expr(expr) => expr.eval(&self.scope(seen)).map(Value::into_owned),
            VariableValue::Format(format) => self.render(format, seen).map(|text| Value::Str(text.into())),
        };
        match value {
            Some(value) => {
                self.variables.set(&variable.name, value);
            }
            None => self.variables.unset(&variable.name),
        }
    }

    fn unset_variable(&mut self, name: &VariableName) {
        self.variables.unset(name);
    }

    fn server_state(&mut self) -> Option<String> {
        self.send_state.then(|| describe(self.state, self.server))
    }
}

/// The clock of a check that has only begun.
fn started(now: Instant, wall: WallTime) -> Times {
    Times {
        accept: now,
        accept_wall: wall,
        handshake_done: None,
        request_start: None,
        request_start_wall: wall,
        request_done: None,
        queue_done: None,
        connected: None,
        response_done: None,
        end: None,
    }
}

/// The value of `X-Haproxy-Server-State`.
fn describe(state: &State, server: &ServerState) -> String {
    let model = &state.model;
    let backend = state.backend(server.id.proxy);
    let counter = server.check.lock().counter();
    let word = match (server.running(), server.admin().is_drain()) {
        (Running::Stopped, _) if counter.health() == 0 => "DOWN".to_owned(),
        (Running::Stopped, _) => format!("DOWN {}/{}", counter.health(), counter.rise()),
        (Running::Stopping, _) | (_, true) => "NOLB".to_owned(),
        (Running::Starting | Running::Up, false) if counter.is_full() => "UP".to_owned(),
        (Running::Starting | Running::Up, false) => {
            let up = counter.to_string();
            format!("UP {}", up.trim_end_matches(" UP"))
        }
    };
    let (address, port) = match &*server.target.read() {
        Some(Target::Inet(address)) => (address.ip().to_string(), address.port().to_string()),
        Some(Target::Unix(_) | Target::Abstract(_)) => ("unix".to_owned(), "unix".to_owned()),
        None => ("none".to_owned(), "none".to_owned()),
    };
    let hostname = rules::Host::hostname(state);
    format!(
        "{word}; address={address}; port={port}; name={}/{}; node={}; weight={}/{}; scur={}/{}; qcur={}",
        model.proxies[server.id.proxy.index()].name,
        server.name(),
        model.global.node.as_deref().unwrap_or(hostname),
        server
            .effective_weight
            .load(std::sync::atomic::Ordering::Relaxed)
            .div_ceil(crate::state::WEIGHT_SCALE),
        backend.total_weight().div_ceil(u64::from(crate::state::WEIGHT_SCALE)),
        server.served.get(),
        backend.served.get(),
        server.queued.get(),
    )
}
