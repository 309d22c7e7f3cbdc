//! Network namespaces that `bind` and `server` lines name. They are opened at the start, while the process may still
//! enter them and sees the whole file system.

use haproxy_config::Model;
use haproxy_config::model::LogForward;
use std::collections::HashMap;
use std::io;
use sys::namespace::Namespace;

/// By name.
#[derive(Debug, Default)]
pub struct Namespaces(HashMap<String, Namespace>);

impl Namespaces {
    /// Opens every namespace of the model; what cannot be opened is told in `errors`.
    pub fn open(model: &Model, errors: &mut Vec<String>) -> Namespaces {
        let proxies = || model.proxies.iter().filter(|proxy| !proxy.disabled);
        let binds = proxies().flat_map(|proxy| &proxy.binds).map(|bind| &bind.namespace);
        let servers = proxies().flat_map(|proxy| &proxy.servers).map(|server| &server.namespace);
        let sockets = model.global.stats_sockets.iter().map(|socket| &socket.bind.namespace);
        let logs = model.log_forwards.iter().flat_map(LogForward::lines).map(|(_, _, bind)| &bind.namespace);
        let mut opened = HashMap::new();
        for name in binds.chain(sockets).chain(servers).chain(logs).flatten() {
            if opened.contains_key(name) {
                continue;
            }
            match Namespace::open(name) {
                Ok(namespace) => drop(opened.insert(name.clone(), namespace)),
                Err(error) => errors.push(format!("cannot open namespace `{name}`: {error}")),
            }
        }
        Namespaces(opened)
    }

    /// Runs `make` in the namespace, or here when none is named. `make` must not wait: the thread is elsewhere meanwhile.
    ///
    /// # Errors
    /// The namespace is not open or may not be entered, or what `make` says.
    pub fn within<T>(&self, name: Option<&str>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(name) = name else { return make() };
        match self.0.get(name) {
            Some(namespace) => namespace.within(make),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("namespace `{name}` is not open"))),
        }
    }
}
