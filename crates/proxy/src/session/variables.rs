//! Where variables of rules live: the process's in the state, the session's with the client, the others with the
//! transaction. Few per stream, so a list beats a map.

use crate::worker::Shared;
use rules::{Value, VariableName, VariableScope, Variables};
use std::cell::RefCell;
use std::sync::Arc;

/// Variables of one scope, in the order they were first set.
pub type Store = Vec<(VariableName, Value<'static>)>;

/// Variables of one scope at most.
const VARIABLES_MAX: usize = 1024;
/// Bytes that one value may have.
const VALUE_MAX: usize = 64 * 1024;

/// The variables that one stream sees.
pub struct StreamVariables {
    shared: Arc<Shared>,
    /// Taken from the client for the time of a transaction.
    pub session: RefCell<Store>,
    transaction: RefCell<Store>,
}

impl std::fmt::Debug for StreamVariables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StreamVariables")
            .field("session", &self.session)
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

impl StreamVariables {
    pub fn new(shared: Arc<Shared>) -> StreamVariables {
        StreamVariables { shared, session: RefCell::default(), transaction: RefCell::default() }
    }

    /// Forgets what ends with the transaction.
    pub fn restart(&mut self) {
        self.transaction.get_mut().clear();
        self.session.get_mut().clear();
    }

    /// The request is answered: its variables end, those of the response begin.
    pub fn response_begins(&self) {
        self.transaction.borrow_mut().retain(|(name, _)| name.scope != VariableScope::Request);
    }

    fn with<R>(&self, scope: VariableScope, body: impl FnOnce(&mut Store) -> R) -> R {
        match scope {
            VariableScope::Process => body(&mut self.shared.state.process.variables.lock()),
            VariableScope::Session => body(&mut self.session.borrow_mut()),
            VariableScope::Transaction
            | VariableScope::Request
            | VariableScope::Response
            | VariableScope::Check => body(&mut self.transaction.borrow_mut()),
        }
    }
}

impl Variables for StreamVariables {
    fn get(&self, name: &VariableName) -> Option<Value<'static>> {
        self.with(name.scope, |store| {
            store.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    fn set(&self, name: &VariableName, value: Value<'static>) -> bool {
        let length = match &value {
            Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => bytes.len(),
            Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => 0,
        };
        self.with(name.scope, |store| {
            if length > VALUE_MAX {
                return false;
            }
            match store.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None if store.len() >= VARIABLES_MAX => return false,
                None => store.push((name.clone(), value)),
            }
            true
        })
    }

    fn unset(&self, name: &VariableName) {
        self.with(name.scope, |store| store.retain(|(known, _)| known != name));
    }
}
