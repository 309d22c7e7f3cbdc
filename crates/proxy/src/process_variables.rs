//! `set-var` and `set-var-fmt` of the `global` section: variables of the process that have a value before anything runs;
//! the runtime API sets them later by the same forms.

use crate::state::State;
use haproxy_config::model::ProcessValue;
use rules::log_format::{LogContext, Zone};
use rules::{
    Direction, NoVariables, ProxyId, Scope, StreamFacts, Times, Value, VariableName, Variables, WallTime,
};
use std::time::Instant;

/// Sets what the configuration says; an expression that gives nothing sets nothing.
pub fn set(state: &State) {
    for (name, value) in &state.model.global.process_variables {
        if let Some(value) = evaluate(state, value) {
            state.process.variables.set(&name.name, value);
        }
    }
}

/// The value of a constant expression, or of a format.
pub fn evaluate(state: &State, value: &ProcessValue) -> Option<Value<'static>> {
    let now = Instant::now();
    let wall = state.clock.wall(now);
    let facts = StreamFacts::new(ProxyId(0), times(now, wall));
    let scope = Scope {
        client: None,
        direction: Direction::Request,
        stream: &facts,
        request: None,
        response: None,
        payload: b"",
        payload_final: true,
        host: state,
        variables: &Earlier(state),
        tracked: [&[], &[]],
        set_timeouts: Default::default(),
        now,
        wall,
    };
    match value {
        ProcessValue::Expr(expression) => expression.eval(&scope).map(Value::into_owned),
        ProcessValue::Format(format) => {
            let mut context = LogContext::new(Zone::utc(), std::process::id());
            let mut text = Vec::new();
            format.write(&scope, &mut context, &mut text);
            Some(Value::Str(text.into()))
        }
    }
}

/// Lines may read what lines before them set.
struct Earlier<'a>(&'a State);

impl Variables for Earlier<'_> {
    fn get(&self, name: &VariableName) -> Option<Value<'static>> {
        match name.scope {
            rules::VariableScope::Process => self.0.process.variables.get(&name.name),
            _ => NoVariables.get(name),
        }
    }

    fn set(&self, name: &VariableName, value: Value<'static>) -> bool {
        NoVariables.set(name, value)
    }

    fn unset(&self, name: &VariableName) {
        NoVariables.unset(name);
    }
}

fn times(now: Instant, wall: WallTime) -> Times {
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
