//! Variables: where the values of `txn.user` and its like live, and what they may cost. Owns scopes and bounds; names
//! are parsed elsewhere.
//!
//! A stream has few variables, all named in the configuration, so a set is a short list that is searched from the
//! front; an empty set holds no memory.

use crate::scope::Variables;
use crate::{Value, VariableName, VariableScope};
use parking_lot::RwLock;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a variable counts beside its bytes.
const VARIABLE_COST: usize = 64;
/// Bound of a scope whose `tune.vars.*-max-size` is 0, "unlimited": a set never takes more than that, in bytes.
const SCOPE_SIZE_MAX: usize = 16 << 20;

/// `tune.vars.*-max-size`, in bytes; 0: unlimited. What a scope holds counts for the wider ones as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VariableLimits {
    pub process: usize,
    pub session: usize,
    pub transaction: usize,
    pub request_response: usize,
    pub check: usize,
}

fn cost(value: &Value<'_>) -> usize {
    VARIABLE_COST
        + match value {
            Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => bytes.len(),
            Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => 0,
        }
}

fn bound(limit: usize) -> usize {
    if limit == 0 { SCOPE_SIZE_MAX } else { limit.min(SCOPE_SIZE_MAX) }
}

/// The variables of one scope.
#[derive(Debug, Default)]
pub struct VariableSet {
    values: RefCell<Vec<(Box<[u8]>, Value<'static>)>>,
    size: Cell<usize>,
}

impl VariableSet {
    fn get(&self, name: &[u8]) -> Option<Value<'static>> {
        self.values.borrow().iter().find(|(known, _)| **known == *name).map(|(_, value)| value.clone())
    }

    /// What would be added to the size by setting `name`; negative when it shrinks.
    fn growth(&self, name: &[u8], value: &Value<'_>) -> isize {
        let values = self.values.borrow();
        let old = values.iter().find(|(known, _)| **known == *name).map_or(0, |(_, old)| cost(old));
        cost(value) as isize - old as isize
    }

    fn set(&self, name: &[u8], value: Value<'static>) {
        let growth = self.growth(name, &value);
        self.size.set(self.size.get().saturating_add_signed(growth));
        let mut values = self.values.borrow_mut();
        match values.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, place)) => *place = value,
            None => values.push((name.into(), value)),
        }
    }

    fn unset(&self, name: &[u8]) {
        let mut values = self.values.borrow_mut();
        if let Some(at) = values.iter().position(|(known, _)| **known == *name) {
            let (_, old) = values.swap_remove(at);
            self.size.set(self.size.get().saturating_sub(cost(&old)));
        }
    }

    fn clear(&self) {
        self.values.borrow_mut().clear();
        self.size.set(0);
    }

    fn has_room(&self, growth: isize, limit: usize) -> bool {
        self.size.get().saturating_add_signed(growth) <= bound(limit)
    }
}

/// The variables of the process: `proc.*`, shared by all threads.
#[derive(Debug, Default)]
pub struct ProcessVariables {
    values: RwLock<HashMap<Box<[u8]>, Value<'static>>>,
    limit: usize,
}

impl ProcessVariables {
    /// None set; `limit` is `tune.vars.proc-max-size`, 0: unlimited.
    pub fn new(limit: usize) -> ProcessVariables {
        ProcessVariables { values: RwLock::default(), limit }
    }

    /// A copy of the variable; `name` has no prefix.
    pub fn get(&self, name: &[u8]) -> Option<Value<'static>> {
        self.values.read().get(name).cloned()
    }

    /// Sets it; false when there is no room.
    pub fn set(&self, name: &[u8], value: Value<'static>) -> bool {
        let mut values = self.values.write();
        let others: usize =
            values.iter().filter(|(known, _)| ***known != *name).map(|(_, old)| cost(old)).sum();
        let fits = others + cost(&value) <= bound(self.limit);
        if fits {
            values.insert(name.into(), value);
        }
        fits
    }

    /// Forgets it.
    pub fn unset(&self, name: &[u8]) {
        self.values.write().remove(name);
    }
}

/// The variables that one stream reaches.
#[derive(Debug)]
pub struct StreamVariables {
    process: Arc<ProcessVariables>,
    /// Of the client's connection: shared by its streams.
    session: Rc<VariableSet>,
    transaction: VariableSet,
    /// `req.*` until the response begins, `res.*` from then on.
    current: VariableSet,
    in_response: Cell<bool>,
    limits: VariableLimits,
}

impl StreamVariables {
    /// No variables yet, beside those of the session and the process.
    pub fn new(
        process: Arc<ProcessVariables>,
        session: Rc<VariableSet>,
        limits: VariableLimits,
    ) -> StreamVariables {
        StreamVariables {
            process,
            session,
            transaction: VariableSet::default(),
            current: VariableSet::default(),
            in_response: Cell::new(false),
            limits,
        }
    }

    /// Serves another connection from here on: `session` is that one's.
    pub fn attach(&mut self, session: Rc<VariableSet>) {
        self.session = session;
        self.begin_request();
    }

    /// The response begins: `req.*` are gone, `res.*` can be set.
    pub fn begin_response(&self) {
        if !self.in_response.replace(true) {
            self.current.clear();
        }
    }

    /// The next request of the connection begins: only `sess.*` and `proc.*` stay. Keeps the memory.
    pub fn begin_request(&self) {
        self.in_response.set(false);
        self.current.clear();
        self.transaction.clear();
    }

    fn set_of(&self, scope: VariableScope) -> Option<&VariableSet> {
        match scope {
            VariableScope::Session => Some(&self.session),
            VariableScope::Transaction => Some(&self.transaction),
            VariableScope::Request => (!self.in_response.get()).then_some(&self.current),
            VariableScope::Response => self.in_response.get().then_some(&self.current),
            VariableScope::Process | VariableScope::Check => None,
        }
    }

    /// Whether all scopes around a variable have room for it.
    fn has_room(&self, scope: VariableScope, growth: isize) -> bool {
        let narrow = self.current.has_room(growth, self.limits.request_response);
        let in_transaction = self.current.size.get() as isize + growth;
        let middle = self.transaction.has_room(in_transaction, self.limits.transaction);
        let in_session = self.transaction.size.get() as isize + in_transaction;
        let wide = self.session.has_room(in_session, self.limits.session);
        match scope {
            VariableScope::Request | VariableScope::Response => narrow && middle && wide,
            VariableScope::Transaction => middle && wide,
            VariableScope::Session => wide,
            VariableScope::Process | VariableScope::Check => false,
        }
    }
}

impl Variables for StreamVariables {
    fn get(&self, name: &VariableName) -> Option<Value<'static>> {
        match name.scope {
            VariableScope::Process => self.process.get(&name.name),
            scope => self.set_of(scope)?.get(&name.name),
        }
    }

    fn set(&self, name: &VariableName, value: Value<'static>) -> bool {
        if name.scope == VariableScope::Process {
            return self.process.set(&name.name, value);
        }
        let Some(set) = self.set_of(name.scope) else { return false };
        let fits = self.has_room(name.scope, set.growth(&name.name, &value));
        if fits {
            set.set(&name.name, value);
        }
        fits
    }

    fn unset(&self, name: &VariableName) {
        match name.scope {
            VariableScope::Process => self.process.unset(&name.name),
            scope => {
                if let Some(set) = self.set_of(scope) {
                    set.unset(&name.name);
                }
            }
        }
    }
}

/// The variables that one run of a health check reaches.
#[derive(Debug)]
pub struct CheckVariables {
    process: Arc<ProcessVariables>,
    check: VariableSet,
    limits: VariableLimits,
}

impl CheckVariables {
    /// No variables yet, beside those of the process.
    pub fn new(process: Arc<ProcessVariables>, limits: VariableLimits) -> CheckVariables {
        CheckVariables { process, check: VariableSet::default(), limits }
    }
}

impl Variables for CheckVariables {
    fn get(&self, name: &VariableName) -> Option<Value<'static>> {
        match name.scope {
            VariableScope::Process => self.process.get(&name.name),
            VariableScope::Check => self.check.get(&name.name),
            VariableScope::Session
            | VariableScope::Transaction
            | VariableScope::Request
            | VariableScope::Response => None,
        }
    }

    fn set(&self, name: &VariableName, value: Value<'static>) -> bool {
        match name.scope {
            VariableScope::Process => self.process.set(&name.name, value),
            VariableScope::Check => {
                let fits = self.check.has_room(self.check.growth(&name.name, &value), self.limits.check);
                if fits {
                    self.check.set(&name.name, value);
                }
                fits
            }
            VariableScope::Session
            | VariableScope::Transaction
            | VariableScope::Request
            | VariableScope::Response => false,
        }
    }

    fn unset(&self, name: &VariableName) {
        match name.scope {
            VariableScope::Process => self.process.unset(&name.name),
            VariableScope::Check => self.check.unset(&name.name),
            VariableScope::Session
            | VariableScope::Transaction
            | VariableScope::Request
            | VariableScope::Response => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> VariableName {
        VariableName::parse(text.as_bytes()).expect("a valid name")
    }

    fn stream(limits: VariableLimits) -> StreamVariables {
        StreamVariables::new(Arc::default(), Rc::default(), limits)
    }

    #[test]
    fn each_scope_ends_when_its_time_is_over() {
        let variables = stream(VariableLimits::default());
        for text in ["proc.a", "sess.a", "txn.a", "req.a"] {
            assert!(variables.set(&name(text), Value::Int(1)), "{text}");
        }
        assert!(!variables.set(&name("res.a"), Value::Int(1)));
        variables.begin_response();
        assert_eq!(variables.get(&name("req.a")), None);
        assert!(variables.set(&name("res.a"), Value::Int(2)));
        assert_eq!(variables.get(&name("txn.a")), Some(Value::Int(1)));
        variables.begin_request();
        assert_eq!(variables.get(&name("txn.a")), None);
        assert_eq!(variables.get(&name("res.a")), None);
        assert_eq!(variables.get(&name("sess.a")), Some(Value::Int(1)));
        assert_eq!(variables.get(&name("proc.a")), Some(Value::Int(1)));
        variables.unset(&name("sess.a"));
        assert_eq!(variables.get(&name("sess.a")), None);
    }

    #[test]
    fn narrow_scopes_count_for_the_wide_ones() {
        let limits = VariableLimits { session: 2 * VARIABLE_COST + 10, ..VariableLimits::default() };
        let variables = stream(limits);
        assert!(variables.set(&name("sess.a"), Value::Int(1)));
        assert!(variables.set(&name("req.a"), Value::string(b"0123456789".to_vec())));
        assert!(!variables.set(&name("txn.a"), Value::Int(1)));
        assert!(!variables.set(&name("req.a"), Value::string(b"0123456789a".to_vec())));
        variables.unset(&name("req.a"));
        assert!(variables.set(&name("txn.a"), Value::Int(1)));
    }

    #[test]
    fn a_full_process_scope_keeps_what_it_has() {
        let process = ProcessVariables::new(VARIABLE_COST);
        assert!(process.set(b"a", Value::Int(1)));
        assert!(process.set(b"a", Value::Int(2)));
        assert!(!process.set(b"b", Value::Int(1)));
        assert_eq!(process.get(b"a"), Some(Value::Int(2)));
    }
}
